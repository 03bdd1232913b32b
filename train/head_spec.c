#include "head_spec.h"

#include <stdio.h>
#include <string.h>

#include "options.h"

#define MAX_WIDTH 65536

const char *const pf_activation_names[] = {[PF_RELU] = "relu", [PF_GELU] = "gelu"};
const char *const pf_head_norm_names[] = {
    [PF_HEAD_NORM_NONE] = "none", [PF_HEAD_NORM_BATCH] = "batch", [PF_HEAD_NORM_LAYER] = "layer"};

/* "256x128" */
static int parse_widths(const char *text, PfHeadSpec *spec)
{
    for (;;) {
        uint64_t width;
        size_t length = strcspn(text, "x");
        if (pf_read_unsigned(text, length, &width) || width < 1 || width > MAX_WIDTH ||
            spec->hidden_count == PF_MAX_HIDDEN)
            return -1;
        spec->hidden[spec->hidden_count++] = (int)width;
        if (!text[length]) return 0;
        text += length + 1;
    }
}

int pf_head_spec_parse(const char *text, PfHeadSpec *spec, PfError *err)
{
    spec->hidden_count = 0;
    if (!strcmp(text, "linear")) return 0;
    if (!strncmp(text, "mlp:", 4) && !parse_widths(text + 4, spec)) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--head: expected linear, or mlp:WIDTH[xWIDTH...] with up to %d widths of 1 to "
                   "%d as in mlp:512x128, found '%s'",
                   PF_MAX_HIDDEN, MAX_WIDTH, text);
}

const char *pf_head_spec_text(const PfHeadSpec *spec, char text[PF_HEAD_SPEC_TEXT_SIZE])
{
    size_t used =
        (size_t)snprintf(text, PF_HEAD_SPEC_TEXT_SIZE, "%s", spec->hidden_count ? "mlp" : "linear");
    for (int i = 0; i < spec->hidden_count; i++)
        used += (size_t)snprintf(text + used, PF_HEAD_SPEC_TEXT_SIZE - used, "%c%d", i ? 'x' : ':',
                                 spec->hidden[i]);
    return text;
}

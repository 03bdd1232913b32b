#include "output_check.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "file_content.h"
#include "output_path.h"
#include "path.h"

static int is_file(const PfOutput *output)
{
    return output->path && strcmp(output->path, "-");
}

/* ---- the same file ---- */

int pf_outputs_check_distinct(const PfOutput *outputs, int count, PfError *err)
{
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (is_file(&outputs[i]) && is_file(&outputs[j]) &&
                pf_output_is_same(outputs[i].path, outputs[j].path))
                return pf_fail(err, PF_EXIT_USAGE,
                               "%s '%s' and %s '%s' are the same file: one would be lost; choose "
                               "another name",
                               outputs[j].option, outputs[j].path, outputs[i].option,
                               outputs[i].path);
    return 0;
}

int pf_output_check_input(const PfOutput *output, const char *input, const char *what, PfError *err)
{
    struct stat status;
    if (!is_file(output) || !input || stat(output->path, &status) || !S_ISREG(status.st_mode) ||
        !pf_same_path(output->path, input))
        return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s: '%s' is %s; choose another output", output->option,
                   output->path, what);
}

/* ---- what is there ---- */

static int has_key(const PfFileContent *content, const char *key)
{
    size_t size;
    const char *header = pf_file_content_safetensors(content, &size);
    return header && memmem(header, size, key, strlen(key));
}

static int is_model(const PfFileContent *content)
{
    return has_key(content, "\"permafrost\":");
}

static int is_state_dict(const PfFileContent *content)
{
    return has_key(content, "\"preprocess\":") && !is_model(content);
}

/* Ours is an object, and says of which cache or of which configuration it is. */
static int is_result(const PfFileContent *content)
{
    return pf_file_content_is_text(content) && pf_file_content_first_letter(content) == '{' &&
           (pf_file_content_begin_has(content, "\"config\"") ||
            pf_file_content_begin_has(content, "\"cache\""));
}

/* "tap,..." as a spreadsheet may have saved it, too. */
static int is_table(const PfFileContent *content)
{
    return content->size > 4 && !memcmp(content->begin, "tap", 3) &&
           strchr(",;\t", content->begin[3]);
}

/* Field 1 of the format, then the name of who made it. */
static int is_onnx(const PfFileContent *content)
{
    return content->begin[0] == 8 && content->size > 32 &&
           memmem(content->begin, 32, "permafrost", 10);
}

/* The directory of the archive names the classes that its modules are of. */
static int is_torchscript(const PfFileContent *content)
{
    return !memcmp(content->begin, "PK\3\4", 4) &&
           pf_file_content_end_has(content, "__torch__/permafrost");
}

static const struct {
    int (*is_it)(const PfFileContent *content);
    const char *name;
} kinds[] = {
    [PF_CONTENT_MODEL] = {is_model, "a model that train wrote"},
    [PF_CONTENT_JSON] = {is_result, "a result as JSON"},
    [PF_CONTENT_CSV] = {is_table, "a table of results that train wrote"},
    [PF_CONTENT_STATE_DICT] = {is_state_dict, "a state dict that predict wrote"},
    [PF_CONTENT_ONNX] = {is_onnx, "an ONNX file that predict wrote"},
    [PF_CONTENT_TORCHSCRIPT] = {is_torchscript, "a TorchScript file that predict wrote"},
};

int pf_output_check_content(const PfOutput *output, PfError *err)
{
    if (!is_file(output) || output->content == PF_CONTENT_ANY) return 0;
    PfFileContent *content = pf_file_content_read(output->path, err);
    if (!content) return -1;
    int failed = content->size && !kinds[output->content].is_it(content);
    if (failed)
        pf_fail(err, PF_EXIT_FAILED,
                "%s: '%s' is there already and is %s, not %s.\n"
                "Hint: choose another output, or remove that file first",
                output->option, output->path, pf_file_content_name(content),
                kinds[output->content].name);
    free(content);
    return failed ? -1 : 0;
}

int pf_outputs_check(const PfOutput *outputs, int count, const char *const *inputs,
                     const char *const *whats, int input_count, PfError *err)
{
    if (pf_outputs_check_distinct(outputs, count, err)) return -1;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j < input_count; j++)
            if (pf_output_check_input(&outputs[i], inputs[j], whats[j], err)) return -1;
        if (pf_output_check_content(&outputs[i], err)) return -1;
    }
    return 0;
}

/* Names that published files have from before torchvision's modules were called as they are now. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/weights/internal.h"

/* Where `module` is a part of the name and what stands behind it begins with one of older's words,
 * the newer word takes its place. */
static const struct {
    const char *module, *older, *newer;
} renamed[] = {
    {".denselayer", ".norm.1.", ".norm1."},   {".denselayer", ".norm.2.", ".norm2."},
    {".denselayer", ".conv.1.", ".conv1."},   {".denselayer", ".conv.2.", ".conv2."},
    {".encoder_layer_", ".linear_1.", ".0."}, {".encoder_layer_", ".linear_2.", ".3."},
};

/* NULL where the name is none of the older ones, and where memory is short. */
static char *newer_name(const char *name, bool *is_older, PfError *err)
{
    *is_older = false;
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; i++) {
        const char *module = strstr(name, renamed[i].module);
        const char *found = module ? strstr(module, renamed[i].older) : NULL;
        if (!found) continue;
        *is_older = true;
        return pf_asprintf(err, "%.*s%s%s", (int)(found - name), name, renamed[i].newer,
                           found + strlen(renamed[i].older));
    }
    return NULL;
}

int pf_weights_renew_names(PfWeights *weights, PfError *err)
{
    bool is_older, any = false;
    if (pf_weights_rename_efficientnet(weights, err)) return -1;
    for (size_t i = 0; i < weights->count; i++) {
        char *newer = newer_name(weights->tensors[i].name, &is_older, err);
        if (!newer && is_older) return -1;
        if (!newer) continue;
        free((char *)(uintptr_t)weights->tensors[i].name);
        weights->tensors[i].name = newer;
        any = true;
    }
    return any ? pf_weights_index(weights, err) : 0;
}

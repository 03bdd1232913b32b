/* Where a network can be cut in two. */
#include <string.h>

#include "arch_family.h"

static int fail_two_inputs(const PfArch *arch, const char *module, int one, int other, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s cannot be cut before '%s': it takes both '%s' and '%s'. Name a whole block, "
                   "as in layer4 or layer4.1.",
                   arch->name, module, arch->nodes[one].name, arch->nodes[other].name);
}

int pf_arch_find_cut(const PfArch *arch, const char *module, int *cut, PfError *err)
{
    int ignored;
    if (!strcmp(module, "all")) return *cut = 0, 0;
    if (pf_arch_find_tap(arch, module, &ignored, err)) return -1;
    *cut = -1;
    for (int i = 1; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (!pf_arch_is_under(node->name, module)) continue;
        for (int k = 0; k < node->input_count; k++) {
            int input = node->inputs[k];
            if (pf_arch_is_under(arch->nodes[input].name, module) || input == *cut) continue;
            if (*cut >= 0) return fail_two_inputs(arch, module, *cut, input, err);
            *cut = input;
        }
    }
    if (*cut >= 0) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "'%s' is the input itself: there is nothing before it",
                   module);
}

int pf_arch_mark_behind(const PfArch *arch, int cut, int last, unsigned char *behind, PfError *err)
{
    pf_arch_mark_needed(arch, last, behind);
    if (cut >= last || !behind[cut])
        return pf_fail(err, PF_EXIT_USAGE, "%s: '%s' does not lie behind '%s'", arch->name,
                       arch->nodes[last].name, arch->nodes[cut].name);
    /* Backwards from last, as far as the cut. */
    memset(behind, 0, (size_t)arch->node_count);
    behind[last] = 1;
    for (int i = last; i >= 0; i--) {
        if (!behind[i] || i == cut) continue;
        if (i < cut || !arch->nodes[i].input_count)
            return pf_fail(err, PF_EXIT_USAGE,
                           "%s cannot be cut at '%s': '%s' also takes what comes before it",
                           arch->name, arch->nodes[cut].name, arch->nodes[last].name);
        for (int k = 0; k < arch->nodes[i].input_count; k++) behind[arch->nodes[i].inputs[k]] = 1;
    }
    behind[cut] = 0;
    return 0;
}

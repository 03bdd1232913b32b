/* Building networks by name, and finding taps and cuts in them. */
#include "permafrost/arch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/base/memory.h"
#include "common/base/options.h"

static const PfArchFamily *const families[] = {
    &pf_arch_resnet,       &pf_arch_vgg,          &pf_arch_densenet,
    &pf_arch_mobilenet_v3, &pf_arch_efficientnet, &pf_arch_convnext,
    &pf_arch_vit,          &pf_arch_vit_timm,     &pf_arch_dinov2,
    &pf_arch_inception,    &pf_arch_googlenet,    &pf_arch_regnet,
    &pf_arch_mobilenet_v2, &pf_arch_squeezenet,   &pf_arch_shufflenet_v2,
    &pf_arch_mnasnet,      &pf_arch_alexnet,      &pf_arch_efficientnet_lite};
#define FAMILY_COUNT (sizeof families / sizeof families[0])
#define MAX_NAMES 256

const char *const *pf_arch_names(void)
{
    static const char *names[MAX_NAMES]; /* the same values whoever writes them first */
    size_t count = 0;
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (int v = 0; v < families[f]->variant_count; v++) {
            assert(count + 1 < MAX_NAMES);
            names[count++] = families[f]->variants[v].name;
        }
    return names;
}

/* NULL for networks that were not built by name. */
static const PfArchFamily *family_of(const PfArch *arch)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        if (!strcmp(families[f]->class_name, arch->family)) return families[f];
    return NULL;
}

PfInitialValues pf_arch_initial_values(const PfArch *arch, const PfNode *node,
                                       const PfOpParameter *parameter)
{
    const PfArchFamily *family = family_of(arch);
    return family ? family->initial(node, parameter) : pf_op_initial_values(node, parameter);
}

static int build_variant(const PfArchFamily *family, const PfArchVariant *variant, PfArch **out,
                         PfError *err)
{
    PfArch *arch = pf_calloc(1, sizeof *arch, err);
    if (!arch) return -1;
    snprintf(arch->name, sizeof arch->name, "%s", variant->name);
    snprintf(arch->family, sizeof arch->family, "%s", family->class_name);
    arch->default_tap = family->default_tap;
    arch->preprocess = variant->preprocess;
    arch->weights = variant->weights;
    arch->weights_count = variant->weights_count;
    PfArchBuilder builder = {.arch = arch, .err = err};
    int input;
    pf_arch_add(&builder, PF_OP_INPUT, "input", "", 0, &input);
    family->build(&builder, variant->config);
    if (builder.failed) {
        pf_arch_free(&arch);
        return -1;
    }
    *out = arch;
    return 0;
}

/* In the letters of our names: "ViT-B/16" is vit_b_16. */
static void write_as_ours(const char *name, char ours[64])
{
    size_t i = 0;
    for (; name[i] && i < 63; i++) {
        const char c = name[i];
        const bool is_kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        ours[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : is_kept ? c : '_';
    }
    ours[i] = '\0';
}

/* The first of those that share the longest beginning with it: a family's, or its first letters. */
static const char *longest_beginning(const char *name, const char *const *names)
{
    enum { LEAST = 5 };
    const char *found = NULL;
    size_t longest = LEAST - 1;
    for (size_t i = 0; names[i]; i++) {
        size_t shared = 0;
        while (name[shared] && name[shared] == names[i][shared]) shared++;
        if (shared > longest || (!found && shared > 2 && !name[shared])) {
            longest = shared;
            found = names[i];
        }
    }
    return found;
}

static const char *nearest_name(const char *ours, const char *const *names)
{
    size_t count = 0;
    for (; names[count]; count++)
        if (strlen(ours) > 2 && !strncmp(names[count], ours, strlen(ours))) return names[count];
    const char *near = pf_options_nearest_word(ours, names, count);
    return near ? near : longest_beginning(ours, names);
}

/* The known name that was most likely meant; NULL where none is near. */
static const char *near_name(const char *name)
{
    const char *const *names = pf_arch_names();
    const char *slash = strrchr(name, '/');
    char ours[64];
    write_as_ours(name, ours);
    for (size_t i = 0; names[i]; i++)
        if (!strcmp(ours, names[i])) return names[i];
    if (slash) write_as_ours(slash + 1, ours); /* of a user's or a folder's */
    return nearest_name(ours, names);
}

static int unknown_name(const char *name, PfError *err)
{
    const char *const *names = pf_arch_names();
    char list[1024];
    size_t used = 0, i = 0, more = 0;
    for (; names[i] && used + strlen(names[i]) + 20 < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
    while (names[i + more]) more++;
    if (more) snprintf(list + used, sizeof list - used, " and %zu more", more);
    const char *near = near_name(name);
    return pf_fail(
        err, PF_EXIT_USAGE,
        "unknown backbone '%s'.%s%s%s Known: %s; or a file of TorchScript (*.pt) or ONNX "
        "(*.onnx).",
        name, near ? " Did you mean " : "", near ? near : "", near ? "?" : "", list);
}

int pf_arch_new(const char *name, PfArch **out, PfError *err)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (int v = 0; v < families[f]->variant_count; v++)
            if (!strcmp(name, families[f]->variants[v].name))
                return build_variant(families[f], &families[f]->variants[v], out, err);
    return unknown_name(name, err);
}

void pf_arch_free(PfArch **arch)
{
    if (!*arch) return;
    free((*arch)->nodes);
    free(*arch);
    *arch = NULL;
}

/* Whether name is module itself or lies under it: "layer3.1.relu_1" under "layer3". */
static bool is_under(const char *name, const char *module)
{
    size_t length = strlen(module);
    return !strncmp(name, module, length) && (!name[length] || name[length] == '.');
}

/* NULL where the network is not one of ours. */
static const char *example_module(const PfArch *arch)
{
    const PfArchFamily *family = family_of(arch);
    return family ? family->example_module : NULL;
}

static int unknown_tap(const PfArch *arch, const char *tap, PfError *err)
{
    const char *names[1024];
    size_t count = 0;
    for (int i = 0; i < arch->node_count && count < 1024; i++) names[count++] = arch->nodes[i].name;
    const char *near = pf_options_nearest_word(tap, names, count);
    const char *module = example_module(arch);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s has no tap '%s'.%s%s%s 'extract --summary --backbone %s' lists them%s%s%s.",
                   arch->name, tap, near ? " Did you mean " : "", near ? near : "", near ? "?" : "",
                   arch->name, module ? "; a module such as " : "", module ? module : "",
                   module ? " stands for its last node" : "");
}

int pf_arch_find_tap(const PfArch *arch, const char *tap, int *node, PfError *err)
{
    int last = -1;
    for (int i = 0; i < arch->node_count; i++) {
        if (!strcmp(arch->nodes[i].name, tap)) {
            *node = i;
            return 0;
        }
        if (is_under(arch->nodes[i].name, tap)) last = i;
    }
    if (last < 0 || !*tap) return unknown_tap(arch, tap, err);
    *node = last;
    return 0;
}

void pf_arch_mark_needed(const PfArch *arch, int last, unsigned char *needed)
{
    memset(needed, 0, (size_t)arch->node_count);
    needed[last] = 1;
    for (int i = last; i >= 0; i--)
        for (int k = 0; needed[i] && k < arch->nodes[i].input_count; k++)
            needed[arch->nodes[i].inputs[k]] = 1;
}

/* ---- cuts ---- */

static int fail_two_inputs(const PfArch *arch, const char *module, int one, int other, PfError *err)
{
    const char *block = example_module(arch);
    return pf_fail(
        err, PF_EXIT_USAGE,
        "%s cannot be cut before '%s': it takes both '%s' and '%s'. Name a whole block%s%s.",
        arch->name, module, arch->nodes[one].name, arch->nodes[other].name, block ? ", as in " : "",
        block ? block : "");
}

int pf_arch_find_cut(const PfArch *arch, const char *module, int *cut, PfError *err)
{
    int ignored;
    *cut = 0;
    if (!strcmp(module, "all")) return 0;
    if (pf_arch_find_tap(arch, module, &ignored, err)) return -1;
    *cut = -1;
    for (int i = 1; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (!is_under(node->name, module)) continue;
        for (int k = 0; k < node->input_count; k++) {
            int input = node->inputs[k];
            if (is_under(arch->nodes[input].name, module) || input == *cut) continue;
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
        if (arch->nodes[i].op == PF_OP_PARAMETER) continue;
        if (i < cut || !arch->nodes[i].input_count)
            return pf_fail(err, PF_EXIT_USAGE,
                           "%s cannot be cut at '%s': '%s' also takes what comes before it",
                           arch->name, arch->nodes[cut].name, arch->nodes[last].name);
        for (int k = 0; k < arch->nodes[i].input_count; k++) behind[arch->nodes[i].inputs[k]] = 1;
    }
    behind[cut] = 0;
    return 0;
}

int pf_arch_mark_outputs(const PfArch *arch, int start, const int *outputs, int output_count,
                         unsigned char *needed, PfError *err)
{
    unsigned char *of_one = pf_calloc((size_t)arch->node_count, 1, err);
    int failed = !of_one;
    memset(needed, 0, (size_t)arch->node_count);
    for (int t = 0; t < output_count && !failed; t++) {
        if (outputs[t] == start) continue;
        failed = pf_arch_mark_behind(arch, start, outputs[t], of_one, err);
        for (int i = 0; i < arch->node_count; i++) needed[i] |= of_one[i];
    }
    free(of_one);
    return failed ? -1 : 0;
}

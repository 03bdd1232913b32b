/* Building networks by name, and finding taps and cuts in them. */
#include "permafrost/arch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/arch/spelling.h"
#include "common/base/memory.h"
#include "common/base/options.h"

static const PfArchFamily *const families[] = {
    &pf_arch_resnet,       &pf_arch_vgg,          &pf_arch_densenet,
    &pf_arch_mobilenet_v3, &pf_arch_efficientnet, &pf_arch_convnext,
    &pf_arch_vit,          &pf_arch_vit_timm,     &pf_arch_dinov2,
    &pf_arch_inception,    &pf_arch_googlenet,    &pf_arch_regnet,
    &pf_arch_mobilenet_v2, &pf_arch_squeezenet,   &pf_arch_shufflenet_v2,
    &pf_arch_mnasnet,      &pf_arch_alexnet,      &pf_arch_efficientnet_lite,
    &pf_arch_clip,         &pf_arch_siglip,       &pf_arch_dinov3_convnext,
    &pf_arch_swin,         &pf_arch_dinov3_vit};
#define FAMILY_COUNT (sizeof families / sizeof families[0])
#define MAX_NAMES 512

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

const PfArchVariant *pf_arch_variant(size_t index)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        const size_t count = (size_t)families[f]->variant_count;
        if (index < count) return &families[f]->variants[index];
        index -= count;
    }
    return NULL;
}

const PfArchVariant *pf_arch_find_variant(const char *name)
{
    const PfArchVariant *variant;
    for (size_t i = 0; (variant = pf_arch_variant(i)); i++)
        if (!strcmp(variant->name, name)) return variant;
    return NULL;
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

int pf_arch_new(const char *name, PfArch **out, PfError *err)
{
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (int v = 0; v < families[f]->variant_count; v++)
            if (!strcmp(name, families[f]->variants[v].name))
                return build_variant(families[f], &families[f]->variants[v], out, err);
    return pf_spelling_fail_unknown(name, err);
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

/* The node, or the module of nodes, whose name is nearest; "" where none is near. */
static void find_nearest_tap(const PfArch *arch, const char *tap, char nearest[PF_NODE_NAME_SIZE])
{
    char name[PF_NODE_NAME_SIZE];
    *nearest = '\0';
    for (int i = 0; i < arch->node_count; i++)
        for (size_t end = 0; end < strlen(arch->nodes[i].name);) {
            end += 1 + strcspn(arch->nodes[i].name + end + 1, ".");
            snprintf(name, sizeof name, "%.*s", (int)end, arch->nodes[i].name);
            const char *const both[] = {nearest, name};
            const char *near =
                pf_options_nearest_word(tap, *nearest ? both : both + 1, *nearest ? 2 : 1);
            if (near == name) memcpy(nearest, name, sizeof name);
        }
}

static int unknown_tap(const PfArch *arch, const char *tap, PfError *err)
{
    char near[PF_NODE_NAME_SIZE];
    find_nearest_tap(arch, tap, near);
    const char *module = example_module(arch);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s has no tap '%s'.%s%s%s 'extract --summary --backbone %s' lists them%s%s%s.",
                   arch->name, tap, *near ? " Did you mean " : "", near, *near ? "?" : "",
                   arch->name, module ? "; a module such as " : "", module ? module : "",
                   module ? " stands for its last node" : "");
}

#define ALIAS "blocks."

/* "blocks.3" as the network calls it: name, or text. */
static const char *own_name(const PfArch *arch, const char *name, char text[PF_NODE_NAME_SIZE])
{
    if (!arch->blocks || strncmp(name, ALIAS, strlen(ALIAS))) return name;
    snprintf(text, PF_NODE_NAME_SIZE, "%s%s", arch->blocks, name + strlen(ALIAS));
    return text;
}

int pf_arch_find_tap(const PfArch *arch, const char *tap, int *node, PfError *err)
{
    char text[PF_NODE_NAME_SIZE];
    const char *name = own_name(arch, tap, text);
    int last = -1;
    for (int i = 0; i < arch->node_count; i++) {
        if (!strcmp(arch->nodes[i].name, name)) {
            *node = i;
            return 0;
        }
        if (!arch->nodes[i].is_aside && is_under(arch->nodes[i].name, name)) last = i;
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
    char text[PF_NODE_NAME_SIZE];
    int last;
    *cut = 0;
    if (!strcmp(module, "all")) return 0;
    if (pf_arch_find_tap(arch, module, &last, err)) return -1;
    module = own_name(arch, module, text);
    *cut = -1;
    for (int i = 1; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        if (!is_under(node->name, module) || (node->is_aside && i != last)) continue;
        for (int k = 0; k < node->input_count; k++) {
            int input = node->inputs[k];
            if (pf_node_takes_size_alone(node, k)) continue;
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
        for (int k = 0; k < arch->nodes[i].input_count; k++)
            if (arch->nodes[i].inputs[k] >= cut || !pf_node_takes_size_alone(&arch->nodes[i], k))
                behind[arch->nodes[i].inputs[k]] = 1;
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

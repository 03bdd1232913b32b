/* Building networks by name, and finding taps in them. */
#include "permafrost/arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch_family.h"
#include "memory.h"
#include "options.h"

static const PfArchFamily *const families[] = {&pf_arch_resnet, &pf_arch_vgg};
#define FAMILY_COUNT (sizeof families / sizeof families[0])
#define MAX_NAMES 64

const char *const *pf_arch_names(void)
{
    static const char *names[MAX_NAMES]; /* the same values whoever writes them first */
    size_t count = 0;
    for (size_t f = 0; f < FAMILY_COUNT; f++)
        for (int v = 0; v < families[f]->variant_count && count + 1 < MAX_NAMES; v++)
            names[count++] = families[f]->variants[v].name;
    return names;
}

PfNode *pf_arch_add(PfArchBuilder *builder, PfOp op, const char *name, const char *module,
                    int input, int *index)
{
    static PfNode ignored; /* where additions go once one has failed */
    PfArch *arch = builder->arch;
    if (builder->failed || pf_grow(&arch->nodes, &builder->capacity, (size_t)arch->node_count + 1,
                                   sizeof *arch->nodes, builder->err)) {
        builder->failed = 1;
        *index = 0;
        return &ignored;
    }
    *index = arch->node_count++;
    PfNode *node = &arch->nodes[*index];
    *node = (PfNode){.op = op, .inputs = {input}, .input_count = op != PF_OP_INPUT};
    snprintf(node->name, sizeof node->name, "%s", name);
    snprintf(node->module, sizeof node->module, "%s", module ? module : name);
    return node;
}

int pf_arch_add_conv(PfArchBuilder *builder, const char *name, int input, int in_channels,
                     int out_channels, int kernel, int stride, int padding, int bias)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_CONV, name, NULL, input, &index);
    node->in_channels = in_channels;
    node->out_channels = out_channels;
    node->kernel = kernel;
    node->stride = stride;
    node->padding = padding;
    node->dilation = node->groups = 1;
    node->bias = bias;
    return index;
}

int pf_arch_add_batch_norm(PfArchBuilder *builder, const char *name, int input, int channels)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_BATCH_NORM, name, NULL, input, &index);
    node->in_channels = node->out_channels = channels;
    node->eps = 1e-5f;
    return index;
}

int pf_arch_add_relu(PfArchBuilder *builder, const char *name, const char *module, int input)
{
    int index;
    pf_arch_add(builder, PF_OP_RELU, name, module, input, &index);
    return index;
}

int pf_arch_add_max_pool(PfArchBuilder *builder, const char *name, int input, int kernel,
                         int stride, int padding)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_MAX_POOL, name, NULL, input, &index);
    node->kernel = kernel;
    node->stride = stride;
    node->padding = padding;
    node->dilation = 1;
    return index;
}

int pf_arch_add_avg_pool(PfArchBuilder *builder, const char *name, int input, int size)
{
    int index;
    pf_arch_add(builder, PF_OP_ADAPTIVE_AVG_POOL, name, NULL, input, &index)->pool_size = size;
    return index;
}

int pf_arch_add_flatten(PfArchBuilder *builder, int input)
{
    int index;
    pf_arch_add(builder, PF_OP_FLATTEN, "flatten", "", input, &index);
    return index;
}

int pf_arch_add_dropout(PfArchBuilder *builder, const char *name, int input, float probability)
{
    int index;
    pf_arch_add(builder, PF_OP_DROPOUT, name, NULL, input, &index)->dropout = probability;
    return index;
}

int pf_arch_add_linear(PfArchBuilder *builder, const char *name, int input, int in_features,
                       int out_features)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_LINEAR, name, NULL, input, &index);
    node->in_channels = in_features;
    node->out_channels = out_features;
    node->bias = 1;
    return index;
}

int pf_arch_add_sum(PfArchBuilder *builder, const char *name, int left, int right)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_ADD, name, "", left, &index);
    node->inputs[1] = right;
    node->input_count = 2;
    return index;
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

static int unknown_name(const char *name, PfError *err)
{
    const char *const *names = pf_arch_names();
    char list[512];
    size_t used = 0, count = 0;
    for (; names[count]; count++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", count ? ", " : "",
                                 names[count]);
    const char *near = pf_nearest_word(name, names, count);
    return pf_fail(err, PF_EXIT_USAGE,
                   "unknown backbone '%s'.%s%s%s Known: %s; or a TorchScript file (*.pt).", name,
                   near ? " Did you mean " : "", near ? near : "", near ? "?" : "", list);
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
int pf_arch_is_under(const char *name, const char *module)
{
    size_t length = strlen(module);
    return !strncmp(name, module, length) && (!name[length] || name[length] == '.');
}

int pf_arch_find_tap(const PfArch *arch, const char *tap, int *node, PfError *err)
{
    int last = -1;
    for (int i = 0; i < arch->node_count; i++) {
        if (!strcmp(arch->nodes[i].name, tap)) return *node = i, 0;
        if (pf_arch_is_under(arch->nodes[i].name, tap)) last = i;
    }
    if (last >= 0 && *tap) return *node = last, 0;
    const char *names[1024];
    size_t count = 0;
    for (int i = 0; i < arch->node_count && count < 1024; i++) names[count++] = arch->nodes[i].name;
    const char *near = pf_nearest_word(tap, names, count);
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s has no tap '%s'.%s%s%s 'extract --summary --backbone %s' lists them; a "
                   "module such as %s stands for its last node.",
                   arch->name, tap, near ? " Did you mean " : "", near ? near : "", near ? "?" : "",
                   arch->name, strcmp(arch->family, "VGG") ? "layer3" : "features");
}

void pf_arch_mark_needed(const PfArch *arch, int last, unsigned char *needed)
{
    memset(needed, 0, (size_t)arch->node_count);
    needed[last] = 1;
    for (int i = last; i >= 0; i--)
        for (int k = 0; needed[i] && k < arch->nodes[i].input_count; k++)
            needed[arch->nodes[i].inputs[k]] = 1;
}

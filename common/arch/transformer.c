#include "common/arch/transformer.h"

#include <math.h>
#include <stdio.h>

#define EPS 1e-6f

int pf_arch_add_patches(PfArchBuilder *builder, const PfTransformer *transformer, const char *conv,
                        const char *reshape, const char *permute, int *map)
{
    int node = pf_arch_add_conv(builder, conv, 0, 3, transformer->width, transformer->patch,
                                transformer->patch, 0, true);
    *map = node;
    pf_arch_add(builder, PF_OP_RESHAPE, reshape, "", node, &node)->shape =
        (PfShape){2, {transformer->width, -1}};
    PfNode *turned = pf_arch_add(builder, PF_OP_PERMUTE, permute, "", node, &node);
    turned->axes[0] = 1;
    turned->axes[1] = 0;
    turned->axis_count = 2;
    return node;
}

int pf_arch_add_tokens(PfArchBuilder *builder, const char *name, int rows, int width)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_PARAMETER, name, NULL, 0, &index);
    node->shape = (PfShape){2, {rows, width}};
    node->leading_one = 1;
    return index;
}

PfNode *pf_arch_add_positions(PfArchBuilder *builder, const PfTransformer *transformer,
                              const char *name, int map, int *index)
{
    const int64_t side = transformer->image / transformer->patch;
    PfNode *node = pf_arch_add(builder, PF_OP_POSITIONS, name, NULL, map, index);
    node->shape = (PfShape){2, {side * side + 1, transformer->width}};
    node->leading_one = 1;
    node->start = 1;
    return node;
}

int pf_arch_add_rows(PfArchBuilder *builder, const char *name, int above, int below)
{
    int index = pf_arch_add_pair(builder, PF_OP_CONCAT, name, above, below);
    if (!builder->failed) builder->arch->nodes[index].axis = 0;
    return index;
}

int pf_arch_add_part(PfArchBuilder *builder, const char *name, int input, int axis, int start,
                     int count)
{
    int index;
    PfNode *node = pf_arch_add(builder, PF_OP_SLICE, name, "", input, &index);
    node->axis = axis;
    node->start = start;
    node->count = count;
    node->step = 1;
    return index;
}

int pf_arch_add_class_token(PfArchBuilder *builder, int input)
{
    int index = pf_arch_add_part(builder, "getitem", input, 0, 0, 1);
    pf_arch_add(builder, PF_OP_FLATTEN, "cls", "", index, &index);
    return index;
}

/* ---- blocks ---- */

typedef struct Block {
    PfArchBuilder *builder;
    const PfTransformer *transformer;
    const PfBlockNames *names;
    const char *prefix;
    char text[PF_NODE_NAME_SIZE];
} Block;

static const char *name_of(Block *block, const char *part)
{
    snprintf(block->text, sizeof block->text, "%s.%s", block->prefix, part);
    return block->text;
}

static int add_norm(Block *block, const char *name, int input)
{
    return pf_arch_add_layer_norm(block->builder, PF_OP_LAYER_NORM, name_of(block, name), input,
                                  block->transformer->width, EPS);
}

static int add_linear(Block *block, const char *name, int input, int in, int out)
{
    return pf_arch_add_linear(block->builder, name_of(block, name), input, in, out);
}

static int add_dropout(Block *block, const char *name, int input)
{
    return name ? pf_arch_add_dropout(block->builder, name_of(block, name), input, 0) : input;
}

static int add_scale(Block *block, const char *name, int input)
{
    char part[PF_NODE_NAME_SIZE / 2];
    int gamma;
    if (!block->transformer->has_layer_scale) return input;
    snprintf(part, sizeof part, "%s.gamma", name);
    pf_arch_add(block->builder, PF_OP_PARAMETER, name_of(block, part), NULL, 0, &gamma)->shape =
        (PfShape){1, {block->transformer->width}};
    snprintf(part, sizeof part, "%s.mul", name);
    return pf_arch_add_pair(block->builder, PF_OP_MULTIPLY, name_of(block, part), input, gamma);
}

static int add_part(Block *block, const char *name, int input, int number)
{
    char part[PF_NODE_NAME_SIZE / 2];
    const int width = block->transformer->width;
    snprintf(part, sizeof part, "%s.%s", block->names->attention, name);
    return pf_arch_add_part(block->builder, name_of(block, part), input, 1, number * width, width);
}

static int add_attention(Block *block, int input)
{
    char name[PF_NODE_NAME_SIZE / 2], module[PF_NODE_NAME_SIZE];
    const int width = block->transformer->width, heads = block->transformer->heads;
    snprintf(module, sizeof module, "%s.%s", block->prefix, block->names->qkv_module);
    int all, index;
    PfNode *qkv = pf_arch_add(block->builder, PF_OP_LINEAR, name_of(block, block->names->qkv),
                              module, input, &all);
    qkv->in_channels = width;
    qkv->out_channels = 3 * width;
    qkv->bias = 1;
    const int query = add_part(block, "query", all, 0), key = add_part(block, "key", all, 1);
    const int value = add_part(block, "value", all, 2);
    snprintf(name, sizeof name, "%s.attention", block->names->attention);
    PfNode *node =
        pf_arch_add(block->builder, PF_OP_ATTENTION, name_of(block, name), "", query, &index);
    node->inputs[1] = key;
    node->inputs[2] = value;
    node->input_count = 3;
    node->heads = heads;
    node->scale = (float)(1 / sqrt((double)width / heads));
    return add_linear(block, block->names->projection, index, width, width);
}

static int add_layers(Block *block, int input)
{
    const int width = block->transformer->width, hidden = block->transformer->hidden;
    int node = add_linear(block, block->names->fc1, input, width, hidden);
    node = pf_arch_add_plain(block->builder, PF_OP_GELU, name_of(block, block->names->activation),
                             node);
    node = add_dropout(block, block->names->fc1_dropout, node);
    node = add_linear(block, block->names->fc2, node, hidden, width);
    return add_dropout(block, block->names->fc2_dropout, node);
}

int pf_arch_add_transformer_block(PfArchBuilder *builder, const PfTransformer *transformer,
                                  const PfBlockNames *names, const char *prefix, int input)
{
    Block block = {
        .builder = builder, .transformer = transformer, .names = names, .prefix = prefix};
    int node = add_attention(&block, add_norm(&block, names->norm1, input));
    node = add_dropout(&block, names->attention_dropout, node);
    node = add_scale(&block, names->scale1, node);
    const int middle = pf_arch_add_sum(builder, name_of(&block, "add"), node, input);
    node = add_layers(&block, add_norm(&block, names->norm2, middle));
    node = add_scale(&block, names->scale2, node);
    return pf_arch_add_sum(builder, name_of(&block, "add_1"), middle, node);
}

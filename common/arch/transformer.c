#include "common/arch/transformer.h"

#include <math.h>
#include <stdio.h>

const PfBlockNames pf_arch_timm_block_names = {
    .norm1 = "norm1",
    .attention = "attn",
    .qkv = "attn.qkv",
    .qkv_module = "attn.qkv",
    .projection = "attn.proj",
    .scale1 = "ls1",
    .norm2 = "norm2",
    .fc1 = "mlp.fc1",
    .activation = "mlp.act",
    .fc2 = "mlp.fc2",
    .scale2 = "ls2",
};

int pf_arch_add_patches(PfArchBuilder *builder, const PfTransformer *transformer, const char *conv,
                        const char *reshape, const char *permute, int *map)
{
    int node = pf_arch_add_conv(builder, conv, 0, 3, transformer->width, transformer->patch,
                                transformer->patch, 0, true);
    *map = node;
    pf_arch_add(builder, PF_OP_RESHAPE, reshape, "", node, &node)->shape =
        (PfShape){2, {transformer->width, -1}};
    return pf_arch_add_permute(builder, permute, "", node, (const int[]){1, 0}, 2);
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
                                  block->transformer->width, block->transformer->eps);
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

/* name: "query" or "key", which input is. */
static int add_rotation(Block *block, const char *name, int input)
{
    char part[PF_NODE_NAME_SIZE / 2];
    if (block->names->rotation <= 0) return input;
    snprintf(part, sizeof part, "%s.%s_rope", block->names->attention, name);
    const int index = pf_arch_add_pair(block->builder, PF_OP_ROTATE, name_of(block, part), input,
                                       block->names->map);
    if (block->builder->failed) return index;
    block->builder->arch->nodes[index].heads = block->transformer->heads;
    block->builder->arch->nodes[index].value = block->names->rotation;
    return index;
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
    int query = add_part(block, "query", all, 0), key = add_part(block, "key", all, 1);
    query = add_rotation(block, "query", query);
    key = add_rotation(block, "key", key);
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

/* silu of the first half of the channels by the second half. */
static int add_gate(Block *block, int input)
{
    const int hidden = block->transformer->hidden;
    int node = pf_arch_add_part(block->builder, name_of(block, "mlp.gate"), input, 1, 0, hidden);
    node = pf_arch_add_plain(block->builder, PF_OP_SILU, name_of(block, block->names->activation),
                             node);
    const int other =
        pf_arch_add_part(block->builder, name_of(block, "mlp.gated"), input, 1, hidden, hidden);
    return pf_arch_add_pair(block->builder, PF_OP_MULTIPLY, name_of(block, "mlp.mul"), node, other);
}

static int add_activation(Block *block, int input)
{
    if (block->transformer->is_gated) return add_gate(block, input);
    return pf_arch_add_plain(block->builder, block->transformer->activation,
                             name_of(block, block->names->activation), input);
}

static int add_layers(Block *block, int input)
{
    const int width = block->transformer->width, hidden = block->transformer->hidden;
    const int sides = block->transformer->is_gated ? 2 : 1;
    int node = add_linear(block, block->names->fc1, input, width, sides * hidden);
    node = add_activation(block, node);
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

/* ---- taps aside ---- */

typedef struct Taps {
    PfArchBuilder *builder;
    const PfTokens *tokens;
    const char *prefix; /* "blocks.3.", or "" */
    char text[2 * PF_NODE_NAME_SIZE];
} Taps;

static const char *tap_name(Taps *taps, const char *name)
{
    snprintf(taps->text, sizeof taps->text, "%s%s", taps->prefix, name);
    return taps->text;
}

static int put_aside(Taps *taps, int index)
{
    if (!taps->builder->failed) taps->builder->arch->nodes[index].is_aside = 1;
    return index;
}

static int add_rows(Taps *taps, const char *name, int input, int start, int64_t count)
{
    const int index = pf_arch_add_part(taps->builder, tap_name(taps, name), input, 0, start, 0);
    if (!taps->builder->failed) taps->builder->arch->nodes[index].count = count;
    return put_aside(taps, index);
}

static int add_class(Taps *taps, const char *row, const char *name, int input)
{
    int index = add_rows(taps, row, input, 0, 1);
    pf_arch_add(taps->builder, PF_OP_FLATTEN, tap_name(taps, name), "", index, &index);
    return put_aside(taps, index);
}

static int add_mean(Taps *taps, int patches)
{
    int index;
    PfNode *mean =
        pf_arch_add(taps->builder, PF_OP_MEAN, tap_name(taps, "mean"), "", patches, &index);
    mean->axes[0] = 0;
    mean->axis_count = 1;
    return put_aside(taps, index);
}

/* class_name: of the class token as a vector. */
static void add_taps(Taps *taps, int tokens, const char *class_name)
{
    const int patches = add_rows(taps, "patches", tokens, taps->tokens->first_patch, PF_TO_THE_END);
    const int mean = add_mean(taps, patches);
    put_aside(taps, pf_arch_add_pair(taps->builder, PF_OP_TOKEN_MAP, tap_name(taps, "map"), patches,
                                     taps->tokens->map));
    if (!taps->tokens->class_name) return;
    const int class_token = add_class(taps, "class_row", class_name, tokens);
    put_aside(taps, pf_arch_add_rows(taps->builder, tap_name(taps, "cls+mean"), class_token, mean));
}

static void add_block_taps(PfArchBuilder *builder, const PfTransformer *transformer,
                           const PfTokens *tokens, int number, int end)
{
    char start[PF_NODE_NAME_SIZE];
    const char *blocks = builder->arch->blocks ? builder->arch->blocks : "blocks.";
    int norm;
    snprintf(start, sizeof start, "%s%d.", blocks, number);
    Taps taps = {.builder = builder, .tokens = tokens, .prefix = start};
    PfNode *node =
        pf_arch_add(builder, PF_OP_LAYER_NORM, tap_name(&taps, "tokens"), tokens->norm, end, &norm);
    node->in_channels = node->out_channels = transformer->width;
    node->eps = transformer->eps;
    add_taps(&taps, put_aside(&taps, norm), "cls");
}

void pf_arch_add_token_taps(PfArchBuilder *builder, const PfTransformer *transformer,
                            const PfTokens *tokens, const int *ends, int norm)
{
    Taps taps = {.builder = builder, .tokens = tokens, .prefix = ""};
    int index;
    for (int i = 0; i < transformer->layers; i++)
        add_block_taps(builder, transformer, tokens, i, ends[i]);
    pf_arch_add(builder, PF_OP_RESHAPE, "tokens", "", norm, &index)->shape =
        (PfShape){2, {-1, transformer->width}};
    put_aside(&taps, index);
    add_taps(&taps, norm, tokens->class_name);
}

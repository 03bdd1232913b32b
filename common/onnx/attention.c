/* Attention as exporters write it, found in the graph once every shape is known: see build.h.
 *
 * Heads are cut out of tokens (n, c) by reshapes, permutes and slices in as many ways as there are
 * exporters. views.h says of each of the three inputs of the two products where its numbers come
 * from, whatever the way; softmax(scale * q k^T) v then is one operation if they come from rows
 * whose channels the heads divide, and if the result is put side by side in such rows. */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/onnx/build.h"
#include "common/onnx/views.h"

/* Rows (tokens, c) that lie in a node's (tokens, width), from the channel `first` on. */
typedef struct Rows {
    int node;
    int64_t tokens, width, first;
} Rows;

/* Nodes that are looked at on the way back from a value: exporters need a dozen. */
#define MAX_WAY 64

typedef struct Attention {
    bool is_found;
    Rows inputs[3]; /* q, k, v */
    int64_t heads, channels[3];
    double scale;
} Attention;

typedef struct Search {
    PfOnnxBuild *build;
    int *uses;              /* (nodes) by nodes and as outputs */
    Attention *found;       /* (nodes) by the permute that puts heads side by side */
    unsigned char *is_kept; /* (nodes) */
} Search;

static const PfNode *node_at(const Search *search, int node)
{
    return &search->build->builder.arch->nodes[node];
}

/* ---- looking ---- */

/* (heads, rows, columns) of a product; one of two axes has one head. */
static bool take_product(const Search *search, int node, int64_t sizes[3])
{
    const PfShape *shape = &search->build->shapes[node];
    const PfNode *product = node_at(search, node);
    if (product->op != PF_OP_MATMUL || shape->rank < 2 || shape->rank > 3) return false;
    sizes[0] = shape->rank == 3 ? shape->dims[0] : 1;
    sizes[1] = shape->dims[shape->rank - 2];
    sizes[2] = shape->dims[shape->rank - 1];
    for (int i = 0; i < 2; i++) { /* nothing is broadcast */
        const PfShape *input = &search->build->shapes[product->inputs[i]];
        if (input->rank != shape->rank || (shape->rank == 3 && input->dims[0] != sizes[0]))
            return false;
    }
    return true;
}

/* The node of that operation that the value is, but for its shape and a factor. -1: it is not so.
 */
static int behind_factor(const Search *search, int node, PfOp op, double *factor)
{
    const int64_t count = pf_shape_count(&search->build->shapes[node]);
    PfOnnxView view = {.node = node, .count = 1, .strides = {{count, 1, 0}}, .factor = 1};
    int way = 0;
    do {
        if (search->uses[view.node] != 1 || ++way > MAX_WAY) return -1;
        if (node_at(search, view.node)->op == op) {
            *factor = view.factor;
            return view.offset || pf_onnx_view_stride(&view, 0) != 1 ? -1 : view.node;
        }
    } while (pf_onnx_view_through(search->build, &view));
    return -1;
}

/* The earliest rows that hold the node's heads: axes of its value are `head`, `token`, `channel`;
 * factor: what the rows are multiplied by. */
static bool take_rows(const Search *search, int node, const int axes[3], int64_t heads, Rows *rows,
                      double *factor)
{
    const PfShape *shape = &search->build->shapes[node];
    const int extra = 3 - shape->rank;
    PfOnnxView view = pf_onnx_view(search->build, node);
    const int64_t tokens = shape->dims[axes[1] - extra], depth = shape->dims[axes[2] - extra];
    bool is_found = false;
    int way = 0;
    for (int i = 0; i < view.count; i++) view.strides[i].axis += extra;
    do {
        const int64_t count = pf_shape_count(&search->build->shapes[view.node]);
        const int64_t width = count / tokens;
        const bool fits = count % tokens == 0 &&
                          (heads == 1 || pf_onnx_view_stride(&view, axes[0]) == depth) &&
                          (tokens == 1 || pf_onnx_view_stride(&view, axes[1]) == width) &&
                          (depth == 1 || pf_onnx_view_stride(&view, axes[2]) == 1) &&
                          view.offset + heads * depth <= width;
        if (!fits) continue;
        is_found = true;
        *rows = (Rows){view.node, tokens, width, view.offset};
        *factor = view.factor;
    } while (++way < MAX_WAY && pf_onnx_view_through(search->build, &view));
    return is_found;
}

/* Whether the permute makes rows (tokens, heads x depth) of the product's (heads, tokens, depth).
 */
static bool joins_heads(const Search *search, int permute, const int64_t sizes[3])
{
    const int64_t heads = sizes[0], tokens = sizes[1], depth = sizes[2];
    PfOnnxView view = {.node = permute, .count = 3, .factor = 1};
    view.strides[0] = (PfOnnxStride){tokens, heads * depth, 0};
    view.strides[1] = (PfOnnxStride){heads, depth, 1};
    view.strides[2] = (PfOnnxStride){depth, 1, 2};
    for (int way = 0; node_at(search, view.node)->op != PF_OP_MATMUL; way++)
        if (way == MAX_WAY || !pf_onnx_view_through(search->build, &view)) return false;
    return view.factor == 1 && !view.offset &&
           (tokens == 1 || pf_onnx_view_stride(&view, 0) == depth) &&
           (heads == 1 || pf_onnx_view_stride(&view, 1) == tokens * depth) &&
           (depth == 1 || pf_onnx_view_stride(&view, 2) == 1);
}

/* The product behind reshapes and permutes of which each is used once; -1: there is none. */
static int product_before(const Search *search, int permute)
{
    int node = node_at(search, permute)->inputs[0];
    for (int way = 0; way < MAX_WAY; way++, node = node_at(search, node)->inputs[0]) {
        const PfOp op = node_at(search, node)->op;
        if (search->uses[node] != 1) return -1;
        if (op == PF_OP_MATMUL) return node;
        if (op != PF_OP_RESHAPE && op != PF_OP_PERMUTE && op != PF_OP_DROPOUT) return -1;
    }
    return -1;
}

/* The attention whose heads the permute puts side by side. */
static void look(Search *search, int permute)
{
    static const int by_rows[] = {0, 1, 2}, by_columns[] = {0, 2, 1};
    Attention attention = {.is_found = true};
    int64_t out[3], scores[3];
    double one, before, after, factors[3];
    const int values = product_before(search, permute);
    if (values < 0 || !take_product(search, values, out) || !joins_heads(search, permute, out))
        return;
    const int *inputs = node_at(search, values)->inputs;
    const int softmax = behind_factor(search, inputs[0], PF_OP_SOFTMAX, &one);
    if (softmax < 0 || one != 1) return;
    const PfShape *rows = &search->build->shapes[softmax];
    const int product =
        behind_factor(search, node_at(search, softmax)->inputs[0], PF_OP_MATMUL, &before);
    if (product < 0 || !take_product(search, product, scores) || scores[0] != out[0] ||
        scores[1] != out[1] || node_at(search, softmax)->axis != rows->rank - 1 ||
        rows->dims[rows->rank - 1] != scores[2])
        return;
    const int *sides = node_at(search, product)->inputs;
    const int from[] = {sides[0], sides[1], inputs[1]};
    for (int i = 0; i < 3; i++)
        if (!take_rows(search, from[i], i == 1 ? by_columns : by_rows, out[0], &attention.inputs[i],
                       &factors[i]))
            return;
    const PfShape *queries = &search->build->shapes[sides[0]];
    after = factors[0] * factors[1] * before;
    if (factors[2] != 1 || attention.inputs[1].tokens != attention.inputs[2].tokens) return;
    attention.heads = out[0];
    attention.scale = after;
    attention.channels[0] = attention.channels[1] = out[0] * queries->dims[queries->rank - 1];
    attention.channels[2] = out[0] * out[2];
    search->found[permute] = attention;
}

/* ---- which nodes stay ---- */

/* Those that feed a node that is marked. */
static void mark_fed(const Search *search, bool with_found, unsigned char *marks)
{
    for (int i = search->build->builder.arch->node_count; i-- > 0;) {
        const PfNode *node = node_at(search, i);
        const Attention *attention = &search->found[i];
        if (!marks[i]) continue;
        for (int k = 0; k < 3 && with_found && attention->is_found; k++)
            marks[attention->inputs[k].node] = 1;
        for (int k = 0; k < node->input_count && !(with_found && attention->is_found); k++)
            marks[node->inputs[k]] = 1;
    }
}

/* What fed an output, and does so no more, goes. What never did stays: it may be asked for. */
static int mark_kept(Search *search)
{
    const PfOnnxModel *model = search->build->model;
    const int count = search->build->builder.arch->node_count;
    unsigned char *before = pf_calloc((size_t)count, 1, search->build->err);
    if (!before) return -1;
    for (int i = 0; i < model->output_count; i++)
        if (model->values[model->outputs[i]].is_made)
            before[model->values[model->outputs[i]].node] =
                search->is_kept[model->values[model->outputs[i]].node] = 1;
    mark_fed(search, false, before);
    for (int i = 0; i < count; i++)
        if (!before[i]) search->is_kept[i] = 1;
    free(before);
    search->is_kept[0] = 1;
    mark_fed(search, true, search->is_kept);
    return 0;
}

/* ---- making the graph anew ---- */

static PfNode *add(PfOnnxBuild *build, PfOp op, const char *of, int input, int *index)
{
    char name[PF_NODE_NAME_SIZE], module[PF_NODE_NAME_SIZE];
    const int next = build->builder.arch->node_count;
    pf_format(name, sizeof name, "%.40s~attention_%d", of, next);
    pf_format(module, sizeof module, "attention_%d", next);
    PfNode *node = pf_arch_add(&build->builder, op, name, module, input, index);
    const bool failed =
        build->builder.failed || pf_grow(&build->shapes, &build->shape_capacity, (size_t)next + 1,
                                         sizeof *build->shapes, build->err);
    return failed ? NULL : node;
}

/* The rows as a node of (tokens, channels). */
static int add_rows(PfOnnxBuild *build, const char *of, const Rows *rows, int64_t channels,
                    const int *numbers, int *node)
{
    const PfShape shape = {2, {rows->tokens, rows->width}};
    *node = numbers[rows->node];
    if (pf_onnx_shape_is(build, *node, &shape)) {
        if (rows->width == channels) return 0;
    } else {
        PfNode *reshape = add(build, PF_OP_RESHAPE, of, *node, node);
        if (!reshape) return -1;
        reshape->shape = shape;
        if (pf_onnx_settle(build, *node)) return -1;
    }
    if (rows->width == channels) return 0;
    PfNode *slice = add(build, PF_OP_SLICE, of, *node, node);
    if (!slice) return -1;
    slice->axis = 1;
    slice->start = rows->first;
    slice->count = channels;
    slice->step = 1;
    return pf_onnx_settle(build, *node);
}

/* The permute becomes a reshape of the attention's rows, which keeps its name. */
static int add_attention(PfOnnxBuild *build, const PfNode *permute, const PfShape *shape,
                         const Attention *attention, const int *numbers, int *index)
{
    int rows[3], node;
    for (int i = 0; i < 3; i++)
        if (add_rows(build, permute->name, &attention->inputs[i], attention->channels[i], numbers,
                     &rows[i]))
            return -1;
    PfNode *added = add(build, PF_OP_ATTENTION, permute->name, rows[0], &node);
    if (!added) return -1;
    memcpy(added->inputs, rows, sizeof rows);
    added->input_count = 3;
    added->heads = (int)attention->heads;
    added->scale = (float)attention->scale;
    if (pf_onnx_settle(build, node)) return -1;
    PfNode *reshape = add(build, PF_OP_RESHAPE, permute->name, node, index);
    if (!reshape) return -1;
    reshape->shape = *shape;
    memcpy(reshape->name, permute->name, sizeof reshape->name);
    memcpy(reshape->module, permute->module, sizeof reshape->module);
    return pf_onnx_settle(build, *index);
}

static int copy_node(PfOnnxBuild *build, const PfNode *node, const PfShape *shape,
                     const int *numbers, int *index)
{
    PfNode *copy = add(build, node->op, node->name, 0, index);
    if (!copy) return -1;
    *copy = *node;
    for (int i = 0; i < copy->input_count; i++) copy->inputs[i] = numbers[node->inputs[i]];
    build->shapes[*index] = *shape;
    return 0;
}

static void renumber(PfOnnxModel *model, const unsigned char *is_kept, const int *numbers)
{
    for (size_t i = 0; i < model->names.count; i++) {
        PfOnnxValue *value = &model->values[i];
        if (!value->is_made) continue;
        value->is_made = is_kept[value->node];
        value->node = numbers[value->node];
    }
}

static int make_anew(Search *search)
{
    PfOnnxBuild *build = search->build;
    PfArch *arch = build->builder.arch;
    PfNode *nodes = arch->nodes;
    PfShape *shapes = build->shapes;
    const int count = arch->node_count;
    int *numbers = pf_calloc((size_t)count, sizeof *numbers, build->err), failed = !numbers;
    arch->nodes = NULL;
    arch->node_count = 0;
    build->builder.capacity = build->shape_capacity = 0;
    build->shapes = NULL;
    for (int i = 0; i < count && !failed; i++) {
        if (!search->is_kept[i]) continue;
        failed = search->found[i].is_found
                     ? add_attention(build, &nodes[i], &shapes[i], &search->found[i], numbers,
                                     &numbers[i])
                     : copy_node(build, &nodes[i], &shapes[i], numbers, &numbers[i]);
    }
    if (!failed) renumber(build->model, search->is_kept, numbers);
    free(nodes);
    free(shapes);
    free(numbers);
    return failed ? -1 : 0;
}

static int find_all(Search *search)
{
    const PfArch *arch = search->build->builder.arch;
    const PfOnnxModel *model = search->build->model;
    int count = 0;
    for (int i = 0; i < arch->node_count; i++)
        for (int k = 0; k < arch->nodes[i].input_count; k++)
            search->uses[arch->nodes[i].inputs[k]]++;
    for (int i = 0; i < model->output_count; i++)
        if (model->values[model->outputs[i]].is_made)
            search->uses[model->values[model->outputs[i]].node]++;
    for (int i = 0; i < arch->node_count; i++) {
        if (arch->nodes[i].op == PF_OP_PERMUTE) look(search, i);
        count += search->found[i].is_found;
    }
    return count;
}

int pf_onnx_fuse_attention(PfOnnxBuild *build)
{
    const size_t count = (size_t)build->builder.arch->node_count;
    Search search = {.build = build,
                     .uses = pf_calloc(count, sizeof *search.uses, build->err),
                     .found = pf_calloc(count, sizeof *search.found, build->err),
                     .is_kept = pf_calloc(count, 1, build->err)};
    int failed = !search.uses || !search.found || !search.is_kept;
    if (!failed && find_all(&search)) failed = mark_kept(&search) || make_anew(&search);
    free(search.uses);
    free(search.found);
    free(search.is_kept);
    return failed ? -1 : 0;
}

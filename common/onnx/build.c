#include "common/onnx/build.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

#define MOST_RESHAPES 8 /* in a row, of a parameter */

/* ---- shapes ---- */

bool pf_onnx_drops_axis(const PfOnnxDims *dims)
{
    return dims->rank > 0 && dims->sizes[0] == 1;
}

int pf_onnx_shape(PfOnnxBuild *build, const PfOnnxDims *dims, PfShape *shape)
{
    const int dropped = pf_onnx_drops_axis(dims);
    if (dims->rank - dropped > PF_MAX_RANK)
        return pf_onnx_refuse(build, "expected at most %d axes beside the batch's, found %d",
                              PF_MAX_RANK, dims->rank - dropped);
    *shape = (PfShape){.rank = dims->rank - dropped};
    memcpy(shape->dims, dims->sizes + dropped, (size_t)shape->rank * sizeof *shape->dims);
    return 0;
}

int pf_onnx_our_axis(PfOnnxBuild *build, const PfOnnxDims *dims, int64_t axis, int *ours)
{
    if (pf_onnx_axis(build->model, build->step, axis, dims->rank, ours, build->err)) return -1;
    *ours -= pf_onnx_drops_axis(dims);
    if (*ours >= 0) return 0;
    return pf_onnx_refuse(build, "expected an operation on each image by itself, found one along "
                                 "the axis of the batch");
}

bool pf_onnx_shape_is(const PfOnnxBuild *build, int node, const PfShape *shape)
{
    return pf_shape_equal(&build->shapes[node], shape) != 0;
}

/* ---- names ---- */

static void copy_name(const char *name, const char *others, char *out, size_t size)
{
    const size_t length = strlen(name);
    size_t used = 0;
    if (length >= size) { /* what is in front is the least telling */
        used = (size_t)snprintf(out, size, "%08x_", (unsigned)pf_digest_xxh64_text(name));
        name += length - (size - used - 1);
    }
    for (; *name; name++) {
        const bool fits = isalnum((unsigned char)*name) || *name == '_' || strchr(others, *name);
        out[used++] = fits ? *name : *name == '/' && *others ? '.' : '_';
    }
    out[used] = '\0';
}

/* base becomes the name, or with the first number from 2 on that makes it unique. */
static int make_unique(PfOnnxBuild *build, const char *wanted)
{
    int64_t index = pf_text_index_find(&build->wanted, wanted, strlen(wanted));
    if (index < 0) {
        const char *kept = pf_arena_text(&build->model->arena, wanted, strlen(wanted), build->err);
        index = (int64_t)build->wanted.count;
        if (!kept || pf_text_index_add(&build->wanted, kept, build->err) ||
            pf_grow(&build->counts, &build->count_capacity, build->wanted.count,
                    sizeof *build->counts, build->err))
            return -1;
        build->counts[index] = 1;
    }
    snprintf(build->base, sizeof build->base, "%s", wanted);
    while (pf_text_index_find(&build->names, build->base, strlen(build->base)) >= 0)
        pf_format(build->base, sizeof build->base, "%s_%d", wanted, ++build->counts[index]);
    return 0;
}

/* As the step or its output is called in the file, with dots for slashes, which names in a cache
 * cannot have. */
static int name_output(PfOnnxBuild *build, const PfOnnxStep *step, int output)
{
    const int value = step->outputs[output];
    const bool by_value = !*step->name || step->output_count > 1 ||
                          (value >= 0 && build->model->values[value].is_output);
    const char *name = by_value ? pf_onnx_value_name(build->model, value) : step->name;
    char wanted[sizeof build->base - 8];
    while (*name == '/' || *name == '.') name++;
    copy_name(*name ? name : step->type, ".:-", wanted, sizeof wanted);
    if (make_unique(build, wanted)) return -1;
    const char *kept =
        pf_arena_text(&build->model->arena, build->base, strlen(build->base), build->err);
    return !kept || pf_text_index_add(&build->names, kept, build->err) ? -1 : 0;
}

/* ---- nodes ---- */

PfNode *pf_onnx_add(PfOnnxBuild *build, PfOp op, int input, int *index)
{
    char name[PF_NODE_NAME_SIZE], module[PF_NODE_NAME_SIZE], part[40];
    const int next = build->builder.arch->node_count;
    copy_name(build->base, "", part, sizeof part);
    pf_format(name, sizeof name, "%s~%d", build->base, next - build->first + 1);
    pf_format(module, sizeof module, "%s_%d", part, next);
    PfNode *node = pf_arch_add(&build->builder, op, name, module, input, index);
    if (build->builder.failed || pf_grow(&build->shapes, &build->shape_capacity, (size_t)next + 1,
                                         sizeof *build->shapes, build->err))
        return NULL;
    return node;
}

int pf_onnx_add_plain(PfOnnxBuild *build, PfOp op, int *node)
{
    return !pf_onnx_add(build, op, *node, node) || pf_onnx_settle(build, *node) ? -1 : 0;
}

/* Sizes may double with each node: a short file must not make numbers that overflow. */
static int check_size(PfOnnxBuild *build, const PfShape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++) {
        if (shape->dims[i] > PF_ONNX_MAX_COUNT / pf_max(1, count))
            return pf_onnx_refuse(build, "expected values of at most %lld numbers, found more",
                                  (long long)PF_ONNX_MAX_COUNT);
        count *= shape->dims[i];
    }
    return 0;
}

int pf_onnx_settle(PfOnnxBuild *build, int index)
{
    const PfNode *node = &build->builder.arch->nodes[index];
    PfShape in[PF_NODE_MAX_INPUTS] = {{0}};
    PfError reason = {0};
    pf_node_input_shapes(node, build->shapes, in);
    if (!pf_op_row(node->op)->shape(node, in, &build->shapes[index], &reason))
        return check_size(build, &build->shapes[index]);
    if (reason.exit_code == PF_EXIT_USAGE) { /* an image that is too small */
        *build->err = reason;
        return -1;
    }
    return pf_onnx_refuse(build, "%" PF_SENTENCE, reason.message);
}

int pf_onnx_reshape(PfOnnxBuild *build, int *node, const PfShape *shape)
{
    if (pf_onnx_shape_is(build, *node, shape)) return 0;
    PfNode *added = pf_onnx_add(build, PF_OP_RESHAPE, *node, node);
    if (!added) return -1;
    added->shape = *shape;
    return pf_onnx_settle(build, *node);
}

int pf_onnx_widen(PfOnnxBuild *build, int *node, int rank)
{
    const PfShape *from = &build->shapes[*node];
    PfShape shape = {.rank = rank};
    const int more = rank - from->rank;
    if (more <= 0) return 0;
    for (int i = 0; i < rank; i++) shape.dims[i] = i < more ? 1 : from->dims[i - more];
    return pf_onnx_reshape(build, node, &shape);
}

int pf_onnx_give_same(PfOnnxBuild *build, int output, int node, const PfOnnxDims *dims)
{
    const int value = build->step->outputs[output];
    if (value < 0) return 0;
    PfOnnxValue *given = &build->model->values[value];
    given->is_made = true;
    given->node = node;
    given->dims = *dims;
    return 0;
}

int pf_onnx_give(PfOnnxBuild *build, int output, int index, const PfOnnxDims *dims)
{
    PfShape shape;
    if (pf_onnx_shape(build, dims, &shape) || pf_onnx_reshape(build, &index, &shape)) return -1;
    if (index < build->first) return pf_onnx_give_same(build, output, index, dims);
    if (output && name_output(build, build->step, output)) return -1;
    snprintf(build->builder.arch->nodes[index].name, PF_NODE_NAME_SIZE, "%s", build->base);
    return pf_onnx_give_same(build, output, index, dims);
}

/* ---- inputs ---- */

bool pf_onnx_has_input(const PfOnnxBuild *build, int input)
{
    return input < build->step->input_count && build->step->inputs[input] >= 0;
}

int pf_onnx_take(PfOnnxBuild *build, int input, int *node, PfOnnxDims *dims)
{
    if (!pf_onnx_has_input(build, input))
        return pf_onnx_refuse(build, "expected input %d, found none", input + 1);
    const PfOnnxValue *value = &build->model->values[build->step->inputs[input]];
    if (value->constant) {
        *dims = value->constant->dims;
        return pf_onnx_add_parameter(build, value->constant, dims->rank - pf_onnx_drops_axis(dims),
                                     node);
    }
    if (!value->is_made)
        return pf_onnx_refuse(build,
                              "expected a value that is computed, found '%.200s', another output "
                              "of a node than its first",
                              pf_onnx_value_name(build->model, build->step->inputs[input]));
    *node = value->node;
    *dims = value->dims;
    return 0;
}

int pf_onnx_set_tensor(PfOnnxBuild *build, int node, const char *which, const PfOnnxTensor *tensor,
                       const PfShape *shape)
{
    char name[PF_PARAMETER_NAME_SIZE];
    if (pf_grow(&build->tensors, &build->tensor_capacity, build->tensor_count + 1,
                sizeof *build->tensors, build->err))
        return -1;
    pf_node_parameter_name(&build->builder.arch->nodes[node], which, name);
    const char *kept = pf_arena_text(&build->model->arena, name, strlen(name), build->err);
    if (!kept || pf_text_index_add(&build->tensor_names, kept, build->err)) return -1;
    build->tensors[build->tensor_count++] =
        (PfNamedTensor){kept, {tensor->dtype, *shape, tensor->data}};
    return 0;
}

/* Reshapes that the file has of constants are folded; behind a parameter there are but our own, and
 * few. Behind others there may be very many, at each of which this may be asked. */
bool pf_onnx_node_tensor(const PfOnnxBuild *build, int node, PfOnnxTensor *tensor)
{
    const PfNode *nodes = build->builder.arch->nodes, *parameter = &nodes[node];
    for (int i = 0; i < MOST_RESHAPES && parameter->op == PF_OP_RESHAPE; i++)
        parameter = &nodes[parameter->inputs[0]];
    if (parameter->op != PF_OP_PARAMETER) return false;
    const int64_t index =
        pf_text_index_find(&build->tensor_names, parameter->module, strlen(parameter->module));
    if (index < 0) return false;
    const PfTensorView *view = &build->tensors[index].view;
    *tensor = (PfOnnxTensor){.dtype = view->dtype, .data = view->data};
    tensor->dims.rank = view->shape.rank;
    memcpy(tensor->dims.sizes, view->shape.dims, sizeof view->shape.dims);
    return true;
}

const PfOnnxTensor *pf_onnx_take_weights(PfOnnxBuild *build, int input, int rank)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    char text[PF_SHAPE_TEXT_SIZE];
    if (!tensor || tensor->dims.rank != rank || pf_onnx_tensor_is_whole(tensor) ||
        !pf_onnx_count(&tensor->dims)) {
        pf_onnx_refuse(build, "expected weights with %d axes as input %d, found %s", rank,
                       input + 1,
                       tensor ? pf_onnx_dims_text(&tensor->dims, text)
                              : "what is computed from the image, or nothing");
        return NULL;
    }
    for (int i = 0; i < rank; i++) {
        if (tensor->dims.sizes[i] <= INT32_MAX / 2) continue;
        pf_onnx_refuse(build, "expected smaller weights, found %s",
                       pf_onnx_dims_text(&tensor->dims, text));
        return NULL;
    }
    return tensor;
}

/* The tensor's own axes of 1 in front go, or others come, so that there are `rank`. */
int pf_onnx_add_parameter(PfOnnxBuild *build, const PfOnnxTensor *tensor, int rank, int *node)
{
    PfShape shape = {.rank = rank};
    char text[PF_SHAPE_TEXT_SIZE];
    int extra = tensor->dims.rank - rank;
    bool fits =
        rank < PF_MAX_RANK && !pf_onnx_tensor_is_whole(tensor) && pf_onnx_count(&tensor->dims);
    for (int i = 0; i < extra && fits; i++) fits = tensor->dims.sizes[i] == 1;
    if (!fits)
        return pf_onnx_refuse(build, "expected a constant of numbers that fits, found %s",
                              pf_onnx_dims_text(&tensor->dims, text));
    for (int i = 0; i < rank; i++)
        shape.dims[i] = i + extra < 0 ? 1 : tensor->dims.sizes[i + extra];
    PfNode *added = pf_onnx_add(build, PF_OP_PARAMETER, 0, node);
    if (!added) return -1;
    added->shape = shape;
    added->leading_one = 1;
    PfShape whole = {.rank = rank + 1, .dims = {1}};
    memcpy(whole.dims + 1, shape.dims, (size_t)rank * sizeof *shape.dims);
    return pf_onnx_set_tensor(build, *node, "", tensor, &whole) || pf_onnx_settle(build, *node) ? -1
                                                                                                : 0;
}

int pf_onnx_put_numbers(PfOnnxBuild *build, float number, const PfShape *shape, int *node)
{
    void *data;
    PfOnnxDims dims = {.rank = shape->rank};
    memcpy(dims.sizes, shape->dims, (size_t)shape->rank * sizeof *shape->dims);
    PfOnnxTensor *tensor =
        pf_onnx_tensor_new(build->model, build->step, PF_DTYPE_F32, &dims, &data, build->err);
    if (!tensor) return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++) ((float *)data)[i] = number;
    return pf_onnx_add_parameter(build, tensor, dims.rank, node);
}

int pf_onnx_put_number(PfOnnxBuild *build, double number, int rank, int *node)
{
    void *data;
    const PfOnnxDims dims = {.rank = 0};
    PfOnnxTensor *tensor =
        pf_onnx_tensor_new(build->model, build->step, PF_DTYPE_F32, &dims, &data, build->err);
    if (!tensor) return -1;
    *(float *)data = (float)number;
    return pf_onnx_add_parameter(build, tensor, rank, node);
}

int pf_onnx_add_pair(PfOnnxBuild *build, PfOp op, int left, int right, int *node)
{
    const int a = build->shapes[left].rank, b = build->shapes[right].rank;
    if (pf_onnx_widen(build, &left, b) || pf_onnx_widen(build, &right, a)) return -1;
    PfNode *added = pf_onnx_add(build, op, left, node);
    if (!added) return -1;
    added->inputs[1] = right;
    added->input_count = 2;
    return pf_onnx_settle(build, *node);
}

/* ---- all steps ---- */

static const PfOnnxRow *find_row(const PfOnnxModel *model, const PfOnnxStep *step)
{
    const PfOnnxRow *const tables[] = {pf_onnx_map_rows,  pf_onnx_number_rows,
                                       pf_onnx_row_rows,  pf_onnx_shape_rows,
                                       pf_onnx_norm_rows, pf_onnx_resize_rows};
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const PfOnnxRow *row = tables[t]; row->type; row++)
            if (!strcmp(row->type, step->type) && model->opset >= row->since &&
                model->opset <= row->until && !*step->domain)
                return row;
    return NULL;
}

/* What is not understood may change what is computed. */
static int check_settings(PfOnnxBuild *build, const PfOnnxRow *row)
{
    char word[64];
    for (int i = 0; i < build->step->setting_count; i++) {
        const PfOnnxSetting *setting = &build->step->settings[i];
        const int length = snprintf(word, sizeof word, " %s ", setting->name);
        if (length >= (int)sizeof word || setting->has_others || !strstr(row->settings, word))
            return pf_onnx_refuse(build, "its attribute '%.100s' is not read", setting->name);
    }
    return 0;
}

static bool is_unknown(const PfOnnxModel *model, const PfOnnxStep *step)
{
    return !step->is_gone && !find_row(model, step) &&
           (*step->domain || !pf_onnx_knows_fold(step->type));
}

/* How many there are of each kind of those that are not read, the first kinds by name. */
static void count_unknown(const PfOnnxModel *model, char *text, size_t size)
{
    enum { MOST = 8 };
    const PfOnnxStep *kinds[MOST];
    int counts[MOST] = {0}, kind_count = 0, others = 0;
    size_t used = 0;
    for (int i = 0; i < model->step_count; i++) {
        const PfOnnxStep *step = &model->steps[i];
        int k = 0;
        if (!is_unknown(model, step)) continue;
        while (k < kind_count &&
               (strcmp(kinds[k]->type, step->type) || strcmp(kinds[k]->domain, step->domain)))
            k++;
        if (k == MOST) {
            others++;
            continue;
        }
        if (k == kind_count) kinds[kind_count++] = step;
        counts[k]++;
    }
    for (int k = 0; k < kind_count && used + 1 < size; k++) {
        pf_format(text + used, size - used, "%s%.40s%s%.60s %d", k ? ", " : "", kinds[k]->domain,
                  *kinds[k]->domain ? "::" : "", kinds[k]->type, counts[k]);
        used = strlen(text);
    }
    if (others) pf_format(text + used, size - used, ", and %d of other kinds", others);
}

/* All of them at once, before anything is made of the others. */
static int refuse_unknown(PfOnnxBuild *build)
{
    char kinds[800];
    int i = 0;
    while (i < build->model->step_count && !is_unknown(build->model, &build->model->steps[i])) i++;
    if (i == build->model->step_count) return 0;
    count_unknown(build->model, kinds, sizeof kinds);
    build->step = &build->model->steps[i];
    return pf_onnx_refuse(build,
                          "such an operator is not read. Operators of the file that are not, and "
                          "how often they are in it: %s. Hint: --backbone FILE.pt runs the network "
                          "as TorchScript",
                          kinds);
}

static int translate_step(PfOnnxBuild *build, PfOnnxStep *step)
{
    build->step = step;
    build->first = build->builder.arch->node_count;
    if (pf_onnx_fold(build->model, step, build->err)) return -1;
    if (step->is_gone) return 0;
    const PfOnnxRow *row = find_row(build->model, step);
    if (!row)
        return pf_onnx_refuse(build,
                              "such an operator is read only where its inputs are constants. Hint: "
                              "--backbone FILE.pt runs the network as TorchScript");
    if (step->output_count < 1 || step->outputs[0] < 0)
        return pf_onnx_refuse(build, "expected an output, found none");
    if (check_settings(build, row) || name_output(build, step, 0)) return -1;
    return row->translate(build);
}

/* Our input is (3, h, w); networks of TensorFlow take (h, w, 3). */
static int make_input(PfOnnxBuild *build, int side)
{
    PfOnnxModel *model = build->model;
    PfOnnxValue *value = &model->values[model->input];
    static const PfOnnxStep none = {.name = "input", .type = "input", .domain = ""};
    int index;
    build->step = &none;
    snprintf(build->base, sizeof build->base, "input");
    if (!pf_onnx_add(build, PF_OP_INPUT, 0, &index)) return -1;
    snprintf(build->builder.arch->nodes[0].name, PF_NODE_NAME_SIZE, "input");
    build->builder.arch->nodes[0].module[0] = '\0';
    build->shapes[0] = (PfShape){3, {3, side, side}};
    if (pf_text_index_add(&build->names, "input", build->err)) return -1;
    value->is_made = true;
    value->dims = (PfOnnxDims){4, {1, 3, side, side}};
    if (model->input_sizes[1] == 3) return 0;
    PfNode *node = pf_onnx_add(build, PF_OP_PERMUTE, 0, &value->node);
    if (!node) return -1;
    snprintf(node->name, sizeof node->name, "input~channels_last");
    node->axis_count = 3;
    node->axes[0] = 1;
    node->axes[1] = 2;
    value->dims = (PfOnnxDims){4, {1, side, side, 3}};
    return pf_onnx_settle(build, value->node);
}

int pf_onnx_translate(PfOnnxBuild *build, int side)
{
    PfOnnxModel *model = build->model;
    model->values[model->input].node = 0;
    if (refuse_unknown(build) || make_input(build, side)) return -1;
    for (int i = 0; i < model->step_count; i++)
        if (!model->steps[i].is_gone && translate_step(build, &model->steps[i])) return -1;
    return 0;
}

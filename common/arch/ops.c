/* The table of operations, and what follows from it for networks: shapes, parameters, costs. */
#include "common/arch/ops.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

#define UNUSED __attribute__((unused)) /* of what a column takes and a row does not need */

/* ---- shapes ---- */

/* Of element-wise operations, and of the input, whose shape is the image's. */
static int same_shape(UNUSED const PfNode *node, const PfShape *in, PfShape *out,
                      UNUSED PfError *err)
{
    *out = in[0];
    return 0;
}

/* Output side of a convolution or pooling window (torch's floor mode). */
static int64_t window_size(const PfNode *node, int64_t size)
{
    return pf_window_outputs(size, node->kernel, node->stride, node->padding, node->dilation);
}

static int window_shape(const PfNode *node, const PfShape *in, int64_t channels, PfShape *out,
                        PfError *err)
{
    *out = (PfShape){3, {channels, window_size(node, in->dims[1]), window_size(node, in->dims[2])}};
    if (out->dims[1] > 0 && out->dims[2] > 0) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "the input is too small: at node '%s' a map of %lldx%lld is smaller than the "
                   "%dx%d window. Use a larger --crop.",
                   node->name, (long long)in->dims[1], (long long)in->dims[2], node->kernel,
                   node->kernel);
}

static int conv_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    return window_shape(node, in, node->out_channels, out, err);
}

static int max_pool_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    return window_shape(node, in, in->dims[0], out, err);
}

static int adaptive_pool_shape(const PfNode *node, const PfShape *in, PfShape *out,
                               UNUSED PfError *err)
{
    *out = (PfShape){3, {in->dims[0], node->pool_size, node->pool_size}};
    return 0;
}

static int flat_shape(UNUSED const PfNode *node, const PfShape *in, PfShape *out,
                      UNUSED PfError *err)
{
    *out = (PfShape){1, {pf_shape_count(in)}};
    return 0;
}

static int linear_shape(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)
{
    if (pf_shape_count(in) != node->in_channels)
        return pf_fail(err, PF_EXIT_FAILED, "node '%s' takes %d features, found %lld", node->name,
                       node->in_channels, (long long)pf_shape_count(in));
    *out = (PfShape){1, {node->out_channels}};
    return 0;
}

/* ---- parameters and their first values ---- */

static PfShape channels_shape(const PfNode *node)
{
    return (PfShape){1, {node->out_channels}};
}

static PfShape kernel_shape(const PfNode *node)
{
    int groups = node->groups ? node->groups : 1;
    return (PfShape){4,
                     {node->out_channels, node->in_channels / groups, node->kernel, node->kernel}};
}

static PfShape matrix_shape(const PfNode *node)
{
    return (PfShape){2, {node->out_channels, node->in_channels}};
}

static PfInitialValues zeros(UNUSED const PfNode *node)
{
    return (PfInitialValues){PF_INITIAL_CONSTANT, 0};
}

static PfInitialValues ones(UNUSED const PfNode *node)
{
    return (PfInitialValues){PF_INITIAL_CONSTANT, 1};
}

/* He normal (fan-out), as torchvision's constructors draw convolutions. He et al., Delving Deep
 * into Rectifiers, 2015. */
static PfInitialValues he_normal(const PfNode *node)
{
    return (PfInitialValues){PF_INITIAL_NORMAL,
                             sqrt(2.0 / (node->out_channels * node->kernel * node->kernel))};
}

static PfInitialValues uniform_by_inputs(const PfNode *node)
{
    return (PfInitialValues){PF_INITIAL_UNIFORM, 1 / sqrt(node->in_channels)};
}

/* name, needs_bias, is_buffer, shape, initial; a name of NULL ends a list. */
#define END                                                                                        \
    {                                                                                              \
        .name = NULL                                                                               \
    }
static const PfOpParameter no_parameters[] = {END};
static const PfOpParameter conv_parameters[] = {
    {"weight", false, false, kernel_shape, he_normal},
    {"bias", true, false, channels_shape, zeros},
    END,
};
static const PfOpParameter batch_norm_parameters[] = {
    {"weight", false, false, channels_shape, ones},
    {"bias", false, false, channels_shape, zeros},
    {"running_mean", false, true, channels_shape, zeros},
    {"running_var", false, true, channels_shape, ones},
    END,
};
static const PfOpParameter linear_parameters[] = {
    {"weight", false, false, matrix_shape, uniform_by_inputs},
    {"bias", true, false, channels_shape, uniform_by_inputs},
    END,
};

/* ---- costs ---- */

static int64_t per_image(const PfNode *node, UNUSED const PfShape *output)
{
    return pf_node_parameter_count(node);
}

static int64_t per_position(const PfNode *node, const PfShape *output)
{
    return pf_node_parameter_count(node) * output->dims[1] * output->dims[2];
}

/* ---- ONNX ---- */

static PfOnnxNode *onnx_node(PfOnnxNodes *out, const char *type, const char *inputs)
{
    assert((size_t)out->count < sizeof out->nodes / sizeof out->nodes[0]);
    PfOnnxNode *node = &out->nodes[out->count++];
    *node = (PfOnnxNode){.type = type, .inputs = inputs};
    return node;
}

static PfOnnxAttribute *add_attribute(PfOnnxNode *node, const char *name, PfOnnxKind kind)
{
    assert((size_t)node->attribute_count < sizeof node->attributes / sizeof node->attributes[0]);
    PfOnnxAttribute *attribute = &node->attributes[node->attribute_count++];
    *attribute = (PfOnnxAttribute){.name = name, .kind = kind};
    return attribute;
}

static void add_int(PfOnnxNode *node, const char *name, int64_t value)
{
    add_attribute(node, name, PF_ONNX_INT)->ints[0] = value;
}

static void add_float(PfOnnxNode *node, const char *name, float value)
{
    add_attribute(node, name, PF_ONNX_FLOAT)->number = value;
}

static void add_pair(PfOnnxNode *node, const char *name, int64_t height, int64_t width)
{
    PfOnnxAttribute *attribute = add_attribute(node, name, PF_ONNX_INTS);
    attribute->count = 2;
    attribute->ints[0] = height;
    attribute->ints[1] = width;
}

/* The attributes of windows, with the same padding at all four sides. */
static void add_window(PfOnnxNode *out, const PfNode *node)
{
    add_pair(out, "kernel_shape", node->kernel, node->kernel);
    add_pair(out, "strides", node->stride, node->stride);
    add_pair(out, "dilations", node->dilation, node->dilation);
    PfOnnxAttribute *pads = add_attribute(out, "pads", PF_ONNX_INTS);
    for (pads->count = 0; pads->count < 4; pads->count++) pads->ints[pads->count] = node->padding;
}

/* What a column `onnx` takes; most need only some of it. */
#define ONNX_ARGUMENTS                                                                             \
    UNUSED const PfArch *arch, UNUSED const PfNode *node, UNUSED const PfShape *in,                \
        UNUSED PfOnnxNodes *out, UNUSED PfError *err

static int unchanged_onnx(ONNX_ARGUMENTS)
{
    return 0;
}

static int conv_onnx(ONNX_ARGUMENTS)
{
    PfOnnxNode *conv = onnx_node(out, "Conv", "0 weight bias");
    add_window(conv, node);
    add_int(conv, "group", node->groups);
    return 0;
}

static int batch_norm_onnx(ONNX_ARGUMENTS)
{
    PfOnnxNode *norm =
        onnx_node(out, "BatchNormalization", "0 weight bias running_mean running_var");
    add_float(norm, "epsilon", node->eps);
    return 0;
}

static int relu_onnx(ONNX_ARGUMENTS)
{
    onnx_node(out, "Relu", "0");
    return 0;
}

static int max_pool_onnx(ONNX_ARGUMENTS)
{
    add_window(onnx_node(out, "MaxPool", "0"), node);
    return 0;
}

/* ONNX has no adaptive pooling: windows that do not overlap, where the sizes divide. */
static int adaptive_pool_onnx(ONNX_ARGUMENTS)
{
    int64_t height = in->dims[1], width = in->dims[2], size = node->pool_size;
    if (height % size || width % size)
        return pf_fail(err, PF_EXIT_USAGE,
                       "ONNX cannot say '%s' of %s for images of this size: it pools maps of "
                       "%lldx%lld to %lldx%lld, which does not divide. Hint: --export FILE.pt",
                       node->name, arch->name, (long long)height, (long long)width, (long long)size,
                       (long long)size);
    if (height == size && width == size) return 0;
    if (size == 1) {
        onnx_node(out, "GlobalAveragePool", "0");
        return 0;
    }
    PfOnnxNode *pool = onnx_node(out, "AveragePool", "0");
    add_pair(pool, "kernel_shape", height / size, width / size);
    add_pair(pool, "strides", height / size, width / size);
    return 0;
}

static int flatten_onnx(ONNX_ARGUMENTS)
{
    onnx_node(out, "Flatten", "0");
    return 0;
}

static int linear_onnx(ONNX_ARGUMENTS)
{
    add_int(onnx_node(out, "Gemm", "0 weight bias"), "transB", 1);
    return 0;
}

static int add_onnx(ONNX_ARGUMENTS)
{
    onnx_node(out, "Add", "0 1");
    return 0;
}

/* ---- the table ---- */

/* One ROW for each operation. A row that lacks a column, and an operation that lacks a row, do not
 * compile. */
/* clang-format off */
#define OPERATIONS(ROW) \
    /*  op, name, class_name, keeps_values, parameters, shape, multiply_adds, */ \
    /*  script, onnx */ \
    ROW(PF_OP_INPUT, "input", "", false, no_parameters, same_shape, per_image, \
        "input", unchanged_onnx) \
    ROW(PF_OP_CONV, "conv", "Conv2d", false, conv_parameters, conv_shape, per_position, \
        "torch.conv2d({0}, {weight}, {bias}, [{stride}, {stride}], [{padding}, {padding}], " \
        "[{dilation}, {dilation}], {groups})", conv_onnx) \
    ROW(PF_OP_BATCH_NORM, "batch norm", "BatchNorm2d", false, batch_norm_parameters, same_shape, per_image, \
        "torch.batch_norm({0}, {weight}, {bias}, {running_mean}, {running_var}, {module}.training, " \
        "0.1, {eps}, True)", batch_norm_onnx) \
    ROW(PF_OP_RELU, "relu", "ReLU", false, no_parameters, same_shape, per_image, \
        "torch.relu({0})", relu_onnx) \
    ROW(PF_OP_MAX_POOL, "max pool", "MaxPool2d", false, no_parameters, max_pool_shape, per_image, \
        "torch.max_pool2d({0}, [{kernel}, {kernel}], [{stride}, {stride}], [{padding}, {padding}], " \
        "[{dilation}, {dilation}], False)", max_pool_onnx) \
    ROW(PF_OP_ADAPTIVE_AVG_POOL, "adaptive average pool", "AdaptiveAvgPool2d", false, no_parameters, \
        adaptive_pool_shape, per_image, \
        "torch.adaptive_avg_pool2d({0}, [{pool_size}, {pool_size}])", adaptive_pool_onnx) \
    ROW(PF_OP_FLATTEN, "flatten", "", true, no_parameters, flat_shape, per_image, \
        "torch.flatten({0}, 1)", flatten_onnx) \
    ROW(PF_OP_DROPOUT, "dropout", "Dropout", true, no_parameters, same_shape, per_image, \
        "torch.dropout({0}, {dropout}, self.training)", unchanged_onnx) \
    ROW(PF_OP_LINEAR, "linear", "Linear", false, linear_parameters, linear_shape, per_image, \
        "torch.linear({0}, {weight}, {bias})", linear_onnx) \
    ROW(PF_OP_ADD, "add", "", false, no_parameters, same_shape, per_image, \
        "torch.add({0}, {1})", add_onnx)

#define DEFINE_ROW(op, name_, class_, keeps_, parameters_, shape_, cost_, script_, onnx_) \
    [op] = {.name = (name_), .class_name = (class_), .keeps_values = (keeps_), \
            .parameters = (parameters_), .shape = (shape_), .multiply_adds = (cost_), \
            .script = (script_), .onnx = (onnx_)},
#define BIT_OF_ROW(op, ...) | 1ull << (op)
#define COUNT_ROW(...) +1
/* clang-format on */

static const PfOpRow rows[] = {OPERATIONS(DEFINE_ROW)};

_Static_assert((0 OPERATIONS(BIT_OF_ROW)) == (1ull << PF_OP_COUNT) - 1 &&
                   (0 OPERATIONS(COUNT_ROW)) == PF_OP_COUNT,
               "each operation has one row");

const PfOpRow *pf_op_row(PfOp op)
{
    assert((unsigned)op < PF_OP_COUNT);
    return &rows[op];
}

const char *pf_op_class_name(PfOp op)
{
    return pf_op_row(op)->class_name;
}

const PfOpParameter *pf_op_find_parameter(PfOp op, const char *name)
{
    const PfOpParameter *parameter = pf_op_row(op)->parameters;
    while (parameter->name && strcmp(parameter->name, name)) parameter++;
    return parameter->name ? parameter : NULL;
}

/* ---- what it says of a node ---- */

bool pf_node_has_parameter(const PfNode *node, const PfOpParameter *parameter)
{
    return node->bias || !parameter->needs_bias;
}

PfInitialValues pf_op_initial_values(const PfNode *node, const PfOpParameter *parameter)
{
    return parameter->initial(node);
}

void pf_node_input_shapes(const PfNode *node, const PfShape *shapes, PfShape *in)
{
    for (int k = 0; k < node->input_count; k++) in[k] = shapes[node->inputs[k]];
}

int64_t pf_node_parameter_count(const PfNode *node)
{
    int64_t total = 0;
    const PfOpParameter *parameter = pf_op_row(node->op)->parameters;
    for (; parameter->name; parameter++) {
        PfShape shape = parameter->shape(node);
        if (pf_node_has_parameter(node, parameter) && !parameter->is_buffer)
            total += pf_shape_count(&shape);
    }
    return total;
}

int64_t pf_node_multiply_adds(const PfNode *node, const PfShape *output)
{
    return pf_op_row(node->op)->multiply_adds(node, output);
}

/* ---- of a whole network ---- */

int pf_arch_infer_shapes(const PfArch *arch, int input_height, int input_width, PfShape *shapes,
                         PfError *err)
{
    for (int i = 0; i < arch->node_count; i++) {
        const PfNode *node = &arch->nodes[i];
        PfShape in[PF_NODE_MAX_INPUTS] = {{3, {3, input_height, input_width}}};
        pf_node_input_shapes(node, shapes, in);
        if (pf_op_row(node->op)->shape(node, in, &shapes[i], err)) return -1;
    }
    return 0;
}

PfShape pf_arch_stored_shape(PfShape shape)
{
    if (shape.rank == 3 && shape.dims[1] == 1 && shape.dims[2] == 1) shape.rank = 1;
    return shape;
}

/* How many parameters a node has; with out, which has room for them, what they are. */
static int list_parameters(const PfArch *arch, int index, PfParameter *out)
{
    const PfNode *node = &arch->nodes[index];
    const PfOpParameter *parameter = pf_op_row(node->op)->parameters;
    int count = 0;
    for (; parameter->name; parameter++) {
        if (!pf_node_has_parameter(node, parameter)) continue;
        if (out) {
            out[count] = (PfParameter){
                .node = index, .shape = parameter->shape(node), .is_buffer = parameter->is_buffer};
            snprintf(out[count].name, sizeof out[count].name, "%s.%s", node->module,
                     parameter->name);
        }
        count++;
    }
    return count;
}

int pf_arch_parameters(const PfArch *arch, int last, PfParameter **out, int *count, PfError *err)
{
    unsigned char *needed = pf_calloc((size_t)arch->node_count, 1, err);
    if (!needed) return -1;
    pf_arch_mark_needed(arch, last, needed);
    int total = 0;
    for (int i = 0; i <= last; i++)
        if (needed[i]) total += list_parameters(arch, i, NULL);
    *out = pf_calloc((size_t)total, sizeof **out, err);
    *count = 0;
    for (int i = 0; i <= last && *out; i++)
        if (needed[i]) *count += list_parameters(arch, i, *out + *count);
    free(needed);
    return *out ? 0 : -1;
}

int pf_arch_multiply_adds(const PfArch *arch, int side, const char *const *taps, int tap_count,
                          int64_t *out, PfError *err)
{
    size_t count = (size_t)arch->node_count;
    PfShape *shapes = pf_calloc(count, sizeof *shapes, err);
    int *nodes = pf_calloc((size_t)tap_count, sizeof *nodes, err);
    unsigned char *needed = pf_calloc(count, 1, err);
    int failed =
        !shapes || !nodes || !needed || pf_arch_infer_shapes(arch, side, side, shapes, err);
    for (int t = 0; t < tap_count && !failed; t++)
        failed = pf_arch_find_tap(arch, taps[t], &nodes[t], err);
    failed = failed || pf_arch_mark_outputs(arch, 0, nodes, tap_count, needed, err);
    *out = 0;
    for (int i = 0; i < arch->node_count && !failed; i++)
        if (needed[i]) *out += pf_node_multiply_adds(&arch->nodes[i], &shapes[i]);
    free(needed);
    free(nodes);
    free(shapes);
    return failed ? -1 : 0;
}

/* The table of operations, and what follows from it for networks: shapes, parameters, costs. */
#include "common/arch/ops.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/op_columns.h"
#include "common/base/integers.h"
#include "common/base/memory.h"

/* ---- parameters and their first values ---- */

static PfShape channels_shape(const PfNode *node)
{
    return (PfShape){1, {node->out_channels}};
}

static PfShape kernel_shape(const PfNode *node)
{
    int groups = node->groups ? node->groups : 1;
    return (PfShape){
        4, {node->out_channels, node->in_channels / groups, node->kernel[0], node->kernel[1]}};
}

static PfShape matrix_shape(const PfNode *node)
{
    return (PfShape){2, {node->out_channels, node->in_channels}};
}

static PfShape whole_shape(const PfNode *node)
{
    PfShape shape = node->shape;
    if (!node->leading_one) return shape;
    if (node->leading_one < 0) {
        shape.rank--;
        memmove(shape.dims, shape.dims + 1, (size_t)shape.rank * sizeof *shape.dims);
        return shape;
    }
    memmove(shape.dims + 1, shape.dims, (size_t)shape.rank * sizeof *shape.dims);
    shape.dims[0] = 1;
    shape.rank++;
    return shape;
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
                             sqrt(2.0 / (node->out_channels * node->kernel[0] * node->kernel[1]))};
}

/* As class tokens and position embeddings are drawn. */
static PfInitialValues narrow_normal(UNUSED const PfNode *node)
{
    return (PfInitialValues){PF_INITIAL_NORMAL, 0.02};
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

static const PfOpParameter layer_norm_parameters[] = {
    {"weight", false, false, channels_shape, ones},
    {"bias", false, false, channels_shape, zeros},
    END,
};
static const PfOpParameter whole_parameter[] = {
    {"", false, false, whole_shape, narrow_normal},
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

/* Of attention and products of values, which have no parameters, torchinfo counts nothing. */

/* ---- the table ---- */

/* The TorchScript of windows: (n, rows of windows, windows, heads, pixels, channels) of queries, of
 * keys, of values; the bias of two pixels; 100 for two between which the beginning of the map lies.
 */
/* clang-format off */
#define WINDOW_SHIFT(axis) "({start} if torch.size({0}, " axis ") > {window} else 0)"
#define WINDOWS(which) \
    "torch.flatten(torch.select(torch.permute(torch.reshape(torch.roll({0}, [-" WINDOW_SHIFT("1") ", -" WINDOW_SHIFT("2") \
    "], [1, 2]), [torch.size({0}, 0), torch.size({0}, 1) // {window}, {window}, torch.size({0}, 2) // {window}, {window}, " \
    "3, {heads}, -1]), [5, 0, 1, 3, 6, 2, 4, 7]), 0, " which "), 4, 5)"
#define WINDOW_PIXELS "torch.arange({window} * {window}, device={0}.device)"
#define WINDOW_PLACES "torch.add(" WINDOW_PIXELS ", torch.mul(torch.floor_divide(" WINDOW_PIXELS ", {window}), {window} - 1))"
#define DISTANCE_BIAS \
    "torch.permute({for_each_image}[torch.add(torch.sub(torch.unsqueeze(" WINDOW_PLACES ", 1), torch.unsqueeze(" \
    WINDOW_PLACES ", 0)), 2 * {window} * ({window} - 1))], [2, 0, 1])"
#define IS_PAST_END(axis) \
    "torch.ge(torch.arange(torch.size({0}, " axis "), device={0}.device), torch.size({0}, " axis ") - " WINDOW_SHIFT(axis) ")"
#define WINDOW_ENDS(shape) \
    "torch.reshape(torch.permute(torch.reshape(torch.add(torch.mul(torch.unsqueeze(" IS_PAST_END("1") ", 1), 2), " \
    "torch.unsqueeze(" IS_PAST_END("2") ", 0)), [torch.size({0}, 1) // {window}, {window}, torch.size({0}, 2) // {window}, " \
    "{window}]), [0, 2, 1, 3]), [torch.size({0}, 1) // {window}, torch.size({0}, 2) // {window}, " shape "])"
#define WINDOW_MASK "torch.mul(torch.ne(" WINDOW_ENDS("1, -1, 1") ", " WINDOW_ENDS("1, 1, -1") "), 100.0).type_as({0})"

/* That of rotations: (n, patches, heads, channels), the halves of the channels, and the angles,
 * (patches, 1, channels). */
#define FLOAT32 "6" /* torch.float32, which has no name where C++ compiles the text */
#define MAP_AREA "torch.size({1}, 2) * torch.size({1}, 3)"
#define FIRST_PATCH "torch.size({0}, 1) - " MAP_AREA
#define PATCH_HEADS \
    "torch.reshape(torch.slice({0}, 1, " FIRST_PATCH "), [torch.size({0}, 0), " MAP_AREA ", {heads}, -1])"
#define HEAD_HALF(which) "torch.select(torch.reshape(" PATCH_HEADS ", [torch.size({0}, 0), " MAP_AREA ", {heads}, 2, -1]), 3, " which ")"
#define QUARTER "torch.size({0}, 2) // {heads} // 4"
#define MIDDLES(axis, shape) \
    "torch.expand(torch.reshape(torch.sub(torch.div(torch.add(torch.mul(torch.arange(torch.size({1}, " axis "), " \
    "dtype=" FLOAT32 ", device={0}.device), 2.0), 1.0), float(torch.size({1}, " axis "))), 1.0), " shape "), " \
    "[torch.size({1}, 2), torch.size({1}, 3), 1])"
#define PATCH_PERIODS \
    "torch.pow({value}, torch.div(torch.arange(" QUARTER ", dtype=" FLOAT32 ", device={0}.device), float(" QUARTER ")))"
#define PATCH_ANGLES \
    "torch.reshape(torch.mul(torch.tile(torch.cat([torch.div(" MIDDLES("2", "[-1, 1, 1]") ", " PATCH_PERIODS "), " \
    "torch.div(" MIDDLES("3", "[1, -1, 1]") ", " PATCH_PERIODS ")], 2), [1, 1, 2]), 6.283185307179586), " \
    "[" MAP_AREA ", 1, -1]).type_as({0})"
/* clang-format on */

/* One ROW for each operation. A row that lacks a column, and an operation that lacks a row, do not
 * compile. */
/* clang-format off */
#define OPERATIONS(ROW) \
    /*  op, name, class_name, keeps_values, parameters, shape, multiply_adds, */ \
    /*  script, onnx */ \
    ROW(PF_OP_INPUT, "input", "", false, no_parameters, pf_op_shape_same, per_image, \
        "input", pf_op_onnx_unchanged) \
    ROW(PF_OP_CONV, "conv", "Conv2d", false, conv_parameters, pf_op_shape_conv, per_position, \
        "torch.conv2d({0}, {weight}, {bias}, [{stride}], [{padding}], [{dilation}], {groups})", pf_op_onnx_conv) \
    ROW(PF_OP_BATCH_NORM, "batch norm", "BatchNorm2d", false, batch_norm_parameters, pf_op_shape_batch_norm, per_image, \
        "torch.batch_norm({0}, {weight}, {bias}, {running_mean}, {running_var}, {module}.training, " \
        "{momentum}, {eps}, True)", pf_op_onnx_batch_norm) \
    ROW(PF_OP_MAX_POOL, "max pool", "MaxPool2d", false, no_parameters, pf_op_shape_pool, per_image, \
        "torch.max_pool2d({0}, [{kernel}], [{stride}], [{padding}], [{dilation}], {ceil_mode})", pf_op_onnx_max_pool) \
    ROW(PF_OP_AVG_POOL, "average pool", "AvgPool2d", false, no_parameters, pf_op_shape_pool, per_image, \
        "torch.avg_pool2d({0}, [{kernel}], [{stride}], [{padding}], {ceil_mode}, {count_padding})", pf_op_onnx_avg_pool) \
    ROW(PF_OP_ADAPTIVE_AVG_POOL, "adaptive average pool", "AdaptiveAvgPool2d", false, no_parameters, pf_op_shape_adaptive_pool, per_image, \
        "torch.adaptive_avg_pool2d({0}, [{pool_size}, {pool_size}])", pf_op_onnx_adaptive_pool) \
    ROW(PF_OP_PAD, "pad", "", false, no_parameters, pf_op_shape_pad, per_image, \
        "torch.constant_pad_nd({0}, [{pads}], {value})", pf_op_onnx_pad) \
    ROW(PF_OP_LAYER_NORM_2D, "layer norm of channels", "LayerNorm2d", false, layer_norm_parameters, pf_op_shape_batch_norm, per_image, \
        "torch.permute(torch.layer_norm(torch.permute({0}, [0, 2, 3, 1]), [{out_channels}], {weight}, " \
        "{bias}, {eps}, False), [0, 3, 1, 2])", pf_op_onnx_layer_norm_2d) \
    ROW(PF_OP_LINEAR, "linear", "Linear", false, linear_parameters, pf_op_shape_linear, per_image, \
        "torch.linear({0}, {weight}, {bias})", pf_op_onnx_linear) \
    ROW(PF_OP_LAYER_NORM, "layer norm", "LayerNorm", false, layer_norm_parameters, pf_op_shape_layer_norm, per_image, \
        "torch.layer_norm({0}, [{out_channels}], {weight}, {bias}, {eps}, False)", pf_op_onnx_layer_norm) \
    ROW(PF_OP_SOFTMAX, "softmax", "Softmax", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.softmax({0}, {axis})", pf_op_onnx_softmax) \
    ROW(PF_OP_ATTENTION, "attention", "", false, no_parameters, pf_op_shape_attention, per_image, \
        "torch.flatten(torch.transpose(torch.matmul(torch.softmax(torch.mul(torch.matmul(" \
        "torch.transpose(torch.reshape({0}, [torch.size({0}, 0), torch.size({0}, 1), {heads}, -1]), 1, 2), " \
        "torch.permute(torch.reshape({1}, [torch.size({1}, 0), torch.size({1}, 1), {heads}, -1]), [0, 2, 3, 1])), " \
        "{scale}), -1), " \
        "torch.transpose(torch.reshape({2}, [torch.size({2}, 0), torch.size({2}, 1), {heads}, -1]), 1, 2)), 1, 2), 2)", pf_op_onnx_attention) \
    ROW(PF_OP_RELU, "relu", "ReLU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.relu({0})", pf_op_onnx_relu) \
    ROW(PF_OP_CLIP, "clip", "Hardtanh", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.clamp({0}, {low}, {high})", pf_op_onnx_clip) \
    ROW(PF_OP_SIGMOID, "sigmoid", "Sigmoid", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.sigmoid({0})", pf_op_onnx_sigmoid) \
    ROW(PF_OP_HARD_SIGMOID, "hard sigmoid", "Hardsigmoid", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.hardsigmoid({0})", pf_op_onnx_hard_sigmoid) \
    ROW(PF_OP_HARD_SWISH, "hard swish", "Hardswish", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.hardswish({0})", pf_op_onnx_hard_swish) \
    ROW(PF_OP_SILU, "silu", "SiLU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.silu({0})", pf_op_onnx_silu) \
    ROW(PF_OP_GELU, "gelu", "GELU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.gelu({0})", pf_op_onnx_gelu) \
    ROW(PF_OP_GELU_TANH, "gelu by tanh", "GELU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.gelu({0}, approximate=\"tanh\")", pf_op_onnx_gelu_tanh) \
    ROW(PF_OP_QUICK_GELU, "quick gelu", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.mul({0}, torch.sigmoid(torch.mul({0}, 1.702)))", pf_op_onnx_quick_gelu) \
    ROW(PF_OP_TANH, "tanh", "Tanh", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.tanh({0})", pf_op_onnx_tanh) \
    ROW(PF_OP_DROPOUT, "dropout", "Dropout", true, no_parameters, pf_op_shape_same, per_image, \
        "torch.dropout({0}, {dropout}, self.training)", pf_op_onnx_unchanged) \
    ROW(PF_OP_ADD, "add", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.add({0}, {1})", pf_op_onnx_add) \
    ROW(PF_OP_SUBTRACT, "subtract", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.sub({0}, {1})", pf_op_onnx_subtract) \
    ROW(PF_OP_MULTIPLY, "multiply", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.mul({0}, {1})", pf_op_onnx_multiply) \
    ROW(PF_OP_DIVIDE, "divide", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.div({0}, {1})", pf_op_onnx_divide) \
    ROW(PF_OP_FLATTEN, "flatten", "", true, no_parameters, pf_op_shape_flatten, per_image, \
        "torch.flatten({0}, 1)", pf_op_onnx_flatten) \
    ROW(PF_OP_RESHAPE, "reshape", "", true, no_parameters, pf_op_shape_reshape, per_image, \
        "torch.reshape({0}, [torch.size({0}, 0), {shape}])", pf_op_onnx_reshape) \
    ROW(PF_OP_PERMUTE, "permute", "Permute", false, no_parameters, pf_op_shape_permute, per_image, \
        "torch.permute({0}, [0, {axes}])", pf_op_onnx_permute) \
    ROW(PF_OP_SLICE, "slice", "", false, no_parameters, pf_op_shape_slice, per_image, \
        "torch.slice({0}, {axis}, {start}, {end}, {step})", pf_op_onnx_slice) \
    ROW(PF_OP_CONCAT, "concat", "", false, no_parameters, pf_op_shape_concat, per_image, \
        "torch.cat([{inputs}], {axis})", pf_op_onnx_concat) \
    ROW(PF_OP_MEAN, "mean", "", false, no_parameters, pf_op_shape_mean, per_image, \
        "torch.mean({0}, [{axes}], {keep_axes})", pf_op_onnx_mean) \
    ROW(PF_OP_MATMUL, "matmul", "", false, no_parameters, pf_op_shape_matmul, per_image, \
        "torch.matmul({0}, {1})", pf_op_onnx_matmul) \
    ROW(PF_OP_PARAMETER, "parameter", "", false, whole_parameter, pf_op_shape_parameter, per_image, \
        "{for_each_image}", pf_op_onnx_parameter) \
    ROW(PF_OP_SQRT, "square root", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.sqrt({0})", pf_op_onnx_sqrt) \
    ROW(PF_OP_EXP, "exp", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.exp({0})", pf_op_onnx_exp) \
    ROW(PF_OP_LOG, "log", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.log({0})", pf_op_onnx_log) \
    ROW(PF_OP_ERF, "erf", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.erf({0})", pf_op_onnx_erf) \
    ROW(PF_OP_NEGATE, "negate", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.neg({0})", pf_op_onnx_negate) \
    ROW(PF_OP_ABS, "absolute value", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.abs({0})", pf_op_onnx_abs) \
    ROW(PF_OP_RECIPROCAL, "reciprocal", "", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.reciprocal({0})", pf_op_onnx_reciprocal) \
    ROW(PF_OP_LEAKY_RELU, "leaky relu", "LeakyReLU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.leaky_relu({0}, {value})", pf_op_onnx_leaky_relu) \
    ROW(PF_OP_ELU, "elu", "ELU", false, no_parameters, pf_op_shape_same, per_image, \
        "torch.elu({0}, {value})", pf_op_onnx_elu) \
    ROW(PF_OP_POWER, "power", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.pow({0}, {1})", pf_op_onnx_power) \
    ROW(PF_OP_MAXIMUM, "maximum", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.maximum({0}, {1})", pf_op_onnx_maximum) \
    ROW(PF_OP_MINIMUM, "minimum", "", false, no_parameters, pf_op_shape_broadcast, per_image, \
        "torch.minimum({0}, {1})", pf_op_onnx_minimum) \
    ROW(PF_OP_REDUCE_SUM, "sum over axes", "", false, no_parameters, pf_op_shape_mean, per_image, \
        "torch.sum({0}, [{axes}], {keep_axes})", pf_op_onnx_reduce_sum) \
    ROW(PF_OP_REDUCE_MAX, "maximum over axes", "", false, no_parameters, pf_op_shape_mean, per_image, \
        "torch.amax({0}, [{axes}], {keep_axes})", pf_op_onnx_reduce_max) \
    ROW(PF_OP_POSITIONS, "positions", "", false, whole_parameter, pf_op_shape_positions, per_image, \
        "{positions}", pf_op_onnx_positions) \
    ROW(PF_OP_PAD_SAME, "pad as TensorFlow", "", false, no_parameters, pf_op_shape_pad_same, per_image, \
        "torch.constant_pad_nd({0}, [{same_pads}], 0)", pf_op_onnx_pad_same) \
    ROW(PF_OP_CHANNEL_SHUFFLE, "channel shuffle", "", false, no_parameters, pf_op_shape_channel_shuffle, per_image, \
        "torch.reshape(torch.transpose(torch.reshape({0}, [torch.size({0}, 0), {groups}, -1, torch.size({0}, 2), torch.size({0}, 3)]), 1, 2), " \
        "[torch.size({0}, 0), -1, torch.size({0}, 2), torch.size({0}, 3)])", pf_op_onnx_channel_shuffle) \
    ROW(PF_OP_TOKEN_MAP, "tokens as a map", "", false, no_parameters, pf_op_shape_token_map, per_image, \
        "torch.reshape(torch.transpose({0}, 1, 2), [torch.size({0}, 0), torch.size({0}, 2), " \
        "torch.size({1}, 2), torch.size({1}, 3)])", pf_op_onnx_token_map) \
    ROW(PF_OP_PAD_BEHIND, "pad behind", "", false, no_parameters, pf_op_shape_pad_behind, per_image, \
        "torch.constant_pad_nd({0}, [{behind_pads}], 0)", pf_op_onnx_pad_behind) \
    ROW(PF_OP_CROP, "crop", "", false, no_parameters, pf_op_shape_crop, per_image, \
        "torch.slice(torch.slice({0}, 1, 0, torch.size({1}, 1)), 2, 0, torch.size({1}, 2))", pf_op_onnx_crop) \
    ROW(PF_OP_WINDOW_ATTENTION, "attention in windows", "", false, whole_parameter, pf_op_shape_window_attention, per_image, \
        "torch.roll(torch.reshape(torch.permute(torch.reshape(torch.matmul(torch.softmax(torch.sub(torch.add(" \
        "torch.mul(torch.matmul(" WINDOWS("0") ", torch.transpose(" WINDOWS("1") ", -2, -1)), {scale}), " DISTANCE_BIAS "), " \
        WINDOW_MASK "), -1), " WINDOWS("2") "), [torch.size({0}, 0), torch.size({0}, 1) // {window}, torch.size({0}, 2) // {window}, " \
        "{heads}, {window}, {window}, -1]), [0, 1, 4, 2, 5, 3, 6]), [torch.size({0}, 0), torch.size({0}, 1), torch.size({0}, 2), -1]), " \
        "[" WINDOW_SHIFT("1") ", " WINDOW_SHIFT("2") "], [1, 2])", pf_op_onnx_window_attention) \
    ROW(PF_OP_ROTATE, "rotate", "", false, no_parameters, pf_op_shape_rotate, per_image, \
        "torch.cat([torch.slice({0}, 1, 0, " FIRST_PATCH "), torch.flatten(torch.add(torch.mul(" PATCH_HEADS ", torch.cos(" PATCH_ANGLES ")), " \
        "torch.mul(torch.cat([torch.neg(" HEAD_HALF("1") "), " HEAD_HALF("0") "], 3), torch.sin(" PATCH_ANGLES "))), 2)], 1)", pf_op_onnx_rotate)

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

bool pf_node_takes_size_alone(const PfNode *node, int k)
{
    return node->op == PF_OP_ROTATE && k == 1;
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

void pf_node_parameter_name(const PfNode *node, const char *parameter,
                            char name[PF_PARAMETER_NAME_SIZE])
{
    const size_t length = strlen(node->module);
    const bool is_joined = !*parameter || (length && node->module[length - 1] == '_');
    snprintf(name, PF_PARAMETER_NAME_SIZE, "%s%s%s", node->module, is_joined ? "" : ".", parameter);
}

PfInitialValues pf_op_initial_values(const PfNode *node, const PfOpParameter *parameter)
{
    return parameter->initial(node);
}

void pf_node_pads(const PfNode *node, const PfShape *map, int pads[4])
{
    memcpy(pads, node->pads, sizeof node->pads);
    for (int axis = 0; axis < 2 && node->op == PF_OP_PAD_SAME; axis++) {
        const int64_t size = map->dims[1 + axis], stride = node->stride[axis];
        const int64_t last = (size + stride - 1) / stride * stride - stride;
        const int64_t missing = pf_max(last + node->kernel[axis] - size, 0);
        pads[axis] = (int)(missing / 2);
        pads[axis + 2] = (int)(missing - missing / 2);
    }
}

int64_t pf_window_distance(int64_t side, int64_t query, int64_t key)
{
    const int64_t y = query / side - key / side + side - 1;
    const int64_t x = query % side - key % side + side - 1;
    return y * (2 * side - 1) + x;
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

int64_t pf_node_whole_multiply_adds(const PfNode *node, const PfShape *shapes,
                                    const PfShape *output)
{
    const int64_t count = pf_shape_count(output);
    if (node->op == PF_OP_LINEAR) return count * node->in_channels;
    if (node->op == PF_OP_WINDOW_ATTENTION) return 2 * count * node->kernel[0] * node->kernel[1];
    if (node->op == PF_OP_ATTENTION) {
        const PfShape *keys = &shapes[node->inputs[1]];
        return 2 * count * keys->dims[keys->rank - 2];
    }
    if (node->op == PF_OP_MATMUL) {
        const PfShape *left = &shapes[node->inputs[0]];
        return count * left->dims[left->rank - 1];
    }
    return pf_node_multiply_adds(node, output);
}

/* ---- of a whole network ---- */

/* A side that patches do not fill would lose its last pixels. */
static int check_patches(const PfArch *arch, int height, int width, PfError *err)
{
    const int patch = arch->patch, least = height < width ? height : width;
    if (!patch || (height % patch == 0 && width % patch == 0)) return 0;
    const int below = least / patch * patch;
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s takes images whose sides are multiples of %d pixels, its patches, found "
                   "%dx%d. Hint: --crop %d",
                   arch->name, patch, height, width, below ? below : patch);
}

int pf_arch_infer_shapes(const PfArch *arch, int input_height, int input_width, PfShape *shapes,
                         PfError *err)
{
    if (check_patches(arch, input_height, input_width, err)) return -1;
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
            out[count] = (PfParameter){.node = index,
                                       .of = parameter->name,
                                       .shape = parameter->shape(node),
                                       .is_buffer = parameter->is_buffer};
            pf_node_parameter_name(node, parameter->name, out[count].name);
        }
        count++;
    }
    return count;
}

/* Nodes aside share the parameters of others: what is there is not listed again. */
static int drop_known(const PfParameter *list, int count, PfParameter *more, int more_count)
{
    int kept = 0;
    for (int i = 0; i < more_count; i++) {
        bool is_known = false;
        for (int k = 0; k < count && !is_known; k++) is_known = !strcmp(list[k].name, more[i].name);
        if (!is_known) more[kept++] = more[i];
    }
    return kept;
}

int pf_arch_marked_parameters(const PfArch *arch, const unsigned char *needed, PfParameter **out,
                              int *count, PfError *err)
{
    int total = 0;
    for (int i = 0; i < arch->node_count; i++)
        if (needed[i]) total += list_parameters(arch, i, NULL);
    *out = pf_calloc((size_t)total, sizeof **out, err);
    *count = 0;
    bool any_aside = false;
    for (int i = 0; i < arch->node_count && *out; i++) {
        if (!needed[i]) continue;
        PfParameter *more = *out + *count;
        const int listed = list_parameters(arch, i, more);
        any_aside |= arch->nodes[i].is_aside;
        *count += any_aside ? drop_known(*out, *count, more, listed) : listed;
    }
    return *out ? 0 : -1;
}

int pf_arch_parameters(const PfArch *arch, int last, PfParameter **out, int *count, PfError *err)
{
    unsigned char *needed = pf_calloc((size_t)arch->node_count, 1, err);
    if (!needed) return -1;
    pf_arch_mark_needed(arch, last, needed);
    const int failed = pf_arch_marked_parameters(arch, needed, out, count, err);
    free(needed);
    return failed;
}

int pf_arch_mark_taps(const PfArch *arch, const char *const *taps, int tap_count,
                      unsigned char *needed, int *last, PfError *err)
{
    int *nodes = pf_calloc((size_t)tap_count, sizeof *nodes, err);
    int failed = !nodes;
    for (int t = 0; t < tap_count && !failed; t++)
        failed = pf_arch_find_tap(arch, taps[t], &nodes[t], err);
    failed = failed || pf_arch_mark_outputs(arch, 0, nodes, tap_count, needed, err);
    if (last) *last = 0;
    for (int t = 0; t < tap_count && !failed && last; t++) *last = (int)pf_max(*last, nodes[t]);
    free(nodes);
    return failed ? -1 : 0;
}

int pf_arch_multiply_adds(const PfArch *arch, int side, const char *const *taps, int tap_count,
                          int64_t *out, PfError *err)
{
    size_t count = (size_t)arch->node_count;
    PfShape *shapes = pf_calloc(count, sizeof *shapes, err);
    unsigned char *needed = pf_calloc(count, 1, err);
    int failed = !shapes || !needed || pf_arch_infer_shapes(arch, side, side, shapes, err) ||
                 pf_arch_mark_taps(arch, taps, tap_count, needed, NULL, err);
    *out = 0;
    for (int i = 0; i < arch->node_count && !failed; i++)
        if (needed[i]) *out += pf_node_whole_multiply_adds(&arch->nodes[i], shapes, &shapes[i]);
    free(needed);
    free(shapes);
    return failed ? -1 : 0;
}

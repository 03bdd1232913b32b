/* Norms of what one image has: see build.h. */
#include <float.h>
#include <string.h>

#include "common/onnx/build.h"

#define ALL_OPSETS PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET

/* A constant of so many numbers, in whatever shape they come. */
static const PfOnnxTensor *take_numbers(PfOnnxBuild *build, int input, int64_t count)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, input);
    if (tensor && !pf_onnx_tensor_is_whole(tensor) && pf_onnx_count(&tensor->dims) == count)
        return tensor;
    pf_onnx_refuse(build, "expected a weight and a bias of %lld constant numbers",
                   (long long)count);
    return NULL;
}

/* The same, where nothing is given: the number. */
static const PfOnnxTensor *numbers_or(PfOnnxBuild *build, int input, int64_t count, float number)
{
    void *data;
    const PfOnnxDims dims = {1, {count}};
    if (input >= 0 && pf_onnx_has_input(build, input)) return take_numbers(build, input, count);
    PfOnnxTensor *tensor =
        pf_onnx_tensor_new(build->model, build->step, PF_DTYPE_F32, &dims, &data, build->err);
    for (int64_t i = 0; i < count && tensor; i++) ((float *)data)[i] = number;
    return tensor;
}

/* Over the channels of maps, or over the last axis. weight, bias: inputs; -1: 1 and 0. */
static int add_norm(PfOnnxBuild *build, PfOp op, int64_t channels, int weight, int bias, int *node)
{
    const PfShape shape = {1, {channels}};
    const PfOnnxTensor *factors = numbers_or(build, weight, channels, 1);
    const PfOnnxTensor *shifts = factors ? numbers_or(build, bias, channels, 0) : NULL;
    if (!shifts) return -1;
    if (channels > INT32_MAX / 2) return pf_onnx_refuse(build, "expected a smaller norm");
    PfNode *norm = pf_onnx_add(build, op, *node, node);
    if (!norm) return -1;
    norm->in_channels = norm->out_channels = (int)channels;
    norm->eps = pf_onnx_real(build->step, "epsilon", 1e-5f);
    if (pf_onnx_settle(build, *node) ||
        pf_onnx_set_tensor(build, *node, "weight", factors, &shape) ||
        pf_onnx_set_tensor(build, *node, "bias", shifts, &shape))
        return -1;
    return 0;
}

/* Whether the weight lies along the axis that is so far from the last. */
static bool is_along(const PfOnnxBuild *build, int64_t from_last)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(build->model, build->step, 1);
    if (!tensor || pf_onnx_count(&tensor->dims) == 1) return true;
    const int rank = tensor->dims.rank;
    return rank > from_last &&
           tensor->dims.sizes[rank - 1 - from_last] == pf_onnx_count(&tensor->dims);
}

/* Over all axes from `axis` on; what simplify.c makes also over the channels of maps (1, c, h, w),
 * or another axis alone, which is the last. */
static int translate_layer_norm(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, axis;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", -1), dims.rank,
                     &axis, build->err))
        return -1;
    const bool is_ours = *build->step->type == ' ';
    const bool is_of_maps = is_ours && axis == 1 && dims.rank == 4 && dims.sizes[0] == 1;
    if (is_ours && ((!is_of_maps && axis != dims.rank - 1) || !is_along(build, is_of_maps ? 2 : 0)))
        return pf_onnx_refuse(build,
                              "expected a norm over the last axis, or the channels of maps, and a "
                              "weight along it");
    if (!axis && pf_onnx_drops_axis(&dims))
        return pf_onnx_refuse(build, "expected a norm of each image by itself, found one along the "
                                     "axis of the batch");
    PfShape rows = {.rank = 2, .dims = {1, 1}};
    for (int i = 0; i < dims.rank; i++) rows.dims[i >= axis] *= dims.sizes[i];
    const bool is_deep = build->shapes[node].rank > 3; /* more axes than kernels take */
    if ((axis < dims.rank - 1 || is_deep) && !is_of_maps && pf_onnx_reshape(build, &node, &rows))
        return -1;
    if (add_norm(build, is_of_maps ? PF_OP_LAYER_NORM_2D : PF_OP_LAYER_NORM,
                 is_of_maps ? dims.sizes[1] : rows.dims[1], 1, 2, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* A factor or a shift for each channel of (c, n). */
static int add_channels(PfOnnxBuild *build, PfOp op, const PfOnnxTensor *tensor, int64_t channels,
                        int64_t repeats, int *node)
{
    void *data;
    const PfOnnxDims dims = {2, {channels, 1}};
    const size_t width = pf_dtype_size(tensor->dtype);
    int parameter;
    PfOnnxTensor *column =
        pf_onnx_tensor_new(build->model, build->step, tensor->dtype, &dims, &data, build->err);
    if (!column) return -1;
    for (int64_t i = 0; i < channels; i++)
        memcpy((char *)data + (size_t)i * width,
               (const char *)tensor->data + (size_t)(i / repeats) * width, width);
    return pf_onnx_add_parameter(build, column, 2, &parameter) ||
                   pf_onnx_add_pair(build, op, *node, parameter, node)
               ? -1
               : 0;
}

/* Over groups of channels, each with all its places; then a factor and a shift for each `per`
 * channels. */
static int translate_groups(PfOnnxBuild *build, int64_t groups, int64_t per)
{
    PfOnnxDims dims;
    int node;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (dims.rank < 3 || dims.sizes[0] != 1)
        return pf_onnx_refuse(build, "expected channels (1, c, ...) of one image");
    const int64_t channels = dims.sizes[1], count = pf_onnx_count(&dims);
    if (!groups) groups = channels;
    if (groups < 1 || channels % groups) return pf_onnx_refuse(build, "expected groups that fit");
    if (per != 1) per = channels / groups;
    const PfOnnxTensor *factors = take_numbers(build, 1, channels / per);
    const PfOnnxTensor *shifts = factors ? take_numbers(build, 2, channels / per) : NULL;
    const PfShape of_groups = {2, {groups, count / groups}};
    const PfShape of_channels = {2, {channels, count / channels}};
    if (!shifts || pf_onnx_reshape(build, &node, &of_groups) ||
        add_norm(build, PF_OP_LAYER_NORM, count / groups, -1, -1, &node) ||
        pf_onnx_reshape(build, &node, &of_channels) ||
        add_channels(build, PF_OP_MULTIPLY, factors, channels, per, &node) ||
        add_channels(build, PF_OP_ADD, shifts, channels, per, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

static int translate_instance_norm(PfOnnxBuild *build)
{
    return translate_groups(build, 0, 1);
}

/* Before opset 21 there were a factor and a shift for each group. */
static int translate_group_norm(PfOnnxBuild *build)
{
    const int64_t groups = pf_onnx_whole(build->step, "num_groups", 0);
    if (groups < 1) return pf_onnx_refuse(build, "expected num_groups of 1 or more");
    return translate_groups(build, groups, build->model->opset < 21 ? 0 : 1);
}

/* x / the length of its vectors; one of zeros stays one. */
static int translate_lp_norm(PfOnnxBuild *build)
{
    const int64_t power = pf_onnx_whole(build->step, "p", 2);
    PfOnnxDims dims;
    int node, length, least, axis, ours;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_axis(build->model, build->step, pf_onnx_whole(build->step, "axis", -1), dims.rank,
                     &axis, build->err) ||
        pf_onnx_our_axis(build, &dims, axis, &ours))
        return -1;
    if (power != 1 && power != 2) return pf_onnx_refuse(build, "expected p of 1 or 2");
    length = node;
    if (power == 1 ? pf_onnx_add_plain(build, PF_OP_ABS, &length)
                   : pf_onnx_add_pair(build, PF_OP_MULTIPLY, node, node, &length))
        return -1;
    PfNode *sum = pf_onnx_add(build, PF_OP_REDUCE_SUM, length, &length);
    if (!sum) return -1;
    sum->keep_axes = 1;
    sum->axes[0] = ours;
    sum->axis_count = 1;
    if (pf_onnx_settle(build, length) ||
        (power == 2 && pf_onnx_add_plain(build, PF_OP_SQRT, &length)) ||
        pf_onnx_put_number(build, (double)FLT_MIN, build->shapes[length].rank, &least) ||
        pf_onnx_add_pair(build, PF_OP_MAXIMUM, length, least, &length) ||
        pf_onnx_add_pair(build, PF_OP_DIVIDE, node, length, &node))
        return -1;
    return pf_onnx_give(build, 0, node, &dims);
}

/* clang-format off */
const PfOnnxRow pf_onnx_norm_rows[] = {
    {"LayerNormalization", 17, PF_ONNX_NEWEST_OPSET, " axis epsilon stash_type ", translate_layer_norm},
    {" layer norm", ALL_OPSETS, " axis epsilon ", translate_layer_norm}, /* simplify.c */
    {"InstanceNormalization", ALL_OPSETS, " epsilon ", translate_instance_norm},
    {"GroupNormalization", 18, PF_ONNX_NEWEST_OPSET, " epsilon num_groups stash_type ", translate_group_norm},
    {"LpNormalization", ALL_OPSETS, " axis p ", translate_lp_norm},
    {.type = NULL},
};
/* clang-format on */

/* Operators on maps (c, h, w): see build.h. */
#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/build.h"

#define MAX_WINDOW (1 << 14)
#define ALL_OPSETS PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET

/* ---- windows ---- */

typedef struct Window {
    int kernel[2], stride[2], dilation[2];
    int pads[4]; /* above, left, below, right */
} Window;

static int take_pair(PfOnnxBuild *build, const char *name, int pair[2])
{
    const PfOnnxSetting *setting = pf_onnx_setting(build->step, name);
    for (int i = 0; setting && i < 2; i++) {
        if (setting->count != 2 || setting->wholes[i] < 1 || setting->wholes[i] > MAX_WINDOW)
            return pf_onnx_refuse(build, "expected two sizes as %s, along y and x", name);
        pair[i] = (int)setting->wholes[i];
    }
    return 0;
}

/* As TensorFlow pads: so that there are size / stride windows, rounded up. */
static void pad_same(Window *window, const PfOnnxDims *dims, bool is_upper)
{
    for (int i = 0; i < 2; i++) {
        const int64_t size = dims->sizes[2 + i],
                      reach = (int64_t)window->dilation[i] * (window->kernel[i] - 1) + 1;
        const int64_t count = (size + window->stride[i] - 1) / window->stride[i];
        const int total = (int)pf_max(0, (count - 1) * window->stride[i] + reach - size);
        window->pads[i] = is_upper ? total / 2 : total - total / 2;
        window->pads[2 + i] = total - window->pads[i];
    }
}

static int take_pads(PfOnnxBuild *build, const PfOnnxDims *dims, Window *window)
{
    const char *automatic = pf_onnx_text(build->step, "auto_pad", "NOTSET");
    const PfOnnxSetting *pads = pf_onnx_setting(build->step, "pads");
    if (!strcmp(automatic, "SAME_UPPER") || !strcmp(automatic, "SAME_LOWER")) {
        pad_same(window, dims, !strcmp(automatic, "SAME_UPPER"));
        return 0;
    }
    if (strcmp(automatic, "VALID") && strcmp(automatic, "NOTSET"))
        return pf_onnx_refuse(build, "its auto_pad '%.60s' is not read", automatic);
    if (!strcmp(automatic, "VALID") || !pads) return 0;
    for (int i = 0; i < 4; i++) {
        if (pads->count != 4 || pads->wholes[i] < 0 || pads->wholes[i] > MAX_WINDOW)
            return pf_onnx_refuse(build, "expected four sizes as pads");
        window->pads[i] = (int)pads->wholes[i];
    }
    return 0;
}

static int take_window(PfOnnxBuild *build, const PfOnnxDims *dims, Window *window)
{
    for (int i = 0; i < 2; i++) window->stride[i] = window->dilation[i] = 1;
    if (take_pair(build, "kernel_shape", window->kernel) ||
        take_pair(build, "strides", window->stride) ||
        take_pair(build, "dilations", window->dilation))
        return -1;
    return take_pads(build, dims, window);
}

static bool is_even(const Window *window)
{
    return window->pads[0] == window->pads[2] && window->pads[1] == window->pads[3];
}

static void set_window(PfNode *node, const Window *window)
{
    memcpy(node->kernel, window->kernel, sizeof node->kernel);
    memcpy(node->stride, window->stride, sizeof node->stride);
    memcpy(node->dilation, window->dilation, sizeof node->dilation);
    if (is_even(window)) memcpy(node->padding, window->pads, sizeof node->padding);
}

/* What a window cannot pad itself, differently at either end, is padded before. */
static int pad_before(PfOnnxBuild *build, const Window *window, float value, int *node)
{
    if (is_even(window)) return 0;
    PfNode *pad = pf_onnx_add(build, PF_OP_PAD, *node, node);
    if (!pad) return -1;
    memcpy(pad->pads, window->pads, sizeof pad->pads);
    pad->value = value;
    return pf_onnx_settle(build, *node);
}

/* Maps of one image: (1, c, h, w). */
static int take_maps(PfOnnxBuild *build, int *node, PfOnnxDims *dims)
{
    char text[PF_SHAPE_TEXT_SIZE];
    if (pf_onnx_take(build, 0, node, dims)) return -1;
    if (dims->rank == 4 && dims->sizes[0] == 1) return 0;
    return pf_onnx_refuse(build, "expected maps (1, c, h, w), found %s",
                          pf_onnx_dims_text(dims, text));
}

/* The node's shape (c, h, w) with the batch. */
static int give_maps(PfOnnxBuild *build, int node)
{
    const PfShape *shape = &build->shapes[node];
    const PfOnnxDims dims = {4, {1, shape->dims[0], shape->dims[1], shape->dims[2]}};
    return pf_onnx_give(build, 0, node, &dims);
}

/* ---- convolutions ---- */

static int set_bias(PfOnnxBuild *build, int index, int64_t channels)
{
    if (!build->builder.arch->nodes[index].bias) return 0;
    const PfOnnxTensor *bias = pf_onnx_take_weights(build, 2, 1);
    const PfShape shape = {1, {channels}};
    if (!bias) return -1;
    if (bias->dims.sizes[0] != channels)
        return pf_onnx_refuse(build, "expected a bias of %lld, found %lld", (long long)channels,
                              (long long)bias->dims.sizes[0]);
    return pf_onnx_set_tensor(build, index, "bias", bias, &shape);
}

static int fail_weights(PfOnnxBuild *build)
{
    return pf_onnx_refuse(build, "expected groups and a window that fit its weights");
}

static int translate_conv(PfOnnxBuild *build)
{
    Window window = {0};
    PfOnnxDims dims;
    int node, index;
    const PfOnnxTensor *weight = pf_onnx_take_weights(build, 1, 4);
    if (!weight || take_maps(build, &node, &dims)) return -1;
    const int64_t *sizes = weight->dims.sizes, groups = pf_onnx_whole(build->step, "group", 1);
    if (sizes[2] > MAX_WINDOW || sizes[3] > MAX_WINDOW) return fail_weights(build);
    for (int i = 0; i < 2; i++) window.kernel[i] = (int)sizes[2 + i];
    if (take_window(build, &dims, &window) || pad_before(build, &window, 0, &node)) return -1;
    if (groups < 1 || groups > sizes[0] || sizes[0] % groups || window.kernel[0] != sizes[2] ||
        window.kernel[1] != sizes[3] || sizes[1] > INT32_MAX / groups)
        return fail_weights(build);
    PfNode *conv = pf_onnx_add(build, PF_OP_CONV, node, &index);
    if (!conv) return -1;
    conv->in_channels = (int)(sizes[1] * groups);
    conv->out_channels = (int)sizes[0];
    conv->groups = (int)groups;
    conv->bias = pf_onnx_has_input(build, 2);
    set_window(conv, &window);
    const PfShape shape = {4, {sizes[0], sizes[1], sizes[2], sizes[3]}};
    if (pf_onnx_settle(build, index) ||
        pf_onnx_set_tensor(build, index, "weight", weight, &shape) ||
        set_bias(build, index, sizes[0]))
        return -1;
    return give_maps(build, index);
}

/* ---- norms ---- */

/* Before opset 14, a norm that is trained is one with more outputs. */
static bool is_training(const PfOnnxStep *step)
{
    bool is_more = false;
    for (int i = 1; i < step->output_count; i++) is_more = is_more || step->outputs[i] >= 0;
    return is_more || pf_onnx_whole(step, "training_mode", 0);
}

static int translate_batch_norm(PfOnnxBuild *build)
{
    static const char *const names[] = {"weight", "bias", "running_mean", "running_var"};
    PfOnnxDims dims;
    int node, index;
    if (pf_onnx_take(build, 0, &node, &dims)) return -1;
    if (is_training(build->step) || (dims.rank != 4 && dims.rank != 2) || dims.sizes[0] != 1)
        return pf_onnx_refuse(build,
                              "expected a norm of maps (1, c, h, w) or vectors (1, c) as it "
                              "is outside of training. Hint: model.eval() before the export");
    const PfShape maps = {
        3, {dims.sizes[1], dims.rank == 4 ? dims.sizes[2] : 1, dims.rank == 4 ? dims.sizes[3] : 1}};
    if (pf_onnx_reshape(build, &node, &maps)) return -1;
    PfNode *norm = pf_onnx_add(build, PF_OP_BATCH_NORM, node, &index);
    if (!norm) return -1;
    norm->in_channels = norm->out_channels = (int)dims.sizes[1];
    norm->eps = pf_onnx_real(build->step, "epsilon", 1e-5f);
    const PfShape channels = {1, {dims.sizes[1]}};
    for (int i = 0; i < 4; i++) {
        const PfOnnxTensor *tensor = pf_onnx_take_weights(build, 1 + i, 1);
        if (!tensor) return -1;
        if (tensor->dims.sizes[0] != dims.sizes[1])
            return pf_onnx_refuse(build, "expected %lld channels, found %lld",
                                  (long long)dims.sizes[1], (long long)tensor->dims.sizes[0]);
        if (pf_onnx_set_tensor(build, index, names[i], tensor, &channels)) return -1;
    }
    return pf_onnx_settle(build, index) || pf_onnx_give(build, 0, index, &dims) ? -1 : 0;
}

/* ---- pools ---- */

/* Whether a last window, rounded up, would begin in what is padded at the end: there is none then,
 * which a pool does not know of a border that was padded before. */
static bool goes_past_the_end(const Window *window, const PfOnnxDims *dims)
{
    for (int i = 0; i < 2; i++) {
        const int64_t size = dims->sizes[2 + i], stride = window->stride[i],
                      reach = (int64_t)window->dilation[i] * (window->kernel[i] - 1) + 1,
                      room = size + window->pads[i] + window->pads[2 + i] - reach;
        if (room > 0 && room % stride && (room / stride + 1) * stride >= size + window->pads[i])
            return true;
    }
    return false;
}

static int translate_pool(PfOnnxBuild *build, PfOp op)
{
    Window window = {0};
    PfOnnxDims dims;
    int node, index;
    const bool counts = pf_onnx_whole(build->step, "count_include_pad", 0) != 0;
    const bool is_same = !strncmp(pf_onnx_text(build->step, "auto_pad", ""), "SAME_", 5);
    const bool rounds_up = pf_onnx_whole(build->step, "ceil_mode", 0) && !is_same;
    if (build->step->output_count > 1 && build->step->outputs[1] >= 0 &&
        build->model->values[build->step->outputs[1]].uses)
        return pf_onnx_refuse(build, "expected that nothing takes its indices");
    if (take_maps(build, &node, &dims) || take_window(build, &dims, &window)) return -1;
    if (!window.kernel[0]) return pf_onnx_refuse(build, "expected kernel_shape, found none");
    const bool is_mean = op == PF_OP_AVG_POOL;
    if (is_mean &&
        ((!is_even(&window) && !counts) || window.dilation[0] > 1 || window.dilation[1] > 1))
        return pf_onnx_refuse(build, "expected a pool without dilation whose padding is as wide at "
                                     "either end, or counts");
    if (rounds_up && !is_even(&window) && goes_past_the_end(&window, &dims))
        return pf_onnx_refuse(build, "expected ceil_mode 0, or a padding as wide at either end");
    if (pad_before(build, &window, is_mean ? 0 : -INFINITY, &node)) return -1;
    PfNode *pool = pf_onnx_add(build, op, node, &index);
    if (!pool) return -1;
    set_window(pool, &window);
    for (int i = 0; i < 2; i++)
        if (pool->padding[i] > pool->kernel[i] / 2)
            return pf_onnx_refuse(build, "expected a padding of at most half of the window");
    pool->ceil_mode = rounds_up;
    pool->count_padding = is_mean && counts;
    return pf_onnx_settle(build, index) || give_maps(build, index) ? -1 : 0;
}

static int translate_max_pool(PfOnnxBuild *build)
{
    if (pf_onnx_whole(build->step, "storage_order", 0))
        return pf_onnx_refuse(build, "expected storage_order 0");
    return translate_pool(build, PF_OP_MAX_POOL);
}

static int translate_average_pool(PfOnnxBuild *build)
{
    return translate_pool(build, PF_OP_AVG_POOL);
}

static int translate_global_average(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, index;
    if (take_maps(build, &node, &dims)) return -1;
    PfNode *pool = pf_onnx_add(build, PF_OP_ADAPTIVE_AVG_POOL, node, &index);
    if (!pool) return -1;
    pool->pool_size = 1;
    return pf_onnx_settle(build, index) || give_maps(build, index) ? -1 : 0;
}

static int translate_global_max(PfOnnxBuild *build)
{
    PfOnnxDims dims;
    int node, index;
    if (take_maps(build, &node, &dims)) return -1;
    PfNode *pool = pf_onnx_add(build, PF_OP_MAX_POOL, node, &index);
    if (!pool) return -1;
    for (int i = 0; i < 2; i++) {
        pool->kernel[i] = (int)dims.sizes[2 + i];
        pool->stride[i] = pool->dilation[i] = 1;
    }
    return pf_onnx_settle(build, index) || give_maps(build, index) ? -1 : 0;
}

/* ---- borders ---- */

/* pads: of all axes, or from opset 18 on of `axes`: beginnings, then ends. (2 x rank) */
static int take_pad_list(PfOnnxBuild *build, const PfOnnxDims *dims, int *pads)
{
    int64_t axes[PF_ONNX_MAX_RANK], list[PF_ONNX_MAX_RANK];
    int axis_count, count;
    const PfOnnxTensor *given = pf_onnx_constant(build->model, build->step, 1);
    if (pf_onnx_list(build->model, build->step, "axes", 3, axes, &axis_count, build->err) ||
        !given || pf_onnx_list(build->model, build->step, "pads", 1, list, &count, build->err))
        return given ? -1 : pf_onnx_refuse(build, "expected constant pads");
    if (axis_count < 0)
        for (axis_count = 0; axis_count < dims->rank; axis_count++) axes[axis_count] = axis_count;
    if (count != 2 * axis_count) return pf_onnx_refuse(build, "expected two pads for each axis");
    for (int i = 0; i < count; i++) {
        int axis;
        if (pf_onnx_axis(build->model, build->step, axes[i % axis_count], dims->rank, &axis,
                         build->err))
            return -1;
        if (list[i] < 0 || list[i] > MAX_WINDOW || (!axis && list[i]))
            return pf_onnx_refuse(build, "expected pads of two axes of maps, 0 or more");
        pads[axis + (i < axis_count ? 0 : dims->rank)] = (int)list[i];
    }
    return 0;
}

static int permute_maps(PfOnnxBuild *build, const int axes[3], int *node)
{
    PfNode *permute = pf_onnx_add(build, PF_OP_PERMUTE, *node, node);
    if (!permute) return -1;
    permute->axis_count = 3;
    memcpy(permute->axes, axes, 3 * sizeof *axes);
    return pf_onnx_settle(build, *node);
}

/* Rows and columns are the last two axes, or of maps (1, h, w, c) those before the last. */
static int translate_pad(PfOnnxBuild *build)
{
    static const int channels_first[] = {2, 0, 1}, channels_last[] = {1, 2, 0};
    PfOnnxDims dims;
    int node, all[2 * PF_ONNX_MAX_RANK] = {0};
    const PfOnnxTensor *value = pf_onnx_constant(build->model, build->step, 2);
    const char *mode = pf_onnx_text(build->step, "mode", "constant");
    if (strcmp(mode, "constant"))
        return pf_onnx_refuse(build, "expected the mode 'constant', found '%.60s'", mode);
    if (pf_onnx_has_input(build, 2) && (!value || pf_onnx_count(&value->dims) != 1))
        return pf_onnx_refuse(build, "expected one constant number as border");
    if (take_maps(build, &node, &dims) || take_pad_list(build, &dims, all)) return -1;
    const bool is_last = all[1] || all[5];
    const int first = is_last ? 1 : 2;
    if (is_last && (all[3] || all[7]))
        return pf_onnx_refuse(build, "expected pads of two axes of maps");
    if (is_last && permute_maps(build, channels_first, &node)) return -1;
    PfNode *pad = pf_onnx_add(build, PF_OP_PAD, node, &node);
    if (!pad) return -1;
    for (int i = 0; i < 4; i++) pad->pads[i] = all[first + i % 2 + (i < 2 ? 0 : 4)];
    pad->value = value ? (float)pf_onnx_tensor_real(value, 0) : 0;
    if (pf_onnx_settle(build, node) || (is_last && permute_maps(build, channels_last, &node)))
        return -1;
    return give_maps(build, node);
}

/* clang-format off */
const PfOnnxRow pf_onnx_map_rows[] = {
    {"Conv", ALL_OPSETS, " auto_pad dilations group kernel_shape pads strides ", translate_conv},
    {"BatchNormalization", ALL_OPSETS, " epsilon momentum training_mode ", translate_batch_norm},
    {"MaxPool", ALL_OPSETS, " auto_pad ceil_mode dilations kernel_shape pads storage_order strides ", translate_max_pool},
    {"AveragePool", ALL_OPSETS, " auto_pad ceil_mode count_include_pad dilations kernel_shape pads strides ", translate_average_pool},
    {"GlobalAveragePool", ALL_OPSETS, " ", translate_global_average},
    {"GlobalMaxPool", ALL_OPSETS, " ", translate_global_max},
    {"Pad", ALL_OPSETS, " mode ", translate_pad},
    {.type = NULL},
};
/* clang-format on */

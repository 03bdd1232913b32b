#include "common/onnx/resize.h"

#include <math.h>
#include <string.h>

#include "common/base/integers.h"

/* ---- sizes ---- */

/* The axes that sizes and scales are of: said from opset 18 on, else all. */
static int take_axes(const PfOnnxModel *model, const PfOnnxStep *step, int rank,
                     int axes[PF_ONNX_MAX_RANK], int *count, PfError *err)
{
    const PfOnnxSetting *said = pf_onnx_setting(step, "axes");
    *count = said ? said->count : rank;
    if (*count > rank) return pf_onnx_fail(model, step, err, "expected at most %d axes", rank);
    for (int i = 0; i < *count; i++)
        if (pf_onnx_axis(model, step, said ? said->wholes[i] : i, rank, &axes[i], err)) return -1;
    return 0;
}

static bool is_given(const PfOnnxModel *model, const PfOnnxStep *step, int input)
{
    const PfOnnxTensor *tensor = pf_onnx_constant(model, step, input);
    const bool is_there = input < step->input_count && step->inputs[input] >= 0;
    return is_there && !(tensor && !pf_onnx_count(&tensor->dims)); /* an empty one is none */
}

int pf_onnx_resized(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                    PfOnnxResize *resize, PfError *err)
{
    int axes[PF_ONNX_MAX_RANK], count;
    const bool has_sizes = is_given(model, step, 3);
    const PfOnnxTensor *said = pf_onnx_constant(model, step, has_sizes ? 3 : 2);
    *resize = (PfOnnxResize){.out = *in};
    for (int i = 0; i < in->rank; i++) resize->scales[i] = 1;
    if (take_axes(model, step, in->rank, axes, &count, err)) return -1;
    const char *policy = pf_onnx_text(step, "keep_aspect_ratio_policy", "stretch");
    if (strcmp(policy, "stretch"))
        return pf_onnx_fail(model, step, err, "its keep_aspect_ratio_policy '%.60s' is not read",
                            policy);
    if (!said || pf_onnx_count(&said->dims) != count)
        return pf_onnx_fail(model, step, err, "expected a constant size or scale for each axis");
    for (int i = 0; i < count; i++) {
        const int64_t size = in->sizes[axes[i]];
        const double number = pf_onnx_tensor_real(said, i);
        /* Scales are float32, and so are products with them elsewhere: 10 times 0.7 is 7. */
        const double out = has_sizes ? number : floor((double)((float)size * (float)number));
        if (!(out >= 1 && out <= 1 << 20) || !size)
            return pf_onnx_fail(model, step, err, "expected sizes from 1 to %d", 1 << 20);
        resize->out.sizes[axes[i]] = (int64_t)out;
        resize->scales[axes[i]] = has_sizes ? out / (double)size : number;
    }
    return 0;
}

bool pf_onnx_resizes(const PfOnnxResize *resize, const PfOnnxDims *in, int axis)
{
    return resize->out.sizes[axis] != in->sizes[axis] || resize->scales[axis] != 1;
}

/* ---- weights ---- */

/* How a step takes its samples. */
typedef struct Sampling {
    const char *places, *mode, *nearest;
    double cubic;
    bool excludes_outside, is_smooth;
    int64_t in, out;
    double scale;
} Sampling;

static int take_sampling(const PfOnnxModel *model, const PfOnnxStep *step, Sampling *sampling,
                         PfError *err)
{
    static const char *const places[] = {"half_pixel", "pytorch_half_pixel", "align_corners",
                                         "asymmetric", "half_pixel_symmetric"};
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    static const char *const nearests[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
                                           "ceil"};
    bool knows_places = false, knows_mode = false, knows_nearest = false;
    *sampling = (Sampling){
        .places = pf_onnx_text(step, "coordinate_transformation_mode", "half_pixel"),
        .mode = pf_onnx_text(step, "mode", "nearest"),
        .nearest = pf_onnx_text(step, "nearest_mode", "round_prefer_floor"),
        .cubic = (double)pf_onnx_real(step, "cubic_coeff_a", -0.75f),
        .excludes_outside = pf_onnx_whole(step, "exclude_outside", 0) != 0,
        .is_smooth = pf_onnx_whole(step, "antialias", 0) != 0,
    };
    for (int i = 0; i < 5; i++) knows_places |= !strcmp(sampling->places, places[i]);
    for (int i = 0; i < 3; i++) knows_mode |= !strcmp(sampling->mode, modes[i]);
    for (int i = 0; i < 4; i++) knows_nearest |= !strcmp(sampling->nearest, nearests[i]);
    if (!knows_places)
        return pf_onnx_fail(model, step, err,
                            "its coordinate_transformation_mode '%.60s' is not read",
                            sampling->places);
    if (!knows_mode || !knows_nearest)
        return pf_onnx_fail(model, step, err, "its %s '%.60s' is not read",
                            knows_mode ? "nearest_mode" : "mode",
                            knows_mode ? sampling->nearest : sampling->mode);
    if (!sampling->is_smooth ||
        (strstr(sampling->places, "half_pixel") && strcmp(sampling->mode, "nearest")))
        return 0;
    return pf_onnx_fail(model, step, err, "expected half_pixel, and no 'nearest', with antialias");
}

/* Where a number of the result lies among those of the input. */
static double place_of(const Sampling *sampling, int64_t at)
{
    const double x = (double)at, in = (double)sampling->in, out = (double)sampling->out;
    const double centred = (x + 0.5) / sampling->scale - 0.5;
    if (!strcmp(sampling->places, "asymmetric")) return x / sampling->scale;
    if (!strcmp(sampling->places, "align_corners"))
        return sampling->out > 1 ? x * (in - 1) / (out - 1) : 0;
    if (!strcmp(sampling->places, "pytorch_half_pixel")) return sampling->out > 1 ? centred : 0;
    if (!strcmp(sampling->places, "half_pixel_symmetric"))
        return in / 2 * (1 - out / (sampling->scale * in)) + centred;
    return centred;
}

/* Of places half-way between two the last bit decides: they are float32, as elsewhere. */
static int64_t nearest(const Sampling *sampling, double exact)
{
    const double place = (double)(float)exact, below = floor(place), rest = place - below;
    if (!strcmp(sampling->nearest, "floor")) return (int64_t)below;
    if (!strcmp(sampling->nearest, "ceil")) return (int64_t)ceil(place);
    const bool is_up = !strcmp(sampling->nearest, "round_prefer_ceil") ? rest >= 0.5 : rest > 0.5;
    return (int64_t)below + is_up;
}

/* Keys' cubic, or a triangle, of a distance. */
static double kernel(const Sampling *sampling, double distance)
{
    const double x = fabs(distance), a = sampling->cubic;
    if (strcmp(sampling->mode, "cubic")) return x < 1 ? 1 - x : 0;
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Adds the weights of one number of the result. What lies outside repeats the border, unless it is
 * excluded. row: (in), zeroed. */
static void sample(const Sampling *sampling, int64_t at, double *row)
{
    const int64_t last = sampling->in - 1;
    const double place = place_of(sampling, at);
    const double width = sampling->is_smooth ? fmax(1, 1 / sampling->scale) : 1;
    const double reach = (strcmp(sampling->mode, "cubic") ? 1 : 2) * width;
    double sum = 0;
    if (!strcmp(sampling->mode, "nearest")) {
        row[pf_max(0, pf_min(nearest(sampling, place), last))] = 1;
        return;
    }
    const double first = ceil(place - reach);
    for (double i = first; i <= place + reach; i++) {
        const double weight = kernel(sampling, (i - place) / width);
        const bool is_inside = i >= 0 && i <= (double)last;
        if (sampling->excludes_outside && !is_inside) continue;
        sum += weight;
        row[is_inside ? (int64_t)i : i < 0 ? 0 : last] += weight;
    }
    for (int64_t i = 0; i <= last && sum != 0; i++) row[i] /= sum;
}

PfOnnxTensor *pf_onnx_resize_weights(PfOnnxModel *model, const PfOnnxStep *step,
                                     const PfOnnxResize *resize, const PfOnnxDims *in, int axis,
                                     bool is_turned, PfError *err)
{
    Sampling sampling;
    const int64_t from = in->sizes[axis], to = resize->out.sizes[axis];
    const PfOnnxDims dims = {2, {is_turned ? from : to, is_turned ? to : from}};
    const PfOnnxDims line = {1, {from}};
    void *data, *room;
    if (take_sampling(model, step, &sampling, err)) return NULL;
    PfOnnxTensor *weights = pf_onnx_tensor_new(model, step, PF_DTYPE_F32, &dims, &data, err);
    if (!weights || !pf_onnx_tensor_new(model, step, PF_DTYPE_F64, &line, &room, err)) return NULL;
    double *row = room;
    sampling.in = from;
    sampling.out = to;
    sampling.scale = resize->scales[axis];
    for (int64_t at = 0; at < to; at++) {
        memset(row, 0, (size_t)from * sizeof *row);
        sample(&sampling, at, row);
        for (int64_t i = 0; i < from; i++)
            ((float *)data)[is_turned ? i * to + at : at * from + i] = (float)row[i];
    }
    return weights;
}

/* ---- of a constant ---- */

/* One axis of a constant. */
static const PfOnnxTensor *resize_axis(PfOnnxFold *fold, const PfOnnxTensor *in,
                                       const PfOnnxResize *resize, int axis)
{
    PfOnnxDims dims = in->dims;
    int64_t before = 1, behind = 1;
    void *data;
    const PfOnnxTensor *weights =
        pf_onnx_resize_weights(fold->model, fold->step, resize, &in->dims, axis, false, fold->err);
    if (!weights) return NULL;
    const int64_t from = dims.sizes[axis], to = resize->out.sizes[axis];
    dims.sizes[axis] = to;
    PfOnnxTensor *made =
        pf_onnx_tensor_new(fold->model, fold->step, PF_DTYPE_F32, &dims, &data, fold->err);
    if (!made) return NULL;
    for (int i = 0; i < axis; i++) before *= dims.sizes[i];
    for (int i = axis + 1; i < dims.rank; i++) behind *= dims.sizes[i];
    float *out = data;
    for (int64_t at = 0; at < to; at++) {
        const float *row = (const float *)weights->data + at * from;
        int64_t first = 0, last = from;
        while (first < last && row[first] == 0) first++;
        while (first < last && row[last - 1] == 0) last--;
        if (pf_onnx_fold_work(fold, before * behind, last - first)) return NULL;
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < behind; i++) {
                double sum = 0;
                for (int64_t k = first; k < last; k++)
                    if (row[k] != 0)
                        sum +=
                            (double)row[k] * pf_onnx_tensor_real(in, (b * from + k) * behind + i);
                out[(b * to + at) * behind + i] = (float)sum;
            }
    }
    return made;
}

int pf_onnx_fold_resize(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    PfOnnxResize resize;
    if (pf_onnx_resized(fold->model, fold->step, &in->dims, &resize, fold->err)) return -1;
    const PfOnnxTensor *made = in;
    for (int axis = 0; axis < in->dims.rank && made; axis++)
        if (pf_onnx_resizes(&resize, &in->dims, axis))
            made = resize_axis(fold, made, &resize, axis);
    fold->made = made;
    return made ? 0 : -1;
}

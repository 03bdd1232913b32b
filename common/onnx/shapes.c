/* What steps that only arrange numbers otherwise do to shapes: see fold.h. */
#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/fold.h"

int pf_onnx_axis(const PfOnnxModel *model, const PfOnnxStep *step, int64_t axis, int rank, int *out,
                 PfError *err)
{
    *out = 0;
    if (axis < -rank || axis >= rank)
        return pf_onnx_fail(model, step, err, "expected an axis of %d, found %lld", rank,
                            (long long)axis);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return 0;
}

const PfOnnxTensor *pf_onnx_constant(const PfOnnxModel *model, const PfOnnxStep *step, int input)
{
    if (input >= step->input_count || step->inputs[input] < 0) return NULL;
    return model->values[step->inputs[input]].constant;
}

int pf_onnx_list(const PfOnnxModel *model, const PfOnnxStep *step, const char *name, int input,
                 int64_t *out, int *count, PfError *err)
{
    const PfOnnxSetting *setting = pf_onnx_setting(step, name);
    const PfOnnxTensor *tensor = pf_onnx_constant(model, step, input);
    const bool is_given = input >= 0 && input < step->input_count && step->inputs[input] >= 0;
    *count = -1;
    if (!setting && !is_given) return 0;
    if (!setting && !tensor)
        return pf_onnx_fail(model, step, err,
                            "expected %s that the file or the input's shape say, found '%.200s', "
                            "which depends on the image",
                            name, pf_onnx_value_name(model, step->inputs[input]));
    const int64_t found = setting ? setting->count : pf_onnx_count(&tensor->dims);
    if (found > PF_ONNX_MAX_RANK || (tensor && !setting && !pf_onnx_tensor_is_whole(tensor)))
        return pf_onnx_fail(model, step, err, "expected at most %d integers as %s, found %lld",
                            PF_ONNX_MAX_RANK, name, (long long)found);
    for (int i = 0; i < found; i++)
        out[i] = setting ? setting->wholes[i] : pf_onnx_tensor_whole(tensor, i);
    *count = (int)found;
    return 0;
}

int pf_onnx_broadcast(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *a,
                      const PfOnnxDims *b, PfOnnxDims *out, PfError *err)
{
    char left[PF_SHAPE_TEXT_SIZE], right[PF_SHAPE_TEXT_SIZE];
    int64_t count = 1;
    *out = (PfOnnxDims){.rank = (int)pf_max(a->rank, b->rank)};
    for (int i = 1; i <= out->rank; i++) {
        const int64_t m = i <= a->rank ? a->sizes[a->rank - i] : 1;
        const int64_t n = i <= b->rank ? b->sizes[b->rank - i] : 1;
        if (m != n && m != 1 && n != 1)
            return pf_onnx_fail(model, step, err, "expected shapes that fit, found %s and %s",
                                pf_onnx_dims_text(a, left), pf_onnx_dims_text(b, right));
        const int64_t size = m == 1 ? n : m;
        if (size < 0 || size > PF_ONNX_MAX_COUNT / pf_max(1, count))
            return pf_onnx_fail(model, step, err,
                                "expected shapes of at most %lld numbers, found %s and %s",
                                (long long)PF_ONNX_MAX_COUNT, pf_onnx_dims_text(a, left),
                                pf_onnx_dims_text(b, right));
        out->sizes[out->rank - i] = size;
        count *= size;
    }
    return 0;
}

static int fail_shape(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                      PfError *err)
{
    char text[PF_SHAPE_TEXT_SIZE];
    return pf_onnx_fail(model, step, err,
                        "expected a shape that holds the numbers of its input %s, found another",
                        pf_onnx_dims_text(in, text));
}

static int reshape(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                   PfOnnxDims *out, PfError *err)
{
    const bool keeps_zeros = pf_onnx_whole(step, "allowzero", 0) != 0;
    int64_t known = 1, total = pf_onnx_count(in);
    int open = -1;
    if (pf_onnx_list(model, step, "shape", 1, out->sizes, &out->rank, err)) return -1;
    if (out->rank < 0) return fail_shape(model, step, in, err);
    for (int i = 0; i < out->rank; i++) {
        int64_t *size = &out->sizes[i];
        if (!*size && !keeps_zeros && i < in->rank) *size = in->sizes[i];
        if (*size == -1 && open < 0) {
            open = i;
            continue;
        }
        if (*size < 1 || *size > total / known) return fail_shape(model, step, in, err);
        known *= *size;
    }
    if (open >= 0) out->sizes[open] = total / known;
    if (total % known || (open < 0 && known != total)) return fail_shape(model, step, in, err);
    return 0;
}

static int flatten(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                   PfOnnxDims *out, PfError *err)
{
    int64_t axis = pf_onnx_whole(step, "axis", 1);
    if (axis < 0) axis += in->rank;
    if (axis < 0 || axis > in->rank) return fail_shape(model, step, in, err);
    *out = (PfOnnxDims){2, {1, 1}};
    for (int i = 0; i < in->rank; i++) out->sizes[i >= axis] *= in->sizes[i];
    return 0;
}

static int squeeze(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                   PfOnnxDims *out, PfError *err)
{
    int64_t axes[PF_ONNX_MAX_RANK];
    bool goes[PF_ONNX_MAX_RANK] = {false};
    int count;
    if (pf_onnx_list(model, step, "axes", 1, axes, &count, err)) return -1;
    for (int i = 0; i < in->rank && count < 0; i++) goes[i] = in->sizes[i] == 1;
    for (int i = 0; i < count; i++) {
        int axis;
        if (pf_onnx_axis(model, step, axes[i], in->rank, &axis, err)) return -1;
        if (in->sizes[axis] != 1) return fail_shape(model, step, in, err);
        goes[axis] = true;
    }
    *out = (PfOnnxDims){0};
    for (int i = 0; i < in->rank; i++)
        if (!goes[i]) out->sizes[out->rank++] = in->sizes[i];
    return 0;
}

static int unsqueeze(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                     PfOnnxDims *out, PfError *err)
{
    int64_t axes[PF_ONNX_MAX_RANK];
    bool is_new[PF_ONNX_MAX_RANK] = {false};
    int count, from = 0;
    if (pf_onnx_list(model, step, "axes", 1, axes, &count, err)) return -1;
    if (count < 0 || count + in->rank > PF_ONNX_MAX_RANK) return fail_shape(model, step, in, err);
    *out = (PfOnnxDims){.rank = in->rank + count};
    for (int i = 0; i < count; i++) {
        int axis;
        if (pf_onnx_axis(model, step, axes[i], out->rank, &axis, err)) return -1;
        if (is_new[axis]) return fail_shape(model, step, in, err);
        is_new[axis] = true;
    }
    for (int i = 0; i < out->rank; i++) out->sizes[i] = is_new[i] ? 1 : in->sizes[from++];
    return 0;
}

static const struct {
    const char *type;
    int (*reshaped)(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                    PfOnnxDims *out, PfError *err);
} reshapes[] = {
    {"Reshape", reshape}, {"Flatten", flatten}, {"Squeeze", squeeze}, {"Unsqueeze", unsqueeze}};
#define RESHAPE_COUNT (sizeof reshapes / sizeof reshapes[0])

bool pf_onnx_is_reshape(const PfOnnxStep *step)
{
    for (size_t i = 0; i < RESHAPE_COUNT; i++)
        if (!strcmp(step->type, reshapes[i].type)) return true;
    return false;
}

int pf_onnx_reshaped(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                     PfOnnxDims *out, PfError *err)
{
    for (size_t i = 0; i < RESHAPE_COUNT; i++)
        if (!strcmp(step->type, reshapes[i].type))
            return reshapes[i].reshaped(model, step, in, out, err);
    return fail_shape(model, step, in, err);
}

int pf_onnx_transposed(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                       int axes[PF_ONNX_MAX_RANK], PfOnnxDims *out, PfError *err)
{
    const PfOnnxSetting *order = pf_onnx_setting(step, "perm");
    unsigned seen = 0;
    *out = (PfOnnxDims){.rank = in->rank};
    if (order && order->count != in->rank) return fail_shape(model, step, in, err);
    for (int i = 0; i < in->rank; i++) {
        const int64_t axis = order ? order->wholes[i] : in->rank - 1 - i;
        if (pf_onnx_axis(model, step, axis, in->rank, &axes[i], err)) return -1;
        seen |= 1u << axes[i];
        out->sizes[i] = in->sizes[axes[i]];
    }
    return seen == (1u << in->rank) - 1 ? 0 : fail_shape(model, step, in, err);
}

/* As ONNX and numpy cut: what lies outside is left out. Backwards from the last one where the step
 * is below 0. */
static int cut_axis(const PfOnnxModel *model, const PfOnnxStep *step, int64_t size, int64_t start,
                    int64_t end, PfOnnxCut *cut, PfError *err)
{
    if (!cut->step || cut->step > INT32_MAX || cut->step < -INT32_MAX)
        return pf_onnx_fail(model, step, err, "expected another step than %lld",
                            (long long)cut->step);
    const bool is_back = cut->step < 0;
    const int64_t first = is_back ? -1 : 0, last = is_back ? size - 1 : size;
    if (start < 0) start += size;
    if (end < 0) end += size;
    cut->start = pf_min(pf_max(start, first), last);
    end = pf_min(pf_max(end, first), last);
    const int64_t way = is_back ? cut->start - end : end - cut->start;
    const int64_t stride = is_back ? -cut->step : cut->step;
    cut->count = way > 0 ? (way + stride - 1) / stride : 0;
    return 0;
}

int pf_onnx_cuts(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                 PfOnnxCut cuts[PF_ONNX_MAX_RANK], int *count, PfError *err)
{
    int64_t starts[PF_ONNX_MAX_RANK], ends[PF_ONNX_MAX_RANK], axes[PF_ONNX_MAX_RANK],
        steps[PF_ONNX_MAX_RANK];
    int end_count, axis_count, step_count;
    if (pf_onnx_list(model, step, "starts", 1, starts, count, err) ||
        pf_onnx_list(model, step, "ends", 2, ends, &end_count, err) ||
        pf_onnx_list(model, step, "axes", 3, axes, &axis_count, err) ||
        pf_onnx_list(model, step, "steps", 4, steps, &step_count, err))
        return -1;
    if (*count < 0 || *count > in->rank || end_count != *count ||
        (axis_count >= 0 && axis_count != *count) || (step_count >= 0 && step_count != *count))
        return pf_onnx_fail(model, step, err, "expected starts and ends for its axes");
    for (int i = 0; i < *count; i++) {
        PfOnnxCut *cut = &cuts[i];
        if (pf_onnx_axis(model, step, axis_count < 0 ? i : axes[i], in->rank, &cut->axis, err))
            return -1;
        cut->step = step_count < 0 ? 1 : steps[i];
        if (cut_axis(model, step, in->sizes[cut->axis], starts[i], ends[i], cut, err)) return -1;
    }
    return 0;
}

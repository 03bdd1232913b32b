/* Constants, and the same numbers otherwise arranged: see folding.h. */
#include <math.h>
#include <string.h>

#include "common/onnx/folding.h"
#include "common/onnx/resize.h"

/* ---- constants ---- */

static int fold_constant(PfOnnxFold *fold)
{
    const PfOnnxStep *step = fold->step;
    const PfOnnxSetting *setting = step->setting_count == 1 ? &step->settings[0] : NULL;
    void *data;
    if (setting && setting->tensor) {
        fold->made = setting->tensor;
        return 0;
    }
    if (setting && !strcmp(setting->name, "value_int"))
        return pf_onnx_fold_list(fold, &setting->whole, 1, true);
    if (setting && !strcmp(setting->name, "value_ints"))
        return pf_onnx_fold_list(fold, setting->wholes, setting->count, false);
    const bool is_one = setting && !strcmp(setting->name, "value_float");
    if (!is_one && !(setting && !strcmp(setting->name, "value_floats")))
        return pf_onnx_fail(fold->model, step, fold->err, "expected numbers, found something else");
    PfOnnxDims dims = {is_one ? 0 : 1, {setting->real_count}};
    if (!pf_onnx_fold_make(fold, PF_DTYPE_F32, &dims, &data)) return -1;
    memcpy(data, is_one ? &setting->real : setting->reals,
           sizeof(float) * (size_t)pf_onnx_count(&dims));
    return 0;
}

static int fold_fill(PfOnnxFold *fold)
{
    const PfOnnxSetting *value = pf_onnx_setting(fold->step, "value");
    PfOnnxDims dims = {0};
    void *data;
    if (pf_onnx_list(fold->model, fold->step, "shape", 0, dims.sizes, &dims.rank, fold->err))
        return -1;
    const PfDtype dtype = value && value->tensor ? value->tensor->dtype : PF_DTYPE_F32;
    if (dims.rank < 0 || !pf_onnx_fold_make(fold, dtype, &dims, &data)) return -1;
    if (!value || !value->tensor || pf_onnx_count(&value->tensor->dims) != 1) return 0;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++) pf_onnx_copy_number(value->tensor, 0, data, i);
    return 0;
}

static int fold_range(PfOnnxFold *fold)
{
    void *data;
    double numbers[3];
    for (int i = 0; i < 3; i++) {
        if (!fold->inputs[i] || pf_onnx_count(&fold->inputs[i]->dims) != 1)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected three numbers");
        numbers[i] = pf_onnx_tensor_real(fold->inputs[i], 0);
    }
    const double count = ceil((numbers[1] - numbers[0]) / numbers[2]);
    const bool is_exact = fabs(numbers[0]) < 1e15 && fabs(numbers[1]) < 1e15;
    if (!(count >= 0 && count < 1e9) || !is_exact)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected a range that ends");
    const bool is_whole = pf_onnx_tensor_is_whole(fold->inputs[0]);
    PfOnnxDims dims = {1, {(int64_t)count}};
    if (!pf_onnx_fold_make(fold, is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32, &dims, &data)) return -1;
    for (int64_t i = 0; i < dims.sizes[0]; i++) {
        const double number = numbers[0] + (double)i * numbers[2];
        if (is_whole)
            ((int64_t *)data)[i] = (int64_t)number;
        else
            ((float *)data)[i] = (float)number;
    }
    return 0;
}

/* ---- other arrangements ---- */

static int fold_same(PfOnnxFold *fold)
{
    return pf_onnx_fold_look(fold, &fold->inputs[0]->dims);
}

static int fold_reshape(PfOnnxFold *fold)
{
    PfOnnxDims dims;
    if (pf_onnx_reshaped(fold->model, fold->step, &fold->inputs[0]->dims, &dims, fold->err))
        return -1;
    return pf_onnx_fold_look(fold, &dims);
}

static int fold_transpose(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    int axes[PF_ONNX_MAX_RANK];
    PfOnnxDims dims;
    PfOnnxPlaces places = {{0}};
    void *data;
    if (pf_onnx_transposed(fold->model, fold->step, &in->dims, axes, &dims, fold->err) ||
        !pf_onnx_fold_make(fold, in->dtype, &dims, &data))
        return -1;
    int64_t strides[PF_ONNX_MAX_RANK], stride = 1;
    for (int i = in->dims.rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= in->dims.sizes[i];
    }
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, pf_onnx_advance(&dims, &places)) {
        int64_t from = 0;
        for (int axis = 0; axis < dims.rank; axis++) from += places.at[axis] * strides[axes[axis]];
        pf_onnx_copy_number(in, from, data, i);
    }
    return 0;
}

static int fold_gather(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0], *which = fold->inputs[1];
    int axis;
    void *data;
    if (!which || pf_onnx_axis(fold->model, fold->step, pf_onnx_whole(fold->step, "axis", 0),
                               in->dims.rank, &axis, fold->err))
        return -1;
    PfOnnxDims dims = {.rank = in->dims.rank - 1 + which->dims.rank};
    if (dims.rank > PF_ONNX_MAX_RANK)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected fewer axes");
    int64_t before = 1, behind = 1;
    const int64_t size = in->dims.sizes[axis], picked = pf_onnx_count(&which->dims);
    for (int i = 0; i < in->dims.rank; i++) {
        if (i < axis) before *= dims.sizes[i] = in->dims.sizes[i];
        if (i > axis) behind *= dims.sizes[i - 1 + which->dims.rank] = in->dims.sizes[i];
    }
    for (int i = 0; i < which->dims.rank; i++) dims.sizes[axis + i] = which->dims.sizes[i];
    if (!pf_onnx_fold_make(fold, in->dtype, &dims, &data)) return -1;
    for (int64_t k = 0; k < picked; k++) {
        int64_t at = pf_onnx_tensor_whole(which, k);
        if (at < 0) at += size;
        if (at < 0 || at >= size)
            return pf_onnx_fail(fold->model, fold->step, fold->err,
                                "expected an index below %lld, found %lld", (long long)size,
                                (long long)at);
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < behind; i++)
                pf_onnx_copy_number(in, (b * size + at) * behind + i, data,
                                    (b * picked + k) * behind + i);
    }
    return 0;
}

static int fold_slice(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    PfOnnxCut cuts[PF_ONNX_MAX_RANK];
    PfOnnxDims dims = in->dims;
    int count;
    int64_t starts[PF_ONNX_MAX_RANK] = {0}, steps[PF_ONNX_MAX_RANK];
    PfOnnxPlaces places = {{0}};
    void *data;
    for (int i = 0; i < PF_ONNX_MAX_RANK; i++) steps[i] = 1;
    if (pf_onnx_cuts(fold->model, fold->step, &in->dims, cuts, &count, fold->err)) return -1;
    for (int i = 0; i < count; i++) {
        dims.sizes[cuts[i].axis] = cuts[i].count;
        starts[cuts[i].axis] = cuts[i].start;
        steps[cuts[i].axis] = cuts[i].step;
    }
    if (!pf_onnx_fold_make(fold, in->dtype, &dims, &data)) return -1;
    const int64_t total = pf_onnx_count(&dims);
    for (int64_t i = 0; i < total; i++, pf_onnx_advance(&dims, &places)) {
        int64_t from = 0;
        for (int axis = 0; axis < dims.rank; axis++)
            from = from * in->dims.sizes[axis] + starts[axis] + places.at[axis] * steps[axis];
        pf_onnx_copy_number(in, from, data, i);
    }
    return 0;
}

static int fold_concat(PfOnnxFold *fold)
{
    int axis;
    void *data;
    if (pf_onnx_fold_alike(fold, 0, 1)) return -1;
    const PfOnnxTensor *first = fold->inputs[0];
    if (pf_onnx_axis(fold->model, fold->step, pf_onnx_whole(fold->step, "axis", 0),
                     first->dims.rank, &axis, fold->err))
        return -1;
    PfOnnxDims dims = first->dims;
    dims.sizes[axis] = 0;
    for (int k = 0; k < fold->step->input_count; k++) {
        const PfOnnxTensor *part = fold->inputs[k];
        bool fits = part && part->dtype == first->dtype && part->dims.rank == dims.rank;
        for (int i = 0; i < dims.rank && fits; i++)
            fits = i == axis || part->dims.sizes[i] == dims.sizes[i];
        if (!fits)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected parts that fit");
        dims.sizes[axis] += part->dims.sizes[axis];
    }
    if (!pf_onnx_fold_make(fold, first->dtype, &dims, &data)) return -1;
    int64_t before = 1, behind = 1, at = 0;
    for (int i = 0; i < axis; i++) before *= dims.sizes[i];
    for (int i = axis + 1; i < dims.rank; i++) behind *= dims.sizes[i];
    for (int k = 0; k < fold->step->input_count; k++) {
        const PfOnnxTensor *part = fold->inputs[k];
        const int64_t run = part->dims.sizes[axis] * behind;
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < run; i++)
                pf_onnx_copy_number(part, b * run + i, data,
                                    b * dims.sizes[axis] * behind + at + i);
        at += run;
    }
    return 0;
}

static int fold_expand(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    PfOnnxDims asked = {0}, dims;
    PfOnnxPlaces places = {{0}};
    void *data;
    if (pf_onnx_list(fold->model, fold->step, "shape", 1, asked.sizes, &asked.rank, fold->err))
        return -1;
    if (asked.rank < 0) asked.rank = 0;
    if (pf_onnx_broadcast(fold->model, fold->step, &in->dims, &asked, &dims, fold->err)) return -1;
    if (dims.rank == in->dims.rank && !memcmp(dims.sizes, in->dims.sizes, sizeof dims.sizes))
        return pf_onnx_fold_look(fold, &dims);
    if (!pf_onnx_fold_make(fold, in->dtype, &dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&dims);
    for (int64_t i = 0; i < count; i++, pf_onnx_advance(&dims, &places))
        pf_onnx_copy_number(in, pf_onnx_offset_in(&in->dims, &dims, &places), data, i);
    return 0;
}

static int fold_tile(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    int64_t repeats[PF_ONNX_MAX_RANK];
    PfOnnxDims dims = in->dims;
    PfOnnxPlaces places = {{0}};
    int count;
    void *data;
    if (pf_onnx_list(fold->model, fold->step, "repeats", 1, repeats, &count, fold->err)) return -1;
    bool fits = count == dims.rank;
    for (int i = 0; i < dims.rank && fits; i++) {
        fits = repeats[i] >= 1 && repeats[i] <= 1 << 20 && dims.sizes[i] <= INT64_MAX >> 21;
        if (fits) dims.sizes[i] *= repeats[i];
    }
    if (!fits) return pf_onnx_fail(fold->model, fold->step, fold->err, "expected repeats that fit");
    if (!pf_onnx_fold_make(fold, in->dtype, &dims, &data)) return -1;
    const int64_t total = pf_onnx_count(&dims);
    for (int64_t i = 0; i < total; i++, pf_onnx_advance(&dims, &places)) {
        int64_t from = 0;
        for (int axis = 0; axis < dims.rank; axis++)
            from = from * in->dims.sizes[axis] + places.at[axis] % in->dims.sizes[axis];
        pf_onnx_copy_number(in, from, data, i);
    }
    return 0;
}

/* What lies above or below a diagonal stays, the rest is 0. */
static int fold_triangle(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const bool is_upper = pf_onnx_whole(fold->step, "upper", 1) != 0;
    const int64_t diagonal = fold->inputs[1] && pf_onnx_count(&fold->inputs[1]->dims) == 1
                                 ? pf_onnx_tensor_whole(fold->inputs[1], 0)
                                 : 0;
    const int rank = in->dims.rank;
    void *data;
    if (rank < 2 || diagonal > INT32_MAX || diagonal < -INT32_MAX)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected matrices");
    if (!pf_onnx_fold_make(fold, in->dtype, &in->dims, &data)) return -1;
    const int64_t count = pf_onnx_count(&in->dims), columns = in->dims.sizes[rank - 1];
    for (int64_t i = 0; i < count; i++) {
        const int64_t row = i / columns % in->dims.sizes[rank - 2], above = i % columns - row;
        if (is_upper ? above >= diagonal : above <= diagonal) pf_onnx_copy_number(in, i, data, i);
    }
    return 0;
}

/* Where a list of indices points: an offset, of what lies behind. -1: it points past the end. */
static int64_t pointed(const PfOnnxTensor *in, const PfOnnxTensor *which, int64_t row, int depth)
{
    int64_t offset = 0;
    for (int k = 0; k < depth; k++) {
        int64_t at = pf_onnx_tensor_whole(which, row * depth + k);
        if (at < 0) at += in->dims.sizes[k];
        if (at < 0 || at >= in->dims.sizes[k]) return -1;
        offset = offset * in->dims.sizes[k] + at;
    }
    for (int k = depth; k < in->dims.rank; k++) offset *= in->dims.sizes[k];
    return offset;
}

static int fold_scatter(PfOnnxFold *fold)
{
    void *data;
    if (pf_onnx_fold_alike(fold, 0, 2)) return -1;
    const PfOnnxTensor *in = fold->inputs[0], *which = fold->inputs[1], *from = fold->inputs[2];
    if (!which || !from || strcmp(pf_onnx_text(fold->step, "reduction", "none"), "none")) return 0;
    const int rank = which->dims.rank;
    const int64_t depth = rank ? which->dims.sizes[rank - 1] : 0;
    bool fits = depth >= 1 && depth <= in->dims.rank && from->dtype == in->dtype;
    int64_t rows = 1, run = 1;
    for (int i = 0; i + 1 < rank; i++) rows *= which->dims.sizes[i];
    for (int i = (int)depth; i < in->dims.rank && fits; i++) run *= in->dims.sizes[i];
    fits = fits && run && rows <= INT64_MAX / run && rows * run == pf_onnx_count(&from->dims);
    if (!fits) return pf_onnx_fail(fold->model, fold->step, fold->err, "expected updates that fit");
    if (pf_onnx_fold_work(fold, rows, run) || !pf_onnx_fold_make(fold, in->dtype, &in->dims, &data))
        return -1;
    const int64_t count = pf_onnx_count(&in->dims);
    for (int64_t i = 0; i < count; i++) pf_onnx_copy_number(in, i, data, i);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t to = pointed(in, which, row, (int)depth);
        if (to < 0)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected indices that fit");
        for (int64_t i = 0; i < run; i++) pf_onnx_copy_number(from, row * run + i, data, to + i);
    }
    return 0;
}

static int fold_pointed(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0], *which = fold->inputs[1];
    PfOnnxDims dims = {0};
    void *data;
    if (!which || pf_onnx_whole(fold->step, "batch_dims", 0)) return 0;
    const int rank = which->dims.rank;
    const int64_t depth = rank ? which->dims.sizes[rank - 1] : 0;
    if (depth < 1 || depth > in->dims.rank || rank - 1 + in->dims.rank - depth > PF_ONNX_MAX_RANK)
        return pf_onnx_fail(fold->model, fold->step, fold->err, "expected indices that fit");
    int64_t rows = 1, run = 1;
    for (int i = 0; i + 1 < rank; i++) rows *= dims.sizes[dims.rank++] = which->dims.sizes[i];
    for (int i = (int)depth; i < in->dims.rank; i++)
        run *= dims.sizes[dims.rank++] = in->dims.sizes[i];
    if (!pf_onnx_fold_make(fold, in->dtype, &dims, &data)) return -1;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t from = pointed(in, which, row, (int)depth);
        if (from < 0)
            return pf_onnx_fail(fold->model, fold->step, fold->err, "expected indices that fit");
        for (int64_t i = 0; i < run; i++) pf_onnx_copy_number(in, from + i, data, row * run + i);
    }
    return 0;
}

/* Every output becomes a constant. Sizes: said, or equal ones. */
static int fold_split(PfOnnxFold *fold)
{
    const PfOnnxTensor *in = fold->inputs[0];
    const PfOnnxStep *step = fold->step;
    const PfOnnxSetting *setting = pf_onnx_setting(step, "split");
    const PfOnnxTensor *given = fold->inputs[1];
    const int outputs = step->output_count;
    int axis;
    int64_t before = 1, behind = 1, start = 0;
    const int64_t said = setting ? setting->count : given ? pf_onnx_count(&given->dims) : outputs;
    if (pf_onnx_axis(fold->model, step, pf_onnx_whole(step, "axis", 0), in->dims.rank, &axis,
                     fold->err))
        return -1;
    if (said != outputs || !outputs)
        return pf_onnx_fail(fold->model, step, fold->err, "expected a size for each output");
    for (int i = 0; i < axis; i++) before *= in->dims.sizes[i];
    for (int i = axis + 1; i < in->dims.rank; i++) behind *= in->dims.sizes[i];
    const int64_t size = in->dims.sizes[axis], equal = (size + outputs - 1) / outputs;
    for (int k = 0; k < outputs; k++) {
        const int64_t left = size - start;
        const int64_t part = setting        ? setting->wholes[k]
                             : given        ? pf_onnx_tensor_whole(given, k)
                             : equal < left ? equal
                                            : left;
        PfOnnxDims dims = in->dims;
        void *data;
        dims.sizes[axis] = part;
        if (part < 1 || part > left)
            return pf_onnx_fail(fold->model, step, fold->err, "expected parts of %lld",
                                (long long)size);
        PfOnnxTensor *made =
            pf_onnx_tensor_new(fold->model, step, in->dtype, &dims, &data, fold->err);
        if (!made) return -1;
        for (int64_t b = 0; b < before; b++)
            for (int64_t i = 0; i < part * behind; i++)
                pf_onnx_copy_number(in, (b * size + start) * behind + i, data,
                                    b * part * behind + i);
        if (!k)
            fold->made = made;
        else if (step->outputs[k] >= 0)
            fold->model->values[step->outputs[k]].constant = made;
        start += part;
    }
    return 0;
}

const PfOnnxFoldRow pf_onnx_array_folds[] = {
    {"Constant", 0, fold_constant},     {"ConstantOfShape", 1, fold_fill},
    {"Range", 3, fold_range},           {"Identity", 1, fold_same},
    {"Reshape", 2, fold_reshape},       {"Flatten", 1, fold_reshape},
    {"Squeeze", 1, fold_reshape},       {"Unsqueeze", 1, fold_reshape},
    {"Transpose", 1, fold_transpose},   {"Gather", 2, fold_gather},
    {"Slice", 1, fold_slice},           {"Concat", 1, fold_concat},
    {"Expand", 2, fold_expand},         {"Tile", 2, fold_tile},
    {"Trilu", 1, fold_triangle},        {"ScatterND", 3, fold_scatter},
    {"GatherND", 2, fold_pointed},      {"Split", 1, fold_split},
    {"Resize", 1, pf_onnx_fold_resize}, {.type = NULL},
};

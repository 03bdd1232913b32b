#include "common/onnx/fold.h"

#include <string.h>

#include "common/base/integers.h"
#include "common/onnx/folding.h"

PfOnnxTensor *pf_onnx_fold_make(PfOnnxFold *fold, PfDtype dtype, const PfOnnxDims *dims,
                                void **data)
{
    PfOnnxTensor *tensor =
        pf_onnx_tensor_new(fold->model, fold->step, dtype, dims, data, fold->err);
    fold->made = tensor;
    return tensor;
}

int pf_onnx_fold_look(PfOnnxFold *fold, const PfOnnxDims *dims)
{
    PfOnnxTensor *tensor = pf_arena_allocate(&fold->model->arena, sizeof *tensor, 16, fold->err);
    if (!tensor) return -1;
    *tensor = *fold->inputs[0];
    tensor->dims = *dims;
    fold->made = tensor;
    return 0;
}

int pf_onnx_fold_list(PfOnnxFold *fold, const int64_t *numbers, int count, bool is_scalar)
{
    void *data;
    PfOnnxDims dims = {is_scalar ? 0 : 1, {count}};
    if (!pf_onnx_fold_make(fold, PF_DTYPE_I64, &dims, &data)) return -1;
    memcpy(data, numbers, (size_t)count * sizeof *numbers);
    return 0;
}

/* A copy of integers as I64, or of others as F32. */
static const PfOnnxTensor *widened(PfOnnxFold *fold, const PfOnnxTensor *in)
{
    const bool is_whole = pf_onnx_tensor_is_whole(in);
    const PfDtype dtype = is_whole ? PF_DTYPE_I64 : PF_DTYPE_F32;
    const int64_t count = pf_onnx_count(&in->dims);
    void *data;
    if (in->dtype == dtype) return in;
    PfOnnxTensor *made =
        pf_onnx_tensor_new(fold->model, fold->step, dtype, &in->dims, &data, fold->err);
    for (int64_t i = 0; made && i < count; i++)
        if (is_whole)
            ((int64_t *)data)[i] = pf_onnx_tensor_whole(in, i);
        else
            ((float *)data)[i] = (float)pf_onnx_tensor_real(in, i);
    return made;
}

int pf_onnx_fold_alike(PfOnnxFold *fold, int first, int stride)
{
    const PfOnnxTensor *one = fold->inputs[first];
    bool differ = false;
    for (int i = first; i < fold->step->input_count; i += stride) {
        const PfOnnxTensor *other = fold->inputs[i];
        if (!one || !other || pf_onnx_tensor_is_whole(one) != pf_onnx_tensor_is_whole(other))
            return 0;
        differ |= one->dtype != other->dtype;
    }
    for (int i = first; differ && i < fold->step->input_count; i += stride)
        if (!(fold->inputs[i] = widened(fold, fold->inputs[i]))) return -1;
    return 0;
}

int pf_onnx_fold_work(PfOnnxFold *fold, int64_t times, int64_t numbers)
{
    if (pf_onnx_take_work(fold->model, times, numbers)) return 0;
    return pf_onnx_fail(fold->model, fold->step, fold->err,
                        "expected less work on constants, in proportion to the file's size");
}

static int keep(PfOnnxModel *model, PfOnnxStep *step, const PfOnnxTensor *made)
{
    if (!made || step->output_count < 1 || step->outputs[0] < 0) return 0;
    model->values[step->outputs[0]].constant = made;
    step->is_gone = true;
    return 0;
}

/* Sizes of a value that the image has to be known for. */
static int fold_shape(PfOnnxFold *fold, PfOnnxStep *step)
{
    const PfOnnxModel *model = fold->model;
    if (step->input_count != 1 || step->inputs[0] < 0) return 0;
    const PfOnnxValue *value = &model->values[step->inputs[0]];
    if (!value->is_made && !value->constant) return 0;
    const PfOnnxDims *dims = value->constant ? &value->constant->dims : &value->dims;
    int64_t start = pf_onnx_whole(step, "start", 0), end = pf_onnx_whole(step, "end", dims->rank);
    const int64_t count = pf_onnx_count(dims);
    if (!strcmp(step->type, "Size")) return pf_onnx_fold_list(fold, &count, 1, true);
    start = pf_max(0, pf_min(start < 0 ? start + dims->rank : start, dims->rank));
    end = pf_max(start, pf_min(end < 0 ? end + dims->rank : end, dims->rank));
    return pf_onnx_fold_list(fold, dims->sizes + start, (int)(end - start), false);
}

static const PfOnnxFoldRow *find_row(const char *type)
{
    const PfOnnxFoldRow *const tables[] = {pf_onnx_array_folds, pf_onnx_number_folds};
    for (int t = 0; t < 2; t++)
        for (const PfOnnxFoldRow *row = tables[t]; row->type; row++)
            if (!strcmp(row->type, type)) return row;
    return NULL;
}

bool pf_onnx_knows_fold(const char *type)
{
    return !strcmp(type, "Shape") || !strcmp(type, "Size") || find_row(type);
}

int pf_onnx_fold(PfOnnxModel *model, PfOnnxStep *step, PfError *err)
{
    PfOnnxFold fold = {.model = model, .step = step, .err = err};
    if (*step->domain || step->input_count > PF_ONNX_MAX_FOLD_INPUTS) return 0;
    if (!strcmp(step->type, "Shape") || !strcmp(step->type, "Size"))
        return fold_shape(&fold, step) ? -1 : keep(model, step, fold.made);
    const PfOnnxFoldRow *row = find_row(step->type);
    if (!row || step->input_count < row->least_inputs || (row->least_inputs && step->inputs[0] < 0))
        return 0;
    for (int i = 0; i < step->input_count; i++) {
        fold.inputs[i] = pf_onnx_constant(model, step, i);
        if (step->inputs[i] >= 0 && !fold.inputs[i]) return 0;
    }
    return row->fold(&fold) ? -1 : keep(model, step, fold.made);
}

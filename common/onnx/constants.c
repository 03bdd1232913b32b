#include "common/onnx/constants.h"

#include <math.h>
#include <string.h>

#include "common/base/integers.h"

bool pf_onnx_tensor_is_whole(const PfOnnxTensor *tensor)
{
    switch (tensor->dtype) {
    case PF_DTYPE_F32:
    case PF_DTYPE_F16:
    case PF_DTYPE_BF16:
    case PF_DTYPE_F64: return false;
    default: return true;
    }
}

int64_t pf_onnx_tensor_whole(const PfOnnxTensor *tensor, int64_t index)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint8_t *at = (const uint8_t *)tensor->data + (size_t)index * width;
    const uint64_t bits = pf_little_endian(at, width);
    if (!pf_onnx_tensor_is_whole(tensor)) {
        const double real = pf_onnx_tensor_real(tensor, index);
        return fabs(real) < 9e18 ? (int64_t)real : 0;
    }
    if (tensor->dtype == PF_DTYPE_U8 || tensor->dtype == PF_DTYPE_BOOL || width == 8)
        return (int64_t)bits;
    const uint64_t sign = (uint64_t)1 << (8 * width - 1);
    return (int64_t)((bits ^ sign) - sign);
}

double pf_onnx_tensor_real(const PfOnnxTensor *tensor, int64_t index)
{
    const size_t width = pf_dtype_size(tensor->dtype);
    const uint8_t *at = (const uint8_t *)tensor->data + (size_t)index * width;
    double number;
    float narrow;
    if (pf_onnx_tensor_is_whole(tensor)) return (double)pf_onnx_tensor_whole(tensor, index);
    if (tensor->dtype == PF_DTYPE_F64) {
        memcpy(&number, at, sizeof number);
        return number;
    }
    uint64_t aligned = pf_little_endian(at, width);
    pf_f32_from_dtype_array(&narrow, &aligned, tensor->dtype, 1);
    return (double)narrow;
}

PfOnnxTensor *pf_onnx_tensor_new(PfOnnxModel *model, const PfOnnxStep *step, PfDtype dtype,
                                 const PfOnnxDims *dims, void **data, PfError *err)
{
    size_t count = 1;
    bool fits = dims->rank <= PF_ONNX_MAX_RANK;
    for (int i = 0; i < dims->rank && fits; i++) {
        const int64_t size = dims->sizes[i];
        fits = size >= 0 && (size || dims->rank == 1) &&
               (!size || (uint64_t)size <= model->budget / count);
        count *= (size_t)size;
    }
    if (!fits || count > model->budget) {
        pf_onnx_fail(model, step, err, "expected constants no larger than the file's own");
        return NULL;
    }
    model->budget -= count;
    PfOnnxTensor *tensor = pf_arena_allocate(&model->arena, sizeof *tensor, 16, err);
    const size_t bytes = count * pf_dtype_size(dtype) + 8;
    void *room = tensor ? pf_arena_allocate(&model->arena, bytes, 64, err) : NULL;
    if (!room) return NULL;
    memset(room, 0, bytes);
    *tensor = (PfOnnxTensor){dtype, *dims, room};
    *data = room;
    return tensor;
}

bool pf_onnx_take_work(PfOnnxModel *model, int64_t times, int64_t numbers)
{
    int64_t work;
    if (__builtin_mul_overflow(times, numbers, &work) || (uint64_t)work / 8 > model->budget)
        return false;
    model->budget -= (size_t)work / 8;
    return true;
}

/* ---- places ---- */

void pf_onnx_advance(const PfOnnxDims *dims, PfOnnxPlaces *places)
{
    for (int axis = dims->rank - 1; axis >= 0; axis--) {
        if (++places->at[axis] < dims->sizes[axis]) return;
        places->at[axis] = 0;
    }
}

int64_t pf_onnx_offset_in(const PfOnnxDims *dims, const PfOnnxDims *whole,
                          const PfOnnxPlaces *places)
{
    int64_t offset = 0;
    for (int axis = 0; axis < dims->rank; axis++) {
        const int64_t at = places->at[axis + whole->rank - dims->rank];
        offset = offset * dims->sizes[axis] + (dims->sizes[axis] == 1 ? 0 : at);
    }
    return offset;
}

void pf_onnx_copy_number(const PfOnnxTensor *from, int64_t index, void *to, int64_t at)
{
    const size_t width = pf_dtype_size(from->dtype);
    memcpy((uint8_t *)to + (size_t)at * width, (const uint8_t *)from->data + (size_t)index * width,
           width);
}

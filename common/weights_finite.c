/* Are all numbers of a weight file finite? */
#include <math.h>

#include "weights.h"

#define BLOCK 4096 /* numbers that are looked at before the first bad one is searched */

/* A number is not finite where all bits of its exponent are set. The loops over blocks have no
 * exit, so that they become vector code. */
#define DEFINE_COUNT(name, type, exponent)                                                         \
    static int name(const uint8_t *bytes, size_t count)                                            \
    {                                                                                              \
        int bad = 0;                                                                               \
        for (size_t i = 0; i < count; i++) {                                                       \
            type bits;                                                                             \
            __builtin_memcpy(&bits, bytes + i * sizeof bits, sizeof bits);                         \
            bad += (bits & (type)(exponent)) == (type)(exponent);                                  \
        }                                                                                          \
        return bad;                                                                                \
    }

DEFINE_COUNT(count_bad_f32, uint32_t, 0x7f800000u)
DEFINE_COUNT(count_bad_f16, uint16_t, 0x7c00u)
DEFINE_COUNT(count_bad_bf16, uint16_t, 0x7f80u)
DEFINE_COUNT(count_bad_f64, uint64_t, 0x7ff0000000000000u)

static int count_bad(PfDtype dtype, const uint8_t *bytes, size_t count)
{
    switch (dtype) {
    case PF_DTYPE_F32: return count_bad_f32(bytes, count);
    case PF_DTYPE_F16: return count_bad_f16(bytes, count);
    case PF_DTYPE_BF16: return count_bad_bf16(bytes, count);
    case PF_DTYPE_F64: return count_bad_f64(bytes, count);
    default: return 0;
    }
}

size_t pf_find_not_finite(const PfTensorView *view)
{
    size_t count = (size_t)pf_shape_count(&view->shape), size = pf_dtype_size(view->dtype);
    const uint8_t *bytes = view->data;
    for (size_t first = 0; first < count; first += BLOCK) {
        size_t length = count - first < BLOCK ? count - first : BLOCK;
        if (!count_bad(view->dtype, bytes + first * size, length)) continue;
        while (!count_bad(view->dtype, bytes + first * size, 1)) first++;
        return first;
    }
    return count;
}

int pf_weights_check_finite(const PfWeights *weights, const char *what, PfError *err)
{
    size_t tensor_count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &tensor_count);
    for (size_t i = 0; i < tensor_count; i++) {
        const PfTensorView *view = &tensors[i].view;
        size_t count = (size_t)pf_shape_count(&view->shape), at = pf_find_not_finite(view);
        if (at == count) continue;
        float value;
        pf_f32_from_dtype_array(
            &value, (const uint8_t *)view->data + at * pf_dtype_size(view->dtype), view->dtype, 1);
        return pf_fail(err, PF_EXIT_FAILED,
                       "%s '%s': tensor '%.200s' holds %s (number %zu of %zu); all must be finite. "
                       "Hint: the training diverged, or the file was damaged",
                       what, pf_weights_source(weights), tensors[i].name,
                       isnan(value) ? "nan" : "an infinite number", at + 1, count);
    }
    return 0;
}

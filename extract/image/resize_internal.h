/* One output row of one pass: the inner loops of resize.c. */
#ifndef PF_EXTRACT_IMAGE_RESIZE_INTERNAL_H
#define PF_EXTRACT_IMAGE_RESIZE_INTERNAL_H

#include "extract/image/resize.h"

#define PF_RESIZE_BITS 22 /* fractional bits of a coefficient */

/* PfResizeAxis.split: (count, ceil(taps / 4), 8). Each group holds four taps as
 * low15[4], high[4]: coefficient = high * 2^15 + low15. Both fit the 16 bits that
 * a multiply-add of pairs takes, and the two sums recombine without loss. */
#define PF_RESIZE_SPLIT_BITS 15

typedef struct PfResizeKernels {
    /* horizontal() wants axis->taps to be a multiple of this; where a row is too
     * short for that, the plain kernel steps in. */
    int tap_multiple;
    /* out: (axis->count, 3) from in: (width, 3). A SIMD kernel may read up to 4
     * bytes after the row: it is not given an image's last one. */
    void (*horizontal)(const PfResizeAxis *axis, const uint8_t *in, uint8_t *out);
    /* Output row `index` of the axis. in: the input row first[index]. */
    void (*vertical)(const PfResizeAxis *axis, int index, const uint8_t *in, size_t in_stride,
                     uint8_t *out, size_t bytes);
} PfResizeKernels;

extern const PfResizeKernels pf_resize_kernels_plain;
/* NULL where the processor has no AVX2. */
const PfResizeKernels *pf_resize_kernels_avx2(void);

static inline uint8_t pf_resize_round(int32_t sum)
{
    int32_t value = (sum + (1 << (PF_RESIZE_BITS - 1))) >> PF_RESIZE_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

#endif

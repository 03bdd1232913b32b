/* Antialiased resizing, equal to PIL's Image.resize for 8-bit RGB.
 *
 * The arithmetic is that of Pillow's src/libImaging/Resample.c: a separable
 * filter whose support grows with the reduction, coefficients rounded to 22
 * fractional bits, the first pass rounded to uint8, a pass left out where its size
 * does not change. Up to Pillow 12 the horizontal pass comes first. Since Pillow 13 the
 * vertical one does where the height shrinks by more than twice as much as the width:
 * out_height < in_height and in_height - out_height > 2 * (in_width - out_width), whatever the
 * box. */
#ifndef PF_EXTRACT_IMAGE_RESIZE_H
#define PF_EXTRACT_IMAGE_RESIZE_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"

/* A part of the resized image. */
typedef struct PfRect {
    int x, y, width, height;
} PfRect;

/* A part of an image whose edges lie between pixels. */
typedef struct PfBox {
    double x, y, width, height;
} PfBox;

/* What to resize, and to what. */
typedef struct PfResize {
    const uint8_t *in; /* (in_height, in_width, 3) */
    size_t in_stride;  /* bytes from row to row, of a part of an image; 0: 3 * in_width */
    int in_width, in_height;
    PfBox box; /* what of it becomes the whole result, PIL's `box`; width 0: all of it */
    int out_width, out_height; /* of the whole result */
    PfInterpolation interpolation;
    PfResizeOrder order;
    PfRect kept; /* the part of the result that is computed: inside it, not empty */
} PfResize;

/* The filter of one axis: output i is the sum of `taps` inputs from first[i] on,
 * each times its coefficient. */
typedef struct PfResizeAxis {
    int count, taps;
    int *first;            /* (count), not descending */
    int32_t *coefficients; /* (count, taps), 22 fractional bits; 0 where a window is shorter */
    int16_t *split;        /* the same for SIMD, see resize_internal.h */
    size_t first_capacity, coefficients_capacity, split_capacity;
} PfResizeAxis;

/* Buffers kept from one image to the next. Starts as {0}; one per thread. */
typedef struct PfResizeScratch {
    PfResizeAxis horizontal, vertical;
    uint8_t *rows; /* what the first pass hands to the second */
    size_t rows_capacity;
} PfResizeScratch;

/* Writes the kept part's rows, 3 * kept.width bytes each, to out, out_stride
 * bytes apart; no byte between them is touched. Fails only for lack of memory. */
int pf_resize(const PfResize *resize, uint8_t *out, size_t out_stride, PfResizeScratch *scratch,
              PfError *err);

/* The same in plain C whatever the processor: the twin that tests compare with. */
int pf_resize_plain(const PfResize *resize, uint8_t *out, size_t out_stride,
                    PfResizeScratch *scratch, PfError *err);

/* Frees the buffers; the scratch is {0} again. */
void pf_resize_scratch_free(PfResizeScratch *scratch);

#endif

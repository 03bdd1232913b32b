/* Convolutions of 3 x 3 by Winograd's minimal filtering, F(4 x 4, 3 x 3): 36
 * multiplications where the definition takes 144. A. Lavin, S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016. Stride 1, dilation 1,
 * one group, float32; maps with channels last.
 *
 * Every output is the same to the last bit whatever the batch, the number of
 * threads and the processor's instruction set: sums have one order. Against the
 * definition it errs by 1e-6 (64 channels) to 2e-6 (512) of the largest output, on
 * random numbers, where a plain sum in float32 errs by 3e-7. */
#ifndef PF_WINOGRAD_H
#define PF_WINOGRAD_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfWinograd PfWinograd;

typedef struct PfWinogradConfig {
    int64_t in_channels, out_channels; /* multiples of 16 */
    int padding;                       /* zeros around the map: 0, 1 or 2 */
    /* Element (k, c, y, x) at weight[k * strides[0] + c * strides[1] + y * strides[2] +
     * x * strides[3]]; only read by pf_winograd_new. */
    const float *weight;
    int64_t strides[4];
    const float *bias; /* (out_channels); NULL: zeros */
    int relu;          /* negative outputs become zero */
} PfWinogradConfig;

/* One batch of maps. */
typedef struct PfWinogradMaps {
    int64_t count, height, width; /* of x */
    const float *x;               /* (count, height, width, in_channels) */
    const float *sum;             /* like y, added before the ReLU; NULL: nothing */
    float *y; /* (count, height + 2 padding - 2, width + 2 padding - 2, out_channels) */
} PfWinogradMaps;

/* Whether this processor has instructions with which this is faster than a direct
 * convolution. Without, all works, slowly. */
int pf_winograd_is_fast(void);

int pf_winograd_new(const PfWinogradConfig *config, PfWinograd **out, PfError *err);
void pf_winograd_free(PfWinograd **winograd);

/* A batch is computed in so many pieces, each on any thread. */
int64_t pf_winograd_pieces(const PfWinograd *winograd, const PfWinogradMaps *maps);
/* Bytes that each running piece needs, 64-byte aligned. */
size_t pf_winograd_scratch(const PfWinograd *winograd);
void pf_winograd_run(const PfWinograd *winograd, const PfWinogradMaps *maps, int64_t piece,
                     void *scratch);

#ifdef __cplusplus
}
#endif

#endif

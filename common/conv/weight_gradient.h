/* What a loss changes by where a convolution's weights change: for every weight the sum, over the
 * pixels of y, of the pixel of x that it met times the loss's gradient by y. float32, one group,
 * maps with channels last.
 *
 * Sums have one order, which shapes decide: the same bits whatever the number of threads and the
 * processor's instruction set. */
#ifndef PF_COMMON_CONV_WEIGHT_GRADIENT_H
#define PF_COMMON_CONV_WEIGHT_GRADIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conv/convolution.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfWeightGradient {
    const PfConvolutionConfig *config; /* without what is of weights, bias and activation */
    int64_t count, height, width;      /* of x */
    const float *x;                    /* (count, height, width, in_channels) */
    const float *gradient;             /* by y: (count, height of y, width of y, out_channels) */
    /* (pf_weight_gradient_parts, out_channels, kernel, kernel, in_channels): of each part of the
     * batch by itself; the sum of all is what was asked for */
    float *sums;
} PfWeightGradient;

/* Whether it is computed here: channels are multiples of 16, the kernel is not large. */
bool pf_weight_gradient_suits(const PfConvolutionConfig *config);

int64_t pf_weight_gradient_parts(const PfWeightGradient *work);
/* It is computed in so many pieces, each on any thread. */
int64_t pf_weight_gradient_pieces(const PfWeightGradient *work);
/* Bytes that each running piece needs, 64-byte aligned. */
size_t pf_weight_gradient_scratch(const PfWeightGradient *work);
void pf_weight_gradient_run(const PfWeightGradient *work, int64_t piece, void *scratch);

#ifdef __cplusplus
}
#endif

#endif

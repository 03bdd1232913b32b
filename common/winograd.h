/* Convolutions of 3 x 3 by Winograd's minimal filtering, F(4 x 4, 3 x 3): 36
 * multiplications where the definition takes 144. A. Lavin, S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016. Stride 1, dilation 1.
 *
 * Against the definition it errs by 1e-6 (64 channels) to 2e-6 (512) of the largest
 * output, on random numbers, where a plain sum in float32 errs by 3e-7. */
#ifndef PF_WINOGRAD_H
#define PF_WINOGRAD_H

#include "packed_convolution.h"

/* Whether it can compute the convolution, and faster than the definition. */
int pf_winograd_suits(const PfConvolutionConfig *config);

extern const PfConvolutionWay pf_winograd;

#endif

/* Convolutions of 3 x 3 by Winograd's minimal filtering, F(4 x 4, 3 x 3): 36
 * multiplications where the definition takes 144. A. Lavin, S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016. Stride 1, dilation 1.
 *
 * Against the definition it errs by 1e-6 (64 channels) to 2e-6 (512) of the largest
 * output, on random numbers, where a plain sum in float32 errs by 3e-7. */
#ifndef PF_WINOGRAD_H
#define PF_WINOGRAD_H

#include <stddef.h>

#include "convolution_config.h"
#include "permafrost/error.h"

typedef struct PfWinograd PfWinograd;

/* Whether it can compute the convolution, and faster than the definition. */
int pf_winograd_suits(const PfConvolutionConfig *config);

/* Of what it can compute: 3 x 3, stride and dilation 1. */
int pf_winograd_new(const PfConvolutionConfig *config, PfWinograd **out, PfError *err);
void pf_winograd_free(PfWinograd **winograd);

/* As in convolution.h. */
int64_t pf_winograd_pieces(const PfWinograd *winograd, const PfConvolutionMaps *maps);
size_t pf_winograd_scratch(const PfWinograd *winograd);
void pf_winograd_run(const PfWinograd *winograd, const PfConvolutionMaps *maps, int64_t piece,
                     void *scratch);

#endif

/* Convolutions of convolution.h by their definition: matrix products whose rows are
 * the pixels that each weight meets, found by address and never copied (M. Dukhan,
 * "The Indirect Convolution Algorithm", 2019). */
#ifndef PF_DIRECT_CONVOLUTION_H
#define PF_DIRECT_CONVOLUTION_H

#include "packed_convolution.h"

extern const PfConvolutionWay pf_direct_convolution;

#endif

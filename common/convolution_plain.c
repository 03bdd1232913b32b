/* The definition of convolution_kernels.h's loops, for any processor. */
#include "lanes_plain.h"

#define PRODUCT_ROWS 4
#define PRODUCT_VECTORS 1
enum { PRODUCT_UNROLL = 1 };
#include "max_lanes.h"
#include "product_lanes.h"
#include "winograd_lanes.h"

const PfConvolutionKernels pf_convolution_plain = CONVOLUTION_TABLE("plain");

/* The definition of every kernel, for any processor. */
#include "common/simd/lanes_plain.h"

#define GEMM_ROWS 4
#define GEMM_VECTORS 1
enum { GEMM_UNROLL = 1 };
#include "train/kernels/kernels_lanes.h"

const PfKernels pf_kernels_plain = KERNEL_TABLE("plain");

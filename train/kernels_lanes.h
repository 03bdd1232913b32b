/* All kernels in the words of one instruction set: its lanes_*.h is included
 * before this, which leaves KERNEL_TABLE(name) for the table of them. */
#include <math.h>
#include <string.h>

#include "kernels.h"
#include "loss.h"
#include "optimizer_steps.h"

#include "gemm_lanes.h"

#include "math_lanes.h"

#include "loss_lanes.h"
#include "optimizer_lanes.h"

#define KERNEL_TABLE(NAME)                                                                         \
    {                                                                                              \
        .name = NAME, .gemm_rows = GEMM_ROWS, .gemm_vectors = GEMM_VECTORS,                        \
        .gemm_first_tile = gemm_first_tile, .gemm_tile = gemm_tile, .exp = exp_of, .log = log_of,  \
        .sigmoid = sigmoid_of, .gelu = gelu_of, .gelu_slope = gelu_slope_of,                       \
        .column_sums = column_sums, .column_square_sums = column_square_sums,                      \
        .softmax_largest = softmax_largest, .softmax_exp = softmax_exp,                            \
        .softmax_exp_block = softmax_exp_block, .pointwise = pointwise, .adam = adam, .sgd = sgd   \
    }

// bfloat16 on processors without instructions for it, or without fast ones: float32 arithmetic,
// rounded.
#ifndef PF_COMMON_TORCH_ROUNDING_H
#define PF_COMMON_TORCH_ROUNDING_H

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// The nearest values that bfloat16 has, ties to even, as float32.
at::Tensor round_to_bf16(const at::Tensor &tensor);

// Rounds the inputs of the graph and whatever its nodes compute. With rounded weights this is what
// bf16 instructions do, which sum in float32 too, but for the order of sums, and but for a residual
// sum inside a convolution, which is rounded once and not twice.
void round_results(torch::jit::Graph &graph);

} // namespace permafrost

#endif

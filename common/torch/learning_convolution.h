// Convolutions of a network that learns, by convolution.h and weight_gradient.h.
#ifndef PF_COMMON_TORCH_LEARNING_CONVOLUTION_H
#define PF_COMMON_TORCH_LEARNING_CONVOLUTION_H

#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// The graph's convolutions become an operator that computes them, and their gradients, in float32
// on processors: those of one group, more than 1 x 1, and channels that are multiples of 16. What
// it is given besides goes to libtorch's own.
void use_learning_convolutions(torch::jit::Graph &graph);

} // namespace permafrost

#endif

// Convolutions that are not computed: what a graph's values are sized like, in no time.
#ifndef PF_TORCH_CONVOLUTION_OUTLINE_H
#define PF_TORCH_CONVOLUTION_OUTLINE_H

#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// Puts a node in the place of a convolution whose result is zeros, of the right size and layout.
// arguments: weight, bias, stride, padding, dilation. The convolution is destroyed.
torch::jit::Node *outline_convolution(torch::jit::Graph &graph, torch::jit::Node *convolution,
                                      const torch::jit::Stack &arguments);

} // namespace permafrost

#endif

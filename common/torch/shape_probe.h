// Convolutions that are not computed: what a graph's values are sized like, in no time.
#ifndef PF_COMMON_TORCH_SHAPE_PROBE_H
#define PF_COMMON_TORCH_SHAPE_PROBE_H

#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// Puts a node in the place of a convolution whose result is zeros, of the right size and layout.
// arguments: weight, bias, stride, padding, dilation. The convolution is destroyed.
torch::jit::Node *probe_convolution(torch::jit::Graph &graph, torch::jit::Node *convolution,
                                    const torch::jit::Stack &arguments);

} // namespace permafrost

#endif

// Where a library's convolution may take in the ReLU behind it. Those of oneDNN and cuDNN make 0 of
// NaN, and so finite features of a broken network; a ReLU by itself keeps NaN, and so do our own
// convolutions.
#ifndef PF_COMMON_TORCH_FINITE_GRAPH_H
#define PF_COMMON_TORCH_FINITE_GRAPH_H

#include <torch/csrc/jit/ir/ir.h>

#include "common/torch/convolution_nodes.h"

namespace permafrost {

// Whether a frozen graph makes finite numbers of finite pixels: its weights are finite and not
// huge, and no operator in it makes NaN of finite numbers. (Weights of moderate size in many layers
// could still make sums that overflow.)
bool stays_finite(const torch::jit::Graph &graph);

// The same of one convolution, which must take the graph's input as it is.
bool stays_finite(const ConvolutionNode &convolution);

} // namespace permafrost

#endif

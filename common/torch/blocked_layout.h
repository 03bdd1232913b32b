// A graph's convolutions, and what lies between them, on blocked maps.
#ifndef PF_TORCH_BLOCKED_LAYOUT_H
#define PF_TORCH_BLOCKED_LAYOUT_H

#include <memory>
#include <vector>

#include "convolution_nodes.h"

namespace permafrost {

// Rewrites the convolutions that gain by it, ReLUs, max pools and sums, so that maps change
// layout where they come in and where something else wants them. A convolution takes
// in the sum and the ReLU behind it. Nothing in the graph may work in place. Takes
// what it rewrote out of `convolutions`, nothing where the processor has no use for it,
// and leaves what it replaced behind as dead code.
void lay_out_blocked(torch::jit::Graph &graph, std::vector<ConvolutionNode> &convolutions);

} // namespace permafrost

#endif

// Convolutions by winograd.h as operators of TorchScript.
#ifndef PF_TORCH_WINOGRAD_CONVOLUTION_H
#define PF_TORCH_WINOGRAD_CONVOLUTION_H

#include "convolution_nodes.h"

namespace permafrost {

// Whether Winograd's algorithm is the faster way for this convolution, on this processor.
bool suits_winograd(const ConvolutionNode &convolution);

// Computes the convolution so, along with the sum, which may be empty, and the ReLU that alone uses
// it. The graph's old nodes stay, unused.
void use_winograd(torch::jit::Graph &graph, const ConvolutionNode &convolution, const Sum &sum);

} // namespace permafrost

#endif

// Convolutions by convolution.h as operators of TorchScript.
#ifndef PF_COMMON_TORCH_CONVOLUTION_OPERATOR_H
#define PF_COMMON_TORCH_CONVOLUTION_OPERATOR_H

#include "common/torch/convolution_nodes.h"

namespace permafrost {

// Whether convolution.h computes this convolution, and fast on this processor.
bool suits_operator(const ConvolutionNode &convolution);

// Computes the convolution so, along with its sum and the ReLU that alone uses it. What comes out
// is rounded to bfloat16 where asked for. The graph's old nodes stay, unused.
void use_operator(torch::jit::Graph &graph, const ConvolutionNode &convolution, bool rounded);

// Once all convolutions stand where they will run: those whose sum nobody reads afterwards go into
// its memory, which is then read and written once, not two.
void lend_sums(torch::jit::Graph &graph);

} // namespace permafrost

#endif

// How a processor computes the convolutions of a frozen network.
#ifndef PF_COMMON_TORCH_CONV_PACKING_H
#define PF_COMMON_TORCH_CONV_PACKING_H

#include <torch/csrc/jit/api/module.h>

namespace permafrost {

// module: frozen, on the CPU. Convolutions with constant weights get these, once instead of at
// every call, in the layout that is fastest for inputs of this size, and take in the ReLU that
// follows them: in float32 by convolution.h, with the sum before the ReLU, where that can; the
// rest libtorch packs for itself, where it has the operators, with the ReLU where finite_graph.h
// allows it. input: as run() will get it. rounded:
// for bfloat16 in float32 arithmetic; what libtorch computes is left to round_results().
void pack_convolutions(torch::jit::Module &module, const at::Tensor &input, bool rounded);

} // namespace permafrost

#endif

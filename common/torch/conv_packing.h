// Convolutions in oneDNN's own terms.
#ifndef PF_TORCH_CONV_PACKING_H
#define PF_TORCH_CONV_PACKING_H

#include <torch/csrc/jit/api/module.h>

namespace permafrost {

// module: frozen, on the CPU. Convolutions with constant weights get these in the
// layout that oneDNN wants for inputs of this size, once instead of at every
// call, and take in the ReLU that follows them. input: as run() will get it.
// Does nothing where libtorch lacks the operators.
void pack_convolutions(torch::jit::Module &module, const at::Tensor &input);

} // namespace permafrost

#endif

// Convolutions in cuDNN's own terms.
#ifndef PF_COMMON_TORCH_CUDNN_FUSION_H
#define PF_COMMON_TORCH_CUDNN_FUSION_H

#include <torch/csrc/jit/api/module.h>

namespace permafrost {

// module: frozen. Convolutions take in the sum and the ReLU that follow them: cuDNN adds bias and
// sum, and cuts off below zero, before it writes a number, where libtorch would read and write the
// maps again for each. input: as run() will get it, or fewer rows. Does nothing for a GPU whose
// libtorch has no cuDNN, nor to a graph that may make NaN (finite_graph.h). On the CPU, for tests,
// libtorch's own operators stand for cuDNN's.
void fuse_convolutions(torch::jit::Module &module, const at::Tensor &input);

} // namespace permafrost

#endif

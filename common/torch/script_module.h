// From a graph as data to a TorchScript module.
#ifndef PF_TORCH_SCRIPT_MODULE_H
#define PF_TORCH_SCRIPT_MODULE_H

#include <vector>

#include <torch/csrc/jit/api/module.h>

#include "permafrost/arch.h"
#include "permafrost/tensor.h"

namespace permafrost {

// The part of arch that the output nodes need, in eval mode. forward(pixels
// (n, 3, h, w) normalised) returns a tuple with a tensor per output node.
// Parameters are float32 copies and lie under their state_dict names
// ("layer1.0.conv1.weight"), so that what is saved from it loads in Python.
torch::jit::Module script_module(const PfArch &arch, const PfNamedTensor *tensors,
                                 size_t tensor_count, const std::vector<int> &outputs);

} // namespace permafrost

#endif

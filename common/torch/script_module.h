// From a graph as data to a TorchScript module.
#ifndef PF_COMMON_TORCH_SCRIPT_MODULE_H
#define PF_COMMON_TORCH_SCRIPT_MODULE_H

#include <string>
#include <vector>

#include <torch/csrc/jit/api/module.h>

#include "permafrost/arch.h"
#include "permafrost/tensor.h"

namespace permafrost {

// A module without methods that holds the tensors which the outputs need behind node
// start, in eval mode. They are float32 copies and lie under their state_dict names
// ("layer1.0.conv1.weight"), so that what is saved from it loads in Python.
torch::jit::Module tensor_module(const PfArch &arch, const PfNamedTensor *tensors,
                                 size_t tensor_count, int start, const std::vector<int> &outputs);

// Gives such a module a method that takes the value of node start (0: normalised pixels
// (n, 3, h, w)) and returns a tuple with a tensor per output node. shapes, of all nodes, says the
// sizes of what lies before start; nullptr where start is 0.
void define_method(torch::jit::Module &module, const char *name, const PfArch &arch, int start,
                   const std::vector<int> &outputs, const PfShape *shapes = nullptr);

// Both: such a module, whose method is forward.
torch::jit::Module script_module(const PfArch &arch, const PfNamedTensor *tensors,
                                 size_t tensor_count, int start, const std::vector<int> &outputs,
                                 const PfShape *shapes = nullptr);

// Registers a tensor under a dotted name; modules on the way are made where there are none.
void add_tensor(torch::jit::Module module, const std::string &name, const at::Tensor &tensor,
                bool is_buffer);

// A float32 copy.
at::Tensor float_copy(const PfTensorView &view);

} // namespace permafrost

#endif

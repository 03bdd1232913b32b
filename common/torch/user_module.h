// TorchScript files of the user's own.
#ifndef PF_TORCH_USER_MODULE_H
#define PF_TORCH_USER_MODULE_H

#include <string>
#include <utility>
#include <vector>

#include <torch/csrc/jit/api/module.h>

namespace permafrost {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Loads the file onto the CPU in eval mode. Throws a Failure that says what
// the file is if it is not TorchScript.
torch::jit::Module load_user_module(const std::string &path);

// What a network returned as taps: a tensor is "output", a dict of tensors a
// tap per key, a tuple or list "output.0", "output.1", ...
NamedTensors named_outputs(const c10::IValue &value);

} // namespace permafrost

#endif

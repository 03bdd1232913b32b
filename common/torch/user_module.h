// TorchScript files of the user's own.
#ifndef PF_COMMON_TORCH_USER_MODULE_H
#define PF_COMMON_TORCH_USER_MODULE_H

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <torch/csrc/jit/api/module.h>

#include "common/torch/network.h"
#include "permafrost/script.h"
#include "permafrost/tensor.h"

namespace permafrost {

using NamedTensor = std::pair<std::string, at::Tensor>;
using NamedTensors = std::vector<NamedTensor>;

// Loads a file's bytes onto the CPU in eval mode. Throws a Failure that says what the file is if it
// is not TorchScript.
torch::jit::Module load_user_module(const PfScript &script);

// A method is called with one value; all its other arguments must have defaults. what: that value,
// in words. A Failure names the argument that has none.
void check_arguments(const std::string &path, const torch::jit::Module &module,
                     const std::string &method, const std::string &what);

// Tensors with the name of one of the module's parameters or buffers take its place.
void replace_tensors(torch::jit::Module &module, const PfNamedTensor *tensors, size_t count);

// An image that is not the same everywhere, (1, 3, height, width).
at::Tensor probe_image(int height, int width);

// What forward makes of the image. path: of the module's file, for messages.
NamedTensors run_original(const std::string &path, torch::jit::Module &module,
                          const at::Tensor &image);

// What a network returned as taps: a tensor is "output", a dict of tensors a
// tap per key, a tuple or list "output.0", "output.1", ...
NamedTensors named_outputs(const c10::IValue &value);

// The output of that name; a Failure lists the names that there are.
const NamedTensor &find_output(const NamedTensors &outputs, std::string_view name);

// Whether the same tensors have the same values but for tolerance times the largest.
bool agree(const NamedTensors &expected, const NamedTensors &found, double tolerance);

// The shape of an output for one image, without the batch axis. Throws a Failure
// where it has no such axis or is not made of floating-point numbers.
PfShape row_shape(const NamedTensor &output);

// The most optimised network for such inputs that still computes `expected`, what
// the module made of image (1, 3, height, width).
std::unique_ptr<Network> equal_network(const torch::jit::Module &module, const at::Tensor &input,
                                       Arithmetic arithmetic, const at::Tensor &image,
                                       const NamedTensors &expected);

// "(1,3,224,224)"
std::string sizes_text(at::IntArrayRef sizes);

} // namespace permafrost

#endif

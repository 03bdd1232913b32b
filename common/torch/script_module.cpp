#include "common/torch/script_module.h"

#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>

#include <ATen/Functions.h>

#include "common/torch/failure.h"

extern "C" {
#include "common/arch/script.h"
}

namespace permafrost {

using TensorsByName = std::unordered_map<std::string, const PfTensorView *>;
using torch::jit::Module;

at::Tensor float_copy(const PfTensorView &view)
{
    at::Tensor tensor = at::empty(at::IntArrayRef(view.shape.dims, view.shape.rank), at::kFloat);
    pf_f32_from_dtype_array(tensor.data_ptr<float>(), view.data, view.dtype, tensor.numel());
    return tensor;
}

// The submodule of that name, made where there is none yet.
static Module child_module(Module &parent, const std::string &name)
{
    if (parent.hasattr(name)) return parent.attr(name).toModule();
    bool mangle = true; // each has a class of its own, as its attributes differ
    Module child(c10::QualifiedName("__torch__.permafrost.Module"),
                 parent._ivalue()->compilation_unit(), mangle);
    child.register_attribute("training", c10::BoolType::get(), false);
    parent.register_module(name, child);
    return child;
}

void add_tensor(Module module, const std::string &name, const at::Tensor &tensor, bool is_buffer)
{
    std::string path = name;
    for (size_t dot; (dot = path.find('.')) != std::string::npos; path.erase(0, dot + 1))
        module = child_module(module, path.substr(0, dot));
    module.register_parameter(path, tensor, is_buffer);
}

static const PfTensorView &find_tensor(const TensorsByName &tensors, const PfArch &arch,
                                       const PfParameter &parameter)
{
    auto found = tensors.find(parameter.name);
    if (found == tensors.end())
        throw Failure(PF_EXIT_FAILED, std::string("the weights have no tensor '") + parameter.name +
                                          "', which " + arch.name + " needs");
    if (pf_shape_equal(&found->second->shape, &parameter.shape)) return *found->second;
    char have[PF_SHAPE_TEXT_SIZE], want[PF_SHAPE_TEXT_SIZE];
    throw Failure(PF_EXIT_FAILED, std::string("weights: tensor '") + parameter.name + "' is " +
                                      pf_shape_text(&found->second->shape, have) + ", " +
                                      arch.name + " needs " +
                                      pf_shape_text(&parameter.shape, want));
}

static void add_tensors(Module &module, const PfArch &arch, const TensorsByName &tensors, int start,
                        const std::vector<int> &outputs)
{
    PfError error = {};
    PfParameter *list = nullptr;
    int count = 0;
    std::vector<unsigned char> needed(arch.node_count);
    if (pf_arch_mark_outputs(&arch, start, outputs.data(), outputs.size(), needed.data(), &error) ||
        pf_arch_marked_parameters(&arch, needed.data(), &list, &count, &error))
        throw Failure(error);
    std::unique_ptr<PfParameter, void (*)(void *)> owner(list, std::free);
    for (int i = 0; i < count; i++)
        add_tensor(module, list[i].name, float_copy(find_tensor(tensors, arch, list[i])),
                   list[i].is_buffer != 0);
}

Module tensor_module(const PfArch &arch, const PfNamedTensor *tensors, size_t tensor_count,
                     int start, const std::vector<int> &outputs)
{
    TensorsByName by_name;
    for (size_t i = 0; i < tensor_count; i++) by_name[tensors[i].name] = &tensors[i].view;
    Module module(c10::QualifiedName(std::string("__torch__.permafrost.") + arch.name));
    module.register_attribute("training", c10::BoolType::get(), false);
    add_tensors(module, arch, by_name, start, outputs);
    return module;
}

void define_method(Module &module, const char *name, const PfArch &arch, int start,
                   const std::vector<int> &outputs, const PfShape *shapes)
{
    PfError error = {};
    std::unique_ptr<char, void (*)(void *)> source(
        pf_arch_script(&arch, name, start, outputs.data(), outputs.size(), shapes, &error),
        std::free);
    if (!source) throw Failure(error);
    module.define(source.get());
}

Module script_module(const PfArch &arch, const PfNamedTensor *tensors, size_t tensor_count,
                     int start, const std::vector<int> &outputs, const PfShape *shapes)
{
    Module module = tensor_module(arch, tensors, tensor_count, start, outputs);
    define_method(module, "forward", arch, start, outputs, shapes);
    return module;
}

} // namespace permafrost

#include "common/torch/user_module.h"

#include <algorithm>
#include <unordered_map>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include "common/torch/failure.h"
#include "common/torch/script_module.h"

namespace permafrost {

// "aten::rms_norm" of libtorch's sentence about an operator that it does not have; else "".
static std::string unknown_operator(const std::string &reason)
{
    const std::string mark = "Unknown builtin op: ";
    size_t start = reason.find(mark);
    if (start == std::string::npos) return "";
    start += mark.size();
    return reason.substr(start, reason.find_first_of(" \n", start) - start);
}

static const struct {
    const char *name, *since, *way_out;
} late_operators[] = {
    {"aten::scaled_dot_product_attention", "2.0",
     "attention that is written out (in timm: the environment variable TIMM_FUSED_ATTN=0 before "
     "the model is made)"},
    {"aten::_scaled_dot_product_attention", "2.0", nullptr},
    {"aten::rms_norm", "2.4", "torch.nn.RMSNorm written out"},
};

static Failure lacks_operator(const std::string &path, const std::string &name)
{
    std::string since = "one as new as the torch that wrote the file",
                way_out = "operators of this one";
    for (const auto &row : late_operators) {
        if (name != row.name) continue;
        since = std::string(row.since) + " or later";
        if (row.way_out) way_out = row.way_out;
    }
    return Failure(PF_EXIT_FAILED,
                   "'" + path + "' calls the operator '" + name +
                       "', which libtorch " TORCH_VERSION
                       " does not have. Hint: build Permafrost with a newer libtorch, " +
                       since +
                       " (cmake -DCMAKE_PREFIX_PATH=...); or script the network again with " +
                       way_out +
                       "; or use a built-in network (--backbone NAME), if it is one, "
                       "with its state_dict as --weights");
}

static Failure not_torchscript(const std::string &path, const std::string &reason)
{
    const std::string name = unknown_operator(reason);
    if (!name.empty()) return lacks_operator(path, name);
    return Failure(PF_EXIT_FAILED, "'" + path + "' is not a TorchScript file: " + reason);
}

torch::jit::Module load_user_module(const PfScript &script)
{
    const std::string path = script.path;
    if (script.size < 2)
        throw Failure(PF_EXIT_FAILED, "'" + path + "' is not a TorchScript file: it is empty");
    try {
        auto reader = std::make_shared<caffe2::serialize::MemoryReadAdapter>(
            script.bytes, static_cast<off_t>(script.size));
        torch::jit::Module module = torch::jit::load(reader, at::kCPU);
        module.eval();
        if (!module.find_method("forward"))
            throw Failure(PF_EXIT_FAILED, "'" + path + "' is TorchScript without forward()");
        check_arguments(path, module, "forward", "a batch of images");
        return module;
    } catch (const Failure &) {
        throw;
    } catch (...) {
        throw not_torchscript(path, current_exception_text());
    }
}

void check_arguments(const std::string &path, const torch::jit::Module &module,
                     const std::string &method, const std::string &what)
{
    const std::vector<c10::Argument> &arguments =
        module.get_method(method).function().getSchema().arguments();
    if (arguments.size() < 2)
        throw Failure(PF_EXIT_FAILED,
                      "'" + path + "': " + method + "() takes no argument, expected one: " + what);
    for (size_t i = 2; i < arguments.size(); i++)
        if (!arguments[i].default_value())
            throw Failure(PF_EXIT_FAILED,
                          "'" + path + "': " + method + "() needs the argument '" +
                              arguments[i].name() + "' (" + arguments[i].type()->repr_str() +
                              ") besides " + what +
                              ", which is all that it is given. Hint: give '" +
                              arguments[i].name() + "' a default in Python and script it again");
}

static void replace_tensor(const torch::jit::NameTensor &named, const PfTensorView &view)
{
    at::Tensor tensor = named.value;
    if (at::IntArrayRef(view.shape.dims, view.shape.rank) != tensor.sizes())
        throw Failure(PF_EXIT_FAILED,
                      "tensor '" + named.name + "' is " + sizes_text(tensor.sizes()) +
                          " in the TorchScript module, but what takes its place is " +
                          sizes_text(at::IntArrayRef(view.shape.dims, view.shape.rank)));
    tensor.set_data(float_copy(view).to(tensor.scalar_type()));
}

void replace_tensors(torch::jit::Module &module, const PfNamedTensor *tensors, size_t count)
{
    std::unordered_map<std::string, const PfTensorView *> by_name;
    for (size_t i = 0; i < count; i++) by_name[tensors[i].name] = &tensors[i].view;
    auto replace = [&by_name](const torch::jit::NameTensor &named) {
        auto found = by_name.find(named.name);
        if (found != by_name.end()) replace_tensor(named, *found->second);
    };
    for (const torch::jit::NameTensor &named : module.named_parameters()) replace(named);
    for (const torch::jit::NameTensor &named : module.named_buffers()) replace(named);
}

at::Tensor probe_image(int height, int width)
{
    at::Tensor ramp = at::arange(std::int64_t(3) * height * width, at::kFloat);
    return at::sin(ramp).view({1, 3, height, width});
}

NamedTensors run_original(const std::string &path, torch::jit::Module &module,
                          const at::Tensor &image)
{
    c10::IValue output;
    try {
        output = module.forward({image});
    } catch (...) {
        throw Failure(PF_EXIT_FAILED,
                      "'" + path + "' does not run on an input of " + sizes_text(image.sizes()) +
                          ": " + current_exception_text() + ". Hint: --crop N sets the size");
    }
    return named_outputs(output);
}

const NamedTensor &find_output(const NamedTensors &outputs, std::string_view name)
{
    std::string names;
    for (const NamedTensor &output : outputs) {
        if (output.first == name) return output;
        names += (names.empty() ? "" : ", ") + output.first;
    }
    throw Failure(PF_EXIT_USAGE, "the TorchScript module has no tap '" + std::string(name) +
                                     "'; it returns: " + names);
}

static const char expected[] =
    "a backbone returns a tensor, a dict of tensors, or a tuple or list of tensors";

static at::Tensor checked_tensor(const c10::IValue &value)
{
    if (!value.isTensor())
        throw Failure(PF_EXIT_FAILED, std::string("the TorchScript module returned a ") +
                                          value.tagKind() + " inside its output; " + expected);
    return value.toTensor();
}

static std::string key_text(const c10::IValue &key)
{
    return key.isString() ? key.toStringRef() : key.isInt() ? std::to_string(key.toInt()) : "?";
}

NamedTensors named_outputs(const c10::IValue &value)
{
    NamedTensors outputs;
    if (value.isTensor()) {
        outputs.emplace_back("output", value.toTensor());
    } else if (value.isGenericDict()) {
        for (const auto &item : value.toGenericDict())
            outputs.emplace_back(key_text(item.key()), checked_tensor(item.value()));
    } else if (value.isTuple()) {
        for (const c10::IValue &element : value.toTupleRef().elements())
            outputs.emplace_back("output." + std::to_string(outputs.size()),
                                 checked_tensor(element));
    } else if (value.isList()) { // of tensors too
        for (const c10::IValue &element : value.toListRef())
            outputs.emplace_back("output." + std::to_string(outputs.size()),
                                 checked_tensor(element));
    }
    if (outputs.empty())
        throw Failure(PF_EXIT_FAILED, std::string("the TorchScript module returned ") +
                                          (value.isNone() ? "nothing" : value.tagKind()) + "; " +
                                          expected);
    return outputs;
}

std::string sizes_text(at::IntArrayRef sizes)
{
    std::string text;
    for (std::int64_t size : sizes) text += (text.empty() ? "(" : ",") + std::to_string(size);
    return text.empty() ? "()" : text + ")";
}

PfShape row_shape(const NamedTensor &output)
{
    const at::Tensor &tensor = output.second;
    if (tensor.dim() < 1 || tensor.size(0) != 1)
        throw Failure(PF_EXIT_FAILED, "the TorchScript module's output '" + output.first + "' is " +
                                          sizes_text(tensor.sizes()) +
                                          " for one image; its first axis must be the batch");
    if (!tensor.is_floating_point() || tensor.dim() > PF_MAX_RANK + 1)
        throw Failure(PF_EXIT_FAILED, "the TorchScript module's output '" + output.first + "' is " +
                                          tensor.toString() + " " + sizes_text(tensor.sizes()) +
                                          "; features are floating-point numbers with at most " +
                                          std::to_string(PF_MAX_RANK) + " axes per image");
    PfShape shape = {};
    shape.rank = static_cast<int>(tensor.dim()) - 1;
    for (int i = 0; i < shape.rank; i++) shape.dims[i] = tensor.size(i + 1);
    return shape;
}

bool agree(const NamedTensors &expected, const NamedTensors &found, double tolerance)
{
    if (expected.size() != found.size()) return false;
    for (size_t i = 0; i < expected.size(); i++) {
        const at::Tensor &a = expected[i].second;
        at::Tensor b = found[i].second.to(at::kCPU, a.scalar_type());
        if (a.sizes() != b.sizes()) return false;
        double scale = a.abs().max().item().toDouble();
        double difference = at::sub(a, b).abs().max().item().toDouble();
        if (!(difference <= tolerance * scale)) return false;
    }
    return true;
}

static NamedTensors first_rows(NamedTensors outputs)
{
    for (NamedTensor &output : outputs)
        if (output.second.dim()) output.second = output.second.narrow(0, 0, 1);
    return outputs;
}

// What libtorch's passes make of a stranger's module is not always what it was.
std::unique_ptr<Network> equal_network(const torch::jit::Module &module, const at::Tensor &input,
                                       Arithmetic arithmetic, const at::Tensor &image,
                                       const NamedTensors &expected)
{
    bool is_tf32 = !input.is_cpu() && at::globalContext().allowTF32CuDNN();
    bool is_fp32 = input.scalar_type() == at::kFloat && arithmetic == Arithmetic::plain && !is_tf32;
    const double tolerance = is_fp32 ? 1e-3 : 0.1;
    const at::Tensor probe = at::empty_like(input).copy_(image); // in every row
    for (Optimisation optimisation : {Optimisation::fused, Optimisation::frozen}) {
        try {
            std::unique_ptr<Network> network(new Network(module, input, optimisation, arithmetic));
            NamedTensors found = first_rows(named_outputs(network->run(probe)));
            if (agree(expected, found, tolerance)) return network;
        } catch (const std::exception &) { // the next one is slower and safer
        }
    }
    return std::unique_ptr<Network>(new Network(module, input, Optimisation::none, arithmetic));
}

} // namespace permafrost

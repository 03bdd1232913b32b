#include "common/torch/network.h"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include "common/torch/conv_packing.h"
#include "common/torch/convolution_nodes.h"
#include "common/torch/cudnn_fusion.h"
#include "common/torch/learning_convolution.h"
#include "common/torch/rounding.h"
#include "common/torch/row_groups.h"

namespace permafrost {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Module;

static bool is_float_tensor(const torch::jit::Node *node)
{
    return node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value) &&
           node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t &&
           node->t(c10::attr::value).scalar_type() == at::kFloat;
}

// Rounds and moves the weights, which freezing has made constants of the graph,
// to where and what the input is.
static void convert_constants(Block *block, const at::Tensor &input, Arithmetic arithmetic)
{
    for (torch::jit::Node *node : block->nodes()) {
        for (Block *inner : node->blocks()) convert_constants(inner, input, arithmetic);
        if (!is_float_tensor(node)) continue;
        at::Tensor tensor = node->t(c10::attr::value).to(input.device(), input.scalar_type());
        if (arithmetic == Arithmetic::rounded_bf16) tensor = round_to_bf16(tensor);
        if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
        node->t_(c10::attr::value, tensor);
        node->output()->inferTypeFrom(tensor);
    }
}

static std::shared_ptr<Graph> graph_of(const Module &module)
{
    return module.get_method("forward").graph();
}

// Arguments behind the image have become their defaults, as in Python. What has none was refused
// when the module was loaded.
static void fill_in_defaults(Graph &graph, const c10::FunctionSchema &schema)
{
    const size_t first = 2; // behind the module itself and the image
    torch::jit::WithInsertPoint start(*graph.block()->nodes().begin());
    for (size_t i = graph.inputs().size(); i-- > first;) {
        const auto &value = schema.arguments().at(i).default_value();
        TORCH_CHECK(value, "argument '", schema.arguments().at(i).name(), "' has no default");
        graph.inputs()[i]->replaceAllUsesWith(graph.insertConstant(*value));
        graph.eraseInput(i);
    }
}

static void convert_module(Module &module, const at::Tensor &input, Arithmetic arithmetic)
{
    if (arithmetic == Arithmetic::rounded_bf16) module.to(at::kBFloat16);
    module.to(input.device(), input.scalar_type());
}

// In the terms of the library that runs convolutions on the device.
static void join_operators(Module &module, const at::Tensor &input, Arithmetic arithmetic)
{
    if (!input.is_cpu() || convolutions_as("gpu"))
        return fuse_convolutions(module, input.narrow(0, 0, 1));
    OneThread alone;
    pack_convolutions(module, input.narrow(0, 0, group_rows(input.size(0))),
                      arithmetic == Arithmetic::rounded_bf16);
}

Network::Network(Module module, const at::Tensor &input, Optimisation optimisation,
                 Arithmetic arithmetic)
{
    if (optimisation == Optimisation::none) {
        convert_module(module, input, arithmetic);
        *this = Network(module, "forward");
    } else {
        optimise(std::move(module), input, optimisation, arithmetic);
    }
    if (arithmetic == Arithmetic::rounded_bf16) round_results(*graph_);
    code_ = torch::jit::Code(graph_, "forward");
}

void Network::optimise(Module module, const at::Tensor &input, Optimisation optimisation,
                       Arithmetic arithmetic)
{
    const c10::FunctionSchema schema = module.get_method("forward").function().getSchema();
    module = torch::jit::freeze(module);
    fill_in_defaults(*graph_of(module), schema);
    convert_constants(graph_of(module)->block(), input, arithmetic);
    in_groups_ = input.is_cpu();
    if (optimisation == Optimisation::fused) join_operators(module, input, arithmetic);
    graph_ = graph_of(module);
    module_ = module._ivalue();
}

Network::Network(const Module &module, const std::string &method, bool by_ours)
    : module_(module._ivalue()), graph_(module.get_method(method).graph()->copy())
{
    torch::jit::Inline(*graph_);
    fill_in_defaults(*graph_, module.get_method(method).function().getSchema());
    if (by_ours) use_learning_convolutions(*graph_);
    code_ = torch::jit::Code(graph_, method);
}

c10::IValue Network::run(const at::Tensor &input) const
{
    if (!in_groups_) return run_rows(input);
    return run_in_groups(input, [this](const at::Tensor &rows) { return run_rows(rows); });
}

c10::IValue Network::run_rows(const at::Tensor &input) const
{
    torch::jit::Stack stack = {module_, input};
    torch::jit::InterpreterState(code_).run(stack);
    return stack.at(0);
}

} // namespace permafrost

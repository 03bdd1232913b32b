#include "conv_packing.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/interpreter.h>

namespace permafrost {

using c10::IValue;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;

namespace {

struct Convolution {
    Node *node;
    Stack arguments; // as prepack takes them, the last two to come
    std::vector<std::int64_t> input_size;
};

// The node's constant inputs with these indices; fewer where one is not constant.
Stack constant_inputs(const Node *node, std::initializer_list<size_t> indices)
{
    Stack values;
    for (size_t i : indices)
        if (auto value = torch::jit::toIValue(node->input(i))) values.push_back(*value);
    return values;
}

// Weight, bias, stride, padding, dilation, groups of a two-dimensional convolution.
Stack convolution_arguments(const Node *node)
{
    if (node->kind() == c10::aten::conv2d) return constant_inputs(node, {1, 2, 3, 4, 5, 6});
    if (node->kind() != c10::aten::_convolution) return {};
    Stack transposed = constant_inputs(node, {6});
    if (transposed.size() != 1 || transposed[0].toBool()) return {};
    return constant_inputs(node, {1, 2, 3, 4, 5, 8});
}

std::vector<Convolution> find_convolutions(Graph &graph)
{
    std::vector<Convolution> found;
    for (Node *node : graph.nodes()) {
        Stack arguments = convolution_arguments(node);
        // Padding may be a word ("same"); weights may have one or three dimensions.
        if (arguments.size() == 6 && arguments[3].isIntList() && arguments[0].toTensor().dim() == 4)
            found.push_back({node, arguments, {}});
    }
    return found;
}

// Runs a copy of the graph that returns the input of each convolution, on one image.
void measure_inputs(const torch::jit::Module &module, Graph &graph,
                    std::vector<Convolution> &convolutions, const at::Tensor &input)
{
    std::shared_ptr<Graph> copy = graph.copy();
    while (!copy->outputs().empty()) copy->eraseOutput(0);
    auto twin = copy->nodes().begin();
    size_t next = 0;
    for (Node *node : graph.nodes()) {
        if (next < convolutions.size() && convolutions[next].node == node) {
            copy->registerOutput((*twin)->input(0));
            next++;
        }
        ++twin;
    }
    Stack stack = {module._ivalue(), input.narrow(0, 0, 1)};
    torch::jit::InterpreterState(torch::jit::Code(copy, "inputs of convolutions")).run(stack);
    for (size_t i = 0; i < convolutions.size(); i++) {
        convolutions[i].input_size = stack[i].toTensor().sizes().vec();
        convolutions[i].input_size[0] = input.size(0);
    }
}

// The ReLU that alone uses the value, or NULL.
Node *only_relu(const Value *value)
{
    if (value->uses().size() != 1) return nullptr;
    Node *user = value->uses()[0].user;
    return user->kind() == c10::aten::relu || user->kind() == c10::aten::relu_ ? user : nullptr;
}

void pack(Graph &graph, Convolution &convolution, const c10::OperatorHandle &prepack)
{
    Node *node = convolution.node, *relu = only_relu(node->output());
    Stack stack = convolution.arguments;
    stack.emplace_back(convolution.input_size);
    stack.emplace_back(relu ? "relu" : "none");
    prepack.callBoxed(&stack);
    torch::jit::WithInsertPoint here(node);
    Value *packed = graph.insertConstant(stack[0].toObject()->copy_to_weak_compilation_ref());
    Node *run = graph.insertNode(graph.create(
        c10::Symbol::fromQualString("mkldnn_prepacked::conv2d_run"), {node->input(0), packed}));
    Node *replaced = relu ? relu : node;
    replaced->output()->replaceAllUsesWith(run->output());
    if (relu) relu->destroy();
    node->destroy();
}

} // namespace

void pack_convolutions(torch::jit::Module &module, const at::Tensor &input)
{
    // conv2d_prepack(W, B, stride, padding, dilation, groups, input_size, attr), of
    // libtorch 1.12 and later.
    c10::Dispatcher &dispatcher = c10::Dispatcher::singleton();
    auto prepack = dispatcher.findSchema({"mkldnn_prepacked::conv2d_prepack", ""});
    if (!prepack || prepack->schema().arguments().size() != 8) return;
    std::shared_ptr<Graph> graph = module.get_method("forward").graph();
    std::vector<Convolution> convolutions = find_convolutions(*graph);
    measure_inputs(module, *graph, convolutions, input);
    for (Convolution &convolution : convolutions) pack(*graph, convolution, *prepack);
}

} // namespace permafrost

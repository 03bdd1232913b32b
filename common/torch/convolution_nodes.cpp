#include "convolution_nodes.h"

#include <cstdlib>
#include <cstring>

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/interpreter.h>

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;

Stack constant_inputs(const Node *node, std::initializer_list<size_t> indices)
{
    Stack values;
    for (size_t i : indices)
        if (auto value = torch::jit::toIValue(node->input(i))) values.push_back(*value);
    return values;
}

static Stack convolution_arguments(const Node *node)
{
    if (node->kind() == c10::aten::conv2d) return constant_inputs(node, {1, 2, 3, 4, 5, 6});
    if (node->kind() != c10::aten::_convolution) return {};
    Stack transposed = constant_inputs(node, {6});
    if (transposed.size() != 1 || transposed[0].toBool()) return {};
    return constant_inputs(node, {1, 2, 3, 4, 5, 8});
}

std::vector<std::vector<std::int64_t>> measure_values(const torch::jit::Module &module,
                                                      const std::shared_ptr<Graph> &graph,
                                                      const std::vector<Value *> &values,
                                                      const at::Tensor &input)
{
    const size_t outputs = graph->outputs().size();
    for (Value *value : values) graph->registerOutput(value);
    torch::jit::Code code(graph, "with values between");
    while (graph->outputs().size() > outputs) graph->eraseOutput(outputs);
    Stack stack = {module._ivalue(), input.narrow(0, 0, 1)};
    torch::jit::InterpreterState(code).run(stack);
    std::vector<std::vector<std::int64_t>> sizes;
    for (size_t i = 0; i < values.size(); i++) {
        const c10::IValue &value = stack[outputs + i];
        sizes.push_back(value.isTensor() ? value.toTensor().sizes().vec()
                                         : std::vector<std::int64_t>());
    }
    return sizes;
}

std::vector<ConvolutionNode> find_convolutions(Graph &graph)
{
    std::vector<ConvolutionNode> found;
    for (Node *node : graph.nodes()) {
        Stack arguments = convolution_arguments(node);
        // Padding may be a word ("same"); weights may have one or three dimensions.
        if (arguments.size() == 6 && arguments[3].isIntList() && arguments[0].toTensor().dim() == 4)
            found.push_back({node, arguments, {}});
    }
    return found;
}

void measure_inputs(const torch::jit::Module &module, const std::shared_ptr<Graph> &graph,
                    std::vector<ConvolutionNode> &convolutions, const at::Tensor &input)
{
    std::vector<Value *> inputs;
    for (const ConvolutionNode &convolution : convolutions)
        inputs.push_back(convolution.node->input(0));
    std::vector<std::vector<std::int64_t>> sizes = measure_values(module, graph, inputs, input);
    for (size_t i = 0; i < convolutions.size(); i++) {
        convolutions[i].input_size = sizes[i];
        convolutions[i].input_size[0] = input.size(0);
    }
}

bool convolutions_as(const char *way)
{
    const char *wanted = std::getenv("PF_CONVOLUTIONS");
    return wanted && !std::strcmp(wanted, way);
}

Node *only_relu(const Value *value)
{
    if (value->uses().size() != 1) return nullptr;
    Node *user = value->uses()[0].user;
    return user->kind() == c10::aten::relu || user->kind() == c10::aten::relu_ ? user : nullptr;
}

Node *only_sum(const Value *value)
{
    if (value->uses().size() != 1) return nullptr;
    Node *user = value->uses()[0].user;
    if (user->kind() != c10::aten::add || user->owningBlock() != value->node()->owningBlock())
        return nullptr;
    Stack alpha = user->inputs().size() == 3 ? constant_inputs(user, {2}) : Stack();
    bool is_one = alpha.size() == 1 && alpha[0].isInt() && alpha[0].toInt() == 1;
    return is_one ? user : nullptr;
}

static Sum sum_of(const Value *convolution)
{
    Node *add = only_sum(convolution);
    if (!add) return {};
    return {add, add->input(0) == convolution ? size_t(1) : size_t(0)};
}

std::vector<Sum> find_sums(const torch::jit::Module &module, const std::shared_ptr<Graph> &graph,
                           const std::vector<ConvolutionNode> &convolutions,
                           const at::Tensor &input)
{
    std::vector<Sum> sums;
    std::vector<Value *> operands;
    for (const ConvolutionNode &convolution : convolutions) {
        Value *output = convolution.node->output();
        sums.push_back(sum_of(output));
        operands.push_back(output);
        operands.push_back(sums.back().add ? sums.back().operand() : output);
    }
    std::vector<std::vector<std::int64_t>> sizes = measure_values(module, graph, operands, input);
    for (size_t i = 0; i < sums.size(); i++)
        if (sizes[2 * i] != sizes[2 * i + 1]) sums[i] = {};
    return sums;
}

} // namespace permafrost

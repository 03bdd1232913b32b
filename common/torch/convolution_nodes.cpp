#include "common/torch/convolution_nodes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/runtime/interpreter.h>

#include "common/torch/shape_probe.h"

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

// The sizes that values of the graph have when the module runs on the first row of input; empty
// for what is no tensor. They become outputs of the graph.
static std::vector<std::vector<std::int64_t>> measure_values(const torch::jit::Module &module,
                                                             const std::shared_ptr<Graph> &graph,
                                                             const std::vector<Value *> &values,
                                                             const at::Tensor &input)
{
    const size_t outputs = graph->outputs().size();
    for (Value *value : values) graph->registerOutput(value);
    torch::jit::Code code(graph, "with values between");
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

// The sum of both operands as they are that alone uses the value, in its block; or NULL.
static Node *only_sum(const Value *value)
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

static std::vector<ConvolutionNode> all_convolutions(Graph &graph)
{
    std::vector<ConvolutionNode> found;
    for (Node *node : graph.nodes()) {
        Stack arguments = convolution_arguments(node);
        // Padding may be a word ("same"); weights may have one or three dimensions.
        if (arguments.size() == 6 && arguments[3].isIntList() && arguments[0].toTensor().dim() == 4)
            found.push_back({node, arguments, sum_of(node->output()), {}});
    }
    return found;
}

// The same convolutions, of a graph of which only sizes are wanted.
static std::vector<ConvolutionNode> probe_convolutions(Graph &graph)
{
    std::vector<ConvolutionNode> probed = all_convolutions(graph);
    for (ConvolutionNode &convolution : probed)
        convolution.node = probe_convolution(graph, convolution.node, convolution.arguments);
    return probed;
}

std::vector<ConvolutionNode> find_convolutions(const torch::jit::Module &module,
                                               const std::shared_ptr<Graph> &graph,
                                               const at::Tensor &input)
{
    std::vector<ConvolutionNode> found = all_convolutions(*graph);
    std::shared_ptr<Graph> copy = graph->copy();
    std::vector<Value *> values; // three of each
    for (const ConvolutionNode &convolution : probe_convolutions(*copy)) {
        Value *output = convolution.node->output();
        const Sum &sum = convolution.sum;
        values.insert(values.end(),
                      {convolution.node->input(0), output, sum.add ? sum.operand() : output});
    }
    std::vector<std::vector<std::int64_t>> sizes = measure_values(module, copy, values, input);
    for (size_t i = 0; i < found.size(); i++) {
        found[i].input_size = sizes[3 * i];
        found[i].input_size[0] = input.size(0);
        if (sizes[3 * i + 1] != sizes[3 * i + 2]) found[i].sum = {};
    }
    return found;
}

bool convolutions_as(const char *way)
{
    const char *wanted = std::getenv("PF_CONVOLUTIONS");
    return wanted && !std::strcmp(wanted, way);
}

bool is_one_of(const Node *node, std::initializer_list<const char *> kinds)
{
    const char *kind = node->kind().toQualString();
    return std::any_of(kinds.begin(), kinds.end(),
                       [kind](const char *one) { return !std::strcmp(kind, one); });
}

Node *only_relu(const Value *value)
{
    if (value->uses().size() != 1) return nullptr;
    Node *user = value->uses()[0].user;
    return user->kind() == c10::aten::relu || user->kind() == c10::aten::relu_ ? user : nullptr;
}

} // namespace permafrost

#include "common/torch/conv_packing.h"

#include <unordered_set>

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/remove_mutation.h>

#include "common/torch/convolution_operator.h"
#include "common/torch/finite_graph.h"
#include "common/torch/max_pool_operator.h"

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;

// takes_relu: the convolution does what the ReLU behind it does, if there is one.
static void pack(Graph &graph, const ConvolutionNode &convolution,
                 const c10::OperatorHandle &prepack, bool takes_relu)
{
    Node *node = convolution.node, *relu = takes_relu ? only_relu(node->output()) : nullptr;
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

static bool works_in_place(const torch::jit::Block *block)
{
    for (const Node *node : block->nodes()) {
        const c10::FunctionSchema *schema = node->maybeSchema();
        if (schema && schema->is_mutable()) return true;
        for (const torch::jit::Block *inner : node->blocks())
            if (works_in_place(inner)) return true;
    }
    return false;
}

// Those that convolution.h computes are removed from the list. A sum of two convolutions goes into
// one of them.
static void use_operators(const std::shared_ptr<Graph> &graph,
                          std::vector<ConvolutionNode> &convolutions, bool rounded)
{
    std::unordered_set<const Node *> taken;
    std::vector<ConvolutionNode> rest;
    for (ConvolutionNode &convolution : convolutions) {
        if (!suits_operator(convolution)) {
            rest.push_back(convolution);
            continue;
        }
        const bool is_free = convolution.sum.add && taken.insert(convolution.sum.add).second;
        if (!is_free) convolution.sum = {};
        use_operator(*graph, convolution, rounded);
    }
    convolutions.swap(rest);
    torch::jit::EliminateDeadCode(graph);
    use_max_pools(*graph);
    lend_sums(*graph);
}

static void pack_rest(Graph &graph, const std::vector<ConvolutionNode> &convolutions,
                      bool is_finite)
{
    // conv2d_prepack(W, B, stride, padding, dilation, groups, input_size, attr), of
    // libtorch 1.12 and later.
    c10::Dispatcher &dispatcher = c10::Dispatcher::singleton();
    auto prepack = dispatcher.findSchema({"mkldnn_prepacked::conv2d_prepack", ""});
    if (!prepack || prepack->schema().arguments().size() != 8) return;
    for (const ConvolutionNode &convolution : convolutions)
        pack(graph, convolution, *prepack, is_finite || stays_finite(convolution));
}

void pack_convolutions(torch::jit::Module &module, const at::Tensor &input, bool rounded)
{
    std::shared_ptr<Graph> graph = module.get_method("forward").graph();
    torch::jit::RemoveTensorMutation(graph);
    const bool is_finite = stays_finite(*graph);
    std::vector<ConvolutionNode> convolutions = find_convolutions(module, graph, input);
    if (!convolutions_as("libtorch") && input.scalar_type() == at::kFloat &&
        !works_in_place(graph->block()))
        use_operators(graph, convolutions, rounded);
    pack_rest(*graph, convolutions, is_finite);
    torch::jit::EliminateDeadCode(graph);
}

} // namespace permafrost

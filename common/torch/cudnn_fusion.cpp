#include "common/torch/cudnn_fusion.h"

#include <unordered_set>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/remove_mutation.h>
#include <torch/library.h>

#include "common/torch/convolution_nodes.h"
#include "common/torch/finite_graph.h"

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

namespace {

// Not where there are groups, which have kernels of their own, or no bias.
bool can_be_fused(const ConvolutionNode &convolution)
{
    return convolution.arguments[5].toInt() == 1 && convolution.arguments[1].isTensor();
}

// cuDNN knows a sum with a ReLU behind it only.
bool has_relu(const Sum &sum)
{
    return sum.add && only_relu(sum.add->output());
}

// In place of the ReLU, where both operands of a sum are known.
void fuse(Graph &graph, const ConvolutionNode &convolution)
{
    const Sum &sum = convolution.sum;
    Node *relu = only_relu(sum.add ? sum.add->output() : convolution.node->output());
    torch::jit::WithInsertPoint here(relu);
    std::vector<Value *> inputs = {convolution.node->input(0)};
    if (sum.add) inputs.push_back(sum.operand());
    for (const c10::IValue &argument : convolution.arguments)
        inputs.push_back(graph.insertConstant(argument));
    const char *name =
        sum.add ? "permafrost::convolution_add_relu" : "permafrost::convolution_relu";
    Node *fused = graph.insertNode(graph.create(c10::Symbol::fromQualString(name), inputs));
    relu->output()->replaceAllUsesWith(fused->output());
}

/* ---- operators of TorchScript ---- */

using Sizes = std::vector<std::int64_t>;

at::Tensor convolution_relu(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                            const Sizes &stride, const Sizes &padding, const Sizes &dilation,
                            std::int64_t groups)
{
    if (x.is_cpu()) return at::conv2d(x, weight, bias, stride, padding, dilation, groups).relu_();
    return at::cudnn_convolution_relu(x, weight, bias, stride, padding, dilation, groups);
}

at::Tensor convolution_add_relu(const at::Tensor &x, const at::Tensor &sum,
                                const at::Tensor &weight, const at::Tensor &bias,
                                const Sizes &stride, const Sizes &padding, const Sizes &dilation,
                                std::int64_t groups)
{
    // In another order than libtorch's own, so that a test can tell that it was here.
    if (x.is_cpu())
        return at::conv2d(x, weight, {}, stride, padding, dilation, groups)
            .add_(at::add(sum, bias.view({1, -1, 1, 1})))
            .relu_();
    return at::cudnn_convolution_add_relu(x, weight, sum, 1, bias, stride, padding, dilation,
                                          groups);
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    library.def("convolution_relu(Tensor x, Tensor weight, Tensor bias, int[] stride, "
                "int[] padding, int[] dilation, int groups) -> Tensor",
                convolution_relu);
    library.def("convolution_add_relu(Tensor x, Tensor sum, Tensor weight, Tensor bias, "
                "int[] stride, int[] padding, int[] dilation, int groups) -> Tensor",
                convolution_add_relu);
}

} // namespace

void fuse_convolutions(torch::jit::Module &module, const at::Tensor &input)
{
    if (!input.is_cpu() && !at::globalContext().hasCuDNN()) return;
    std::shared_ptr<Graph> graph = module.get_method("forward").graph();
    torch::jit::RemoveTensorMutation(graph);
    if (!stays_finite(*graph)) return;
    std::vector<ConvolutionNode> convolutions = find_convolutions(module, graph, input);
    std::unordered_set<const Node *> taken; // a sum of two convolutions goes into one of them
    for (const ConvolutionNode &convolution : convolutions) {
        if (!can_be_fused(convolution)) continue;
        if (only_relu(convolution.node->output()) ||
            (has_relu(convolution.sum) && taken.insert(convolution.sum.add).second))
            fuse(*graph, convolution);
    }
    torch::jit::EliminateDeadCode(graph);
}

} // namespace permafrost

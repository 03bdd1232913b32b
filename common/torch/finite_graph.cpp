#include "common/torch/finite_graph.h"

#include <algorithm>

#include <ATen/Functions.h>

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

// Beyond any trained network; a flipped bit of an exponent is nearly always far larger.
static const double huge = 1 << 20;

static bool is_moderate(const at::Tensor &tensor)
{
    if (!tensor.defined() || !tensor.is_floating_point() || !tensor.numel()) return true;
    return tensor.to(at::kFloat).abs().max().item().toDouble() <= huge; // NaN is not
}

static bool is_moderate(const c10::IValue &value)
{
    return !value.isTensor() || is_moderate(value.toTensor());
}

static bool gives_finite(const Node *node)
{
    if (node->kind() == c10::prim::Constant) {
        auto value = torch::jit::toIValue(node->output());
        return !value || is_moderate(*value);
    }
    return is_one_of(node, {"prim::ListConstruct",
                            "prim::TupleConstruct",
                            "prim::DictConstruct",
                            "prim::ListUnpack",
                            "prim::TupleUnpack",
                            "aten::conv2d",
                            "aten::_convolution",
                            "aten::linear",
                            "aten::add",
                            "aten::mul",
                            "aten::relu",
                            "aten::relu6",
                            "aten::hardtanh",
                            "aten::hardswish",
                            "aten::hardsigmoid",
                            "aten::sigmoid",
                            "aten::silu",
                            "aten::gelu",
                            "aten::max_pool2d",
                            "aten::avg_pool2d",
                            "aten::adaptive_avg_pool2d",
                            "aten::mean",
                            "aten::cat",
                            "aten::flatten",
                            "aten::dropout"});
}

bool stays_finite(const Graph &graph)
{
    return std::all_of(graph.nodes().begin(), graph.nodes().end(), gives_finite);
}

bool stays_finite(const ConvolutionNode &convolution)
{
    const Node *node = convolution.node;
    const auto inputs = node->owningGraph()->inputs();
    const bool takes_pixels =
        std::find(inputs.begin(), inputs.end(), node->input(0)) != inputs.end();
    return takes_pixels && is_moderate(convolution.arguments[0]) &&
           is_moderate(convolution.arguments[1]);
}

} // namespace permafrost

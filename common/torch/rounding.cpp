#include "common/torch/rounding.h"

#include <ATen/Functions.h>

#include "common/torch/convolution_nodes.h"

namespace permafrost {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

at::Tensor round_to_bf16(const at::Tensor &tensor)
{
    return tensor.to(at::kBFloat16).to(at::kFloat);
}

// `before`: the node in front of which the value is there for the first time.
static void round_value(Value *value, Node *before)
{
    if (!value->type()->cast<c10::TensorType>()) return;
    Graph &graph = *value->owningGraph();
    torch::jit::WithInsertPoint here(before);
    Value *narrow = graph.insert(c10::aten::to, {value, at::kBFloat16});
    Value *rounded = graph.insert(c10::aten::to, {narrow, at::kFloat});
    value->replaceAllUsesAfterNodeWith(rounded->node(), rounded);
}

// Whether a node adds zeros around its operand and nothing else.
static bool pads_with_zeros(const Node *node)
{
    if (!is_one_of(node, {"aten::pad", "aten::constant_pad_nd"})) return false;
    const Value *last = node->inputs().back();
    auto value = torch::jit::toIValue(last);
    return value && (value->isNone() || (value->isScalar() && value->toScalar().toDouble() == 0));
}

// Whether a node rounds for itself, or only chooses among its operands' values, which are rounded,
// and zeros and sixes, which need not be.
static bool gives_rounded(const Node *node)
{
    return pads_with_zeros(node) ||
           is_one_of(node,
                     {"permafrost::convolution", "permafrost::convolution_", "aten::relu",
                      "aten::relu6", "aten::max_pool2d", "permafrost::max_pool", "aten::flatten"});
}

static void round_block(Block *block)
{
    std::vector<Node *> nodes(block->nodes().begin(), block->nodes().end());
    for (Node *node : nodes) {
        for (Block *inner : node->blocks()) round_block(inner);
        if (node->kind() == c10::prim::Constant || node->kind() == c10::prim::GetAttr) continue;
        if (gives_rounded(node)) continue;
        for (Value *output : node->outputs()) round_value(output, node->next());
    }
}

void round_results(Graph &graph)
{
    Node *first = *graph.nodes().begin();
    round_block(graph.block());
    for (Value *input : graph.inputs()) round_value(input, first);
}

} // namespace permafrost

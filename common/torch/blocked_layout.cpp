#include "blocked_layout.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "blocked_convolution.h"

namespace permafrost {

using c10::IValue;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Stack;
using torch::jit::Value;

namespace {

// What holds a plain value's numbers in blocks.
struct Twin {
    Value *value;
    Dims size; // (n, c/16, h, w, 16); empty: not known
};

class BlockedLayout {
public:
    BlockedLayout(Graph &graph, const std::vector<ConvolutionNode> &convolutions);
    void rewrite();
    bool took(const Node *convolution) const { return taken_.count(convolution) != 0; }

private:
    void visit(Node *node);
    void visit_add(Node *add);
    void visit_max_pool(Node *pool);
    void repeat(Node *node);

    bool is_wanted(const Node *convolution) const;
    const Node *waits_for_sum(const Node *convolution) const;
    bool may_overwrite(Value *sum, Node *at) const;
    bool fuse(Node *add, size_t operand);
    void place(Node *convolution);
    void insert(Node *convolution, Node *last, const Twin *sum);

    const Twin *twin_of(const Value *plain) const;
    Value *blocked(Value *plain);
    void replace(Value *plain, Node *node, const Dims &size);

    Graph &graph_;
    std::unordered_map<const Node *, ConvolutionSpec> specs_;
    std::unordered_map<const Value *, Twin> twins_; // of plain values
    std::unordered_set<const Value *> overwritten_; // blocked values whose memory a sum took
    std::unordered_set<const Node *> taken_;
};

ConvolutionSpec spec_of(const ConvolutionNode &node)
{
    ConvolutionSpec spec;
    spec.weight = node.arguments[0].toTensor();
    if (node.arguments[1].isTensor()) spec.bias = node.arguments[1].toTensor();
    spec.stride = node.arguments[2].toIntVector();
    spec.padding = node.arguments[3].toIntVector();
    spec.dilation = node.arguments[4].toIntVector();
    spec.input_size = node.input_size;
    spec.adds = spec.relu = false;
    return spec;
}

c10::Symbol operator_name(const char *name)
{
    return c10::Symbol::fromQualString(std::string("permafrost::") + name);
}

// Whatever was replaced stays in the graph, unused.
bool is_dead(const Node *node)
{
    return !node->outputs().empty() && !node->hasUses();
}

/* ---- what may be done ---- */

BlockedLayout::BlockedLayout(Graph &graph, const std::vector<ConvolutionNode> &convolutions)
    : graph_(graph)
{
    for (const ConvolutionNode &convolution : convolutions) {
        ConvolutionSpec spec = spec_of(convolution);
        if (has_blocked_form(spec)) specs_.emplace(convolution.node, spec);
    }
}

const Twin *BlockedLayout::twin_of(const Value *plain) const
{
    auto found = twins_.find(plain);
    return found == twins_.end() ? nullptr : &found->second;
}

// Changing the layout of a map costs more than a direct convolution gains.
bool BlockedLayout::is_wanted(const Node *convolution) const
{
    auto found = specs_.find(convolution);
    return found != specs_.end() && !took(convolution) &&
           (suits_winograd(found->second) || is_image(found->second) ||
            twin_of(convolution->input(0)));
}

// The sum that alone uses the convolution, or NULL.
const Node *BlockedLayout::waits_for_sum(const Node *convolution) const
{
    return is_wanted(convolution) ? only_sum(convolution->output()) : nullptr;
}

// Whether nobody needs the value from that node on.
bool BlockedLayout::may_overwrite(Value *sum, Node *at) const
{
    auto is_over = [at](const torch::jit::Use &use) {
        return use.user == at || is_dead(use.user) || use.user->isBefore(at);
    };
    const auto &plain = sum->uses(), &blocked = twin_of(sum)->value->uses();
    return std::all_of(plain.begin(), plain.end(), is_over) &&
           std::all_of(blocked.begin(), blocked.end(), is_over);
}

/* ---- rewriting ---- */

Value *BlockedLayout::blocked(Value *plain)
{
    if (const Twin *twin = twin_of(plain)) return twin->value;
    return graph_.insertNode(graph_.create(operator_name("block_channels"), {plain}))->output();
}

// The node, which computes the value in blocks, is put at the insertion point.
void BlockedLayout::replace(Value *plain, Node *node, const Dims &size)
{
    Value *value = graph_.insertNode(node)->output();
    Value *again =
        graph_.insertNode(graph_.create(operator_name("unblock_channels"), {value}))->output();
    plain->replaceAllUsesWith(again);
    twins_[again] = {value, size};
}

// In place of `last`: the convolution itself or the sum that it takes in.
void BlockedLayout::insert(Node *convolution, Node *last, const Twin *sum)
{
    ConvolutionSpec spec = specs_.at(convolution);
    Node *relu = only_relu(last->output());
    spec.adds = sum != nullptr;
    spec.relu = relu != nullptr;
    auto packed = c10::make_intrusive<BlockedConvolution>(spec);
    torch::jit::WithInsertPoint here(last);
    Value *x = is_image(spec) ? convolution->input(0) : blocked(convolution->input(0));
    Value *constant =
        graph_.insertConstant(IValue(packed).toObject()->copy_to_weak_compilation_ref());
    Node *node = sum ? graph_.create(operator_name("convolution_onto"), {x, sum->value, constant})
                     : graph_.create(operator_name("convolution"), {x, constant});
    if (sum) overwritten_.insert(sum->value);
    replace((relu ? relu : last)->output(), node, packed->output_size());
    taken_.insert(convolution);
}

void BlockedLayout::place(Node *convolution)
{
    if (is_wanted(convolution)) insert(convolution, convolution, nullptr);
}

// Whether that operand, a convolution, has taken in the sum. It runs at the sum's place then.
bool BlockedLayout::fuse(Node *add, size_t operand)
{
    Node *convolution = add->input(operand)->node();
    if (waits_for_sum(convolution) != add) return false;
    const Twin *sum = twin_of(add->input(1 - operand)), *x = twin_of(convolution->input(0));
    if (!sum || !may_overwrite(add->input(1 - operand), add)) return false;
    if (x && (x->value == sum->value || overwritten_.count(x->value))) return false;
    const ConvolutionSpec &spec = specs_.at(convolution);
    if (sum->size != blocked_output_size(spec)) return false;
    const Twin held = *sum;
    insert(convolution, add, &held);
    return true;
}

void BlockedLayout::visit_add(Node *add)
{
    Node *second = add->input(1)->node();
    if (waits_for_sum(add->input(0)->node()) == add) place(second); // at most one takes it in
    if (fuse(add, 0) || fuse(add, 1)) return;
    place(add->input(0)->node());
    const Twin *a = twin_of(add->input(0)), *b = twin_of(add->input(1));
    if (a && b && a->size == b->size) repeat(add);
}

void BlockedLayout::visit_max_pool(Node *pool)
{
    const Twin *twin = twin_of(pool->input(0));
    Stack arguments = constant_inputs(pool, {1, 2, 3, 4, 5});
    if (!twin || arguments.size() != 5 || arguments[4].toBool()) return;
    Dims kernel = arguments[0].toIntVector(), stride = arguments[1].toIntVector();
    Dims padding = arguments[2].toIntVector(), dilation = arguments[3].toIntVector();
    if (stride.empty()) stride = kernel;
    if (kernel.size() != 2 || stride.size() != 2 || padding.size() != 2 || dilation != Dims{1, 1})
        return;
    Dims size = pooled_size(twin->size, kernel, stride, padding);
    torch::jit::WithInsertPoint here(pool);
    Value *of[] = {graph_.insertConstant(kernel), graph_.insertConstant(stride),
                   graph_.insertConstant(padding)};
    replace(pool->output(),
            graph_.create(operator_name("max_pool"), {twin->value, of[0], of[1], of[2]}), size);
}

// The same operator on twins; their layout makes no difference to it.
void BlockedLayout::repeat(Node *node)
{
    const Dims size = twin_of(node->input(0))->size;
    torch::jit::WithInsertPoint here(node);
    Node *twin = graph_.createClone(node, [this](Value *input) {
        const Twin *of = twin_of(input);
        return of ? of->value : input;
    });
    replace(node->output(), twin, size);
}

void BlockedLayout::visit(Node *node)
{
    if (node->kind() == c10::aten::add)
        visit_add(node);
    else if (node->kind() == c10::aten::max_pool2d)
        visit_max_pool(node);
    else if (node->kind() == c10::aten::relu && twin_of(node->input(0)))
        repeat(node);
    else if (!waits_for_sum(node))
        place(node);
}

void BlockedLayout::rewrite()
{
    std::vector<Node *> nodes(graph_.nodes().begin(), graph_.nodes().end());
    for (Node *node : nodes)
        if (!is_dead(node)) visit(node);
}

} // namespace

void lay_out_blocked(Graph &graph, std::vector<ConvolutionNode> &convolutions)
{
    auto gains = [](const ConvolutionNode &node) { return suits_winograd(spec_of(node)); };
    if (!can_convolve_blocked() || std::none_of(convolutions.begin(), convolutions.end(), gains))
        return;
    BlockedLayout layout(graph, convolutions);
    layout.rewrite();
    auto rest = std::remove_if(convolutions.begin(), convolutions.end(),
                               [&](const ConvolutionNode &of) { return layout.took(of.node); });
    convolutions.erase(rest, convolutions.end());
}

} // namespace permafrost

#include "common/torch/convolution_operator.h"

#include <algorithm>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include "common/conv/convolution.h"
#include "common/torch/failure.h"

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

namespace {

/* ---- the operator ---- */

class PackedConvolution : public torch::CustomClassHolder {
public:
    explicit PackedConvolution(const PfConvolutionConfig &config);
    ~PackedConvolution() override { pf_convolution_free(&convolution_); }

    at::Tensor compute(const at::Tensor &x, const c10::optional<at::Tensor> &sum) const;
    // Into the sum's memory, where that has channels last.
    at::Tensor compute_into(const at::Tensor &x, const at::Tensor &sum) const;

private:
    std::vector<std::int64_t> output_sizes(const at::Tensor &x) const;
    void run(const at::Tensor &x, const float *sum, at::Tensor &y) const;

    PfConvolutionConfig config_;
    PfConvolution *convolution_ = nullptr;
};

PackedConvolution::PackedConvolution(const PfConvolutionConfig &config) : config_(config)
{
    PfError error = {};
    if (pf_convolution_new(&config, &convolution_, &error)) throw Failure(error);
    config_.weight = config_.bias = nullptr; // the caller's
}

at::Tensor channels_last(const at::Tensor &map)
{
    return map.contiguous(at::MemoryFormat::ChannelsLast);
}

std::vector<std::int64_t> PackedConvolution::output_sizes(const at::Tensor &x) const
{
    TORCH_CHECK(x.dim() == 4 && x.size(1) == config_.in_channels && x.scalar_type() == at::kFloat,
                "a map of ", x.sizes(), " for a convolution of ", config_.in_channels, " channels");
    const std::int64_t height = pf_convolution_outputs(&config_, 0, x.size(2)),
                       width = pf_convolution_outputs(&config_, 1, x.size(3));
    TORCH_CHECK(height > 0 && width > 0, "the kernel does not fit into a map of ", x.sizes());
    return {x.size(0), config_.out_channels, height, width};
}

// y: with channels last; sum: NULL, or like y, which it may be
void PackedConvolution::run(const at::Tensor &x, const float *sum, at::Tensor &y) const
{
    const at::Tensor from = channels_last(x);
    PfConvolutionMaps maps = {};
    maps.count = x.size(0);
    maps.height = x.size(2);
    maps.width = x.size(3);
    maps.x = from.data_ptr<float>();
    maps.sum = sum;
    maps.y = y.data_ptr<float>();
    at::parallel_for(0, pf_convolution_pieces(convolution_, &maps), 1,
                     [&](std::int64_t begin, std::int64_t end) {
                         const auto bytes =
                             static_cast<std::int64_t>(pf_convolution_scratch(convolution_));
                         at::Tensor scratch = at::empty({bytes}, at::kByte);
                         for (std::int64_t piece = begin; piece < end; piece++)
                             pf_convolution_run(convolution_, &maps, piece, scratch.data_ptr());
                     });
}

at::Tensor PackedConvolution::compute(const at::Tensor &x,
                                      const c10::optional<at::Tensor> &sum) const
{
    at::Tensor y =
        at::empty(output_sizes(x), x.options().memory_format(at::MemoryFormat::ChannelsLast));
    const at::Tensor added = sum ? channels_last(*sum) : at::Tensor();
    TORCH_CHECK(!sum || added.sizes() == y.sizes(), "cannot add ", added.sizes());
    run(x, sum ? added.data_ptr<float>() : nullptr, y);
    return y;
}

at::Tensor PackedConvolution::compute_into(const at::Tensor &x, const at::Tensor &sum) const
{
    at::Tensor y = channels_last(sum);
    TORCH_CHECK(y.sizes() == output_sizes(x), "cannot add ", y.sizes());
    run(x, y.data_ptr<float>(), y);
    return y;
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    using Packed = c10::intrusive_ptr<PackedConvolution>;
    library.class_<PackedConvolution>("PackedConvolution");
    library.def("convolution(Tensor x, Tensor? sum, "
                "__torch__.torch.classes.permafrost.PackedConvolution packed) -> Tensor",
                [](const at::Tensor &x, const c10::optional<at::Tensor> &sum,
                   const Packed &packed) { return packed->compute(x, sum); });
    library.def("convolution_(Tensor x, Tensor(a!) sum, "
                "__torch__.torch.classes.permafrost.PackedConvolution packed) -> Tensor(a!)",
                [](const at::Tensor &x, const at::Tensor &sum, const Packed &packed) {
                    return packed->compute_into(x, sum);
                });
}

/* ---- the graph ---- */

const std::int64_t block = 16; // channels that are computed together

const auto convolution_kind = c10::Symbol::fromQualString("permafrost::convolution");
const auto lent_convolution_kind = c10::Symbol::fromQualString("permafrost::convolution_");

// Without what depends on the sum behind it. Borrows the node's tensors.
PfConvolutionConfig config_of(const ConvolutionNode &convolution)
{
    const torch::jit::Stack &arguments = convolution.arguments;
    const at::Tensor weight = arguments[0].toTensor();
    PfConvolutionConfig config = {};
    config.in_channels = weight.size(1);
    config.out_channels = weight.size(0);
    std::copy_n(weight.sizes().begin() + 2, 2, config.kernel);
    std::copy_n(arguments[2].toIntVector().begin(), 2, config.stride);
    std::copy_n(arguments[3].toIntVector().begin(), 2, config.padding);
    std::copy_n(arguments[4].toIntVector().begin(), 2, config.dilation);
    std::copy_n(convolution.input_size.begin() + 2, 2, config.map);
    std::copy_n(weight.strides().begin(), 4, config.strides);
    config.weight = weight.data_ptr<float>();
    return config;
}

// Whether a node's result has memory of its own, which its operands do not share.
bool makes_its_own(const Node *node)
{
    return is_one_of(node, {"permafrost::convolution", "permafrost::convolution_", "aten::conv2d",
                            "aten::_convolution", "aten::max_pool2d", "permafrost::max_pool",
                            "aten::relu"});
}

// Whether nobody reads the sum of one of our convolutions in or after it, under any other name
// either, so that its memory can take the result.
bool is_last_use(const Value *sum, const Node *node)
{
    if (!makes_its_own(sum->node()) || sum == node->input(0)) return false;
    return std::all_of(sum->uses().begin(), sum->uses().end(), [node](const auto &use) {
        return use.user == node ||
               (makes_its_own(use.user) && use.user->owningBlock() == node->owningBlock() &&
                use.user->isBefore(node));
    });
}

} // namespace

bool suits_operator(const ConvolutionNode &convolution)
{
    const at::Tensor weight = convolution.arguments[0].toTensor();
    bool are_pairs = true;
    for (size_t i = 2; i < 5; i++)
        are_pairs = are_pairs && convolution.arguments[i].toIntVector().size() == 2;
    return pf_convolution_is_fast() && are_pairs && convolution.input_size.size() == 4 &&
           convolution.arguments[5].toInt() == 1 && weight.scalar_type() == at::kFloat &&
           weight.size(0) % block == 0 && weight.size(1) % block == 0;
}

void use_operator(Graph &graph, const ConvolutionNode &convolution, bool rounded)
{
    const Sum &sum = convolution.sum;
    Node *last = sum.add ? sum.add : convolution.node, *relu = only_relu(last->output());
    PfConvolutionConfig config = config_of(convolution);
    at::Tensor bias;
    if (convolution.arguments[1].isTensor()) {
        bias = convolution.arguments[1].toTensor().contiguous();
        config.bias = bias.data_ptr<float>();
    }
    config.activation.kind = relu ? PF_ACTIVATION_RELU : PF_ACTIVATION_NONE;
    config.bf16 = rounded;
    auto packed = c10::make_intrusive<PackedConvolution>(config);
    torch::jit::WithInsertPoint here(last);
    Value *other = sum.add ? sum.operand() : graph.insertConstant(c10::IValue());
    Value *constant =
        graph.insertConstant(c10::IValue(packed).toObject()->copy_to_weak_compilation_ref());
    Node *run = graph.insertNode(
        graph.create(convolution_kind, {convolution.node->input(0), other, constant}));
    (relu ? relu : last)->output()->replaceAllUsesWith(run->output());
}

void lend_sums(Graph &graph)
{
    const std::vector<Node *> nodes(graph.nodes().begin(), graph.nodes().end());
    for (Node *node : nodes) {
        if (node->kind() != convolution_kind || !is_last_use(node->input(1), node)) continue;
        torch::jit::WithInsertPoint here(node);
        Node *lent = graph.insertNode(graph.create(lent_convolution_kind, node->inputs()));
        node->output()->replaceAllUsesWith(lent->output());
        node->destroy();
    }
}

} // namespace permafrost

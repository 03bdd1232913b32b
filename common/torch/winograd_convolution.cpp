#include "winograd_convolution.h"

#include <algorithm>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/custom_class.h>
#include <torch/library.h>

#include "failure.h"
#include "winograd.h"

namespace permafrost {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

namespace {

const std::int64_t block = 16;  // channels that are computed together
const std::int64_t narrow = 32; // fewer channels do not pay for the transforms

/* ---- the operator ---- */

class WinogradConvolution : public torch::CustomClassHolder {
public:
    WinogradConvolution(const at::Tensor &weight, const c10::optional<at::Tensor> &bias,
                        int padding, bool relu);
    ~WinogradConvolution() override { pf_winograd_free(&winograd_); }

    at::Tensor run(const at::Tensor &x, const c10::optional<at::Tensor> &sum) const;

private:
    PfWinograd *winograd_ = nullptr;
    std::int64_t in_channels_, out_channels_;
    int padding_;
};

WinogradConvolution::WinogradConvolution(const at::Tensor &weight,
                                         const c10::optional<at::Tensor> &bias, int padding,
                                         bool relu)
    : in_channels_(weight.size(1)), out_channels_(weight.size(0)), padding_(padding)
{
    at::Tensor held = bias ? bias->contiguous() : at::zeros({out_channels_}, at::kFloat);
    PfWinogradConfig config = {};
    config.in_channels = in_channels_;
    config.out_channels = out_channels_;
    config.padding = padding;
    config.weight = weight.data_ptr<float>();
    std::copy_n(weight.strides().begin(), 4, config.strides);
    config.bias = held.data_ptr<float>();
    config.relu = relu;
    PfError error = {};
    if (pf_winograd_new(&config, &winograd_, &error)) throw Failure(error);
}

at::Tensor channels_last(const at::Tensor &map)
{
    return map.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor WinogradConvolution::run(const at::Tensor &x, const c10::optional<at::Tensor> &sum) const
{
    TORCH_CHECK(x.dim() == 4 && x.size(1) == in_channels_ && x.scalar_type() == at::kFloat,
                "a map of ", x.sizes(), " for a convolution of ", in_channels_, " channels");
    const at::Tensor from = channels_last(x), added = sum ? channels_last(*sum) : at::Tensor();
    const std::int64_t grown = 2 * padding_ - 2;
    at::Tensor y = at::empty({x.size(0), out_channels_, x.size(2) + grown, x.size(3) + grown},
                             x.options().memory_format(at::MemoryFormat::ChannelsLast));
    TORCH_CHECK(!sum || added.sizes() == y.sizes(), "cannot add ", added.sizes());
    PfWinogradMaps maps = {};
    maps.count = x.size(0);
    maps.height = x.size(2);
    maps.width = x.size(3);
    maps.x = from.data_ptr<float>();
    maps.sum = sum ? added.data_ptr<float>() : nullptr;
    maps.y = y.data_ptr<float>();
    at::parallel_for(
        0, pf_winograd_pieces(winograd_, &maps), 1, [&](std::int64_t begin, std::int64_t end) {
            const auto bytes = static_cast<std::int64_t>(pf_winograd_scratch(winograd_));
            at::Tensor scratch = at::empty({bytes}, at::kByte);
            for (std::int64_t piece = begin; piece < end; piece++)
                pf_winograd_run(winograd_, &maps, piece, scratch.data_ptr());
        });
    return y;
}

using Packed = c10::intrusive_ptr<WinogradConvolution>;

at::Tensor convolution(const at::Tensor &x, const c10::optional<at::Tensor> &sum,
                       const Packed &packed)
{
    return packed->run(x, sum);
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    library.class_<WinogradConvolution>("WinogradConvolution");
    library.def("winograd_convolution(Tensor x, Tensor? sum, "
                "__torch__.torch.classes.permafrost.WinogradConvolution packed) -> Tensor",
                convolution);
}

/* ---- the graph ---- */

// How many multiplications it saves: a quarter remains, of tiles that reach beyond the map, too.
double saving(std::int64_t height, std::int64_t width)
{
    auto whole = [](std::int64_t size) { return (size + 3) / 4 * 4; };
    return 4.0 * height * width / (whole(height) * whole(width));
}

} // namespace

bool suits_winograd(const ConvolutionNode &convolution)
{
    const std::vector<std::int64_t> &input = convolution.input_size, one = {1, 1};
    const at::Tensor weight = convolution.arguments[0].toTensor();
    const auto padding = convolution.arguments[3].toIntVector();
    const std::int64_t groups = convolution.arguments[5].toInt();
    if (!pf_winograd_is_fast() || input.size() != 4 || groups != 1) return false;
    if (weight.scalar_type() != at::kFloat || weight.size(2) != 3 || weight.size(3) != 3)
        return false;
    if (convolution.arguments[2].toIntVector() != one ||
        convolution.arguments[4].toIntVector() != one)
        return false;
    if (padding.size() != 2 || padding[0] != padding[1] || padding[0] > 2) return false;
    const std::int64_t height = input[2] + 2 * padding[0] - 2,
                       width = input[3] + 2 * padding[0] - 2;
    return weight.size(0) % block == 0 && weight.size(1) % block == 0 &&
           std::min(weight.size(0), weight.size(1)) >= narrow && height > 0 && width > 0 &&
           saving(height, width) >= 2;
}

void use_winograd(Graph &graph, const ConvolutionNode &convolution, const Sum &sum)
{
    Node *last = sum.add ? sum.add : convolution.node, *relu = only_relu(last->output());
    const torch::jit::Stack &arguments = convolution.arguments;
    c10::optional<at::Tensor> bias;
    if (arguments[1].isTensor()) bias = arguments[1].toTensor();
    auto packed = c10::make_intrusive<WinogradConvolution>(
        arguments[0].toTensor(), bias, static_cast<int>(arguments[3].toIntVector()[0]),
        relu != nullptr);
    torch::jit::WithInsertPoint here(last);
    Value *other = sum.add ? sum.operand() : graph.insertConstant(c10::IValue());
    Value *constant =
        graph.insertConstant(c10::IValue(packed).toObject()->copy_to_weak_compilation_ref());
    Node *run = graph.insertNode(
        graph.create(c10::Symbol::fromQualString("permafrost::winograd_convolution"),
                     {convolution.node->input(0), other, constant}));
    (relu ? relu : last)->output()->replaceAllUsesWith(run->output());
}

} // namespace permafrost

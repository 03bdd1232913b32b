#include "common/torch/learning_convolution.h"

#include <algorithm>
#include <functional>
#include <memory>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/library.h>

#include "common/conv/convolution.h"
#include "common/conv/weight_gradient.h"
#include "common/torch/failure.h"

namespace permafrost {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;
using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;

const std::int64_t block = 16; // channels that are computed together

at::Tensor channels_last(const at::Tensor &map)
{
    return map.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor new_map(at::IntArrayRef sizes)
{
    return at::empty(sizes, at::TensorOptions(at::kFloat), at::MemoryFormat::ChannelsLast);
}

struct Window {
    at::IntArrayRef stride, padding, dilation; // of y and x
};

// With the weight's memory.
PfConvolutionConfig config_of(const at::Tensor &x, const at::Tensor &weight, const Window &window)
{
    PfConvolutionConfig config = {};
    config.in_channels = weight.size(1);
    config.out_channels = weight.size(0);
    std::copy_n(weight.sizes().begin() + 2, 2, config.kernel);
    std::copy_n(window.stride.begin(), 2, config.stride);
    std::copy_n(window.padding.begin(), 2, config.padding);
    std::copy_n(window.dilation.begin(), 2, config.dilation);
    std::copy_n(x.sizes().begin() + 2, 2, config.map);
    std::copy_n(weight.strides().begin(), 4, config.strides);
    config.weight = weight.data_ptr<float>();
    return config;
}

/* ---- on all threads ---- */

void run_pieces(std::int64_t pieces, size_t scratch,
                const std::function<void(std::int64_t, void *)> &run)
{
    at::parallel_for(0, pieces, 1, [&](std::int64_t begin, std::int64_t end) {
        at::Tensor memory = at::empty({static_cast<std::int64_t>(scratch)}, at::kByte);
        for (std::int64_t piece = begin; piece < end; piece++) run(piece, memory.data_ptr());
    });
}

// A few pieces for every thread, that they end together.
void split_channels(const PfConvolution *convolution, PfConvolutionMaps &maps)
{
    const std::int64_t wanted = std::int64_t(4) * at::get_num_threads();
    const std::int64_t pieces = pf_convolution_pieces(convolution, &maps);
    maps.splits = (wanted + pieces - 1) / pieces;
}

// The weights were other ones at the step before: they are packed anew. bias: undefined, or the
// channels'.
at::Tensor convolve(const at::Tensor &x, const PfConvolutionConfig &config, const at::Tensor &bias)
{
    PfConvolutionConfig shape = config;
    shape.weight = nullptr;
    if (bias.defined()) shape.bias = bias.data_ptr<float>();
    PfError error = {};
    PfConvolution *convolution = nullptr;
    if (pf_convolution_new(&shape, &convolution, &error)) throw Failure(error);
    auto free = [](PfConvolution *used) { pf_convolution_free(&used); };
    const std::unique_ptr<PfConvolution, decltype(free)> owner(convolution, free);

    at::Tensor packed =
        at::empty({static_cast<std::int64_t>(pf_convolution_weight_bytes(convolution))}, at::kByte);
    pf_convolution_lend(convolution, static_cast<float *>(packed.data_ptr()));
    run_pieces(pf_convolution_panels(convolution), 0, [&](std::int64_t panel, void *) {
        pf_convolution_pack(convolution, &config, panel);
    });

    const at::Tensor from = channels_last(x);
    at::Tensor y =
        new_map({x.size(0), config.out_channels, pf_convolution_outputs(&config, 0, x.size(2)),
                 pf_convolution_outputs(&config, 1, x.size(3))});
    PfConvolutionMaps maps = {};
    maps.count = x.size(0);
    maps.height = x.size(2);
    maps.width = x.size(3);
    maps.x = from.data_ptr<float>();
    maps.y = y.data_ptr<float>();
    split_channels(convolution, maps);
    run_pieces(pf_convolution_pieces(convolution, &maps), pf_convolution_scratch(convolution),
               [&](std::int64_t piece, void *scratch) {
                   pf_convolution_run(convolution, &maps, piece, scratch);
               });
    return y;
}

/* ---- gradients ---- */

// A gradient by the input is a convolution by the weights turned round, of maps with as many
// zeros around them as the window reached beyond.
PfConvolutionConfig turned(const PfConvolutionConfig &config, const at::Tensor &gradient)
{
    PfConvolutionConfig around = config;
    std::swap(around.in_channels, around.out_channels);
    std::swap(around.strides[0], around.strides[1]);
    for (int axis = 0; axis < 2; axis++) {
        around.weight += (config.kernel[axis] - 1) * config.strides[2 + axis];
        around.strides[2 + axis] = -config.strides[2 + axis];
        around.padding[axis] =
            config.dilation[axis] * (config.kernel[axis] - 1) - config.padding[axis];
        around.map[axis] = gradient.size(2 + axis);
    }
    return around;
}

bool can_be_turned(const PfConvolutionConfig &config)
{
    bool can = true;
    for (int axis = 0; axis < 2; axis++)
        can = can && config.stride[axis] == 1 &&
              config.padding[axis] <= config.dilation[axis] * (config.kernel[axis] - 1);
    return can;
}

at::Tensor input_gradient(const at::Tensor &gradient, const at::Tensor &x, const at::Tensor &weight,
                          const Window &window)
{
    const PfConvolutionConfig config = config_of(x, weight, window);
    if (can_be_turned(config)) return convolve(gradient, turned(config, gradient), {});
    return std::get<0>(at::convolution_backward(gradient, x, weight, c10::nullopt, window.stride,
                                                window.padding, window.dilation, false, {0, 0}, 1,
                                                {true, false, false}));
}

at::Tensor weight_gradient(const at::Tensor &gradient, const at::Tensor &x,
                           const at::Tensor &weight, const Window &window)
{
    const PfConvolutionConfig config = config_of(x, weight, window);
    PfWeightGradient work = {};
    work.config = &config;
    work.count = x.size(0);
    work.height = x.size(2);
    work.width = x.size(3);
    work.x = x.data_ptr<float>();
    work.gradient = gradient.data_ptr<float>();
    const std::int64_t parts = pf_weight_gradient_parts(&work), channels = config.out_channels;
    at::Tensor sums =
        new_map({parts * channels, config.in_channels, config.kernel[0], config.kernel[1]});
    work.sums = sums.data_ptr<float>();
    run_pieces(
        pf_weight_gradient_pieces(&work), pf_weight_gradient_scratch(&work),
        [&](std::int64_t piece, void *scratch) { pf_weight_gradient_run(&work, piece, scratch); });
    at::Tensor sum = sums.narrow(0, 0, channels);
    for (std::int64_t part = 1; part < parts; part++)
        sum.add_(sums.narrow(0, part * channels, channels));
    return sum;
}

/* ---- the operator ---- */

class LearningConvolution : public torch::autograd::Function<LearningConvolution> {
public:
    static Variable forward(AutogradContext *context, const Variable &x, const Variable &weight,
                            const c10::optional<Variable> &bias, const Window &window)
    {
        const at::Tensor maps = channels_last(x);
        context->save_for_backward({maps, weight});
        context->saved_data["stride"] = window.stride.vec();
        context->saved_data["padding"] = window.padding.vec();
        context->saved_data["dilation"] = window.dilation.vec();
        context->saved_data["has_bias"] = bias.has_value();
        return convolve(maps, config_of(maps, weight, window),
                        bias ? bias->contiguous() : at::Tensor());
    }

    static variable_list backward(AutogradContext *context, const variable_list &gradients)
    {
        const variable_list saved = context->get_saved_variables();
        const auto stride = context->saved_data["stride"].toIntVector(),
                   padding = context->saved_data["padding"].toIntVector(),
                   dilation = context->saved_data["dilation"].toIntVector();
        const Window window = {stride, padding, dilation};
        const at::Tensor gradient = channels_last(gradients[0]);
        variable_list results(4);
        if (context->needs_input_grad(0))
            results[0] = input_gradient(gradient, saved[0], saved[1], window);
        if (context->needs_input_grad(1))
            results[1] = weight_gradient(gradient, saved[0], saved[1], window);
        // One that is not there has no number.
        if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(2))
            results[2] = gradient.sum({0, 2, 3});
        return results;
    }
};

bool is_ours(const at::Tensor &x, const at::Tensor &weight, const Window &window,
             std::int64_t groups)
{
    const auto is_float_map = [](const at::Tensor &map) {
        return map.is_cpu() && map.scalar_type() == at::kFloat && map.dim() == 4;
    };
    if (!is_float_map(x) || !is_float_map(weight) || groups != 1 || x.size(0) == 0 ||
        x.size(1) != weight.size(1) || window.stride.size() != 2 || window.padding.size() != 2 ||
        window.dilation.size() != 2)
        return false;
    const PfConvolutionConfig config = config_of(x, weight, window);
    return weight.size(2) * weight.size(3) > 1 && weight.size(0) % block == 0 &&
           weight.size(1) % block == 0 && pf_weight_gradient_suits(&config) &&
           pf_convolution_outputs(&config, 0, x.size(2)) > 0 &&
           pf_convolution_outputs(&config, 1, x.size(3)) > 0;
}

at::Tensor learn(const at::Tensor &x, const at::Tensor &weight,
                 const c10::optional<at::Tensor> &bias, at::IntArrayRef stride,
                 at::IntArrayRef padding, at::IntArrayRef dilation, std::int64_t groups)
{
    const Window window = {stride, padding, dilation};
    if (!is_ours(x, weight, window, groups))
        return at::conv2d(x, weight, bias, stride, padding, dilation, groups);
    const bool has_bias = bias && bias->defined();
    return LearningConvolution::apply(x, weight, has_bias ? bias : c10::nullopt, window);
}

TORCH_LIBRARY_FRAGMENT(permafrost, library)
{
    library.def("learning_convolution(Tensor x, Tensor weight, Tensor? bias, int[] stride, "
                "int[] padding, int[] dilation, int groups) -> Tensor",
                learn);
}

/* ---- the graph ---- */

// Which of the node's inputs the operator takes; none: it is not such a convolution.
std::vector<size_t> inputs_of(const Node *node)
{
    if (node->kind() == c10::aten::conv2d) // whose padding may be a word
        return node->input(4)->type()->kind() == c10::TypeKind::ListType
                   ? std::vector<size_t>{0, 1, 2, 3, 4, 5, 6}
                   : std::vector<size_t>{};
    if (node->kind() != c10::aten::_convolution) return {};
    const auto transposed = torch::jit::toIValue(node->input(6));
    return transposed && !transposed->toBool() ? std::vector<size_t>{0, 1, 2, 3, 4, 5, 8}
                                               : std::vector<size_t>{};
}

void use_in_block(Graph &graph, Block *nodes)
{
    const std::vector<Node *> all(nodes->nodes().begin(), nodes->nodes().end());
    for (Node *node : all) {
        for (Block *inner : node->blocks()) use_in_block(graph, inner);
        std::vector<torch::jit::Value *> inputs;
        for (size_t i : inputs_of(node)) inputs.push_back(node->input(i));
        if (inputs.empty()) continue;
        torch::jit::WithInsertPoint here(node);
        Node *ours = graph.insertNode(
            graph.create(c10::Symbol::fromQualString("permafrost::learning_convolution"), inputs));
        node->output()->replaceAllUsesWith(ours->output());
        node->destroy();
    }
}

} // namespace

void use_learning_convolutions(Graph &graph)
{
    use_in_block(graph, graph.block());
}

} // namespace permafrost

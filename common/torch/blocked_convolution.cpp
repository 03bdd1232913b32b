#include "blocked_convolution.h"

#include <algorithm>
#include <cstring>

#include <ATen/Functions.h>
#include <torch/library.h>

namespace permafrost {

using dnnl::convolution_forward;
using dnnl::memory;

const std::int64_t block = 16;  // channels that lie together
const std::int64_t few = 3;     // channels of an image
const std::int64_t narrow = 32; // fewer channels, or
const std::int64_t low = 4;     // fewer rows, do not pay for Winograd's transforms

static const dnnl::engine &cpu()
{
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

bool can_convolve_blocked()
{
    const int needed = static_cast<int>(dnnl::cpu_isa::avx512_core);
    return (static_cast<int>(dnnl::get_effective_cpu_isa()) & needed) == needed;
}

/* ---- sizes ---- */

static std::int64_t slid(std::int64_t size, std::int64_t window, std::int64_t stride,
                         std::int64_t padding)
{
    return (size + 2 * padding - window) / stride + 1;
}

static Dims convolved_size(const ConvolutionSpec &spec)
{
    Dims size = {spec.input_size[0], spec.weight.size(0), 0, 0};
    for (int i = 0; i < 2; i++) {
        std::int64_t window = spec.dilation[i] * (spec.weight.size(2 + i) - 1) + 1;
        size[2 + i] = slid(spec.input_size[2 + i], window, spec.stride[i], spec.padding[i]);
    }
    return size;
}

Dims blocked_output_size(const ConvolutionSpec &spec)
{
    const Dims size = convolved_size(spec);
    return {size[0], size[1] / block, size[2], size[3], block};
}

Dims pooled_size(const Dims &blocked, const Dims &kernel, const Dims &stride, const Dims &padding)
{
    Dims size = blocked;
    for (int i = 0; i < 2; i++)
        size[2 + i] = slid(blocked[2 + i], kernel[i], stride[i], padding[i]);
    return size;
}

bool is_image(const ConvolutionSpec &spec)
{
    return spec.input_size[1] == few;
}

static bool fills_blocks(const ConvolutionSpec &spec)
{
    const at::Tensor &weight = spec.weight;
    const bool is_whole = weight.size(1) == spec.input_size[1]; // one group
    return is_whole && weight.scalar_type() == at::kFloat && weight.size(0) % block == 0 &&
           (is_image(spec) || weight.size(1) % block == 0);
}

bool suits_winograd(const ConvolutionSpec &spec)
{
    const at::Tensor &weight = spec.weight;
    const Dims size = convolved_size(spec), one = {1, 1};
    return fills_blocks(spec) && weight.size(2) == 3 && weight.size(3) == 3 && spec.stride == one &&
           spec.dilation == one && std::min(weight.size(0), weight.size(1)) >= narrow &&
           std::min(size[2], size[3]) >= low;
}

/* ---- making ---- */

static dnnl::primitive_attr attributes(const ConvolutionSpec &spec)
{
    dnnl::post_ops after;
    if (spec.adds) after.append_sum(1.0f);
    if (spec.relu) after.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attributes;
}

// Else it is oneDNN's reference, a hundred times as slow.
static bool is_compiled(const convolution_forward::primitive_desc &convolution)
{
    return std::strncmp(convolution.impl_info_str(), "jit", 3) == 0;
}

static convolution_forward::primitive_desc describe(const ConvolutionSpec &spec)
{
    using tag = memory::format_tag;
    const auto f32 = memory::data_type::f32;
    const Dims output = convolved_size(spec);
    const memory::desc in(spec.input_size, f32, is_image(spec) ? tag::nchw : tag::nChw16c);
    const memory::desc weight(spec.weight.sizes().vec(), f32, tag::any);
    const memory::desc bias({output[1]}, f32, tag::x), out(output, f32, tag::nChw16c);
    const Dims dilation = {spec.dilation[0] - 1, spec.dilation[1] - 1}; // oneDNN counts gaps
    for (auto algorithm :
         {dnnl::algorithm::convolution_winograd, dnnl::algorithm::convolution_direct}) {
        bool is_winograd = algorithm == dnnl::algorithm::convolution_winograd;
        if (is_winograd && !suits_winograd(spec)) continue;
        convolution_forward::desc convolution(dnnl::prop_kind::forward_inference, algorithm, in,
                                              weight, bias, out, spec.stride, dilation,
                                              spec.padding, spec.padding);
        convolution_forward::primitive_desc found(convolution, attributes(spec), cpu(),
                                                  is_winograd);
        if (found && is_compiled(found)) return found;
    }
    return {};
}

bool has_blocked_form(const ConvolutionSpec &spec)
{
    ConvolutionSpec most = spec;
    most.adds = most.relu = true;
    return fills_blocks(spec) && describe(most);
}

// The tensor's numbers in another layout.
static memory reordered(const at::Tensor &tensor, memory::format_tag tag, const memory::desc &to)
{
    at::Tensor from = tensor.contiguous();
    memory source({from.sizes().vec(), memory::data_type::f32, tag}, cpu(), from.data_ptr());
    memory target(to, cpu());
    dnnl::stream stream(cpu());
    dnnl::reorder(source, target).execute(stream, source, target);
    stream.wait();
    return target;
}

BlockedConvolution::BlockedConvolution(const ConvolutionSpec &spec)
{
    const convolution_forward::primitive_desc found = describe(spec);
    primitive_ = convolution_forward(found);
    input_ = found.src_desc();
    output_ = found.dst_desc();
    scratchpad_ = found.scratchpad_desc();
    weight_ = reordered(spec.weight, memory::format_tag::oihw, found.weights_desc());
    at::Tensor bias = spec.bias ? *spec.bias : at::zeros({spec.weight.size(0)}, at::kFloat);
    bias_ = reordered(bias, memory::format_tag::x, found.bias_desc());
    output_size_ = blocked_output_size(spec);
}

/* ---- running ---- */

static memory lent(const memory::desc &desc, const at::Tensor &tensor)
{
    return memory(desc, cpu(), tensor.data_ptr());
}

void BlockedConvolution::execute(const at::Tensor &x, const at::Tensor &y) const
{
    at::Tensor input = x.contiguous();
    TORCH_CHECK(static_cast<size_t>(input.nbytes()) == input_.get_size(), "input of ",
                input.sizes(), " for a convolution packed for another size");
    at::Tensor scratchpad =
        at::empty({static_cast<std::int64_t>(scratchpad_.get_size())}, at::kByte);
    dnnl::stream stream(cpu());
    primitive_.execute(stream, {{DNNL_ARG_SRC, lent(input_, input)},
                                {DNNL_ARG_WEIGHTS, weight_},
                                {DNNL_ARG_BIAS, bias_},
                                {DNNL_ARG_DST, lent(output_, y)},
                                {DNNL_ARG_SCRATCHPAD, lent(scratchpad_, scratchpad)}});
    stream.wait();
}

at::Tensor BlockedConvolution::run(const at::Tensor &x) const
{
    at::Tensor y = at::empty(output_size_, x.options().memory_format(at::MemoryFormat::Contiguous));
    execute(x, y);
    return y;
}

at::Tensor BlockedConvolution::run_onto(const at::Tensor &x, at::Tensor sum) const
{
    TORCH_CHECK(sum.sizes() == output_size_ && sum.is_contiguous(), "cannot add to ", sum.sizes());
    execute(x, sum);
    return sum;
}

/* ---- operators of TorchScript ---- */

using Packed = c10::intrusive_ptr<BlockedConvolution>;

static at::Tensor convolution(const at::Tensor &x, const Packed &packed)
{
    return packed->run(x);
}

static at::Tensor convolution_onto(const at::Tensor &x, at::Tensor sum, const Packed &packed)
{
    return packed->run_onto(x, sum);
}

static at::Tensor block_channels(const at::Tensor &x)
{
    std::int64_t n = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
    return x.permute({0, 2, 3, 1})
        .reshape({n, height, width, channels / block, block})
        .permute({0, 3, 1, 2, 4})
        .contiguous();
}

// Channels last.
static at::Tensor unblock_channels(const at::Tensor &x)
{
    std::int64_t n = x.size(0), blocks = x.size(1), height = x.size(2), width = x.size(3);
    return x.permute({0, 2, 3, 1, 4})
        .reshape({n, height, width, blocks * block})
        .permute({0, 3, 1, 2});
}

static memory::desc map_desc(at::IntArrayRef blocked)
{
    return memory::desc({blocked[0], blocked[1] * block, blocked[2], blocked[3]},
                        memory::data_type::f32, memory::format_tag::nChw16c);
}

static at::Tensor max_pool(const at::Tensor &x, Dims kernel, Dims stride, Dims padding)
{
    at::Tensor y = at::empty(pooled_size(x.sizes().vec(), kernel, stride, padding), x.options());
    const memory::desc from = map_desc(x.sizes()), to = map_desc(y.sizes());
    dnnl::pooling_forward::primitive_desc pooling({dnnl::prop_kind::forward_inference,
                                                   dnnl::algorithm::pooling_max, from, to, stride,
                                                   kernel, padding, padding},
                                                  cpu());
    dnnl::stream stream(cpu());
    dnnl::pooling_forward(pooling).execute(
        stream, {{DNNL_ARG_SRC, lent(from, x)}, {DNNL_ARG_DST, lent(to, y)}});
    stream.wait();
    return y;
}

TORCH_LIBRARY(permafrost, library)
{
    library.class_<BlockedConvolution>("BlockedConvolution");
    library.def("convolution(Tensor x, __torch__.torch.classes.permafrost.BlockedConvolution "
                "packed) -> Tensor",
                convolution);
    library.def("convolution_onto(Tensor x, Tensor(a!) sum, "
                "__torch__.torch.classes.permafrost.BlockedConvolution packed) -> Tensor(a!)",
                convolution_onto);
    library.def("block_channels(Tensor x) -> Tensor", block_channels);
    library.def("unblock_channels(Tensor x) -> Tensor", unblock_channels);
    library.def("max_pool(Tensor x, int[] kernel, int[] stride, int[] padding) -> Tensor",
                max_pool);
}

} // namespace permafrost

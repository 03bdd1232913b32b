// Convolutions by oneDNN itself, on maps in its own layout.
//
// A blocked map is a float32 tensor (n, c/16, h, w, 16): oneDNN's nChw16c. Winograd's
// algorithm (Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
// 2016: F(4x4, 3x3), a quarter of the multiplications) exists in that layout only,
// and libtorch never asks for it.
#ifndef PF_TORCH_BLOCKED_CONVOLUTION_H
#define PF_TORCH_BLOCKED_CONVOLUTION_H

#include <vector>

#include <oneapi/dnnl/dnnl.hpp>
#include <torch/custom_class.h>

namespace permafrost {

using Dims = std::vector<std::int64_t>;

struct ConvolutionSpec {
    at::Tensor weight;              // float32 (out, in, kh, kw)
    c10::optional<at::Tensor> bias; // (out)
    Dims stride, padding, dilation;
    Dims input_size; // (n, in, h, w)
    bool adds;       // to what lies in the output already
    bool relu;       // at last
};

// Whether the processor has what blocked convolutions are written for (AVX-512).
bool can_convolve_blocked();

// Whether the channels fill blocks, and oneDNN compiles a kernel for it. Those of the
// input may also be so few that it is no blocked map but an image.
bool has_blocked_form(const ConvolutionSpec &spec);

bool is_image(const ConvolutionSpec &spec);

// Whether it is of the kind that Winograd's algorithm does faster.
bool suits_winograd(const ConvolutionSpec &spec);

// Of the blocked map that it makes.
Dims blocked_output_size(const ConvolutionSpec &spec);

// A blocked map's size, max-pooled without dilation or ceil_mode.
Dims pooled_size(const Dims &blocked, const Dims &kernel, const Dims &stride, const Dims &padding);

// Which algorithm sums the products depends on the sizes alone: never on time taken,
// place in the batch or, if made and run on one thread, on the number of threads.
class BlockedConvolution : public torch::CustomClassHolder {
public:
    explicit BlockedConvolution(const ConvolutionSpec &spec);

    const Dims &output_size() const { return output_size_; } // blocked

    // x: a blocked map, or an image (n, in, h, w) in any memory format.
    at::Tensor run(const at::Tensor &x) const;

    // The same, added to sum, whose memory the result takes.
    at::Tensor run_onto(const at::Tensor &x, at::Tensor sum) const;

private:
    void execute(const at::Tensor &x, const at::Tensor &y) const;

    dnnl::convolution_forward primitive_;
    dnnl::memory::desc input_, output_, scratchpad_;
    dnnl::memory weight_, bias_;
    Dims output_size_;
};

} // namespace permafrost

#endif

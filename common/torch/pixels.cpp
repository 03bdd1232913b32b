#include "common/torch/pixels.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

namespace permafrost {

PixelTable::PixelTable(const float mean[3], const float std[3])
{
    for (int c = 0; c < 3; c++)
        for (int pixel = 0; pixel < 256; pixel++)
            values_[c][pixel] = (static_cast<float>(pixel) / 255.0f - mean[c]) / std[c];
}

// pixels: (rows * area, 3); out: channel c of pixel i lies at c * plane + i * step.
template <typename T>
static void look_up(const T table[3][256], const std::uint8_t *pixels, std::int64_t area, T *out,
                    std::int64_t plane, std::int64_t step)
{
    for (std::int64_t i = 0; i < area; i++)
        for (int c = 0; c < 3; c++) out[c * plane + i * step] = table[c][pixels[3 * i + c]];
}

template <typename T>
static void look_up_images(const float values[3][256], const std::uint8_t *pixels, int n,
                           at::Tensor &out)
{
    T table[3][256];
    for (int c = 0; c < 3; c++)
        for (int pixel = 0; pixel < 256; pixel++)
            table[c][pixel] = static_cast<T>(values[c][pixel]);
    const std::int64_t area = out.size(2) * out.size(3);
    T *data = out.data_ptr<T>();
    at::parallel_for(0, n, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; i++)
            look_up(table, pixels + 3 * area * i, area, data + out.stride(0) * i, out.stride(1),
                    out.stride(3));
    });
}

static void clear_rest(std::int64_t n, at::Tensor &out)
{
    if (n < out.size(0)) out.narrow(0, n, out.size(0) - n).zero_();
}

void PixelTable::normalise(const at::Tensor &pixels, at::Tensor &out) const
{
    const int n = static_cast<int>(pixels.size(0));
    const std::uint8_t *bytes = pixels.data_ptr<std::uint8_t>();
    if (out.scalar_type() == at::kBFloat16)
        look_up_images<at::BFloat16>(values_, bytes, n, out);
    else
        look_up_images<float>(values_, bytes, n, out);
    clear_rest(n, out);
}

static at::Tensor channels(const float values[3], c10::Device device)
{
    return at::tensor(c10::ArrayRef<float>(values, 3)).view({3, 1, 1}).to(device);
}

// A tensor, as a GPU would multiply by the reciprocal of a number.
PixelFormula::PixelFormula(const float mean[3], const float std[3], c10::Device device)
    : largest_(at::full({1}, 255.0f, at::kFloat).to(device)), mean_(channels(mean, device)),
      std_(channels(std, device))
{
}

void PixelFormula::normalise(const at::Tensor &pixels, at::Tensor &out) const
{
    at::Tensor bytes = pixels.permute({0, 3, 1, 2}), to = out.narrow(0, 0, pixels.size(0));
    // Each operator reads and writes all pixels once: the first takes bytes, the last rounds.
    at::Tensor values = out.scalar_type() == at::kFloat ? to : at::empty_like(to, at::kFloat);
    at::div_out(values, bytes, largest_);
    at::div_out(to, values.sub_(mean_), std_);
    clear_rest(pixels.size(0), out);
}

} // namespace permafrost

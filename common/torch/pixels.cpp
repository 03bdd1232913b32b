#include "pixels.h"

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

void PixelTable::normalise_on_cpu(const std::uint8_t *pixels, int n, at::Tensor &out) const
{
    if (out.scalar_type() == at::kBFloat16)
        look_up_images<at::BFloat16>(values_, pixels, n, out);
    else
        look_up_images<float>(values_, pixels, n, out);
}

// One byte per channel crosses to the device and is looked up there.
void PixelTable::normalise_on_device(const std::uint8_t *pixels, int n, at::Tensor &out) const
{
    const std::int64_t height = out.size(2), width = out.size(3);
    at::Tensor bytes = at::from_blob(const_cast<std::uint8_t *>(pixels), {n, height, width, 3},
                                     at::TensorOptions().dtype(at::kByte));
    at::Tensor table = at::from_blob(const_cast<float(*)[256]>(values_), {3 * 256}, at::kFloat);
    at::Tensor channels = at::arange(0, 3 * 256, 256, out.options().dtype(at::kLong));
    at::Tensor index = at::add(channels, bytes.to(out.device()));
    at::Tensor values = table.to(out.device()).index_select(0, index.flatten());
    out.narrow(0, 0, n).copy_(values.view({n, height, width, 3}).permute({0, 3, 1, 2}));
}

void PixelTable::normalise(const std::uint8_t *pixels, int n, at::Tensor &out) const
{
    if (out.is_cpu())
        normalise_on_cpu(pixels, n, out);
    else
        normalise_on_device(pixels, n, out);
    if (n < out.size(0)) out.narrow(0, n, out.size(0) - n).zero_();
}

} // namespace permafrost

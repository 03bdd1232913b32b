// From uint8 pixels to a network's input.
#ifndef PF_TORCH_PIXELS_H
#define PF_TORCH_PIXELS_H

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace permafrost {

// (pixel / 255 - mean) / std in float32, in the order in which torchvision's
// ToTensor and Normalize compute it, for each of the 256 values and 3 channels.
class PixelTable {
public:
    PixelTable(const float mean[3], const float std[3]);

    // pixels: (n, h, w, 3). Fills the first n images of out, (rows, 3, h, w) on
    // any device, of any floating type and memory format; the rest become zero.
    void normalise(const std::uint8_t *pixels, int n, at::Tensor &out) const;

private:
    void normalise_on_cpu(const std::uint8_t *pixels, int n, at::Tensor &out) const;
    void normalise_on_device(const std::uint8_t *pixels, int n, at::Tensor &out) const;

    float values_[3][256];
};

} // namespace permafrost

#endif

// From uint8 pixels to a network's input.
#ifndef PF_COMMON_TORCH_PIXELS_H
#define PF_COMMON_TORCH_PIXELS_H

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace permafrost {

// (pixel / 255 - mean) / std in float32, in the order in which torchvision's
// ToTensor and Normalize compute it, for each of the 256 values and 3 channels.
class PixelTable {
public:
    PixelTable(const float mean[3], const float std[3]);

    // pixels: (n, h, w, 3) uint8, row-major. Fills the first n images of out, (rows, 3, h, w) of
    // float or bfloat16 in any memory format, all on the CPU; the rest become zero.
    void normalise(const at::Tensor &pixels, at::Tensor &out) const;

private:
    float values_[3][256];
};

// The same values, computed where the pixels are: on any device, of any floating type.
class PixelFormula {
public:
    PixelFormula(const float mean[3], const float std[3], c10::Device device);

    void normalise(const at::Tensor &pixels, at::Tensor &out) const;

private:
    at::Tensor largest_, mean_, std_; // (1), (3, 1, 1), (3, 1, 1)
};

} // namespace permafrost

#endif

// Arithmetic in bfloat16 on float32 parameters.
#ifndef PF_COMMON_TORCH_AUTOCAST_H
#define PF_COMMON_TORCH_AUTOCAST_H

#include <c10/core/Device.h>

namespace permafrost {

// While it lives, this thread's convolutions and matrix products on that device compute in
// bfloat16, if it is enabled. Weights are rounded once in that time.
class Bf16Autocast {
public:
    Bf16Autocast(c10::Device device, bool enabled);
    ~Bf16Autocast();
    Bf16Autocast(const Bf16Autocast &) = delete;
    Bf16Autocast &operator=(const Bf16Autocast &) = delete;

private:
    c10::Device device_;
    bool enabled_;
};

} // namespace permafrost

#endif

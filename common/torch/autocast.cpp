#include "common/torch/autocast.h"

#include <ATen/autocast_mode.h>
#include <torch/version.h>

namespace permafrost {

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
static void enable(c10::Device device, bool enabled)
{
    at::autocast::set_autocast_enabled(device.type(), enabled);
    if (enabled) at::autocast::set_autocast_dtype(device.type(), at::kBFloat16);
}
#else
static void enable(c10::Device device, bool enabled)
{
    if (device.is_cpu()) {
        at::autocast::set_cpu_enabled(enabled);
        at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    } else {
        at::autocast::set_enabled(enabled);
        at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    }
}
#endif

Bf16Autocast::Bf16Autocast(c10::Device device, bool enabled) : device_(device), enabled_(enabled)
{
    if (enabled_) enable(device_, true);
}

Bf16Autocast::~Bf16Autocast()
{
    if (!enabled_) return;
    enable(device_, false);
    at::autocast::clear_cache();
}

} // namespace permafrost

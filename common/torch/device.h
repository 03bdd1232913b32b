// Where and how to compute.
#ifndef PF_TORCH_DEVICE_H
#define PF_TORCH_DEVICE_H

#include <string>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "permafrost/backbone.h"

namespace permafrost {

// "auto", "cpu", "cuda", "cuda:1". Throws a Failure for a device that is not there.
c10::Device choose_device(const char *name);

// Throws a Failure where the device cannot compute in that precision.
void check_precision(PfPrecision precision, c10::Device device);

// CPU threads of what comes; 0: all cores.
void set_threads(int threads);

c10::ScalarType scalar_type(PfPrecision precision);

// "libtorch 1.13.0, oneDNN 2.6.3, cpu, 2 threads"
std::string describe_device(c10::Device device);

} // namespace permafrost

#endif

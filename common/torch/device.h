// Where and how to compute.
#ifndef PF_COMMON_TORCH_DEVICE_H
#define PF_COMMON_TORCH_DEVICE_H

#include <string>

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "permafrost/backbone.h"

namespace permafrost {

// "auto", "cpu", "cpu:overlap", "cuda", "cuda:1". Throws a Failure for a device that is not
// there.
c10::Device choose_device(const char *name);
// The same of several processes of this host, each of which takes a GPU of its own for "auto";
// where but one is in sight, that one.
c10::Device choose_device(const char *name, int local_rank);

// Whether copies to and from the device overlap with its computing: everywhere but on the plain
// CPU. name: as choose_device() takes it.
bool is_overlapped(c10::Device device, const char *name);

// Whether float32 may be rounded to TF32 by the GPU's convolutions and matrix products from
// now on; until then it is not.
void allow_tf32(bool allowed);

// Throws a Failure where the device cannot compute in that precision. can_emulate: --emulate would.
void check_precision(PfPrecision precision, c10::Device device, bool can_emulate);

// CPU threads of what comes; 0: all cores. in_groups: each runs rows of its own (row_groups.h), so
// that products are for one thread: shared out among three, OpenBLAS rounds them otherwise.
void set_threads(int threads, bool in_groups);

c10::ScalarType scalar_type(PfPrecision precision);

// "libtorch 1.13.0, oneDNN 2.6.3, cpu, 2 threads". name: of the device, as choose_device() takes
// it.
std::string describe_device(c10::Device device, const char *name);

} // namespace permafrost

#endif

// A TorchScript module made ready to run: frozen, fused, on its device.
#ifndef PF_TORCH_NETWORK_H
#define PF_TORCH_NETWORK_H

#include <torch/csrc/jit/api/module.h>

#include "permafrost/backbone.h"

namespace permafrost {

// How much is done to a module. Each step rests on the one before.
enum class Optimisation {
    none,
    frozen, // weights are constants, batch norm is folded into convolutions
    fused,  // operators are joined and weights reordered for the device
};

struct NetworkOptions {
    PfPrecision precision;
    c10::Device device;
    Optimisation optimisation;
};

class Network {
public:
    // module: float32 on the CPU, in eval mode; given up to the network. Batch
    // norm is folded in float32, before anything is rounded to a lower precision.
    Network(torch::jit::Module module, const NetworkOptions &options);

    // An uninitialised input (n, 3, height, width) of the element type, device and
    // memory format that it runs fastest with.
    at::Tensor empty_input(int n, int height, int width) const;

    // What the module's forward returns.
    c10::IValue run(const at::Tensor &input);

private:
    torch::jit::Module module_;
    at::TensorOptions input_options_;
};

} // namespace permafrost

#endif

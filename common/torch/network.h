// A TorchScript module made ready to run: frozen, fused, on its device.
#ifndef PF_COMMON_TORCH_NETWORK_H
#define PF_COMMON_TORCH_NETWORK_H

#include <memory>
#include <string>

#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/runtime/interpreter.h>

namespace permafrost {

// In which arithmetic a network computes.
enum class Arithmetic {
    plain,        // that of its input's element type
    rounded_bf16, // float32, every weight and result rounded to bfloat16
};

// How much is done to a module. Each step rests on the one before.
enum class Optimisation {
    none,
    frozen, // weights are constants, batch norm is folded into convolutions
    fused,  // operators are joined and weights reordered for the device
};

class Network {
public:
    // module: float32 on the CPU, in eval mode; given up to the network. input: what
    // run() will be given, (rows, 3, height, width); its device and element type
    // become the network's. Batch norm is folded in float32, before anything is
    // rounded to a lower precision.
    Network(torch::jit::Module module, const at::Tensor &input, Optimisation optimisation,
            Arithmetic arithmetic);

    // The method as it is written: the module stays the caller's, who may change its
    // parameters between runs. Where gradients are on, they are recorded. by_ours: convolutions and
    // their gradients are computed as learning_convolution.h says.
    Network(const torch::jit::Module &module, const std::string &method, bool by_ours = false);

    const torch::jit::Graph &graph() const { return *graph_; }

    // What the method returns. Always the same instructions: libtorch's
    // own executor would profile the first run and run something else from then on.
    // Of input's rows, where the first constructor was given them on the CPU, groups run
    // side by side (row_groups.h), and no gradients are recorded.
    c10::IValue run(const at::Tensor &input) const;

private:
    void optimise(torch::jit::Module module, const at::Tensor &input, Optimisation optimisation,
                  Arithmetic arithmetic);

    c10::IValue run_rows(const at::Tensor &input) const;

    bool in_groups_ = false;
    c10::IValue module_; // first argument of the method
    std::shared_ptr<torch::jit::Graph> graph_;
    torch::jit::Code code_;
};

} // namespace permafrost

#endif

#include "network.h"

#include <ATen/Functions.h>
#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

using torch::jit::Block;
using torch::jit::Module;

static at::ScalarType scalar_type(PfPrecision precision)
{
    switch (precision) {
    case PF_BF16: return at::kBFloat16;
    case PF_FP16: return at::kHalf;
    default: return at::kFloat;
    }
}

static bool is_float_tensor(const torch::jit::Node *node)
{
    return node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value) &&
           node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t &&
           node->t(c10::attr::value).scalar_type() == at::kFloat;
}

// Rounds and moves the weights, which freezing has made constants of the graph.
static void convert_constants(Block *block, const NetworkOptions &options)
{
    for (torch::jit::Node *node : block->nodes()) {
        for (Block *inner : node->blocks()) convert_constants(inner, options);
        if (!is_float_tensor(node)) continue;
        at::Tensor tensor =
            node->t(c10::attr::value).to(options.device, scalar_type(options.precision));
        if (tensor.dim() == 4) tensor = tensor.contiguous(at::MemoryFormat::ChannelsLast);
        node->t_(c10::attr::value, tensor);
        node->output()->inferTypeFrom(tensor);
    }
}

Network::Network(Module module, const NetworkOptions &options)
{
    // In float32 on the CPU, fusing turns to oneDNN's blocked layouts, which start
    // from plain ones.
    bool blocked = options.device.is_cpu() && options.precision == PF_FP32 &&
                   options.optimisation == Optimisation::fused;
    input_options_ = at::TensorOptions()
                         .device(options.device)
                         .dtype(scalar_type(options.precision))
                         .memory_format(blocked ? at::MemoryFormat::Contiguous
                                                : at::MemoryFormat::ChannelsLast);
    if (options.optimisation == Optimisation::none) {
        module.to(options.device, scalar_type(options.precision));
    } else {
        module = torch::jit::freeze(module);
        if (!blocked) convert_constants(module.get_method("forward").graph()->block(), options);
    }
    if (options.optimisation == Optimisation::fused)
        module = torch::jit::optimize_for_inference(module);
    module_ = module;
}

at::Tensor Network::empty_input(int n, int height, int width) const
{
    return at::empty({n, 3, height, width}, input_options_);
}

c10::IValue Network::run(const at::Tensor &input)
{
    return module_.forward({input});
}

} // namespace permafrost

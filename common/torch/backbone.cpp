#include "backbone.h"

#include <algorithm>
#include <cstring>

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include "block_pool.h"
#include "device.h"
#include "failure.h"
#include "script_module.h"
#include "user_module.h"

using namespace permafrost;

// On the CPU the network always runs on this many images, the last ones zero
// where there are fewer. A kernel chosen for another number of rows could sum in
// another order, and an image's features must not depend on who came with it or
// on --batch. So few, as their activations stay in the cache and a partial batch
// wastes little.
static const int cpu_rows = 16;

/* ---- opening ---- */

void PfBackbone::add_tap(const std::string &name, size_t output, const PfShape &shape)
{
    PfTapInfo info = {};
    if (name.size() >= sizeof info.name)
        throw Failure(PF_EXIT_FAILED, "tap name '" + name + "' is too long");
    std::memcpy(info.name, name.c_str(), name.size());
    info.shape = pf_arch_stored_shape(shape);
    taps_.push_back(info);
    outputs_.push_back(output);
}

void PfBackbone::open_arch(const PfBackboneConfig &config)
{
    const PfArch &arch = *config.arch;
    PfError error = {};
    std::vector<PfShape> shapes(arch.node_count);
    if (pf_arch_infer_shapes(&arch, config.input_height, config.input_width, shapes.data(), &error))
        throw Failure(error);
    std::vector<int> nodes(config.tap_count);
    for (int t = 0; t < config.tap_count; t++) {
        if (pf_arch_find_tap(&arch, config.taps[t], &nodes[t], &error)) throw Failure(error);
        add_tap(config.taps[t], t, shapes[nodes[t]]);
    }
    torch::jit::Module module = script_module(arch, config.tensors, config.tensor_count, 0, nodes);
    network_.reset(new Network(module, input_, Optimisation::fused));
}

void PfBackbone::open_user_module(const PfBackboneConfig &config)
{
    const std::string path = config.torchscript_path;
    torch::jit::Module module = load_user_module(path);
    replace_tensors(module, config.tensors, config.tensor_count);
    at::Tensor image = probe_image(config.input_height, config.input_width);
    NamedTensors outputs = run_original(path, module, image);
    for (size_t i = 0; i < outputs.size() && !config.tap_count; i++)
        add_tap(outputs[i].first, i, row_shape(outputs[i]));
    for (int t = 0; t < config.tap_count; t++) {
        const NamedTensor &output = find_output(outputs, config.taps[t]);
        add_tap(output.first, &output - outputs.data(), row_shape(output));
    }
    network_ = equal_network(module, input_, image, outputs);
}

static at::Tensor empty_input(const PfBackboneConfig &config, c10::Device device)
{
    int rows = device.is_cpu() ? std::min(config.batch, cpu_rows) : config.batch;
    at::TensorOptions options = at::TensorOptions()
                                    .device(device)
                                    .dtype(scalar_type(config.precision))
                                    .memory_format(at::MemoryFormat::ChannelsLast);
    return at::empty({rows, 3, config.input_height, config.input_width}, options).zero_();
}

PfBackbone::PfBackbone(const PfBackboneConfig &config)
    : table_(config.mean, config.std),
      output_type_(config.output_dtype == PF_DTYPE_F16 ? at::kHalf : at::kFloat)
{
    c10::InferenceMode no_gradients;
    use_block_pool();
    c10::Device device = choose_device(config.device);
    check_precision(config.precision, device);
    set_threads(config.threads);
    description_ = describe_device(device);
    input_ = empty_input(config, device);
    if (config.arch)
        open_arch(config);
    else
        open_user_module(config);
}

PfBackbone::~PfBackbone()
{
    input_.reset();
    network_.reset();
    empty_block_pool();
}

/* ---- running ---- */

// Runs the network on input_ and stores the first n rows of each tap.
void PfBackbone::run(int n, void *const *outputs)
{
    NamedTensors all = named_outputs(network_->run(input_));
    for (size_t t = 0; t < taps_.size(); t++) {
        const at::Tensor &features = all.at(outputs_[t]).second;
        std::vector<std::int64_t> sizes = features.sizes().vec();
        std::int64_t count = input_.size(0) * pf_shape_count(&taps_[t].shape);
        if (sizes.empty() || sizes[0] != input_.size(0) || features.numel() != count)
            throw Failure(PF_EXIT_FAILED, std::string("tap '") + taps_[t].name + "' changed to " +
                                              sizes_text(sizes) + " for a batch of " +
                                              std::to_string(input_.size(0)));
        sizes[0] = n;
        at::from_blob(outputs[t], sizes, output_type_).copy_(features.narrow(0, 0, n));
    }
}

void PfBackbone::forward(const std::uint8_t *pixels, int n, void *const *outputs)
{
    c10::InferenceMode no_gradients;
    const int rows = static_cast<int>(input_.size(0));
    const std::int64_t image = 3 * input_.size(2) * input_.size(3);
    std::vector<void *> next(outputs, outputs + taps_.size());
    for (int first = 0; first < n; first += rows) {
        int count = std::min(rows, n - first);
        table_.normalise(pixels + first * image, count, input_);
        run(count, next.data());
        for (size_t t = 0; t < taps_.size(); t++)
            next[t] = static_cast<char *>(next[t]) +
                      count * pf_shape_count(&taps_[t].shape) * c10::elementSize(output_type_);
    }
}

#include "backbone.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <thread>

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "device.h"
#include "failure.h"
#include "script_module.h"
#include "user_module.h"

using namespace permafrost;

// The network always runs on this many images, the last ones zero where there
// are fewer: a kernel chosen for another number of rows could sum in another
// order, and an image's features must not depend on who came with it. Small
// enough that activations stay in the cache and that a last, partial batch
// wastes little.
static const int cpu_rows = 16;

static std::string sizes_text(at::IntArrayRef sizes)
{
    std::string text;
    for (std::int64_t size : sizes) text += (text.empty() ? "(" : ",") + std::to_string(size);
    return text.empty() ? "()" : text + ")";
}

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

// Whether an optimised network still computes the same, up to rounding.
static bool agrees(const NamedTensors &expected, const NamedTensors &found, double tolerance)
{
    if (expected.size() != found.size()) return false;
    for (size_t i = 0; i < expected.size(); i++) {
        const at::Tensor &a = expected[i].second;
        at::Tensor b = found[i].second.to(at::kCPU, a.scalar_type());
        if (a.sizes() != b.sizes()) return false;
        double scale = a.abs().max().item().toDouble();
        double error = at::sub(a, b).abs().max().item().toDouble();
        if (!(error <= tolerance * scale)) return false;
    }
    return true;
}

// An image that is not the same everywhere, (1, 3, height, width).
static at::Tensor probe_image(int height, int width)
{
    return at::sin(at::arange(3 * height * width, at::kFloat)).view({1, 3, height, width});
}

static at::Tensor as_input(const Network &network, const at::Tensor &image)
{
    at::Tensor input =
        network.empty_input(1, static_cast<int>(image.size(2)), static_cast<int>(image.size(3)));
    return input.copy_(image);
}

// What libtorch's passes make of a module is not always what it was, and does not
// always run: pooling to a size that does not divide its input, for one.
static std::unique_ptr<Network> optimise(const torch::jit::Module &module,
                                                     NetworkOptions options,
                                                     const at::Tensor &image,
                                                     const NamedTensors &expected)
{
    const double tolerance = options.precision == PF_FP32 ? 1e-3 : 0.1;
    for (Optimisation optimisation : {Optimisation::fused, Optimisation::frozen}) {
        try {
            options.optimisation = optimisation;
            std::unique_ptr<Network> network(new Network(module, options));
            c10::IValue found = network->run(as_input(*network, image));
            if (agrees(expected, named_outputs(found), tolerance)) return network;
        } catch (const std::exception &) { // the next one is slower and safer
        }
    }
    options.optimisation = Optimisation::none;
    return std::unique_ptr<Network>(new Network(module, options));
}

void PfBackbone::open_arch(const PfBackboneConfig &config, NetworkOptions options)
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
    torch::jit::Module module = script_module(arch, config.tensors, config.tensor_count, nodes);
    at::Tensor image = probe_image(config.input_height, config.input_width);
    network_ = optimise(module, options, image, named_outputs(module.forward({image})));
}

// Its shape without the batch axis.
static PfShape row_shape(const std::string &name, const at::Tensor &output)
{
    if (output.dim() < 1 || output.size(0) != 1)
        throw Failure(PF_EXIT_FAILED, "the TorchScript module's output '" + name + "' is " +
                                          sizes_text(output.sizes()) +
                                          " for one image; its first axis must be the batch");
    if (!output.is_floating_point() || output.dim() > PF_MAX_RANK)
        throw Failure(PF_EXIT_FAILED, "the TorchScript module's output '" + name + "' is " +
                                          output.toString() + " " + sizes_text(output.sizes()) +
                                          "; features are floating-point numbers of at most " +
                                          std::to_string(PF_MAX_RANK - 1) + " axes");
    PfShape shape = {};
    shape.rank = static_cast<int>(output.dim()) - 1;
    for (int i = 0; i < shape.rank; i++) shape.dims[i] = output.size(i + 1);
    return shape;
}

static size_t find_output(const NamedTensors &outputs, const std::string &name)
{
    std::string names;
    for (size_t i = 0; i < outputs.size(); i++) {
        if (outputs[i].first == name) return i;
        names += (i ? ", " : "") + outputs[i].first;
    }
    throw Failure(PF_EXIT_USAGE,
                  "the TorchScript module has no tap '" + name + "'; it returns: " + names);
}

void PfBackbone::open_user_module(const PfBackboneConfig &config, NetworkOptions options)
{
    const std::string path = config.torchscript_path;
    torch::jit::Module module = load_user_module(path);
    at::Tensor image = probe_image(config.input_height, config.input_width);
    NamedTensors expected;
    try {
        expected = named_outputs(module.forward({image}));
    } catch (const Failure &) {
        throw;
    } catch (...) {
        throw Failure(PF_EXIT_FAILED, "'" + path + "' does not run on an input of " +
                                          sizes_text(image.sizes()) + ": " +
                                          current_exception_text() +
                                          ". Hint: --crop N sets the size");
    }
    if (config.tap_count == 0)
        for (size_t i = 0; i < expected.size(); i++)
            add_tap(expected[i].first, i, row_shape(expected[i].first, expected[i].second));
    for (int t = 0; t < config.tap_count; t++) {
        size_t i = find_output(expected, config.taps[t]);
        add_tap(expected[i].first, i, row_shape(expected[i].first, expected[i].second));
    }
    network_ = optimise(module, options, image, expected);
}

PfBackbone::PfBackbone(const PfBackboneConfig &config)
    : table_(config.mean, config.std),
      output_type_(config.output_dtype == PF_DTYPE_F16 ? at::kHalf : at::kFloat)
{
    c10::InferenceMode no_gradients;
    c10::Device device = choose_device(config.device);
    check_precision(config.precision, device);
    int all = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    at::set_num_threads(config.threads > 0 ? config.threads : all);
    NetworkOptions options = {config.precision, device, Optimisation::fused};
    if (config.arch)
        open_arch(config, options);
    else
        open_user_module(config, options);
    int rows = device.is_cpu() ? std::min(config.batch, cpu_rows) : config.batch;
    input_ = network_->empty_input(rows, config.input_height, config.input_width);
    description_ = describe_device(device);
    warm_up();
}

/* ---- running ---- */

// Kernels are made and memory is had before the first image waits for them.
void PfBackbone::warm_up()
{
    input_.zero_();
    network_->run(input_);
}

// Features (rows, ...) of a tap: the first n go to rows first.. of output.
void PfBackbone::store(const at::Tensor &features, size_t tap, int first, int n,
                       void *output) const
{
    std::int64_t count = pf_shape_count(&taps_[tap].shape);
    if (features.dim() < 1 || features.size(0) != input_.size(0) ||
        features.numel() != input_.size(0) * count)
        throw Failure(PF_EXIT_FAILED, std::string("tap '") + taps_[tap].name + "' is " +
                                          sizes_text(features.sizes()) + " for " +
                                          std::to_string(input_.size(0)) + " images, " +
                                          std::to_string(count) + " numbers each were expected");
    std::vector<std::int64_t> sizes = features.sizes().vec();
    sizes[0] = n;
    char *rows = static_cast<char *>(output) + first * count * c10::elementSize(output_type_);
    at::from_blob(rows, sizes, output_type_).copy_(features.narrow(0, 0, n));
}

void PfBackbone::forward(const std::uint8_t *pixels, int n, void *const *outputs)
{
    c10::InferenceMode no_gradients;
    const int rows = static_cast<int>(input_.size(0));
    const std::int64_t image = 3 * input_.size(2) * input_.size(3);
    for (int first = 0; first < n; first += rows) {
        int count = std::min(rows, n - first);
        table_.normalise(pixels + first * image, count, input_);
        NamedTensors features = named_outputs(network_->run(input_));
        for (size_t t = 0; t < taps_.size(); t++)
            store(features[outputs_[t]].second, t, first, count, outputs[t]);
    }
}

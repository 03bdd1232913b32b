#include "common/torch/backbone.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include "common/backbone/batch_choice.h"
#include "common/conv/convolution.h"
#include "common/simd/processor.h"
#include "common/torch/block_pool.h"
#include "common/torch/convolution_nodes.h"
#include "common/torch/device.h"
#include "common/torch/failure.h"
#include "common/torch/row_groups.h"
#include "common/torch/script_module.h"
#include "common/torch/user_module.h"

using namespace permafrost;

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

// bf16 without AMX is faster as rounded float32, which Winograd's algorithm takes.
static Arithmetic arithmetic(const PfBackboneConfig &config, c10::Device device)
{
    const bool is_bf16 = config.precision == PF_BF16 && device.is_cpu();
    const bool is_faster = is_bf16 && !pf_processor_has_amx() && pf_convolution_is_fast() &&
                           !convolutions_as("libtorch");
    return config.emulate || is_faster ? Arithmetic::rounded_bf16 : Arithmetic::plain;
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
    network_.reset(new Network(module, input_, Optimisation::fused, arithmetic_));
}

void PfBackbone::open_user_module(const PfBackboneConfig &config)
{
    const std::string path = config.torchscript.path;
    torch::jit::Module module = load_user_module(config.torchscript);
    replace_tensors(module, config.tensors, config.tensor_count);
    at::Tensor image = probe_image(config.input_height, config.input_width);
    NamedTensors outputs = run_original(path, module, image);
    for (size_t i = 0; i < outputs.size() && !config.tap_count; i++)
        add_tap(outputs[i].first, i, row_shape(outputs[i]));
    for (int t = 0; t < config.tap_count; t++) {
        const NamedTensor &output = find_output(outputs, config.taps[t]);
        add_tap(output.first, &output - outputs.data(), row_shape(output));
    }
    network_ = equal_network(module, input_, arithmetic_, image, outputs);
}

PfBackbone::PfBackbone(const PfBackboneConfig &config)
    : device_(choose_device(config.device)), arithmetic_(arithmetic(config, device_)),
      element_type_(arithmetic_ == Arithmetic::rounded_bf16 ? at::kFloat
                                                            : scalar_type(config.precision)),
      table_(config.mean, config.std),
      output_type_(config.output_dtype == PF_DTYPE_F16 ? at::kHalf : at::kFloat)
{
    c10::InferenceMode no_gradients;
    use_block_pool();
    if (!config.emulate) check_precision(config.precision, device_, true);
    allow_tf32(config.precision == PF_TF32);
    set_threads(config.threads, device_.is_cpu());
    description_ = describe_device(device_, config.device);
    input_ = at::empty({1, 3, config.input_height, config.input_width}, element_type_);
    int usual = device_.is_cpu() ? usual_batch() : PF_BATCH_USUAL;
    set_batch(config.batch ? config.batch : usual);
    if (config.arch)
        open_arch(config);
    else
        open_user_module(config);
    if (!is_overlapped(device_, config.device)) return;
    formula_.reset(new PixelFormula(config.mean, config.std, device_));
    open_overlap(config);
    if (!config.batch) choose_batch();
}

std::vector<std::int64_t> PfBackbone::row_sizes(size_t tap) const
{
    const PfShape &shape = taps_[tap].shape;
    return {shape.dims, shape.dims + shape.rank};
}

void PfBackbone::open_overlap(const PfBackboneConfig &config)
{
    std::vector<std::vector<std::int64_t>> rows;
    for (size_t t = 0; t < taps_.size(); t++) rows.push_back(row_sizes(t));
    auto compute_on_device = [this](const at::Tensor &pixels,
                                    const std::vector<at::Tensor> &outputs) {
        compute(pixels, outputs);
    };
    overlap_.reset(new Overlap(device_, {config.input_height, config.input_width, 3}, rows,
                               output_type_, compute_on_device));
}

PfBackbone::~PfBackbone()
{
    overlap_.reset();
    input_.reset();
    network_.reset();
    lent_.clear();
    empty_block_pool();
}

/* ---- batches ---- */

// As many rows of input as run at once.
void PfBackbone::set_rows(std::int64_t rows)
{
    std::vector<std::int64_t> sizes = input_.sizes().vec();
    sizes[0] = rows;
    input_.reset();
    at::TensorOptions options = at::TensorOptions(device_)
                                    .dtype(element_type_)
                                    .memory_format(at::MemoryFormat::ChannelsLast);
    input_ = at::empty(sizes, options).zero_();
}

void PfBackbone::set_batch(int batch)
{
    batch_ = batch;
    set_rows(device_.is_cpu() ? rows_at_once(batch) : batch);
}

double PfBackbone::images_per_second(int batch)
{
    set_batch(batch);
    double seconds = overlap_->measure(batch);
    return batch_ < batch ? 0 : batch / seconds;
}

void PfBackbone::choose_batch()
{
    struct Measurement {
        PfBackbone *backbone;
        std::exception_ptr failure;
    } measurement = {this, nullptr};
    // Through C, which exceptions cannot pass.
    PfBatchMeasure measure = [](void *context, int batch) {
        Measurement *of = static_cast<Measurement *>(context);
        try {
            return of->backbone->images_per_second(batch);
        } catch (...) {
            if (!is_out_of_memory(current_exception_text())) of->failure = std::current_exception();
            return 0.0;
        }
    };
    int chosen = pf_batch_choice_make(measure, &measurement);
    if (measurement.failure) std::rethrow_exception(measurement.failure);
    set_batch(chosen);
}

/* ---- running ---- */

// Runs the network on input_ and stores the first n rows of each tap from `first` on.
void PfBackbone::run(std::int64_t n, std::int64_t first, const std::vector<at::Tensor> &outputs)
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
        at::Tensor rows = outputs[t].narrow(0, first, n);
        rows.view(features.narrow(0, 0, n).sizes()).copy_(features.narrow(0, 0, n));
    }
}

// False, with fewer rows from now on, where memory did not suffice.
bool PfBackbone::run_slice(const at::Tensor &pixels, std::int64_t first,
                           const std::vector<at::Tensor> &outputs)
{
    try {
        if (formula_)
            formula_->normalise(pixels, input_);
        else
            table_.normalise(pixels, input_);
        run(pixels.size(0), first, outputs);
        return true;
    } catch (...) {
        if (input_.size(0) == 1 || !is_out_of_memory(current_exception_text())) throw;
    }
    set_rows(half_of_rows(input_.size(0)));
    batch_ = std::min(batch_, static_cast<int>(input_.size(0)));
    return false;
}

// pixels: (n, height, width, 3); outputs[t]: (n, row of tap t); on the device.
void PfBackbone::compute(const at::Tensor &pixels, const std::vector<at::Tensor> &outputs)
{
    for (std::int64_t first = 0; first < pixels.size(0);) {
        std::int64_t count = std::min(input_.size(0), pixels.size(0) - first);
        if (run_slice(pixels.narrow(0, first, count), first, outputs)) first += count;
    }
}

void PfBackbone::compute_here(const std::uint8_t *pixels, int n, void *const *outputs)
{
    c10::InferenceMode no_gradients;
    std::vector<at::Tensor> rows;
    for (size_t t = 0; t < taps_.size(); t++) {
        std::vector<std::int64_t> sizes = row_sizes(t);
        sizes.insert(sizes.begin(), n);
        rows.push_back(at::from_blob(outputs[t], sizes, output_type_));
    }
    compute(at::from_blob(const_cast<std::uint8_t *>(pixels),
                          {n, input_.size(2), input_.size(3), 3}, at::kByte),
            rows);
}

void PfBackbone::submit(const std::uint8_t *pixels, int n, void *const *outputs)
{
    if (overlap_)
        overlap_->submit(pixels, n, outputs);
    else
        compute_here(pixels, n, outputs);
}

void PfBackbone::collect()
{
    if (overlap_) overlap_->collect();
}

void *PfBackbone::allocate(size_t size_bytes)
{
    at::TensorOptions options =
        at::TensorOptions().dtype(at::kByte).pinned_memory(!device_.is_cpu());
    at::Tensor memory = at::empty({static_cast<std::int64_t>(size_bytes)}, options);
    return lent_.emplace(memory.data_ptr(), memory).first->first;
}

void PfBackbone::release(void *memory)
{
    lent_.erase(memory);
}

#include "common/torch/suffix.h"

#include <algorithm>
#include <set>

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/ir/ir.h>

#include "common/conv/convolution.h"
#include "common/torch/autocast.h"
#include "common/torch/block_pool.h"
#include "common/torch/convolution_nodes.h"
#include "common/torch/device.h"
#include "common/torch/failure.h"
#include "common/torch/user_module.h"

using namespace permafrost;

// forward() remembers nothing, so that it needs no more memory than for so many rows.
static const std::int64_t rows_at_once = 64;

/* ---- opening ---- */

// "layer4.0." for a value that is the module of that name.
static std::string prefix_of(const torch::jit::Value *value)
{
    const torch::jit::Node *node = value->node();
    if (node->kind() != c10::prim::GetAttr) return "";
    return prefix_of(node->input()) + node->s(c10::attr::name) + ".";
}

// The names of the tensors that the block reads from the module.
static void collect_names(const torch::jit::Block *block, std::set<std::string> &names)
{
    for (const torch::jit::Node *node : block->nodes()) {
        for (const torch::jit::Block *inner : node->blocks()) collect_names(inner, names);
        if (node->kind() == c10::prim::GetAttr)
            names.insert(prefix_of(node->input()) + node->s(c10::attr::name));
    }
}

void PfSuffix::lend(const torch::jit::NameTensor &named, bool is_buffer)
{
    at::Tensor tensor = named.value;
    for (const BorrowedTensor &other : lent_)
        if (other.tensor().is_same(tensor)) return; // shared, under its first name
    if (!is_buffer) tensor.requires_grad_(true);
    lent_.emplace_back(named.name, tensor, is_buffer);
    views_.push_back(lent_.back().view());
    if (!is_buffer) parameters_.push_back(tensor);
}

// In float32, on the device; convolutions are fastest with channels last.
static void place(at::Tensor tensor, c10::Device device)
{
    at::Tensor placed =
        tensor.is_floating_point() ? tensor.to(device, at::kFloat) : tensor.to(device);
    if (placed.dim() == 4) placed = placed.contiguous(at::MemoryFormat::ChannelsLast);
    tensor.set_data(placed.is_alias_of(tensor) ? placed.clone() : placed);
}

void PfSuffix::place_tensors()
{
    c10::NoGradGuard no_gradients;
    std::set<std::string> names;
    collect_names(network_->graph().block(), names);
    for (const torch::jit::NameTensor &named : part_.module.named_parameters()) {
        named.value.requires_grad_(false);
        place(named.value, device_);
        if (names.count(named.name) && named.value.is_floating_point()) lend(named, false);
    }
    for (const torch::jit::NameTensor &named : part_.module.named_buffers()) {
        place(named.value, device_);
        if (names.count(named.name) && named.value.is_floating_point()) lend(named, true);
    }
}

static at::Tensor channels(const float values[3], c10::Device device)
{
    return at::tensor(c10::ArrayRef<float>(values, 3)).view({3, 1, 1}).to(device);
}

PfSuffix::PfSuffix(const PfSuffixConfig &config)
    : device_(choose_device(config.device, config.local_rank)), bf16_(config.bf16 != 0),
      train_batch_norm_(config.train_batch_norm != 0)
{
    use_block_pool();
    check_precision(bf16_ ? PF_BF16 : PF_FP32, device_, false);
    set_threads(config.threads, false);
    // A run that goes on from a checkpoint ends like one that was not interrupted.
    at::globalContext().setDeterministicCuDNN(true);
    description_ = describe_device(device_, config.device);
    part_ = suffix_network(config);
    const bool by_ours =
        device_.is_cpu() && !bf16_ && pf_convolution_is_fast() && !convolutions_as("libtorch");
    network_.reset(new Network(part_.module, part_.method, by_ours));
    place_tensors();
    if (parameters_.empty())
        throw Failure(PF_EXIT_USAGE, std::string("nothing between '") + config.cut + "' and '" +
                                         config.output +
                                         "' can learn: there are no parameters. Hint: cut earlier");
    if (config.ranks) buckets_.reset(new GradientBuckets(parameters_, config.ranks));
    if (config.cut == std::string("input")) {
        mean_ = channels(config.mean, device_);
        std_ = channels(config.std, device_);
    }
    stored_input_ = pf_arch_stored_shape(part_.row);
    stored_output_ = pf_arch_stored_shape(part_.features);
}

PfSuffix::~PfSuffix()
{
    features_.reset();
    buckets_.reset();
    parameters_.clear();
    lent_.clear();
    network_.reset();
    part_ = SuffixNetwork{};
    empty_block_pool();
}

/* ---- running ---- */

// Batch norm that is not to learn stays in eval mode.
void PfSuffix::set_training(bool training)
{
    for (torch::jit::Module module : part_.module.modules()) {
        bool is_frozen = module.hasattr("running_mean") && !train_batch_norm_;
        if (module.hasattr("training")) module.setattr("training", training && !is_frozen);
    }
}

static std::vector<std::int64_t> batch_sizes(std::int64_t n, const PfShape &row)
{
    std::vector<std::int64_t> sizes(row.dims, row.dims + row.rank);
    sizes.insert(sizes.begin(), n);
    return sizes;
}

at::Tensor PfSuffix::network_input(const float *rows, std::int64_t n) const
{
    at::Tensor input =
        at::from_blob(const_cast<float *>(rows), batch_sizes(n, part_.row), at::kFloat);
    input = input.to(device_);
    if (input.dim() == 4) input = input.contiguous(at::MemoryFormat::ChannelsLast);
    if (mean_.defined()) input = at::div(at::sub(at::div(input, 255.0), mean_), std_);
    return input;
}

at::Tensor PfSuffix::run(const float *rows, std::int64_t n)
{
    at::Tensor input = network_input(rows, n);
    c10::IValue value;
    {
        Bf16Autocast autocast(device_, bf16_);
        value = network_->run(input);
    }
    at::Tensor features = value.isTensor() ? value.toTensor()
                                           : find_output(named_outputs(value), part_.output).second;
    if (features.sizes() != at::IntArrayRef(batch_sizes(n, part_.features)))
        throw Failure(PF_EXIT_FAILED, "'" + part_.output + "' changed to " +
                                          sizes_text(features.sizes()) + " for a batch of " +
                                          std::to_string(n));
    return features.to(at::kFloat);
}

void PfSuffix::store(const at::Tensor &features, float *out) const
{
    c10::NoGradGuard no_gradients;
    at::from_blob(out, features.sizes(), at::kFloat).copy_(features);
}

void PfSuffix::forward(const float *rows, std::int64_t n, float *features)
{
    c10::NoGradGuard no_gradients;
    set_training(false);
    const std::int64_t row = pf_shape_count(&part_.row), out = pf_shape_count(&part_.features);
    for (std::int64_t first = 0; first < n; first += rows_at_once) {
        std::int64_t count = std::min(rows_at_once, n - first);
        store(run(rows + first * row, count), features + first * out);
    }
}

void PfSuffix::forward_training(const float *rows, std::int64_t n, std::uint64_t dropout_seed,
                                float *features)
{
    c10::AutoGradMode gradients(true);
    features_.reset();
    had_rows_ = n > 0;
    if (!had_rows_) return;
    set_training(true);
    at::Generator generator = at::globalContext().defaultGenerator(device_);
    generator.set_current_seed(dropout_seed);
    features_ = run(rows, n);
    store(features_, features);
    for (BorrowedTensor &lent : lent_) // running statistics
        if (lent.is_buffer() && train_batch_norm_) lent.download();
}

std::vector<at::Tensor> PfSuffix::gradients(const at::Tensor &derivative)
{
    if (buckets_) return buckets_->backward(features_, derivative);
    if (!features_.requires_grad()) return std::vector<at::Tensor>(parameters_.size());
    return torch::autograd::grad({features_}, parameters_, {derivative}, false, false, true);
}

void PfSuffix::backward(const float *derivative)
{
    if (had_rows_ && !features_.defined())
        throw Failure(PF_EXIT_FAILED, "backward() comes after forward_training()");
    at::Tensor given;
    if (had_rows_)
        given = at::from_blob(const_cast<float *>(derivative), features_.sizes(), at::kFloat)
                    .to(device_);
    std::vector<at::Tensor> found = gradients(given);
    features_.reset();
    size_t next = 0;
    for (BorrowedTensor &lent : lent_)
        if (!lent.is_buffer()) lent.set_gradient(found[next++]);
}

void PfSuffix::commit()
{
    for (BorrowedTensor &lent : lent_) lent.upload();
}

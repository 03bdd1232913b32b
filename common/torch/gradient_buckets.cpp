#include "common/torch/gradient_buckets.h"

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace permafrost {

// Large enough for the network's speed to matter more than its latency, small enough that the first
// is under way early.
static const std::int64_t bucket_numbers = (4 << 20) / sizeof(float);

namespace {

// Called once a parameter's gradient has been accumulated.
class CallAfter : public torch::autograd::FunctionPostHook {
public:
    explicit CallAfter(std::function<void()> action) : action_(std::move(action)) {}

    torch::autograd::variable_list operator()(const torch::autograd::variable_list &outputs,
                                              const torch::autograd::variable_list &) override
    {
        action_();
        return outputs;
    }

private:
    std::function<void()> action_;
};

} // namespace

GradientBuckets::GradientBuckets(const std::vector<at::Tensor> &parameters, PfRanks *ranks)
    : parameters_(parameters), ranks_(ranks)
{
    ranks_->use_device(parameters_.front().device());
    deal_out();
    for (size_t i = 0; i < parameters_.size(); i++) watch(i);
}

GradientBuckets::~GradientBuckets() = default;

void GradientBuckets::deal_out()
{
    places_.resize(parameters_.size());
    std::int64_t numbers = 0;
    for (size_t i = parameters_.size(); i-- > 0;) {
        if (buckets_.empty() || numbers + parameters_[i].numel() > bucket_numbers) {
            buckets_.emplace_back();
            numbers = 0;
        }
        buckets_.back().members.push_back(i);
        numbers += parameters_[i].numel();
    }
    for (size_t b = 0; b < buckets_.size(); b++) {
        Bucket &bucket = buckets_[b];
        std::int64_t all = 0, first = 0;
        for (size_t member : bucket.members) all += parameters_[member].numel();
        bucket.flat = at::zeros({all}, parameters_.front().options().requires_grad(false));
        for (size_t member : bucket.members) {
            const at::Tensor &parameter = parameters_[member];
            places_[member].bucket = b;
            places_[member].slot =
                bucket.flat.narrow(0, first, parameter.numel()).view(parameter.sizes());
            first += parameter.numel();
        }
    }
}

void GradientBuckets::watch(size_t parameter)
{
    auto accumulator = torch::autograd::impl::grad_accumulator(parameters_[parameter]);
    accumulator->add_post_hook(std::unique_ptr<torch::autograd::FunctionPostHook>(
        new CallAfter([this, parameter] { take(parameter); })));
    // Else it goes, and its hook with it. The pointer is a shared or, in newer versions, an
    // intrusive one.
    accumulators_.push_back(std::make_shared<decltype(accumulator)>(accumulator));
}

void GradientBuckets::take(size_t parameter)
{
    c10::NoGradGuard no_gradients;
    Place &place = places_[parameter];
    if (!is_running_ || place.has_come) return;
    at::Tensor &gradient = parameters_[parameter].mutable_grad();
    if (gradient.defined())
        place.slot.copy_(gradient);
    else
        place.slot.zero_();
    gradient = at::Tensor();
    place.has_come = true;
    buckets_[place.bucket].missing--;
    send_full();
}

// In their order, which is the same on all ranks.
void GradientBuckets::send_full()
{
    for (; sent_ < buckets_.size() && !buckets_[sent_].missing; sent_++)
        buckets_[sent_].sum = ranks_->sum(buckets_[sent_].flat);
}

std::vector<at::Tensor> GradientBuckets::backward(const at::Tensor &features,
                                                  const at::Tensor &derivative)
{
    sent_ = 0;
    for (Bucket &bucket : buckets_) bucket.missing = bucket.members.size();
    for (Place &place : places_) place.has_come = false;
    is_running_ = true;
    if (features.defined() && features.requires_grad())
        torch::autograd::backward({features}, {derivative});
    for (size_t i = parameters_.size(); i-- > 0;) take(i); // what nothing came for is zero
    is_running_ = false;
    std::vector<at::Tensor> gradients;
    for (Bucket &bucket : buckets_) {
        bucket.sum->wait();
        bucket.sum.reset();
    }
    for (const Place &place : places_) gradients.push_back(place.slot);
    return gradients;
}

} // namespace permafrost

#include "common/torch/overlap.h"

#include <chrono>

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

namespace permafrost {

static std::vector<std::int64_t> batch_of(std::int64_t n, const std::vector<std::int64_t> &sizes)
{
    std::vector<std::int64_t> all = {n};
    all.insert(all.end(), sizes.begin(), sizes.end());
    return all;
}

Overlap::Overlap(c10::Device device, std::vector<std::int64_t> image,
                 std::vector<std::vector<std::int64_t>> rows, at::ScalarType type, Compute compute)
    : device_(device), image_(std::move(image)), row_sizes_(std::move(rows)), type_(type),
      compute_(std::move(compute)), computing_(compute_queue(device)), lanes_(depth)
{
    for (Lane &lane : lanes_) lane.copies = copy_queue(device);
}

// Work that waits for a lane's tensors ends before they do.
Overlap::~Overlap()
{
    settle();
}

// Tensors are made by the queue that first writes into them, as a device's memory may still be in
// use by the work of the one that gave it back.
void Overlap::fit(Lane &lane, std::int64_t n) const
{
    if (lane.pixels.defined() && lane.pixels.size(0) >= n) return;
    lane.pixels = at::empty(batch_of(n, image_), at::TensorOptions(device_).dtype(at::kByte));
    lane.rows.clear();
    for (const std::vector<std::int64_t> &sizes : row_sizes_)
        lane.rows.push_back(at::empty(batch_of(n, sizes), at::TensorOptions(device_).dtype(type_)));
}

void Overlap::upload(Lane &lane, const std::uint8_t *pixels, std::int64_t n) const
{
    c10::InferenceMode no_gradients;
    fit(lane, n);
    at::Tensor host =
        at::from_blob(const_cast<std::uint8_t *>(pixels), batch_of(n, image_), at::kByte);
    lane.pixels.narrow(0, 0, n).copy_(host, true);
}

void Overlap::compute(const Lane &lane, std::int64_t n) const
{
    c10::InferenceMode no_gradients;
    std::vector<at::Tensor> rows;
    for (const at::Tensor &tensor : lane.rows) rows.push_back(tensor.narrow(0, 0, n));
    compute_(lane.pixels.narrow(0, 0, n), rows);
}

void Overlap::download(const Lane &lane, std::int64_t n, const std::vector<void *> &outputs) const
{
    c10::InferenceMode no_gradients;
    for (size_t t = 0; t < outputs.size(); t++)
        at::from_blob(outputs[t], batch_of(n, row_sizes_[t]), type_)
            .copy_(lane.rows[t].narrow(0, 0, n), true);
}

void Overlap::begin(Lane &lane, const std::uint8_t *pixels, std::int64_t n,
                    const std::vector<void *> &outputs)
{
    lane.copies->run([this, &lane, pixels, n] { upload(lane, pixels, n); });
    computing_->follow(*lane.copies);
    computing_->run([this, &lane, n] { compute(lane, n); });
    lane.copies->follow(*computing_);
    lane.copies->run([this, &lane, n, outputs] { download(lane, n, outputs); });
}

void Overlap::submit(const std::uint8_t *pixels, std::int64_t n, void *const *outputs)
{
    try {
        begin(lanes_[submitted_++ % depth], pixels, n, {outputs, outputs + row_sizes_.size()});
    } catch (...) {
        settle();
        throw;
    }
}

void Overlap::collect()
{
    try {
        lanes_[collected_++ % depth].copies->finish();
    } catch (...) {
        settle();
        throw;
    }
}

double Overlap::measure(std::int64_t n)
{
    using Clock = std::chrono::steady_clock;
    const int passes = 3;
    Lane &lane = lanes_[0];
    lane.copies->run([this, &lane, n] {
        c10::InferenceMode no_gradients;
        fit(lane, n);
        lane.pixels.zero_();
    });
    lane.copies->finish();
    Clock::time_point start;
    for (int pass = -1; pass < passes; pass++) { // the first one chooses kernels
        computing_->run([this, &lane, n] { compute(lane, n); });
        if (pass < 0) computing_->finish();
        if (pass < 0) start = Clock::now();
    }
    computing_->finish();
    return std::chrono::duration<double>(Clock::now() - start).count() / passes;
}

// Waits for all queues, whatever has become of their work.
void Overlap::settle() noexcept
{
    for (Lane &lane : lanes_) {
        try {
            lane.copies->finish();
        } catch (...) {
        }
    }
    try {
        computing_->finish();
    } catch (...) {
    }
}

} // namespace permafrost

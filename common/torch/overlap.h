// Batches under way on a device: while one is computed, the next one's pixels come and the
// features of the one before leave.
#ifndef PF_COMMON_TORCH_OVERLAP_H
#define PF_COMMON_TORCH_OVERLAP_H

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/torch/work_queue.h"

namespace permafrost {

class Overlap {
public:
    // How many batches are under way at most: coming, computed, leaving.
    static const int depth = 3;

    // pixels (n, height, width, 3) uint8 to outputs[t] (n, rows[t]), all on the device.
    using Compute =
        std::function<void(const at::Tensor &pixels, const std::vector<at::Tensor> &outputs)>;

    // image: {height, width, 3}; rows[t]: sizes of a row of tap t, stored as `type`.
    Overlap(c10::Device device, std::vector<std::int64_t> image,
            std::vector<std::vector<std::int64_t>> rows, at::ScalarType type, Compute compute);
    ~Overlap();

    // As in PfBackbonePlugin; what they throw leaves nothing under way.
    void submit(const std::uint8_t *pixels, std::int64_t n, void *const *outputs);
    void collect();

    // Seconds for a batch of n black images, without copies.
    double measure(std::int64_t n);

private:
    // What a batch has on the device, and the queue of its copies.
    struct Lane {
        std::unique_ptr<WorkQueue> copies;
        at::Tensor pixels;            // (n or more, image)
        std::vector<at::Tensor> rows; // per tap (n or more, row)
    };

    void fit(Lane &lane, std::int64_t n) const;
    void upload(Lane &lane, const std::uint8_t *pixels, std::int64_t n) const;
    void compute(const Lane &lane, std::int64_t n) const;
    void download(const Lane &lane, std::int64_t n, const std::vector<void *> &outputs) const;
    void begin(Lane &lane, const std::uint8_t *pixels, std::int64_t n,
               const std::vector<void *> &outputs);
    void settle() noexcept;

    const c10::Device device_;
    const std::vector<std::int64_t> image_;
    const std::vector<std::vector<std::int64_t>> row_sizes_;
    const at::ScalarType type_;
    const Compute compute_;
    std::unique_ptr<WorkQueue> computing_;
    std::vector<Lane> lanes_;
    std::int64_t submitted_ = 0, collected_ = 0; // a batch's number chooses its lane
};

} // namespace permafrost

#endif

// Gradients of parameters, summed over ranks while the backward pass is still under way.
//
// Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training" (VLDB 2020):
// parameters are dealt into buckets in the reverse of their order, which is about that in which
// their gradients come, and a bucket is sent as soon as it is full and those before it were sent.
#ifndef PF_COMMON_TORCH_GRADIENT_BUCKETS_H
#define PF_COMMON_TORCH_GRADIENT_BUCKETS_H

#include <memory>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/torch/ranks.h"

namespace permafrost {

class GradientBuckets {
public:
    // parameters: leaves on one device, the same on all ranks. ranks: lent, not null.
    GradientBuckets(const std::vector<at::Tensor> &parameters, PfRanks *ranks);
    ~GradientBuckets();
    GradientBuckets(const GradientBuckets &) = delete;
    GradientBuckets &operator=(const GradientBuckets &) = delete;

    // By each parameter, summed over all ranks: views that last until the next call. features, of
    // which derivative is the loss's derivative; undefined where this rank has no rows: its part of
    // the sums is zero.
    std::vector<at::Tensor> backward(const at::Tensor &features, const at::Tensor &derivative);

private:
    struct Bucket {
        std::vector<size_t> members; // of parameters_
        at::Tensor flat;             // their gradients, one after the other
        size_t missing;              // gradients that have not come yet
        std::unique_ptr<RankSum> sum;
    };
    struct Place {
        size_t bucket;
        at::Tensor slot; // of the bucket's flat, in the parameter's shape
        bool has_come;
    };

    void deal_out();
    void watch(size_t parameter);
    void take(size_t parameter);
    void send_full();

    std::vector<at::Tensor> parameters_;
    PfRanks *ranks_;
    std::vector<Bucket> buckets_;                     // in the order in which they are sent
    std::vector<Place> places_;                       // (parameters)
    std::vector<std::shared_ptr<void>> accumulators_; // each a pointer as libtorch has it
    size_t sent_ = 0;
    bool is_running_ = false;
};

} // namespace permafrost

#endif

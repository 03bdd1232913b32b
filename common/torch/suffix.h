// The part of a network behind a cut, open for training.
#ifndef PF_COMMON_TORCH_SUFFIX_H
#define PF_COMMON_TORCH_SUFFIX_H

#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "common/torch/borrowed_tensor.h"
#include "common/torch/gradient_buckets.h"
#include "common/torch/network.h"
#include "common/torch/suffix_network.h"
#include "permafrost/suffix.h"

struct PfSuffix {
public:
    explicit PfSuffix(const PfSuffixConfig &config);
    ~PfSuffix();

    const PfShape &input_shape() const { return stored_input_; }
    const PfShape &output_shape() const { return stored_output_; }
    const std::string &description() const { return description_; }
    const std::vector<PfSuffixTensor> &tensors() const { return views_; }

    // As in PfSuffixPlugin.
    void forward(const float *rows, std::int64_t n, float *features);
    void forward_training(const float *rows, std::int64_t n, std::uint64_t dropout_seed,
                          float *features);
    void backward(const float *derivative);
    void commit();

private:
    void place_tensors();
    void lend(const torch::jit::NameTensor &named, bool is_buffer);
    void set_training(bool training);
    at::Tensor network_input(const float *rows, std::int64_t n) const;
    at::Tensor run(const float *rows, std::int64_t n);
    void store(const at::Tensor &features, float *out) const;
    std::vector<at::Tensor> gradients(const at::Tensor &derivative);

    permafrost::SuffixNetwork part_;
    c10::Device device_;
    bool bf16_, train_batch_norm_;
    at::Tensor mean_, std_; // (3,1,1); undefined where rows are no pixels
    std::unique_ptr<permafrost::Network> network_;
    std::vector<permafrost::BorrowedTensor> lent_;
    std::vector<PfSuffixTensor> views_; // of lent_
    std::vector<at::Tensor> parameters_;
    at::Tensor features_;  // of the last forward_training(), with what backward() needs
    bool had_rows_ = true; // it had
    std::unique_ptr<permafrost::GradientBuckets> buckets_; // of several ranks; null: alone
    PfShape stored_input_, stored_output_;
    std::string description_;
};

#endif

// An open backbone: a network, its taps, and the way from pixels to features.
#ifndef PF_COMMON_TORCH_BACKBONE_H
#define PF_COMMON_TORCH_BACKBONE_H

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/torch/network.h"
#include "common/torch/overlap.h"
#include "common/torch/pixels.h"
#include "permafrost/backbone.h"

struct PfBackbone {
public:
    explicit PfBackbone(const PfBackboneConfig &config);
    ~PfBackbone();

    const std::vector<PfTapInfo> &taps() const { return taps_; }
    const std::string &description() const { return description_; }

    int batch() const { return batch_; }
    int depth() const { return overlap_ ? permafrost::Overlap::depth : 1; }

    // As in PfBackbonePlugin.
    void *allocate(size_t size_bytes);
    void release(void *memory);
    void submit(const std::uint8_t *pixels, int n, void *const *outputs);
    void collect();

private:
    void add_tap(const std::string &name, size_t output, const PfShape &shape);
    void open_arch(const PfBackboneConfig &config);
    void open_user_module(const PfBackboneConfig &config);
    void open_overlap(const PfBackboneConfig &config);
    std::vector<std::int64_t> row_sizes(size_t tap) const;

    void set_rows(std::int64_t rows);
    void set_batch(int batch);
    double images_per_second(int batch);
    void choose_batch();

    void run(std::int64_t n, std::int64_t first, const std::vector<at::Tensor> &outputs);
    bool run_slice(const at::Tensor &pixels, std::int64_t first,
                   const std::vector<at::Tensor> &outputs);
    void compute(const at::Tensor &pixels, const std::vector<at::Tensor> &outputs);
    void compute_here(const std::uint8_t *pixels, int n, void *const *outputs);

    c10::Device device_;
    permafrost::Arithmetic arithmetic_;
    at::ScalarType element_type_; // of the computation
    int batch_;
    permafrost::PixelTable table_;
    std::unique_ptr<permafrost::PixelFormula>
        formula_;      // instead of the table, where copies overlap
    at::Tensor input_; // (rows, 3, height, width), channels last: as many as run at once
    std::unique_ptr<permafrost::Network> network_;
    std::vector<PfTapInfo> taps_;
    std::vector<size_t> outputs_; // tap t is output outputs_[t] of the network
    at::ScalarType output_type_;
    std::string description_;
    std::map<void *, at::Tensor> lent_;            // by allocate()
    std::unique_ptr<permafrost::Overlap> overlap_; // none: submit() itself computes
};

#endif

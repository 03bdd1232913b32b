// An open backbone: a network, its taps, and the way from pixels to features.
#ifndef PF_TORCH_BACKBONE_H
#define PF_TORCH_BACKBONE_H

#include <memory>
#include <string>
#include <vector>

#include "network.h"
#include "permafrost/backbone.h"
#include "pixels.h"

struct PfBackbone {
public:
    explicit PfBackbone(const PfBackboneConfig &config);
    ~PfBackbone();

    const std::vector<PfTapInfo> &taps() const { return taps_; }
    const std::string &description() const { return description_; }

    // As PfBackbonePlugin.forward.
    void forward(const std::uint8_t *pixels, int n, void *const *outputs);

private:
    void add_tap(const std::string &name, size_t output, const PfShape &shape);
    void open_arch(const PfBackboneConfig &config);
    void open_user_module(const PfBackboneConfig &config);
    void run(int n, void *const *outputs);

    permafrost::PixelTable table_;
    at::Tensor input_; // (rows, 3, height, width), channels last
    std::unique_ptr<permafrost::Network> network_;
    std::vector<PfTapInfo> taps_;
    std::vector<size_t> outputs_; // tap t is output outputs_[t] of the network
    at::ScalarType output_type_;
    std::string description_;
};

#endif

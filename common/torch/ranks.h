// Processes that train together, by libtorch's c10d: Gloo for what lies in memory, NCCL for
// gradients on GPUs where this was compiled with it.
#ifndef PF_COMMON_TORCH_RANKS_H
#define PF_COMMON_TORCH_RANKS_H

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

#include "permafrost/ranks.h"

namespace permafrost {

// A sum over the ranks that is under way.
class RankSum {
public:
    virtual ~RankSum() = default;
    // Until the tensor holds the sum. Throws Failure(PF_EXIT_BUSY) where a rank was lost.
    virtual void wait() = 0;
};

} // namespace permafrost

struct PfRanks {
public:
    explicit PfRanks(const PfRanksConfig &config);
    ~PfRanks();

    int rank() const;
    int size() const;
    const std::string &description() const;

    // As in PfRanksPlugin.
    void broadcast(void *data, size_t bytes);
    void gather(const void *mine, void *all, size_t bytes);

    // Tensors of this device will be summed: the ranks agree on what moves them.
    void use_device(c10::Device device);
    // Begins to replace the float32 tensor by its sum over all ranks, the same bits on each of
    // them. The tensor must stay as it is until wait().
    std::unique_ptr<permafrost::RankSum> sum(const at::Tensor &tensor);

private:
    struct Group;
    std::unique_ptr<Group> group_;
};

// NULL where this libtorch has no Gloo.
extern const PfRanksPlugin *const pf_torch_ranks_plugin;

#endif

// Max pooling by max_pool.h in the place of libtorch's.
#ifndef PF_COMMON_TORCH_MAX_POOL_OPERATOR_H
#define PF_COMMON_TORCH_MAX_POOL_OPERATOR_H

#include <torch/csrc/jit/ir/ir.h>

namespace permafrost {

// Replaces the graph's max pools with constant, undilated windows. What comes at run time that
// max_pool.h does not take goes to libtorch's all the same.
void use_max_pools(torch::jit::Graph &graph);

} // namespace permafrost

#endif

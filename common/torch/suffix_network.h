// The part of a network behind a cut, before it is anybody's to train.
#ifndef PF_COMMON_TORCH_SUFFIX_NETWORK_H
#define PF_COMMON_TORCH_SUFFIX_NETWORK_H

#include <string>

#include <torch/csrc/jit/api/module.h>

#include "permafrost/suffix.h"

namespace permafrost {

struct SuffixNetwork {
    torch::jit::Module module; // float32 on the CPU, in eval mode
    std::string method;        // takes rows of the cut
    std::string output;        // which of the tensors it returns
    PfShape row, features;     // of one image, trailing 1x1 kept
};

SuffixNetwork suffix_network(const PfSuffixConfig &config);

} // namespace permafrost

#endif

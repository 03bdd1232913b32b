// The TorchScript text of a graph.
#ifndef PF_TORCH_SCRIPT_SOURCE_H
#define PF_TORCH_SCRIPT_SOURCE_H

#include <string>
#include <vector>

#include "permafrost/arch.h"

namespace permafrost {

// needed[i] = whether one of the output nodes needs node i.
std::vector<unsigned char> needed_nodes(const PfArch &arch, const std::vector<int> &outputs);

// Source of `forward`, which runs the needed nodes and returns a tuple of the
// output nodes. Nothing in it works in place: every node's value stays what it
// was, whoever else uses it.
std::string script_source(const PfArch &arch, const std::vector<int> &outputs);

} // namespace permafrost

#endif

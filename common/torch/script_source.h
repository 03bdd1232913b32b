// The TorchScript text of a graph.
#ifndef PF_TORCH_SCRIPT_SOURCE_H
#define PF_TORCH_SCRIPT_SOURCE_H

#include <string>
#include <vector>

#include "permafrost/arch.h"

namespace permafrost {

// needed[i] = whether one of the outputs needs node i, which lies behind node start.
// Throws a Failure where an output takes anything but what comes through start.
std::vector<unsigned char> needed_nodes(const PfArch &arch, int start,
                                        const std::vector<int> &outputs);

// Source of a method that takes the value of node start (0: normalised pixels), runs
// the needed nodes and returns a tuple of the output nodes. Nothing in it works in
// place: every node's value stays what it was, whoever else uses it. Batch norm asks
// its own module whether it is training, dropout the whole.
std::string script_source(const std::string &method, const PfArch &arch, int start,
                          const std::vector<int> &outputs);

} // namespace permafrost

#endif

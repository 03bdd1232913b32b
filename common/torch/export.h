// Backbone and head as one TorchScript file.
#ifndef PF_COMMON_TORCH_EXPORT_H
#define PF_COMMON_TORCH_EXPORT_H

#include "permafrost/backbone.h"

namespace permafrost {

// As PfBackbonePlugin.export_torchscript.
void export_torchscript(const PfExportConfig &config, const char *path);

} // namespace permafrost

#endif

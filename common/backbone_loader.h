/* Finds and loads the shared object that runs networks. */
#ifndef PF_BACKBONE_LOADER_H
#define PF_BACKBONE_LOADER_H

#include "permafrost/backbone.h"
#include "permafrost/error.h"

/* Loads the plugin, checks its ABI number and lends its table; it stays loaded
 * until the process ends. Looks at the file that $PERMAFROST_PLUGIN names if
 * that is set, else for permafrost_torch.so in ../lib/permafrost beside the
 * running program's folder and where it was to be installed. The error lists
 * every place with the reason why it was not that. May be called again; the first
 * time before other threads run, as it sets OMP_WAIT_POLICY if nobody has. */
int pf_backbone_plugin_load(const PfBackbonePlugin **out, PfError *err);

#endif

/* Finds and loads the shared object that runs networks. */
#ifndef PF_COMMON_BACKBONE_LOADER_H
#define PF_COMMON_BACKBONE_LOADER_H

#include "permafrost/backbone.h"
#include "permafrost/error.h"

/* Sets OMP_WAIT_POLICY, OPENBLAS_NUM_THREADS and the level of libtorch's log if nobody has: before
 * other threads run, as those may read the environment. */
void pf_backbone_loader_prepare(void);

/* Loads the plugin, checks its ABI number and lends its table; it stays loaded
 * until the process ends, which then skips what else was to run at exit(). Looks at the file that
 * $PERMAFROST_PLUGIN names by an absolute path if that is set, else for permafrost_torch.so in
 * ../lib/permafrost beside the running program's folder and where it was to be installed. The error
 * lists every place with the reason why it was not that. May be called again; prepares where that
 * was not done. */
int pf_backbone_loader_load(const PfBackbonePlugin **out, PfError *err);

#endif

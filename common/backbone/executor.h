/* Who runs a network: the C engine or the plugin. Decided here and nowhere else. */
#ifndef PF_COMMON_BACKBONE_EXECUTOR_H
#define PF_COMMON_BACKBONE_EXECUTOR_H

#include "permafrost/backbone.h"

/* Opens a network by the engine where it can, which is for built-in networks in fp32 on the
 * processor; else by the plugin, which is loaded now. "auto" is the processor where this machine
 * has no device of a GPU. PF_ENGINE=libtorch in the environment, for tests and doubts, leaves all
 * to the plugin, and so does PERMAFROST_PLUGIN. *plugin is static. */
int pf_backbone_open(const PfBackboneConfig *config, const PfBackbonePlugin **plugin,
                     PfBackbone **out, PfError *err);

#endif

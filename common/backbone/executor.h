/* Who runs a network: the C engine or the plugin. Decided here and nowhere else. */
#ifndef PF_COMMON_BACKBONE_EXECUTOR_H
#define PF_COMMON_BACKBONE_EXECUTOR_H

#include <stdbool.h>

#include "common/engine/engine.h"
#include "permafrost/backbone.h"

/* Whether the engine runs it: built-in networks on the processor in fp32, and in bf16 unless this
 * processor has AMX and its numbers are not to be emulated. "auto" is the processor
 * where this machine has no device of a GPU. devices: all that the network is opened on, with
 * commas, of which config->device is one: the plugin runs it on all of them where it has to on one,
 * so that they differ as little as they can. PF_ENGINE=libtorch in the environment, for tests and
 * doubts, leaves all to the plugin, and so does PERMAFROST_PLUGIN. */
bool pf_backbone_is_for_engine(const PfBackboneConfig *config, const char *devices);

/* Opens a network by the engine or by the plugin, which is loaded now. *plugin is static. */
int pf_backbone_open(const PfBackboneConfig *config, const char *devices,
                     const PfBackbonePlugin **plugin, PfBackbone **out, PfError *err);

/* What the engine has set aside for an open network. Zeros where the plugin runs it, which does not
 * say. */
PfEngineMemory pf_backbone_memory(const PfBackbonePlugin *plugin, const PfBackbone *backbone);

#endif

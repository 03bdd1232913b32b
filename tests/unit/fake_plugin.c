/* A plugin without a network, for the loader's tests. FAKE_ABI is its ABI
 * number; without it the file exports nothing that the loader asks for. */
#include "permafrost/backbone.h"

#ifdef FAKE_ABI
static const PfBackbonePlugin plugin = {.abi = FAKE_ABI};

__attribute__((visibility("default"))) const PfBackbonePlugin *pf_backbone_plugin(void)
{
    return &plugin;
}
#else
int pf_not_a_plugin;
#endif

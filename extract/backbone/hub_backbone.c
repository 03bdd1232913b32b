#include "extract/backbone/hub_backbone.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/weights/hub_cache.h"

int pf_hub_backbone_find(PfBackboneOptions *options, PfHubBackbone *out, PfError *err)
{
    const char *name = options->backbone;
    *out = (PfHubBackbone){0};
    if (!pf_hub_is_named(name)) return 0;
    out->network = pf_hub_find_network(name, err);
    if (!out->network) return -1;
    options->backbone = out->network;
    pf_say("%s: the network is '%s'", name, out->network);
    if (!pf_hub_is_onnx(out->network)) {
        if (!options->weights) options->weights = name;
        return 0;
    }
    out->folder = pf_hub_snapshot(name, err);
    options->hub_folder = out->folder;
    if (out->folder) return 0;
    pf_hub_backbone_free(out);
    return -1;
}

void pf_hub_backbone_free(PfHubBackbone *backbone)
{
    free(backbone->network);
    free(backbone->folder);
    *backbone = (PfHubBackbone){0};
}

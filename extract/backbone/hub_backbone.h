/* `--backbone hf:ORG/NAME`: what a repository of the Hugging Face hub stands for. */
#ifndef PF_EXTRACT_BACKBONE_HUB_BACKBONE_H
#define PF_EXTRACT_BACKBONE_HUB_BACKBONE_H

#include "extract/backbone/plan.h"

/* What options refer to after pf_hub_backbone_find; freed by pf_hub_backbone_free. */
typedef struct PfHubBackbone {
    char *network; /* a built-in name, or the path of an ONNX file */
    char *folder;  /* of the ONNX file's repository */
} PfHubBackbone;

/* Where options->backbone is such a name, the network takes its place, and, unless others are
 * named, the repository's weights those of the network. Other options stay as they are. */
int pf_hub_backbone_find(PfBackboneOptions *options, PfHubBackbone *out, PfError *err);
void pf_hub_backbone_free(PfHubBackbone *backbone);

#endif

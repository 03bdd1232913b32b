/* What --backbone means: a file of the user's, or a built-in network by any of its names. */
#ifndef PF_EXTRACT_BACKBONE_NAME_H
#define PF_EXTRACT_BACKBONE_NAME_H

#include "extract/backbone/plan.h"

typedef enum PfBackboneKind {
    PF_BACKBONE_BUILTIN,
    PF_BACKBONE_TORCHSCRIPT, /* a path */
    PF_BACKBONE_ONNX,        /* a path */
} PfBackboneKind;

/* Tells which options->backbone is, as it was typed on the command line. Of a built-in network it
 * becomes the network's own name, options->entry becomes the set of weights that was named with it,
 * and a line says what was understood, where that was written otherwise. A path with a slash whose
 * file is there is a file; a repository of the hub (ORG/NAME) that no built-in network comes from
 * is an error of usage with the nearest names. */
int pf_backbone_name_read(PfBackboneOptions *options, PfBackboneKind *kind, PfError *err);

#endif

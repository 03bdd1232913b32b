/* What --backbone means: a file of the user's, a built-in network by any of its names, or a
 * repository of the Hugging Face hub. */
#ifndef PF_EXTRACT_BACKBONE_NAME_H
#define PF_EXTRACT_BACKBONE_NAME_H

#include "extract/backbone/plan.h"

typedef enum PfBackboneKind {
    PF_BACKBONE_BUILTIN,
    PF_BACKBONE_TORCHSCRIPT, /* a path */
    PF_BACKBONE_ONNX,        /* a path */
} PfBackboneKind;

/* What the options refer to afterwards. */
typedef struct PfBackboneName {
    PfBackboneKind kind;
    char *path;   /* of a repository's ONNX file in the cache, else NULL */
    char *folder; /* of that repository there, else NULL */
} PfBackboneName;

/* Tells which options->backbone is, as it was typed on the command line. Of a built-in network it
 * becomes the network's own name, options->entry becomes the set of weights that was named with it,
 * and a line says what was understood, where that was written otherwise. A path with a slash whose
 * file is there is a file; a repository of the hub (ORG/NAME) that no built-in network comes from
 * is an error of usage with the nearest names.
 *
 * Of hf:ORG/NAME, the network that the repository in the cache is of takes its place, and, unless
 * others are named, the repository's weights become those that are meant. Other options stay. */
int pf_backbone_name_read(PfBackboneOptions *options, PfBackboneName *out, PfError *err);
void pf_backbone_name_free(PfBackboneName *name);

/* Whether it names a network: a repository of the hub, or any spelling of a built-in one. */
bool pf_backbone_name_is_known(const char *backbone);

/* Whether it is written like a path rather than like a network's name or a repository's. */
bool pf_backbone_name_is_path(const char *backbone);

#endif

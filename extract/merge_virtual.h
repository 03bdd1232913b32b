/* The files that --merge --virtual refers to. */
#ifndef PF_MERGE_VIRTUAL_H
#define PF_MERGE_VIRTUAL_H

#include "merge_inputs.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfMergeSources {
    PfCacheSource *items;
    char **paths; /* the items' */
    int count;
} PfMergeSources;

/* The inputs as seen from the folder of the output; in place of a virtual one what that refers
 * to. Refuses files whose change would go unnoticed. On failure too, free it. */
int pf_merge_sources_new(const PfMergeInputs *inputs, const char *output, PfMergeSources *sources,
                         PfError *err);
/* The folder that holds those which do not lie in the output's, malloc'ed; NULL where all do. */
char *pf_merge_sources_outside(const PfMergeSources *sources, const char *output);
void pf_merge_sources_free(PfMergeSources *sources);

/* Refuses an output that an input, by itself or by being virtual, takes its rows from. */
int pf_merge_check_output(const PfMergeInputs *inputs, const char *output, PfError *err);

#endif

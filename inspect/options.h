/* The command line of inspect. */
#ifndef PF_INSPECT_OPTIONS_H
#define PF_INSPECT_OPTIONS_H

#include <stdint.h>

#include "inspect/rows/rows.h"
#include "permafrost/error.h"

#define PF_INSPECT_MAX_MODELS 16

typedef struct PfInspectOptions {
    const char *cache; /* the operand */
    const char *sources_from;
    PfRowsConfig rows; /* memory_bytes, threads and interrupted are main's to fill */
    /* What to look for; none of them: everything. */
    int duplicates, labels, outliers, classes, features, knn, few_shot, pixels;
    int next; /* so many images to label next; 0: 20 where there are unlabelled ones */
    const char *models[PF_INSPECT_MAX_MODELS];
    int model_count;
    const char *near;
    int near_count;
    double threshold; /* of duplicates; 0: by the data */
    int neighbour;    /* outliers: distance to the so-manieth */
    int folds, seeds;
    int64_t seed;
    const char *json, *csv; /* NULL: none; "-": stdout */
    int csv_safe, anonymous;
    int most; /* lines that the terminal shows of each list */
    int threads;
    int quiet, verbose, help, version;
} PfInspectOptions;

/* Refuses what contradicts itself. */
int pf_inspect_options_parse(int argc, char **argv, PfInspectOptions *options, PfError *err);
void pf_inspect_options_help(void);

#endif

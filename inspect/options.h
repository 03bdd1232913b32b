/* The command line of inspect. */
#ifndef PF_INSPECT_OPTIONS_H
#define PF_INSPECT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/manual/manual.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/rows/rows.h"
#include "permafrost/error.h"
#include "predict/model/network.h"

#define PF_INSPECT_MAX_MODELS 16

typedef struct PfInspectOptions {
    int argc; /* the command line; lent */
    char **argv;
    const char *cache; /* the operand */
    const char *sources_from;
    PfRowsConfig rows;
    /* What to look for; where none of them is given, all of it; of pixels what the
     * cache says. */
    int duplicates, labels, outliers, classes, features, knn, few_shot, pixels, map;
    int next; /* so many images to label next; 0: not given */
    const char *models[PF_INSPECT_MAX_MODELS];
    int model_count;
    const char *near;
    PfModelNetworkOptions network; /* of `near` */
    int near_count;
    double threshold;       /* of duplicates; 0: by the data */
    int neighbour;          /* outliers: the distance to the so-manieth */
    int exact, approximate; /* all pairs, cells; neither: by the size */
    int folds, seeds;
    int64_t seed;
    const char *json, *csv;    /* NULL: none; "-": stdout */
    const char *output;        /* the page; NULL: none */
    const char *export_folder; /* NULL: none */
    const char *images;        /* where the dataset is now; NULL: where it was */
    long long max_pixels;      /* of an image that is read; 0: the usual limits, see image.h */
    int no_thumbnails, no_map;
    int csv_safe, anonymous;
    int most; /* entries of a list that the terminal shows */
    int threads;
    int quiet, verbose, help, version;
} PfInspectOptions;

/* Whether nothing in particular was asked for. */
bool pf_inspect_options_wants_all(const PfInspectOptions *options);

/* How neighbours are looked for. */
PfNeighboursMethod pf_inspect_options_method(const PfInspectOptions *options);

/* Refuses what contradicts itself. */
int pf_inspect_options_parse(int argc, char **argv, PfInspectOptions *options, PfError *err);
void pf_inspect_options_help(void);

extern const PfManual pf_inspect_manual;

#endif

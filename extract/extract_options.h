/* The command line of extract. */
#ifndef PF_EXTRACT_OPTIONS_H
#define PF_EXTRACT_OPTIONS_H

#include "backbone_plan.h"
#include "permafrost/feature_cache.h"

typedef enum PfExtractMode {
    PF_EXTRACT_RUN,
    PF_EXTRACT_SUMMARY, /* --summary */
    PF_EXTRACT_INFO,    /* --info */
} PfExtractMode;

/* --max-bad: a number of images, or a share of the dataset. */
typedef struct PfBadLimit {
    double value;
    int is_percent;
    int is_default;
} PfBadLimit;

typedef struct PfExtractOptions {
    PfExtractMode mode;
    const char *operand; /* DATASET, or the cache for --info */
    const char *output;
    PfBackboneOptions backbone;
    double val_fraction, test_fraction; /* --split */
    PfCompression compression;
    int level;          /* 0 = the compressor's default here */
    int batch, workers; /* workers 0 = one per core */
    PfBadLimit max_bad;
    int force;
    int summary_input, summary_classes;
    int summary, info, help, version, quiet, verbose;
} PfExtractOptions;

/* Parses the command line; what contradicts itself is refused here. --help and
 * --version leave the rest unchecked. */
int pf_extract_options_parse(int argc, char **argv, PfExtractOptions *options, PfError *err);
void pf_extract_options_help(void);

/* Bad images allowed of `total`. The default is 5 %, but never less than 5. */
int64_t pf_bad_limit(const PfBadLimit *limit, int64_t total);

#endif

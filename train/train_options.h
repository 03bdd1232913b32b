/* The command line of train. */
#ifndef PF_TRAIN_OPTIONS_H
#define PF_TRAIN_OPTIONS_H

#include "assertion.h"
#include "feature_table.h"
#include "head_trainer.h"
#include "normalize.h"

#define PF_MAX_ASSERTIONS 32

typedef struct PfTrainOptions {
    const char *cache; /* the operand */
    PfFeatureTableConfig table;
    PfTrainConfig train; /* epochs 0: pf_default_epochs */
    PfNormalize normalize;
    const char *output, *json; /* NULL: none; json "-": stdout */
    PfAssertion assertions[PF_MAX_ASSERTIONS];
    int assertion_count;
    double weight_decay, momentum; /* as given, -1 where not; train.optimizer has what counts */
    int64_t seed;
    int quiet, verbose, help, version;
} PfTrainOptions;

/* Parses the command line; what contradicts itself is refused here. --help and
 * --version leave the rest unchecked. */
int pf_train_options_parse(int argc, char **argv, PfTrainOptions *options, PfError *err);
void pf_train_options_help(void);

/* A head of few rows needs many passes: as many as make 4,000 steps, at least 10
 * and at most 200. */
int pf_default_epochs(int64_t rows, int batch);

#endif

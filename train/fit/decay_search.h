/* The weight decay of a linear head, searched among the train rows alone.
 *
 * The rows are dealt out into inner folds (pf_row_choice_fold: rows that are alike stay together).
 * From a decay that lets nothing be learned, downwards by factors of the square root of ten, a head
 * is fitted on all folds but one, beginning with that of the decay before, and its loss on the one
 * is noted: a path of optima (Friedman, Hastie, Tibshirani, J. Stat. Softw. 33 (2010) 1). The path
 * ends where the loss has been rising for so long that nothing below will be chosen. Every task has
 * its own decay, as its columns of a linear head are its own problem.
 *
 * How much is done follows from numbers of rows, features and outputs, never from a clock: what is
 * chosen is the same on every machine, with any number of threads. */
#ifndef PF_TRAIN_FIT_DECAY_SEARCH_H
#define PF_TRAIN_FIT_DECAY_SEARCH_H

#include <stdbool.h>

#include "train/fit/head_batch.h"

#define PF_DECAY_FOLDS 5
#define PF_DECAY_STEPS 20
/* Fewer rows that are not alike than this have no inner folds worth the name. */
#define PF_DECAY_LEAST_ROWS 10

typedef struct PfDecaySearchConfig {
    double label_smoothing;
    const uint32_t *alike; /* as pf_row_choice_fold takes it */
    const PfTask *by;      /* whose classes are spread evenly */
    PfThreadPool *pool;
    int64_t memory_bytes; /* that the train rows, held once more in axes in which the search is
                             faster, may take (row_axes.h); 0: any */
    /* After every step of the path; nonzero ends the search with PF_EXIT_INTERRUPTED. May be NULL.
     */
    int (*on_step)(void *context, int done, int total);
    void *step_context;
} PfDecaySearchConfig;

/* One decay, and the loss that heads with it have on rows that they were not fitted to. */
typedef struct PfDecayStep {
    double decay, loss;
    double standard_error; /* of the loss, over the folds; NaN of a single part */
    double score;          /* share of right ones, or R2: of the held-out rows together */
} PfDecayStep;

/* Of one task. */
typedef struct PfDecayPath {
    PfDecayStep steps[PF_DECAY_STEPS]; /* (count) from the strongest decay on */
    int count, chosen;                 /* count 0: no held-out row has a value of the task, and
                                          lbfgs's default stands */
    int strongest, weakest; /* steps whose loss is within one standard error of the chosen one's */
} PfDecayPath;

typedef struct PfDecaySearch {
    int64_t rows; /* that chose */
    int folds;    /* fits of each decay: PF_DECAY_FOLDS, or 1: a fifth of the rows was held out */
    int64_t held_rows; /* of 1: how many that is */
    int task_count;
    PfDecayPath *paths; /* (tasks) owned */
    double *decays;     /* (tasks) the chosen ones; owned */
    double seconds;
} PfDecaySearch;

/* *out: NULL where there are too few rows, or too few that are not alike; then the default stands.
 * *start: a head that is nearly the optimum for the decays that were chosen, of all train rows;
 * NULL where *out is. */
int pf_decay_search_run(const PfTrainingData *data, const PfDecaySearchConfig *config,
                        PfDecaySearch **out, PfHeadNetwork **start, PfError *err);
void pf_decay_search_free(PfDecaySearch **search);

#endif

/* Which of many heads is the best. */
#ifndef PF_TRAIN_SWEEP_RANKING_H
#define PF_TRAIN_SWEEP_RANKING_H

#include <stdbool.h>
#include <stdint.h>

/* One head that was trained. */
typedef struct PfTrial {
    int setting, tap; /* indices into the sweep's */
    int fold;         /* -1: none */
    int64_t seed;
    double val_score, val_loss; /* of the best epoch; NaN without val rows */
    double train_score, train_loss;
    double test_score, test_loss; /* NaN unless every head is evaluated on test rows */
    int best_epoch, epoch_count;
    bool diverged;
} PfTrial;

/* A setting on a tap: over its folds and seeds. */
typedef struct PfRanked {
    int setting, tap;
    bool of_train;          /* the next three are of the train part: no trial has val rows */
    double mean, deviation; /* of the score; deviation NaN of a single trial */
    double mean_loss;       /* of those that have one */
    double test_mean, test_deviation; /* of the test score; NaN as in PfTrial */
    int trials, diverged;             /* how many, and how many of them diverged */
    int64_t best_seed;                /* whose score is the highest */
} PfRanked;

/* Sorts `count` trials by tap, setting, fold and seed, and fills ranking, which has room for every
 * pair of tap and setting: highest mean validation score first, of equal ones the lowest loss.
 * Heads that diverged are left out of means; a setting with some comes behind those with none, one
 * with nothing else last. Without val rows by the train part. Returns how many there are. */
int pf_ranking_make(PfTrial *trials, int count, PfRanked *ranking);

#endif

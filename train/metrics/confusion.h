/* Which classes are taken for which: the confusion matrix as a person reads it, and the pairs that
 * are confused most, where there are too many classes for a matrix. */
#ifndef PF_TRAIN_METRICS_CONFUSION_H
#define PF_TRAIN_METRICS_CONFUSION_H

#include <cjson/cJSON.h>
#include <stdint.h>

/* So many pairs are told at most. */
#define PF_CONFUSED_PAIRS 10

/* Rows of class `truth` that were taken for class `predicted`, which is another; of `support` rows
 * of that class. */
typedef struct PfConfusedPair {
    int truth, predicted;
    int64_t rows, support;
} PfConfusedPair;

/* The pairs with most rows, of equal ones in the order of the matrix, into out; returns how many.
 * matrix: (classes, classes) row = true, column = predicted. */
int pf_confusion_find_pairs(const int64_t *matrix, int classes,
                            PfConfusedPair out[PF_CONFUSED_PAIRS]);

/* matrix may be NULL; names too: classes then are numbers. split: "val". All lent. */
typedef struct PfConfusion {
    int classes;
    const int64_t *matrix;
    const PfConfusedPair *pairs;
    int pair_count;
    const char *const *names;
    const char *split;
} PfConfusion;

/* On the terminal, within 80 columns: the matrix where it fits, else the pairs. */
void pf_confusion_print(const PfConfusion *confusion);

/* [{"true", "predicted", "rows"}, ...], classes by name, or by number where they have none. */
cJSON *pf_confusion_pairs_json(const PfConfusedPair *pairs, int count, const char *const *names);

#endif

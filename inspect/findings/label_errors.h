/* Labels that are probably wrong, by confident learning.
 *
 * Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels, JAIR 70
 * (2021): a row counts as of class j where its probability of j reaches the mean that rows labelled
 * j have; of several such classes that of the highest probability. The counts by label and class,
 * scaled to the labels' counts, are the joint. Of the rows labelled i, as many are named as the
 * joint has of class j, those with the largest margin p(j) - p(i), unless i is what the
 * probabilities say, too ("prune by noise rate"). They come by their self-confidence p(i), the
 * lowest first. What cleanlab.filter.find_label_issues() does by default. */
#ifndef PF_INSPECT_FINDINGS_LABEL_ERRORS_H
#define PF_INSPECT_FINDINGS_LABEL_ERRORS_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

/* What is judged: plain arrays. */
typedef struct PfLabelProbabilities {
    int64_t rows;
    int classes;
    const int32_t *labels;      /* (rows) negative: not judged */
    const float *probabilities; /* (rows, classes); of a row that is not judged anything */
    const float *others;        /* (rows) the highest probability of a class that is none of these:
                                   it counts for the accuracy alone; NULL: there are no others */
} PfLabelProbabilities;

/* Memory that the tables of pairs of classes take meanwhile. */
#define PF_LABEL_ERRORS_PAIR_BYTES ((int64_t)(2 * sizeof(double) + sizeof(int64_t)))

/* Fills thresholds, joint, noise, accuracy, rows and errors; knn_label is -1. Ties of margins go by
 * the rows' numbers. Where no row is judged it is not done, and the caller says why. */
int pf_label_errors_judge(const PfLabelProbabilities *given, PfLabelErrors *out, PfError *err);

/* Probabilities of every row with a label, by heads that have learned from the other folds: into
 * out->probabilities, NaN for other rows. Rows of equal bytes are in one fold. progress: called
 * after each fold; may be NULL. */
int pf_label_errors_out_of_fold(const PfRows *rows, int folds, uint64_t seed,
                                PfNeighboursProgress *progress, void *context, PfLabelErrors *out,
                                PfError *err);

/* Adds what the neighbours vote for to each error. */
int pf_label_errors_ask_neighbours(const PfRows *rows, const PfNeighbours *neighbours, int k,
                                   PfLabelErrors *out, PfError *err);

#endif

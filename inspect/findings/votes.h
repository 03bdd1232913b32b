/* What neighbours say of a row's class: weighted votes, and k nearest neighbours as a classifier.
 *
 * As DINO's and DINOv2's evaluations do it: each of the k nearest train rows votes for its class
 * with the weight exp(cosine / temperature), temperature 0.07 (Wu, Xiong, Yu, Lin, Unsupervised
 * Feature Learning via Non-Parametric Instance Discrimination (2018), section 3.4; Caron and
 * others, Emerging Properties in Self-Supervised Vision Transformers (2021)). */
#ifndef PF_INSPECT_FINDINGS_VOTES_H
#define PF_INSPECT_FINDINGS_VOTES_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

#define PF_KNN_TEMPERATURE 0.07

/* The votes of the row's first k neighbours with a label: votes, (classes), adds up to 1. Returns
 * the class that wins, of equal ones the first; -1 where nobody votes. */
int32_t pf_votes_count(const PfRows *rows, const PfNeighbours *neighbours, int64_t row, int k,
                       double *votes);

/* Every k that the lists hold, on the train rows, each without itself, and on the others.
 * neighbours: of all rows among the train rows with a label. */
int pf_votes_score(const PfRows *rows, const PfNeighbours *neighbours, PfKnnScores *train,
                   PfKnnScores *held_out, PfError *err);

/* Memory that is taken for each pair of classes. */
#define PF_VOTES_PAIR_BYTES ((int64_t)sizeof(double))

/* Rows by class and split, and which classes are neighbours of which: the first k neighbours of
 * each row. neighbours: NULL for the counts alone. */
int pf_votes_classes(const PfRows *rows, const PfNeighbours *neighbours, int k,
                     PfClassFindings *out, PfError *err);

#endif

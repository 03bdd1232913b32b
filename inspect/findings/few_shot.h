/* Accuracy by the number of images of each class: how much more labelling would bring. */
#ifndef PF_INSPECT_FINDINGS_FEW_SHOT_H
#define PF_INSPECT_FINDINGS_FEW_SHOT_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

/* Linear heads that learn from 1, 2, 5, 10, 20, 50, ... train rows of each class, while half of the
 * classes have as many, for each of the seeds other ones; tested on the val and test rows, and
 * where there are none on a fifth of the rows. After Kornblith, Shlens, Le, Do Better ImageNet
 * Models Transfer Better? (2019), and few-shot evaluations since. */
int pf_few_shot_measure(const PfRows *rows, int seeds, uint64_t seed,
                        PfNeighboursProgress *progress, void *context, PfFewShot *out,
                        PfError *err);

#endif

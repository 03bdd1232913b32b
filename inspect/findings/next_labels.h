/* Which images to label next: such as a head is unsure of, and that differ from one another.
 *
 * Of the unlabelled rows those of the highest entropy (Settles, Active Learning Literature Survey
 * (2009), section 3.1), ten times as many as are asked for; among them the one that is farthest
 * from all that are labelled or chosen, again and again (k-centre, greedily: Sener, Savarese,
 * Active Learning for Convolutional Neural Networks: A Core-Set Approach (2018); Gonzalez (1985)).
 * Without any label the rows are only spread. */
#ifndef PF_INSPECT_FINDINGS_NEXT_LABELS_H
#define PF_INSPECT_FINDINGS_NEXT_LABELS_H

#include "inspect/findings/findings.h"
#include "inspect/rows/rows.h"

int pf_next_labels_choose(const PfRows *rows, int64_t count, PfNextLabels *out, PfError *err);

#endif

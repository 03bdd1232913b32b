/* Images that are there twice, or almost: groups of rows that are linked by equal bytes or by a
 * cosine similarity of the threshold or more (single linkage).
 *
 * The threshold comes from the data. For rows spread over a space of D dimensions the distances r
 * to the nearest other row are distributed as Weibull's law, P(r < x) = 1 - exp(-(x / s)^D), which
 * is the law of the least of many distances (Clark, Evans, Ecology 35 (1954) 445, in the plane).
 * D and s are read from the median and the upper decile of r = sqrt(2 - 2 cosine), which copies
 * hardly move. The threshold is the similarity that a pair of different images would reach by
 * chance once in a hundred data sets of this size. */
#ifndef PF_INSPECT_FINDINGS_DUPLICATES_H
#define PF_INSPECT_FINDINGS_DUPLICATES_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

/* What the data's own threshold is kept within: less similar images are no copies, and copies that
 * were compressed anew are hardly ever more similar. */
#define PF_DUPLICATES_LEAST 0.90
#define PF_DUPLICATES_MOST 0.999

/* threshold: 0 for that of the data. neighbours: among all rows. */
int pf_duplicates_find(const PfRows *rows, const PfNeighbours *neighbours, double threshold,
                       PfDuplicates *out, PfError *err);

#endif

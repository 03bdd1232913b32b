/* Images that are there twice, or almost: groups of rows that are linked by equal bytes, by a
 * cosine similarity of the threshold or more, or by pixels that are alike: perceptual hashes that
 * differ in a few bits, also of the mirrored image (single linkage).
 *
 * The threshold comes from the data. Where rows are spread evenly over D dimensions around a row,
 * the volumes up to its neighbours, their distances r to the power D, grow like sums of equal steps
 * (Levina, Bickel, Maximum Likelihood Estimation of Intrinsic Dimension (2004)): the fifth of ten
 * has half the volume of the tenth in half of the rows, which gives D; and the nearest of ten is
 * within a share u of the tenth's volume with the probability 1 - (1 - u)^9. u is chosen so that
 * this would happen by chance once in ten data sets of this size, and the threshold is the
 * similarity that it stands for at the median distance of the tenth neighbour. Copies hardly move
 * these distances, unless half of all images have five of them. r is sqrt(2 - 2 cosine).
 */
#ifndef PF_INSPECT_FINDINGS_DUPLICATES_H
#define PF_INSPECT_FINDINGS_DUPLICATES_H

#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"

/* What the data's own threshold is kept within: less similar images are no copies, and copies that
 * were compressed anew are hardly ever more similar. */
#define PF_DUPLICATES_LEAST 0.90
#define PF_DUPLICATES_MOST 0.999

/* Bits in which hashes of copies may differ. Of 60,000 pictures of 32 x 32 pixels (CIFAR-10) hardly
 * one in twenty pairs of 6 bits was of different pictures, and none of 4; pairs by chance grow with
 * the square of the number. */
#define PF_DUPLICATES_BITS 6
#define PF_DUPLICATES_BITS_OF_MANY 4
#define PF_DUPLICATES_MANY 100000 /* rows */

/* threshold: 0 for that of the data. neighbours: among all rows. hashes: (rows) 0 where there is
 * none; NULL: of no row. */
int pf_duplicates_find(const PfRows *rows, const PfNeighbours *neighbours, const uint64_t *hashes,
                       double threshold, PfDuplicates *out, PfError *err);

#endif

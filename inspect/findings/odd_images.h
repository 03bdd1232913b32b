/* Images that are odd by their pixels: by their size, dark, bright, blank or blurred. */
#ifndef PF_INSPECT_FINDINGS_ODD_IMAGES_H
#define PF_INSPECT_FINDINGS_ODD_IMAGES_H

#include "inspect/findings/findings.h"
#include "permafrost/error.h"

/* From out->statistics, (rows, PF_PIXEL_STATISTICS), NaN of rows that are not known: fills images,
 * counts and status.
 *
 *   small, large   a quarter of the median of sqrt(width x height), or four times it
 *   odd shape      one side more than three times the other, relative to the median shape
 *   dark, bright   mean luminance below 25 or above 230
 *   blank          deviation of the luminance below 4
 *   blurred        Laplacian variance below a twentieth of the median, and not blank */
int pf_odd_images_judge(int64_t rows, PfOddImages *out, PfError *err);

#endif

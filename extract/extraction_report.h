/* What a run of extract says of itself. */
#ifndef PF_EXTRACTION_REPORT_H
#define PF_EXTRACTION_REPORT_H

#include "extraction_summary.h"

/* Makes the work plan and says it, as far as sizes are known by now; names new rejects.
 * Fails where the disk cannot hold it. */
int pf_extraction_say_plan(PfExtraction *run, PfError *err);
/* The last lines of a run that has written the cache. */
void pf_extraction_say_summary(const PfExtraction *run, const PfExtractionSummary *summary);
/* How many images were drawn to each side, where any were. */
void pf_extraction_say_sides(const PfExtraction *run);
/* Finds, and warns of, images on both sides of a split and under two labels. */
int pf_extraction_say_equal(PfExtraction *run, PfError *err);
/* The error of a run that a signal ended after `computed` images. */
void pf_extraction_say_interrupted(const PfExtraction *run, int64_t computed, PfError *err);

#endif

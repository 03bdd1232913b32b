/* Rows of a journal that a run has no use for, since it lists other images than the run that
 * computed them, which was not finished. */
#ifndef PF_EXTRACT_PLAN_UNLISTED_ROWS_H
#define PF_EXTRACT_PLAN_UNLISTED_ROWS_H

#include "extract/plan/dataset_scan.h"

/* Rows of images that the scan has neither by their bytes nor by their path. One whose path it has
 * is of a file that has changed since, and will not be wanted again. */
int pf_unlisted_rows_count(const PfDatasetScan *scan, const PfJournal *journal, int64_t *out,
                           PfError *err);

#endif

/* The columns that --evaluate adds to predictions: what is true, and the split. */
#ifndef PF_PREDICT_TRUTH_COLUMNS_H
#define PF_PREDICT_TRUTH_COLUMNS_H

#include "common/file/csv.h"
#include "predict/evaluate/labelled_set.h"

/* ",true,split", of numbers that are several ",true_0,true_1,...", of points
 * ",true_x0,true_y0,..."; of several targets with "NAME_true" for "true". */
void pf_truth_columns_head(const PfCsv *csv, const PfScorer *scorer);
/* The fields of a row; empty where nothing is known. values: (scorer->outputs) scratch. */
void pf_truth_columns_write(const PfCsv *csv, const PfLabelledSet *set, int64_t row, float *values);

/* {"true": of one target its value, of several an object of them, "unknown": likewise, labels of
 * which a row does not say whether they are there, if there are any, "split"}, members to be taken
 * over; null where nothing is known. */
cJSON *pf_truth_columns_json(const PfLabelledSet *set, int64_t row, float *values);

#endif

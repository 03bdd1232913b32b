/* The page that predict writes: --report. */
#ifndef PF_PREDICT_REPORT_H
#define PF_PREDICT_REPORT_H

#include "extract/dataset/dataset.h"
#include "predict/model/scorer.h"
#include "predict/predict.h"

/* The predictions so far, kept for the page. Start from {0}. */
typedef struct PfPredictionReport {
    int64_t count;
    char **paths;   /* (count) owned */
    float *outputs; /* (count, scorer->outputs) owned */
    size_t path_capacity, output_capacity;
} PfPredictionReport;

int pf_prediction_report_add(PfPredictionReport *report, const PfScorer *scorer, const char *path,
                             const float *outputs, PfError *err);
/* dataset: that the images are of. */
int pf_prediction_report_write(const PfPredictionReport *report, const PfPredictOptions *options,
                               const PfScorer *scorer, const PfDataset *dataset, PfError *err);
void pf_prediction_report_free(PfPredictionReport *report);

/* Of a cache, what is true of its rows as well. */
int pf_prediction_report_write_cache(const PfPredictOptions *options, PfCache *cache, PfError *err);

#endif

/* The page that predict writes: --report. */
#ifndef PF_PREDICT_REPORT_H
#define PF_PREDICT_REPORT_H

#include "extract/dataset/dataset.h"
#include "predict/evaluate/truth.h"
#include "predict/model/scorer.h"
#include "predict/predict.h"

/* The predictions so far, kept for the page. Start from {0}. */
typedef struct PfPredictionReport {
    int64_t count;
    char **paths;              /* (count) owned */
    int64_t *samples;          /* (count) of the dataset; owned */
    float *outputs;            /* (count, scorer->outputs) owned */
    int32_t *widths, *heights; /* (count) of the images; 0: not known; owned */
    uint8_t *splits;           /* (count) PfSplit; owned */
    int32_t *classes; /* (count, scorer->target_count) what is true; -1: not known; owned */
    float *values;    /* (count, scorer->outputs) likewise; NaN: not known; owned */
    bool has_truth, has_splits;
    size_t path_capacity, sample_capacity, output_capacity, width_capacity, height_capacity,
        split_capacity, class_capacity, value_capacity;
} PfPredictionReport;

/* One image. */
typedef struct PfReportedRow {
    const char *path;
    int64_t sample;       /* of the dataset */
    int width, height;    /* 0: not known */
    const float *outputs; /* (scorer->outputs) points in pixels of the image */
    const PfTruth *truth; /* NULL: nobody asked for what is true */
    PfTruthRow row;
    int part; /* a PfSplit; anything else: the set names no splits */
} PfReportedRow;

int pf_prediction_report_add(PfPredictionReport *report, const PfScorer *scorer,
                             const PfReportedRow *row, PfError *err);
/* dataset: that the images are of, decoded by preprocess. */
int pf_prediction_report_write(const PfPredictionReport *report, const PfPredictOptions *options,
                               const PfScorer *scorer, const PfDataset *dataset,
                               const PfPreprocess *preprocess,
                               const volatile sig_atomic_t *interrupted, PfError *err);
void pf_prediction_report_free(PfPredictionReport *report);

/* A cache that has been predicted; all lent. */
typedef struct PfCacheReport {
    const PfScorer *scorer;
    PfCache *cache;
    const uint8_t *splits; /* (rows) PfSplit, as the model knows them; NULL: as the cache does */
    const uint8_t *broken; /* (rows) 1 where a feature is not finite */
    const volatile sig_atomic_t *interrupted;
} PfCacheReport;

/* Of a cache, what is true of its rows as well; where it has the features of the model's tap, the
 * nearest training images of mistakes, and the map. */
int pf_prediction_report_write_cache(const PfCacheReport *report, const PfPredictOptions *options,
                                     PfError *err);

#endif

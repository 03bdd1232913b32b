/* Predictions as CSV or JSON on a stream. */
#ifndef PF_PREDICT_WRITER_H
#define PF_PREDICT_WRITER_H

#include <stdbool.h>
#include <stdio.h>

#include "common/file/csv.h"
#include "predict/model/scorer.h"
#include "predict/predict.h"

typedef struct PfPredictionWriter {
    FILE *stream;
    PfCsv csv;
    const PfScorer *scorer;
    bool json;
    int top;          /* classes an image */
    double threshold; /* labels are told whose probability is above it */
    int *indices;     /* (largest number of classes) scratch, owned */
    int64_t written;
} PfPredictionWriter;

/* Writes the CSV header or the opening bracket. A model of one target of classes gives
 * path,label,probability; others a column or more for each target by its name. */
int pf_prediction_writer_begin(PfPredictionWriter *writer, FILE *stream, bool json,
                               const PfScorer *scorer, const PfPredictOptions *options,
                               PfError *err);
/* One image. outputs: (scorer->outputs), points in pixels of the image. */
void pf_prediction_writer_add(PfPredictionWriter *writer, const char *path, const float *outputs);
/* Whether all could be written so far: a full disk, for instance, ends a long run early. */
int pf_prediction_writer_check(const PfPredictionWriter *writer, PfError *err);
/* Closing bracket, flush; a full disk or a closed pipe shows here. */
int pf_prediction_writer_end(PfPredictionWriter *writer, PfError *err);

#endif

/* Predictions as CSV or JSON on a stream. */
#ifndef PF_PREDICTION_WRITER_H
#define PF_PREDICTION_WRITER_H

#include <stdio.h>

#include "scorer.h"

typedef struct PfPredictionWriter {
    FILE *stream;
    const PfScorer *scorer;
    int json, top; /* top <= class_count */
    int *indices;  /* (top) scratch, owned */
    int64_t written;
} PfPredictionWriter;

/* top is cut to the number of classes. Writes the CSV header or the opening bracket. */
int pf_prediction_writer_begin(PfPredictionWriter *writer, FILE *stream, const PfScorer *scorer,
                               int json, int top, PfError *err);
/* One image. probabilities: (class_count). */
void pf_prediction_writer_add(PfPredictionWriter *writer, const char *path,
                              const float *probabilities);
/* Closing bracket, flush; a full disk or a closed pipe shows here. */
int pf_prediction_writer_end(PfPredictionWriter *writer, PfError *err);

#endif

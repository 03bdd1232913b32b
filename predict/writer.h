/* Predictions as CSV or JSON on a stream. */
#ifndef PF_PREDICT_WRITER_H
#define PF_PREDICT_WRITER_H

#include <stdbool.h>
#include <stdio.h>

#include "common/file/csv.h"
#include "predict/evaluate/labelled_set.h"
#include "predict/model/scorer.h"
#include "predict/predict.h"

typedef struct PfPredictionWriter {
    FILE *stream;
    const char *path; /* of the file that the stream is, for messages; NULL: standard output */
    PfCsv csv;
    const PfScorer *scorer;
    bool json;
    int top;                       /* classes an image */
    double threshold;              /* labels are told whose probability is above it */
    int *indices;                  /* (largest number of classes) scratch, owned */
    const PfLabelledSet *labelled; /* --evaluate: adds what is true; lent, or NULL */
    float *truth;                  /* (scorer->outputs) scratch, owned */
    const char *evaluation;        /* JSON that the document ends in, before end; lent, or NULL */
    bool tells_novelty;
    double reject;  /* beyond it labels are left out; above 100: never */
    double novelty; /* of the image that is added next, where it is known */
    int64_t written, rejected;
} PfPredictionWriter;

/* Writes the CSV header or the opening bracket. A model of one target of classes gives
 * path,label,probability; others a column or more for each target by its name. labelled: the set
 * that is evaluated, whose truths are added (truth_columns.h); NULL: none. Then the JSON is
 * {"predictions": [...], "evaluation": {...}}. */
int pf_prediction_writer_begin(PfPredictionWriter *writer, FILE *stream, bool json,
                               const PfScorer *scorer, const PfPredictOptions *options,
                               const PfLabelledSet *labelled, PfError *err);
/* One image: row `row` of the set. outputs: (scorer->outputs), points in pixels of the image; NaN
 * where there is no answer, and then there is no label. */
void pf_prediction_writer_add(PfPredictionWriter *writer, int64_t row, const char *path,
                              const float *outputs);
/* Whether all could be written so far: a full disk, for instance, ends a long run early. */
int pf_prediction_writer_check(const PfPredictionWriter *writer, PfError *err);
/* Closing bracket, flush; a full disk or a closed pipe shows here. */
int pf_prediction_writer_end(PfPredictionWriter *writer, PfError *err);

#endif

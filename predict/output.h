/* Where predictions go: -o FILE.csv or FILE.json, --json FILE, or CSV on standard output; up to two
 * of them at once. */
#ifndef PF_PREDICT_OUTPUT_H
#define PF_PREDICT_OUTPUT_H

#include "common/file/atomic_file.h"
#include "predict/writer.h"

#define PF_PREDICTION_OUTPUTS 2

typedef struct PfPredictionOutput {
    int count; /* 0: not begun */
    PfPredictionWriter writers[PF_PREDICTION_OUTPUTS];
    PfAtomicFile *files[PF_PREDICTION_OUTPUTS]; /* NULL: stdout */
} PfPredictionOutput;

/* Before the long part: whether the places can be written, are none of the inputs, and hold nothing
 * that is something else. */
int pf_prediction_output_check(const PfPredictOptions *options, PfError *err);

/* Opens the places and writes what comes before the first row. */
int pf_prediction_output_begin(PfPredictionOutput *output, const PfScorer *scorer,
                               const PfPredictOptions *options, const PfLabelledSet *labelled,
                               PfError *err);
/* As pf_prediction_writer_add, _check. */
void pf_prediction_output_add(PfPredictionOutput *output, int64_t row, const char *path,
                              const float *outputs);
int pf_prediction_output_check_written(const PfPredictionOutput *output, PfError *err);
/* The novelty of the image that is added next, where it is told. */
void pf_prediction_output_set_novelty(PfPredictionOutput *output, double novelty);
/* JSON that the documents end in; lent until the end. */
void pf_prediction_output_set_evaluation(PfPredictionOutput *output, const char *json);
/* What is on its way to standard output gets there. */
void pf_prediction_output_flush(PfPredictionOutput *output);
int64_t pf_prediction_output_rows(const PfPredictionOutput *output);
/* Of them, those that are too unlike anything seen for a label. */
int64_t pf_prediction_output_rejected(const PfPredictionOutput *output);

/* Ends all of them. Files take their names, unless the run has failed: then what was there stays.
 */
int pf_prediction_output_end(PfPredictionOutput *output, bool has_failed, PfError *err);

#endif

/* How good a head is on some rows: the metrics of each of its tasks. */
#ifndef PF_TRAIN_FIT_EVALUATION_H
#define PF_TRAIN_FIT_EVALUATION_H

#include "train/fit/head_trainer.h"
#include "train/metrics/metrics.h"

/* Of one task. */
typedef struct PfTaskMetrics {
    const PfMetrics *metrics; /* those of the task's kind */
    int64_t count;            /* rows that have anything of the task; 0: the values are zeros */
    void *values;             /* metrics->size bytes; owned */
} PfTaskMetrics;

/* Sees the rows as they are added up. */
typedef struct PfEvaluationSink {
    void *context;
    /* outputs: of all tasks, rows `stride` apart: logits, and numbers in the target's own units.
     * Everything is lent for the call. */
    int (*rows)(void *context, const PfRowBatch *batch, const float *outputs, int64_t stride,
                PfError *err);
} PfEvaluationSink;

/* network: one head. with_auc: of classes; it costs most of the time. Numbers are compared in the
 * target's own units. sink: may be NULL. out: (task_count). Free each with pf_task_metrics_free. */
int pf_evaluation_run(PfHeadNetwork *network, const PfTrainingData *data, const int32_t *rows,
                      int64_t count, bool with_auc, PfThreadPool *pool,
                      const PfEvaluationSink *sink, PfTaskMetrics *out, PfError *err);
void pf_task_metrics_free(PfTaskMetrics *metrics);

/* The metrics' numbers as a table of fields, and the struct that they are in. */
const PfMetricField *pf_task_metric_fields(const PfTaskMetrics *metrics, const void **values);

/* The one number that a person would ask for first: accuracy, mean absolute error, mean
 * average precision, mean error in pixels. *name: of it, as in the result JSON. */
double pf_task_main_metric(const PfTaskMetrics *metrics, const char **name);

#endif

#include "evaluation.h"

#include <stdlib.h>

#include "memory.h"

/* What adds up one task's rows. */
typedef struct TaskMeter {
    PfClassificationMeter *classification;
    PfRegressionMeter *regression;
    PfMultilabelMeter *multilabel;
    PfKeypointMeter *keypoints;
    int64_t count;
    PfTaskTruth truth;
} TaskMeter;

typedef struct Evaluation {
    const PfTrainingData *data;
    TaskMeter *meters; /* (tasks) */
    int64_t outputs;
} Evaluation;

static int new_meter(const PfTask *task, int with_auc, PfThreadPool *pool, TaskMeter *meter,
                     PfError *err)
{
    switch (task->kind) {
    case PF_TARGET_CLASS:
        if (pf_classification_meter_new(task->outputs, pf_thread_pool_size(pool),
                                        &meter->classification, err))
            return -1;
        if (!with_auc) pf_classification_meter_skip_auc(meter->classification);
        return 0;
    case PF_TARGET_REGRESSION:
        return pf_regression_meter_new(task->outputs, &meter->regression, err);
    case PF_TARGET_MULTILABEL:
        return pf_multilabel_meter_new(task->outputs, &meter->multilabel, err);
    default: return pf_keypoint_meter_new(task->outputs / 2, &meter->keypoints, err);
    }
}

static void free_meter(TaskMeter *meter)
{
    pf_classification_meter_free(&meter->classification);
    pf_regression_meter_free(&meter->regression);
    pf_multilabel_meter_free(&meter->multilabel);
    pf_keypoint_meter_free(&meter->keypoints);
    pf_task_truth_free(&meter->truth);
}

static int add_task(const PfTask *task, TaskMeter *meter, const PfRowBatch *batch, float *outputs,
                    int64_t stride, PfError *err)
{
    PfTaskTruth *truth = &meter->truth;
    if (pf_task_gather(task, batch->rows, batch->n, truth, err)) return -1;
    for (int64_t i = 0; i < batch->n; i++) meter->count += pf_task_has(task, batch->rows[i]);
    if (meter->classification)
        return pf_classification_meter_add(meter->classification, batch->n, outputs, stride,
                                           truth->labels, err);
    if (meter->multilabel)
        return pf_multilabel_meter_add(meter->multilabel, batch->n, outputs, stride, truth->values,
                                       task->outputs, err);
    pf_task_to_target_units(task, batch->rows, batch->n, outputs, stride);
    pf_task_to_target_units(task, batch->rows, batch->n, truth->values, task->outputs);
    if (meter->regression)
        return pf_regression_meter_add(meter->regression, batch->n, outputs, stride, truth->values,
                                       task->outputs, err);
    pf_keypoint_meter_add(meter->keypoints, batch->n, outputs, stride, truth->values,
                          task->outputs);
    return 0;
}

static int add_block(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    Evaluation *evaluation = context;
    const PfTrainingData *data = evaluation->data;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs)
        if (add_task(&data->tasks[t], &evaluation->meters[t], batch, outputs + offset,
                     evaluation->outputs, err))
            return -1;
    return 0;
}

static int finish_meter(const PfTask *task, const TaskMeter *meter, PfTaskMetrics *out,
                        PfError *err)
{
    *out = (PfTaskMetrics){.kind = task->kind, .count = meter->count};
    switch (task->kind) {
    case PF_TARGET_CLASS:
        return pf_classification_meter_finish(meter->classification, &out->classification, err);
    case PF_TARGET_REGRESSION:
        return pf_regression_meter_finish(meter->regression, &out->regression, err);
    case PF_TARGET_MULTILABEL:
        return pf_multilabel_meter_finish(meter->multilabel, &out->multilabel, err);
    default: return pf_keypoint_meter_finish(meter->keypoints, &out->keypoints, err);
    }
}

int pf_evaluate(PfHeadNetwork *network, const PfTrainingData *data, const int32_t *rows,
                int64_t count, int with_auc, PfThreadPool *pool, PfTaskMetrics *out, PfError *err)
{
    size_t tasks = (size_t)data->task_count;
    Evaluation evaluation = {data, pf_calloc(tasks, sizeof(TaskMeter), err), network->outputs};
    int failed = !evaluation.meters;
    for (size_t t = 0; t < tasks; t++) out[t] = (PfTaskMetrics){.kind = data->tasks[t].kind};
    for (size_t t = 0; t < tasks && !failed && count; t++)
        failed = new_meter(&data->tasks[t], with_auc, pool, &evaluation.meters[t], err);
    if (!failed && count)
        failed =
            pf_visit_outputs(network, data->feeder, rows, count, pool, add_block, &evaluation, err);
    for (size_t t = 0; t < tasks && !failed && count; t++)
        failed = finish_meter(&data->tasks[t], &evaluation.meters[t], &out[t], err);
    for (size_t t = 0; t < tasks && evaluation.meters; t++) free_meter(&evaluation.meters[t]);
    free(evaluation.meters);
    return failed ? -1 : 0;
}

void pf_task_metrics_free(PfTaskMetrics *metrics)
{
    pf_classification_metrics_free(&metrics->classification);
    pf_regression_metrics_free(&metrics->regression);
    pf_multilabel_metrics_free(&metrics->multilabel);
    pf_keypoint_metrics_free(&metrics->keypoints);
    *metrics = (PfTaskMetrics){0};
}

const PfMetricField *pf_task_metric_fields(const PfTaskMetrics *metrics, const void **values)
{
    switch (metrics->kind) {
    case PF_TARGET_CLASS: *values = &metrics->classification; return pf_classification_fields;
    case PF_TARGET_REGRESSION: *values = &metrics->regression.overall; return pf_regression_fields;
    case PF_TARGET_MULTILABEL: *values = &metrics->multilabel; return pf_multilabel_fields;
    default: *values = &metrics->keypoints; return pf_keypoint_fields;
    }
}

double pf_task_main_metric(const PfTaskMetrics *metrics, const char **name)
{
    switch (metrics->kind) {
    case PF_TARGET_CLASS: *name = "accuracy"; return metrics->classification.accuracy;
    case PF_TARGET_REGRESSION: *name = "mae"; return metrics->regression.overall.mae;
    case PF_TARGET_MULTILABEL:
        *name = "mean_average_precision";
        return metrics->multilabel.mean_average_precision;
    default: *name = "mean_error"; return metrics->keypoints.mean_error;
    }
}

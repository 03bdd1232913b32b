#include "train/fit/evaluation.h"

#include <stdlib.h>

#include "common/base/memory.h"
#include "train/features/target_kind.h"

/* What adds up one task's rows. */
typedef struct TaskMeter {
    void *meter; /* of the metrics of the task's kind */
    int64_t count;
    PfTaskTruth truth;
} TaskMeter;

typedef struct Evaluation {
    const PfTrainingData *data;
    TaskMeter *meters; /* (tasks) */
    int64_t outputs;
    const PfEvaluationSink *sink; /* may be NULL */
} Evaluation;

static int add_task(const PfTask *task, TaskMeter *meter, const PfRowBatch *batch, float *outputs,
                    int64_t stride, PfError *err)
{
    PfTaskTruth *truth = &meter->truth;
    if (pf_task_gather(task, batch->rows, batch->n, truth, err)) return -1;
    for (int64_t i = 0; i < batch->n; i++) meter->count += pf_task_has(task, batch->rows[i]);
    pf_task_to_target_units(task, batch->rows, batch->n, outputs, stride);
    pf_task_to_target_units(task, batch->rows, batch->n, truth->values, task->outputs);
    PfMeterRows rows = {.n = batch->n,
                        .outputs = outputs,
                        .stride = stride,
                        .width = task->outputs,
                        .labels = truth->labels,
                        .values = truth->values};
    return pf_target_traits(task->kind)->metrics->add(meter->meter, &rows, err);
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
    const PfEvaluationSink *sink = evaluation->sink;
    return sink ? sink->rows(sink->context, batch, outputs, evaluation->outputs, err) : 0;
}

int pf_evaluation_run(PfHeadNetwork *network, const PfTrainingData *data, const int32_t *rows,
                      int64_t count, bool with_auc, PfThreadPool *pool,
                      const PfEvaluationSink *sink, PfTaskMetrics *out, PfError *err)
{
    size_t tasks = (size_t)data->task_count;
    Evaluation evaluation = {data, pf_calloc(tasks, sizeof(TaskMeter), err), network->outputs,
                             sink};
    int failed = !evaluation.meters;
    for (size_t t = 0; t < tasks; t++) {
        const PfMetrics *metrics = pf_target_traits(data->tasks[t].kind)->metrics;
        out[t] = (PfTaskMetrics){.metrics = metrics};
        if (failed) continue;
        out[t].values = pf_calloc(1, metrics->size, err);
        failed = !out[t].values ||
                 (count && metrics->start(data->tasks[t].outputs, pf_thread_pool_size(pool),
                                          with_auc, &evaluation.meters[t].meter, err));
    }
    if (!failed && count)
        failed =
            pf_visit_outputs(network, data->loader, rows, count, pool, add_block, &evaluation, err);
    for (size_t t = 0; t < tasks && !failed && count; t++) {
        out[t].count = evaluation.meters[t].count;
        failed = out[t].metrics->finish(evaluation.meters[t].meter, out[t].values, err);
    }
    for (size_t t = 0; t < tasks && evaluation.meters; t++) {
        out[t].metrics->stop(evaluation.meters[t].meter);
        pf_task_truth_free(&evaluation.meters[t].truth);
    }
    free(evaluation.meters);
    return failed ? -1 : 0;
}

void pf_task_metrics_free(PfTaskMetrics *metrics)
{
    if (metrics->values) metrics->metrics->clear(metrics->values);
    free(metrics->values);
    *metrics = (PfTaskMetrics){0};
}

const PfMetricField *pf_task_metric_fields(const PfTaskMetrics *metrics, const void **values)
{
    *values = (const char *)metrics->values + metrics->metrics->fields_at;
    return metrics->metrics->fields;
}

double pf_task_main_metric(const PfTaskMetrics *metrics, const char **name)
{
    const char *value = (const char *)metrics->values + metrics->metrics->main_value;
    *name = metrics->metrics->main_name;
    return *(const double *)(const void *)value;
}

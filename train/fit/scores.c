#include "train/fit/scores.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"

typedef struct Scores {
    const PfTrainingData *data;
    const PfHeadNetwork *network;
    PfTaskTruth truth;
    PfTaskSum *sums; /* (heads, tasks) */
} Scores;

static int add_rows(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    Scores *scores = context;
    const PfTrainingData *data = scores->data;
    const PfHeadNetwork *network = scores->network;
    for (int t = 0; t < data->task_count; outputs += data->tasks[t++].outputs) {
        if (pf_task_gather(&data->tasks[t], batch->rows, batch->n, &scores->truth, err)) return -1;
        PfTaskColumns columns = {.outputs = outputs,
                                 .stride = network->heads * network->outputs,
                                 .head_stride = network->outputs,
                                 .heads = (int)network->heads};
        pf_task_losses(&data->tasks[t], &scores->truth, &columns, scores->sums + t,
                       data->task_count);
    }
    return 0;
}

int pf_scores_run(PfHeadNetwork *network, const PfTrainingData *data, const int32_t *rows,
                  int64_t count, PfThreadPool *pool, PfHeadScore *out, PfError *err)
{
    size_t tasks = (size_t)data->task_count, heads = (size_t)network->heads;
    Scores scores = {.data = data, .network = network};
    double *spreads = pf_calloc(tasks, sizeof *spreads, err);
    scores.sums = pf_calloc(heads * tasks, sizeof *scores.sums, err);
    int failed = !spreads || !scores.sums;
    for (size_t h = 0; h < heads; h++) out[h] = (PfHeadScore){NAN, NAN};
    for (size_t t = 0; t < tasks && !failed; t++)
        spreads[t] = pf_task_spread(&data->tasks[t], rows, count);
    if (!failed && count)
        failed = pf_visit_outputs(network, data->loader, rows, count, pool, add_rows, &scores, err);
    for (size_t h = 0; h < heads && !failed && count; h++)
        pf_task_sums_finish(data->tasks, data->task_count, scores.sums + h * tasks, spreads,
                            &out[h].loss, &out[h].score);
    pf_task_truth_free(&scores.truth);
    free(scores.sums);
    free(spreads);
    return failed ? -1 : 0;
}

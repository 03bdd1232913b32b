#include "train/fit/calibration.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

/* Of 1 / temperature. */
#define LEAST_SCALE 1e-2
#define MOST_SCALE 1e2
/* Of the range of its logarithm: more than ROUNDING leaves to see. */
#define HALVINGS 32
#define BINS 15
#define ROUNDING 1e5
/* Rows whose sums are added up by one thread; the sums of blocks are added in their order. */
#define BLOCK_ROWS 1024

static bool has_probabilities(const PfTask *task)
{
    return !task->scale;
}

int pf_calibration_check(const PfTask *tasks, int task_count, PfError *err)
{
    for (int t = 0; t < task_count; t++)
        if (has_probabilities(&tasks[t])) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--calibrate is for classes and labels, whose probabilities it makes true; "
                   "no target that is trained has them");
}

int pf_calibration_new(const PfTask *tasks, int task_count, PfCalibration **out, PfError *err)
{
    if (pf_calibration_check(tasks, task_count, err)) return -1;
    PfCalibration *calibration = pf_calloc(1, sizeof *calibration, err);
    if (!calibration) return -1;
    calibration->task_count = task_count;
    calibration->tasks = pf_calloc((size_t)task_count, sizeof *calibration->tasks, err);
    if (!calibration->tasks) {
        free(calibration);
        return -1;
    }
    for (int t = 0; t < task_count; t++) calibration->tasks[t].temperature = 1;
    *out = calibration;
    return 0;
}

void pf_calibration_free(PfCalibration **calibration)
{
    if (!*calibration) return;
    for (int t = 0; t < (*calibration)->task_count; t++) {
        free((*calibration)->tasks[t].logits);
        free((*calibration)->tasks[t].labels);
        free((*calibration)->tasks[t].values);
    }
    free((*calibration)->tasks);
    free(*calibration);
    *calibration = NULL;
}

/* ---- collecting ---- */

typedef struct Collecting {
    PfCalibration *calibration;
    const PfTrainingData *data;
} Collecting;

static int make_room(PfCalibrationTask *own, const PfTask *task, int64_t more, PfError *err)
{
    size_t rows = (size_t)(own->rows + more), outputs = (size_t)task->outputs;
    size_t wanted = rows * outputs * sizeof(float);
    float *logits = realloc(own->logits, wanted);
    if (logits) own->logits = logits;
    void *truth = task->labels ? realloc(own->labels, rows * sizeof *own->labels)
                               : realloc(own->values, wanted);
    if (truth && task->labels) own->labels = truth;
    if (truth && !task->labels) own->values = truth;
    return logits && truth ? 0 : pf_fail(err, PF_EXIT_FAILED, "out of memory");
}

static int add_batch(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    const Collecting *collecting = context;
    const PfTrainingData *data = collecting->data;
    int64_t stride = pf_task_outputs(data->tasks, data->task_count), offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        const PfTask *task = &data->tasks[t];
        PfCalibrationTask *own = &collecting->calibration->tasks[t];
        size_t bytes = (size_t)task->outputs * sizeof(float);
        if (!has_probabilities(task)) continue;
        if (make_room(own, task, batch->n, err)) return -1;
        for (int64_t i = 0; i < batch->n; i++) {
            int64_t row = batch->rows[i];
            if (!pf_task_has(task, row)) continue;
            memcpy(own->logits + own->rows * task->outputs, outputs + i * stride + offset, bytes);
            if (task->labels)
                own->labels[own->rows] = task->labels[row];
            else
                memcpy(own->values + own->rows * task->outputs, task->values + row * task->outputs,
                       bytes);
            own->rows++;
        }
    }
    return 0;
}

int pf_calibration_add(PfCalibration *calibration, PfHeadNetwork *network,
                       const PfTrainingData *data, const int32_t *rows, int64_t count,
                       PfThreadPool *pool, PfError *err)
{
    Collecting collecting = {calibration, data};
    calibration->rows += count;
    return pf_visit_outputs(network, data->loader, rows, count, pool, add_batch, &collecting, err);
}

/* ---- what a scale of the logits makes of them ---- */

typedef struct Told {
    double loss, slope; /* mean log loss, and by the scale */
    double error;       /* ECE */
} Told;

typedef struct Bin {
    double confidence, right;
} Bin;

static void add_to_bin(Bin *bins, double confidence, bool right)
{
    int bin = (int)(confidence * BINS);
    if (bin >= BINS) bin = BINS - 1;
    bins[bin].confidence += confidence;
    bins[bin].right += right;
}

static void add_class_row(const float *logits, int classes, int label, double scale, Told *told,
                          Bin *bins)
{
    int best = 0;
    double sum = 0, mean = 0;
    for (int c = 1; c < classes; c++)
        if (logits[c] > logits[best]) best = c;
    for (int c = 0; c < classes; c++) {
        double above = (double)logits[c] - (double)logits[best], share = exp(scale * above);
        sum += share;
        mean += share * above;
    }
    double own = (double)logits[label] - (double)logits[best];
    told->loss += log(sum) - scale * own;
    told->slope += mean / sum - own;
    add_to_bin(bins, 1 / sum, best == label);
}

/* Each label by itself: the probability of what is so. */
static double add_label_row(const float *logits, const float *values, int labels, double scale,
                            Told *told, Bin *bins)
{
    double known = 0;
    for (int c = 0; c < labels; c++) {
        double logit = (double)logits[c], value = (double)values[c];
        if (isnan(values[c])) continue;
        double share = 1 / (1 + exp(-scale * logit));
        double size = fabs(scale * logit);
        told->loss += log1p(exp(-size)) + fmax(scale * logit, 0) - value * scale * logit;
        told->slope += (share - value) * logit;
        add_to_bin(bins, fmax(share, 1 - share), (share > 0.5) == (value > 0.5));
        known++;
    }
    return known;
}

/* Of some rows. */
typedef struct Sums {
    Told told;
    Bin bins[BINS];
    double entries;
} Sums;

typedef struct Telling {
    const PfCalibrationTask *own;
    const PfTask *task;
    PfThreadPool *pool;
    double scale;
    Sums *blocks; /* (block_count) */
    int64_t block_count;
} Telling;

static void sum_block(void *context, int64_t index)
{
    const Telling *telling = context;
    const PfCalibrationTask *own = telling->own;
    const int outputs = telling->task->outputs;
    const int64_t end = pf_min(own->rows, (index + 1) * BLOCK_ROWS);
    Sums sums = {.entries = 0};
    for (int64_t i = index * BLOCK_ROWS; i < end; i++) {
        const float *logits = own->logits + i * outputs;
        if (own->labels) {
            add_class_row(logits, outputs, own->labels[i], telling->scale, &sums.told, sums.bins);
            sums.entries++;
        } else {
            sums.entries += add_label_row(logits, own->values + i * outputs, outputs,
                                          telling->scale, &sums.told, sums.bins);
        }
    }
    telling->blocks[index] = sums;
}

static Told tell(Telling *telling, double scale)
{
    Sums all = {.entries = 0};
    telling->scale = scale;
    pf_thread_pool_for(telling->pool, telling->block_count, sum_block, telling);
    for (int64_t i = 0; i < telling->block_count; i++) {
        const Sums *block = &telling->blocks[i];
        all.told.loss += block->told.loss;
        all.told.slope += block->told.slope;
        all.entries += block->entries;
        for (int b = 0; b < BINS; b++) {
            all.bins[b].confidence += block->bins[b].confidence;
            all.bins[b].right += block->bins[b].right;
        }
    }
    for (int b = 0; b < BINS; b++)
        all.told.error += fabs(all.bins[b].confidence - all.bins[b].right) / fmax(all.entries, 1);
    all.told.loss /= fmax(all.entries, 1);
    all.told.slope /= fmax(all.entries, 1);
    return all.told;
}

/* The loss is convex in the scale: its slope is followed to zero, on a logarithmic axis. Rounded,
 * so that no last bit of exp and log tells one machine from another. */
static double find_temperature(Telling *telling)
{
    double low = log(LEAST_SCALE), high = log(MOST_SCALE);
    for (int step = 0; step < HALVINGS; step++) {
        double middle = 0.5 * (low + high);
        if (tell(telling, exp(middle)).slope > 0)
            high = middle;
        else
            low = middle;
    }
    return round(ROUNDING / exp(0.5 * (low + high))) / ROUNDING;
}

static int fit_task(PfCalibrationTask *own, const PfTask *task, PfThreadPool *pool, PfError *err)
{
    Telling telling = {.own = own,
                       .task = task,
                       .pool = pool,
                       .block_count = (own->rows + BLOCK_ROWS - 1) / BLOCK_ROWS};
    telling.blocks = pf_calloc((size_t)telling.block_count, sizeof *telling.blocks, err);
    if (!telling.blocks) return -1;
    own->is_open = !(tell(&telling, MOST_SCALE).slope > 0);
    own->temperature = own->is_open ? 1 : find_temperature(&telling);
    Told before = tell(&telling, 1), after = tell(&telling, 1 / own->temperature);
    own->loss_before = before.loss;
    own->loss_after = after.loss;
    own->error_before = before.error;
    own->error_after = after.error;
    free(telling.blocks);
    return 0;
}

int pf_calibration_fit(PfCalibration *calibration, const PfTask *tasks, PfThreadPool *pool,
                       PfError *err)
{
    for (int t = 0; t < calibration->task_count; t++)
        if (calibration->tasks[t].rows && fit_task(&calibration->tasks[t], &tasks[t], pool, err))
            return -1;
    return 0;
}

void pf_calibration_apply(const PfCalibration *calibration, const PfTask *tasks,
                          PfHeadNetwork *network)
{
    PfHeadLayer *last = &network->layers[network->layer_count - 1];
    int64_t offset = 0;
    for (int t = 0; t < calibration->task_count; offset += tasks[t++].outputs)
        for (int64_t i = 0; i <= last->inputs; i++)
            for (int64_t c = offset; c < offset + tasks[t].outputs; c++)
                last->parameters[i * last->columns + c] =
                    (float)((double)last->parameters[i * last->columns + c] /
                            calibration->tasks[t].temperature);
}

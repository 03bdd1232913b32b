#include "train/features/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "train/features/target_kind.h"

#define HEADS_TOGETHER 64

static int allocate(PfTask *task, PfError *err)
{
    size_t rows = (size_t)task->rows, outputs = (size_t)task->outputs;
    const PfTargetTraits *traits = pf_target_traits(task->kind);
    if (traits->has_classes) {
        task->labels = pf_calloc(rows, sizeof *task->labels, err);
        return task->labels ? 0 : -1;
    }
    task->values = pf_calloc(rows * outputs, sizeof *task->values, err);
    if (!task->values) return -1;
    if (!traits->is_scaled) return 0;
    task->center = pf_calloc(outputs, sizeof *task->center, err);
    task->scale = pf_calloc(outputs, sizeof *task->scale, err);
    return task->center && task->scale ? 0 : -1;
}

int pf_task_init(PfTask *task, const char *name, PfTargetKind kind, int outputs, int64_t rows,
                 PfError *err)
{
    PfLossKind loss = pf_target_traits(kind)->loss;
    *task = (PfTask){
        .name = name,
        .kind = kind,
        .loss = loss,
        .loss_parameter = pf_loss(loss)->parameter.initial,
        .weight = 1,
        .outputs = outputs,
        .rows = rows,
    };
    if (allocate(task, err)) {
        pf_task_free(task);
        return -1;
    }
    for (int64_t i = 0; task->labels && i < rows; i++) task->labels[i] = -1;
    for (int64_t i = 0; task->values && i < rows * outputs; i++) task->values[i] = NAN;
    for (int c = 0; task->scale && c < outputs; c++) task->scale[c] = 1;
    return 0;
}

void pf_task_free(PfTask *task)
{
    free(task->labels);
    free(task->values);
    free(task->class_weights);
    free(task->center);
    free(task->scale);
    free(task->frames);
    *task = (PfTask){0};
}

static bool has_classes(const PfTask *task)
{
    return pf_target_traits(task->kind)->has_classes;
}

int64_t pf_task_outputs(const PfTask *tasks, int task_count)
{
    int64_t outputs = 0;
    for (int t = 0; t < task_count; t++) outputs += tasks[t].outputs;
    return outputs;
}

int pf_task_class_count(const PfTask *task)
{
    return has_classes(task) ? task->outputs : 0;
}

int32_t pf_task_class(const PfTask *task, int64_t row)
{
    return has_classes(task) ? task->labels[row] : -1;
}

bool pf_task_has(const PfTask *task, int64_t row)
{
    if (has_classes(task)) return task->labels[row] >= 0;
    for (int c = 0; c < task->outputs; c++)
        if (!isnan(task->values[row * task->outputs + c])) return true;
    return false;
}

/* ---- preparing ---- */

/* Mean and standard deviation of a column over the entries that are there. */
static void measure_column(const PfTask *task, int column, const int32_t *rows, int64_t count,
                           double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    int64_t entries = 0;
    for (int64_t i = 0; i < count; i++) {
        float value = task->values[(int64_t)rows[i] * task->outputs + column];
        if (isnan(value)) continue;
        sum += (double)value;
        entries++;
    }
    *mean = entries ? sum / (double)entries : 0;
    for (int64_t i = 0; i < count; i++) {
        double off = (double)task->values[(int64_t)rows[i] * task->outputs + column] - *mean;
        if (!isnan(off)) squares += off * off;
    }
    *deviation = entries ? sqrt(squares / (double)entries) : 0;
}

int pf_task_standardize(PfTask *task, const int32_t *rows, int64_t count, PfError *err)
{
    if (!task->scale) return 0;
    for (int c = 0; c < task->outputs; c++) {
        double mean, deviation;
        measure_column(task, c, rows, count, &mean, &deviation);
        if (!isfinite(mean) || !isfinite(deviation))
            return pf_fail(err, PF_EXIT_FAILED,
                           "target '%s': column %d holds numbers too large to train on", task->name,
                           c);
        task->center[c] = (float)mean;
        task->scale[c] = deviation > 1e-6 * fabs(mean) && deviation > 0 ? (float)deviation : 1;
    }
    for (int64_t i = 0; i < task->rows; i++)
        for (int c = 0; c < task->outputs; c++) {
            float *value = &task->values[i * task->outputs + c];
            *value = (*value - task->center[c]) / task->scale[c];
        }
    return 0;
}

int pf_task_balance(PfTask *task, const int32_t *rows, int64_t count, PfError *err)
{
    if (!has_classes(task)) return 0;
    int64_t *counts = pf_calloc((size_t)task->outputs, sizeof *counts, err), labelled = 0;
    task->class_weights = pf_calloc((size_t)task->outputs, sizeof *task->class_weights, err);
    if (!counts || !task->class_weights) {
        free(counts);
        return -1;
    }
    for (int64_t i = 0; i < count; i++) {
        int32_t label = task->labels[rows[i]];
        if (label < 0) continue;
        counts[label]++;
        labelled++;
    }
    for (int c = 0; c < task->outputs; c++)
        task->class_weights[c] =
            counts[c] ? (float)((double)labelled / ((double)task->outputs * (double)counts[c])) : 0;
    free(counts);
    return 0;
}

void pf_task_to_target_units(const PfTask *task, const int32_t *rows, int64_t n, float *outputs,
                             int64_t stride)
{
    for (int64_t i = 0; task->scale && i < n; i++) {
        float *row = outputs + i * stride;
        for (int c = 0; c < task->outputs; c++) row[c] = row[c] * task->scale[c] + task->center[c];
        if (task->frames)
            pf_crop_geometry_points_to_image(&task->frames[rows[i]], row, task->outputs / 2);
    }
}

/* ---- loss ---- */

static float class_weight(const PfTask *task, int label)
{
    return task->class_weights ? task->class_weights[label] : 1.0f;
}

double pf_task_weight(const PfTask *task, const int32_t *rows, int64_t n)
{
    double weight = 0;
    for (int64_t i = 0; i < n; i++) {
        if (has_classes(task)) {
            int32_t label = task->labels[rows[i]];
            if (label >= 0) weight += (double)class_weight(task, label);
            continue;
        }
        const float *values = task->values + (int64_t)rows[i] * task->outputs;
        for (int c = 0; c < task->outputs; c++) weight += !isnan(values[c]);
    }
    return weight;
}

int pf_task_gather(const PfTask *task, const int32_t *rows, int64_t n, PfTaskTruth *truth,
                   PfError *err)
{
    size_t outputs = (size_t)task->outputs;
    truth->n = n;
    if (has_classes(task)) {
        if (pf_grow(&truth->labels, &truth->label_capacity, (size_t)n, sizeof *truth->labels, err))
            return -1;
        for (int64_t i = 0; i < n; i++) truth->labels[i] = task->labels[rows[i]];
        return 0;
    }
    if (pf_grow(&truth->values, &truth->value_capacity, (size_t)n * outputs, sizeof *truth->values,
                err))
        return -1;
    for (int64_t i = 0; i < n; i++)
        memcpy(truth->values + i * task->outputs, task->values + (int64_t)rows[i] * task->outputs,
               outputs * sizeof *truth->values);
    return 0;
}

void pf_task_truth_free(PfTaskTruth *truth)
{
    free(truth->labels);
    free(truth->values);
    *truth = (PfTaskTruth){0};
}

/* What is right of a row of values: labels on their side of one half, or squared errors. */
static double right_of_row(const PfTask *task, const float *outputs, const float *values)
{
    const bool is_side = pf_target_traits(task->kind)->score == PF_SCORE_ACCURACY;
    double right = 0;
    for (int c = 0; c < task->outputs; c++) {
        double off = (double)outputs[c] - (double)values[c];
        if (isnan(values[c])) continue;
        right += is_side ? (outputs[c] > 0) == (values[c] > 0.5f) : off * off;
    }
    return right;
}

static void add_right(const PfTask *task, const PfTaskTruth *truth, const float *outputs,
                      int64_t stride, PfTaskSum *sum)
{
    for (int64_t i = 0; i < truth->n; i++)
        sum->right += right_of_row(task, outputs + i * stride, truth->values + i * task->outputs);
}

/* One head, or several whose columns lie side by side. */
static void class_losses(const PfTask *task, const PfTaskTruth *truth, const PfTaskColumns *columns,
                         int first, int heads, PfHeadSum *sums)
{
    PfSoftmaxBatch batch = {
        .rows = truth->n,
        .heads = heads,
        .classes = task->outputs,
        .stride = columns->stride,
        .labels = truth->labels,
        .class_weights = task->class_weights,
        .smoothing = columns->smoothing && pf_loss(task->loss)->classes == PF_CLASSES_ALL
                         ? columns->smoothing + first
                         : NULL,
    };
    float *outputs = columns->outputs + first * columns->head_stride;
    const float *scale = columns->scale ? columns->scale + first : NULL;
    if (pf_loss(task->loss)->classes == PF_CLASSES_MARGIN)
        pf_margin_loss(&batch, task->loss, (float)task->loss_parameter, scale, outputs, sums);
    else if (scale)
        pf_softmax_gradient(&batch, scale, outputs, sums);
    else
        pf_softmax_loss(&batch, outputs, NULL, sums);
}

static void value_losses(const PfTask *task, const PfTaskTruth *truth, const PfTaskColumns *columns,
                         int first, int heads, PfHeadSum *sums)
{
    PfPointwiseBatch batch = {
        .kind = task->loss,
        .parameter = (float)task->loss_parameter,
        .rows = truth->n,
        .heads = heads,
        .outputs = task->outputs,
        .stride = columns->stride,
        .targets = truth->values,
    };
    float *outputs = columns->outputs + first * columns->head_stride;
    if (columns->scale)
        pf_pointwise_gradient(&batch, columns->scale + first, outputs, sums);
    else
        pf_pointwise_loss(&batch, outputs, sums);
}

static void add_head(const PfTask *task, const PfHeadSum *own, PfTaskSum *sum)
{
    sum->loss += own->loss;
    sum->weight += own->weight;
    sum->entries += has_classes(task) ? (double)own->rows : own->weight;
    sum->right += (double)own->correct;
}

/* Heads whose columns lie side by side go through the kernels together. */
static int heads_together(const PfTask *task, const PfTaskColumns *columns, int left)
{
    if (columns->head_stride != task->outputs || task->class_weights) return 1;
    return left < HEADS_TOGETHER ? left : HEADS_TOGETHER;
}

void pf_task_losses(const PfTask *task, const PfTaskTruth *truth, const PfTaskColumns *columns,
                    PfTaskSum *sums, int64_t sum_stride)
{
    for (int first = 0; first < columns->heads;) {
        PfHeadSum own[HEADS_TOGETHER] = {{0}};
        int heads = heads_together(task, columns, columns->heads - first);
        for (int h = first; h < first + heads && !has_classes(task); h++)
            add_right(task, truth, columns->outputs + h * columns->head_stride, columns->stride,
                      &sums[h * sum_stride]);
        if (has_classes(task))
            class_losses(task, truth, columns, first, heads, own);
        else
            value_losses(task, truth, columns, first, heads, own);
        for (int h = 0; h < heads; h++) add_head(task, &own[h], &sums[(first + h) * sum_stride]);
        first += heads;
    }
}

/* ---- score ---- */

double pf_task_score(const PfTask *task, const PfTaskSum *sum, double spread)
{
    if (!(sum->entries > 0)) return NAN;
    if (pf_target_traits(task->kind)->score == PF_SCORE_ACCURACY) return sum->right / sum->entries;
    return spread > 0 ? 1 - sum->right / spread : sum->right > 0 ? 0 : 1;
}

double pf_task_spread(const PfTask *task, const int32_t *rows, int64_t count)
{
    double spread = 0;
    for (int c = 0; task->scale && c < task->outputs; c++) {
        double mean, deviation, entries = 0;
        measure_column(task, c, rows, count, &mean, &deviation);
        for (int64_t i = 0; i < count; i++)
            entries += !isnan(task->values[(int64_t)rows[i] * task->outputs + c]);
        spread += deviation * deviation * entries;
    }
    return spread;
}

void pf_task_sums_finish(const PfTask *tasks, int task_count, const PfTaskSum *sums,
                         const double *spreads, double *loss, double *score)
{
    int scored = 0;
    *loss = *score = 0;
    for (int t = 0; t < task_count; t++) {
        double own = pf_task_score(&tasks[t], &sums[t], spreads[t]);
        if (sums[t].weight > 0) *loss += tasks[t].weight * sums[t].loss / sums[t].weight;
        if (isnan(own)) continue;
        *score += own;
        scored++;
    }
    *score = scored ? *score / scored : NAN;
}

#include "train/fit/convex_head.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "train/features/target_kind.h"
#include "train/fit/curvature.h"
#include "train/fit/lbfgs.h"

/* Rows of a loader's batch, cut into slots of PF_GEMM_SUM_ROWS that threads take. Every slot adds
 * up on its own, so that sums have one order. */
#define MAX_SLOTS (PF_CONVEX_BATCH_ROWS / PF_GEMM_SUM_ROWS)
#define SLOTS_BYTES ((int64_t)256 << 20)
/* Below this the gradient is rounding noise of float products. */
#define GRADIENT_TOLERANCE 1e-7
/* Ridge regression's coefficients are within 1e-4 then, a softmax's value within 1e-7. */
#define VALUE_TOLERANCE 1e-10

typedef struct Slot {
    float *outputs;   /* (PF_GEMM_SUM_ROWS, outputs) */
    double *gradient; /* (features + 1, outputs) */
    PfTaskSum *sums;  /* (tasks) */
    PfTaskTruth truth;
    bool failed; /* then error says why */
    PfError error;
} Slot;

typedef struct Problem {
    const PfTrainingData *data;
    const PfHeadBatchConfig *config;
    const PfHeadBatchObserver *observer;
    const PfHeadSetting *setting;
    PfHeadNetwork *network; /* one head */
    int64_t outputs, parameters;
    double *weights; /* (tasks) what the mean losses divide by */
    int slot_count;
    Slot slots[MAX_SLOTS];
    PfRowBatch batch; /* being added up */
    int evaluations;
} Problem;

static int check_loss(const PfTask *task, PfError *err)
{
    const PfLoss *loss = pf_loss(task->loss);
    char words[PF_TARGET_KIND_LOSSES_TEXT];
    if (loss->is_convex && !isnan(loss->curvature(task->outputs))) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--optimizer lbfgs needs a %s loss, and %s of target '%s' is not: choose %s, or "
                   "another optimizer",
                   loss->is_convex ? "smooth" : "convex", loss->word, task->name,
                   pf_target_kind_convex_losses(task->kind, words));
}

int pf_convex_head_check(const PfTask *tasks, int task_count, const PfHeadSpec *spec, PfError *err)
{
    if (spec->hidden_count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--optimizer lbfgs finds the optimum of linear heads; an mlp has no single "
                       "one: choose adamw, adam or sgd for it");
    for (int t = 0; t < task_count; t++)
        if (check_loss(&tasks[t], err)) return -1;
    return 0;
}

/* ---- value and gradient ---- */

/* A mean over all rows, as a sum times what makes the gradient's sums means again. */
static float scale_of(const Problem *problem, int t)
{
    const PfTrainingData *data = problem->data;
    if (!(problem->weights[t] > 0)) return 0;
    return (float)(data->tasks[t].weight / problem->weights[t] * (double)data->train_count);
}

static int add_task_losses(Problem *problem, Slot *slot, const int32_t *rows, int64_t n)
{
    const PfTrainingData *data = problem->data;
    const float smoothing = (float)problem->setting->label_smoothing;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        float scale = scale_of(problem, t);
        PfTaskColumns columns = {.outputs = slot->outputs + offset,
                                 .stride = problem->outputs,
                                 .heads = 1,
                                 .smoothing = &smoothing,
                                 .scale = &scale};
        if (pf_task_gather(&data->tasks[t], rows, n, &slot->truth, &slot->error)) return -1;
        pf_task_losses(&data->tasks[t], &slot->truth, &columns, &slot->sums[t], 1);
    }
    return 0;
}

static void add_slot(void *context, int64_t index)
{
    Problem *problem = context;
    Slot *slot = &problem->slots[index];
    const PfHeadLayer *layer = &problem->network->layers[0];
    int64_t first = index * PF_GEMM_SUM_ROWS, left = problem->batch.n - first;
    int64_t n = left < PF_GEMM_SUM_ROWS ? left : PF_GEMM_SUM_ROWS, width = problem->outputs;
    if (n <= 0) return;
    const float *x = problem->batch.x + first * layer->inputs;
    PfThreadPool *pool = problem->slot_count > 1 ? NULL : problem->config->pool;
    for (int64_t i = 0; i < n; i++)
        memcpy(slot->outputs + i * width, layer->parameters + layer->inputs * width,
               (size_t)width * sizeof(float));
    PfGemm forward = {.m = n,
                      .n = width,
                      .k = layer->inputs,
                      .a = x,
                      .lda = layer->inputs,
                      .b = layer->parameters,
                      .ldb = width,
                      .c = slot->outputs,
                      .ldc = width,
                      .accumulate = true};
    pf_gemm_nn(&forward, pool);
    slot->failed = add_task_losses(problem, slot, problem->batch.rows + first, n);
    if (slot->failed) return;
    PfGemm backward = {.m = layer->inputs,
                       .n = width,
                       .k = n,
                       .a = x,
                       .lda = layer->inputs,
                       .b = slot->outputs,
                       .ldb = width};
    pf_gemm_tn_sum(&backward, slot->gradient, pool);
    double *bias = slot->gradient + layer->inputs * width;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++) bias[c] += (double)slot->outputs[i * width + c];
}

static void clear_slots(Problem *problem)
{
    for (int s = 0; s < problem->slot_count; s++) {
        memset(problem->slots[s].gradient, 0, (size_t)problem->parameters * sizeof(double));
        memset(problem->slots[s].sums, 0,
               (size_t)problem->data->task_count * sizeof *problem->slots[s].sums);
    }
}

static int add_all_rows(Problem *problem, PfError *err)
{
    const PfTrainingData *data = problem->data;
    PfBatchLoader *loader = data->loader;
    int64_t block = (int64_t)problem->slot_count * PF_GEMM_SUM_ROWS;
    clear_slots(problem);
    if (loader->start(loader->context, data->train_rows, data->train_count, NULL, block, err))
        return -1;
    for (;;) {
        if (loader->next(loader->context, &problem->batch, err)) return -1;
        if (!problem->batch.n) return 0;
        pf_thread_pool_for(problem->slot_count > 1 ? problem->config->pool : NULL,
                           problem->slot_count, add_slot, problem);
        for (int s = 0; s < problem->slot_count; s++) {
            if (!problem->slots[s].failed) continue;
            if (err) *err = problem->slots[s].error;
            return -1;
        }
    }
}

static double add_up(const Problem *problem, const double *x, double *gradient)
{
    const PfTrainingData *data = problem->data;
    double value = 0, squares = 0, decay = problem->setting->weight_decay;
    int64_t weights = problem->parameters - problem->outputs;
    memset(gradient, 0, (size_t)problem->parameters * sizeof *gradient);
    for (int s = 0; s < problem->slot_count; s++)
        for (int64_t i = 0; i < problem->parameters; i++)
            gradient[i] += problem->slots[s].gradient[i] / (double)data->train_count;
    for (int t = 0; t < data->task_count; t++) {
        double loss = 0;
        for (int s = 0; s < problem->slot_count; s++) loss += problem->slots[s].sums[t].loss;
        if (problem->weights[t] > 0) value += data->tasks[t].weight * loss / problem->weights[t];
    }
    for (int64_t i = 0; i < weights; i++) {
        gradient[i] += decay * x[i];
        squares += x[i] * x[i];
    }
    return value + 0.5 * decay * squares;
}

static void set_parameters(PfHeadNetwork *network, const double *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++) network->layers[0].parameters[i] = (float)x[i];
}

static int objective(void *context, const double *x, double *value, double *gradient, PfError *err)
{
    Problem *problem = context;
    const PfHeadBatchObserver *observer = problem->observer;
    set_parameters(problem->network, x, problem->parameters);
    if (add_all_rows(problem, err)) return -1;
    *value = add_up(problem, x, gradient);
    problem->evaluations++;
    if (observer && observer->on_step &&
        observer->on_step(observer->context, problem->evaluations, problem->config->epochs))
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted; nothing was written");
    return 0;
}

/* ---- a head ---- */

static int new_slots(Problem *problem, PfError *err)
{
    int64_t fit = SLOTS_BYTES / (problem->parameters * (int64_t)sizeof(double));
    problem->slot_count = fit < 1 ? 1 : fit > MAX_SLOTS ? MAX_SLOTS : (int)fit;
    for (int s = 0; s < problem->slot_count; s++) {
        Slot *slot = &problem->slots[s];
        slot->outputs =
            pf_alloc_aligned((size_t)(PF_GEMM_SUM_ROWS * problem->outputs), sizeof(float), err);
        slot->gradient = pf_calloc((size_t)problem->parameters, sizeof(double), err);
        slot->sums = pf_calloc((size_t)problem->data->task_count, sizeof *slot->sums, err);
        if (!slot->outputs || !slot->gradient || !slot->sums) return -1;
    }
    return 0;
}

static int set_up(Problem *problem, PfError *err)
{
    const PfTrainingData *data = problem->data;
    uint64_t seed = problem->config->seed;
    problem->outputs = pf_task_outputs(data->tasks, data->task_count);
    problem->parameters = (data->features + 1) * problem->outputs;
    problem->weights = pf_calloc((size_t)data->task_count, sizeof *problem->weights, err);
    if (!problem->weights ||
        pf_head_network_new(&problem->config->spec, data->features, problem->outputs, 1, &seed,
                            &problem->network, err))
        return -1;
    for (int t = 0; t < data->task_count; t++)
        problem->weights[t] = pf_task_weight(&data->tasks[t], data->train_rows, data->train_count);
    return new_slots(problem, err);
}

static void tear_down(Problem *problem)
{
    pf_head_network_free(&problem->network);
    free(problem->weights);
    for (int s = 0; s < problem->slot_count; s++) {
        free(problem->slots[s].outputs);
        free(problem->slots[s].gradient);
        free(problem->slots[s].sums);
        pf_task_truth_free(&problem->slots[s].truth);
    }
}

/* From zero, which favours no class. */
static int minimise(Problem *problem, PfLbfgsResult *result, PfError *err)
{
    double *x = pf_calloc((size_t)problem->parameters, sizeof *x, err);
    PfCurvature *curvature = NULL;
    int failed = !x || pf_curvature_new(problem->data, problem->setting->weight_decay,
                                        problem->config->pool, &curvature, err);
    PfLbfgsConfig config = {.memory = 10,
                            .max_iterations = problem->config->epochs,
                            .gradient_tolerance = GRADIENT_TOLERANCE,
                            .value_tolerance = VALUE_TOLERANCE,
                            .apply_inverse = pf_curvature_apply_inverse,
                            .inverse_context = curvature};
    if (!failed)
        failed = pf_lbfgs(problem->parameters, x, objective, problem, &config, result, err);
    if (!failed) set_parameters(problem->network, x, problem->parameters);
    pf_curvature_free(&curvature);
    free(x);
    return failed ? -1 : 0;
}

typedef struct Scoring {
    const PfTrainingData *data;
    PfTaskSum *sums; /* (tasks) */
    PfTaskTruth truth;
} Scoring;

static int add_scores(void *context, const PfRowBatch *batch, float *outputs, PfError *err)
{
    Scoring *scoring = context;
    const PfTrainingData *data = scoring->data;
    int64_t stride = pf_task_outputs(data->tasks, data->task_count), offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        PfTaskColumns columns = {.outputs = outputs + offset, .stride = stride, .heads = 1};
        if (pf_task_gather(&data->tasks[t], batch->rows, batch->n, &scoring->truth, err)) return -1;
        pf_task_losses(&data->tasks[t], &scoring->truth, &columns, &scoring->sums[t], 1);
    }
    return 0;
}

/* Mean loss and score of the network over rows. */
static int score(Problem *problem, const int32_t *rows, int64_t count, double *loss,
                 double *mean_score, PfError *err)
{
    const PfTrainingData *data = problem->data;
    *loss = *mean_score = NAN;
    if (!count) return 0;
    Scoring scoring = {.data = data,
                       .sums = pf_calloc((size_t)data->task_count, sizeof(PfTaskSum), err)};
    double *spreads = pf_calloc((size_t)data->task_count, sizeof *spreads, err);
    int failed = !scoring.sums || !spreads ||
                 pf_visit_outputs(problem->network, data->loader, rows, count,
                                  problem->config->pool, add_scores, &scoring, err);
    for (int t = 0; t < data->task_count && !failed; t++)
        spreads[t] = pf_task_spread(&data->tasks[t], rows, count);
    if (!failed)
        pf_task_sums_finish(data->tasks, data->task_count, scoring.sums, spreads, loss, mean_score);
    free(spreads);
    free(scoring.sums);
    pf_task_truth_free(&scoring.truth);
    return failed ? -1 : 0;
}

static int train_one(Problem *problem, PfHeadHistory *history, PfError *err)
{
    const PfTrainingData *data = problem->data;
    PfLbfgsResult result;
    history->epochs = pf_calloc(1, sizeof *history->epochs, err);
    if (!history->epochs || minimise(problem, &result, err)) return -1;
    PfHeadEpoch *epoch = &history->epochs[0];
    history->diverged = !isfinite(result.value) || !isfinite(result.gradient_norm);
    if (history->diverged) return 0;
    if (score(problem, data->train_rows, data->train_count, &epoch->train_loss, &epoch->train_score,
              err) ||
        score(problem, data->val_rows, data->val_count, &epoch->val_loss, &epoch->val_score, err))
        return -1;
    history->diverged =
        !isfinite(epoch->train_loss) || (data->val_count && !isfinite(epoch->val_loss));
    if (history->diverged) return 0;
    epoch->epoch = history->iterations = result.iterations;
    epoch->is_best = history->epoch_count = history->best_epoch = 1;
    history->converged = result.converged;
    history->objective = result.value;
    return 0;
}

int pf_convex_head_train(const PfTrainingData *data, const PfHeadBatchConfig *config,
                         const PfHeadBatchObserver *observer, PfHeadBatchResult *out, PfError *err)
{
    double started = pf_clock_seconds();
    int failed = 0;
    *out = (PfHeadBatchResult){.head_count = config->head_count};
    out->histories = pf_calloc((size_t)config->head_count, sizeof *out->histories, err);
    if (!out->histories) failed = -1;
    for (int h = 0; h < config->head_count && !failed; h++) {
        Problem problem = {
            .data = data, .config = config, .observer = observer, .setting = &config->settings[h]};
        failed = set_up(&problem, err) || train_one(&problem, &out->histories[h], err);
        if (!failed && !out->network)
            failed =
                pf_head_network_new_like(problem.network, config->head_count, &out->network, err);
        if (!failed) pf_head_network_copy_head(out->network, h, problem.network, 0);
        tear_down(&problem);
        if (!failed && observer && observer->on_epoch)
            observer->on_epoch(observer->context, h + 1, out->histories);
    }
    out->seconds = out->train_seconds = pf_clock_seconds() - started;
    if (failed) pf_head_batch_result_free(out);
    return failed ? -1 : 0;
}

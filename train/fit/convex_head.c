#include "train/fit/convex_head.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "train/features/target_kind.h"
#include "train/fit/convex_problem.h"
#include "train/fit/curvature.h"
#include "train/fit/lbfgs.h"

/* Below this the gradient is rounding noise of float products. */
#define GRADIENT_TOLERANCE 1e-7
/* Ridge regression's coefficients are within 1e-4 then, a softmax's value within 1e-7. */
#define VALUE_TOLERANCE 1e-10

typedef struct Fit {
    const PfTrainingData *data;
    const PfHeadBatchConfig *config;
    const PfHeadBatchObserver *observer;
    const PfHeadSetting *setting;
    PfHeadNetwork *network; /* one head */
    PfConvexProblem *problem;
    double *decays; /* (tasks) */
    int evaluations;
} Fit;

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

/* ---- a head ---- */

static int on_step(void *context)
{
    Fit *fit = context;
    const PfHeadBatchObserver *observer = fit->observer;
    fit->evaluations++;
    return observer && observer->on_step &&
           observer->on_step(observer->context, fit->evaluations, fit->config->epochs);
}

static int set_up(Fit *fit, PfError *err)
{
    const PfTrainingData *data = fit->data;
    const PfHeadBatchConfig *config = fit->config;
    uint64_t seed = config->seed;
    PfConvexProblemConfig problem = {.label_smoothing = fit->setting->label_smoothing,
                                     .pool = config->pool,
                                     .on_step = on_step,
                                     .step_context = fit};
    fit->decays = pf_calloc((size_t)data->task_count, sizeof *fit->decays, err);
    if (!fit->decays ||
        pf_head_network_new(&config->spec, data->features,
                            pf_task_outputs(data->tasks, data->task_count), 1, &seed, &fit->network,
                            err) ||
        pf_convex_problem_new(data, &problem, &fit->problem, err))
        return -1;
    for (int t = 0; t < data->task_count; t++)
        fit->decays[t] = config->task_decays ? config->task_decays[t] : fit->setting->weight_decay;
    pf_convex_problem_set_decays(fit->problem, fit->decays);
    return 0;
}

static void tear_down(Fit *fit)
{
    pf_head_network_free(&fit->network);
    pf_convex_problem_free(&fit->problem);
    free(fit->decays);
}

/* From zero, which favours no class, or from where the head is to begin. */
static int minimise(Fit *fit, PfLbfgsResult *result, PfError *err)
{
    const PfHeadNetwork *start = fit->config->start;
    int64_t size = pf_convex_problem_size(fit->problem);
    double *x = pf_calloc((size_t)size, sizeof *x, err);
    PfCurvature *curvature = NULL;
    int failed = !x || pf_curvature_new(fit->data, fit->decays, fit->config->pool, &curvature, err);
    for (int64_t i = 0; !failed && start && i < size; i++)
        x[i] = (double)start->layers[0].parameters[i];
    PfLbfgsConfig config = {.memory = 10,
                            .max_iterations = fit->config->epochs,
                            .gradient_tolerance = GRADIENT_TOLERANCE,
                            .value_tolerance = VALUE_TOLERANCE,
                            .apply_inverse = pf_curvature_apply_inverse,
                            .inverse_context = curvature};
    if (!failed)
        failed = pf_lbfgs(size, x, pf_convex_problem_objective, fit->problem, &config, result, err);
    for (int64_t i = 0; !failed && i < size; i++)
        fit->network->layers[0].parameters[i] = (float)x[i];
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
static int score(Fit *fit, const int32_t *rows, int64_t count, double *loss, double *mean_score,
                 PfError *err)
{
    const PfTrainingData *data = fit->data;
    *loss = *mean_score = NAN;
    if (!count) return 0;
    Scoring scoring = {.data = data,
                       .sums = pf_calloc((size_t)data->task_count, sizeof(PfTaskSum), err)};
    double *spreads = pf_calloc((size_t)data->task_count, sizeof *spreads, err);
    int failed = !scoring.sums || !spreads ||
                 pf_visit_outputs(fit->network, data->loader, rows, count, fit->config->pool,
                                  add_scores, &scoring, err);
    for (int t = 0; t < data->task_count && !failed; t++)
        spreads[t] = pf_task_spread(&data->tasks[t], rows, count);
    if (!failed)
        pf_task_sums_finish(data->tasks, data->task_count, scoring.sums, spreads, loss, mean_score);
    free(spreads);
    free(scoring.sums);
    pf_task_truth_free(&scoring.truth);
    return failed ? -1 : 0;
}

static int train_one(Fit *fit, PfHeadHistory *history, PfError *err)
{
    const PfTrainingData *data = fit->data;
    PfLbfgsResult result;
    history->epochs = pf_calloc(1, sizeof *history->epochs, err);
    if (!history->epochs || minimise(fit, &result, err)) return -1;
    PfHeadEpoch *epoch = &history->epochs[0];
    history->diverged = !isfinite(result.value) || !isfinite(result.gradient_norm);
    if (history->diverged) return 0;
    if (score(fit, data->train_rows, data->train_count, &epoch->train_loss, &epoch->train_score,
              err) ||
        score(fit, data->val_rows, data->val_count, &epoch->val_loss, &epoch->val_score, err))
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
        Fit fit = {
            .data = data, .config = config, .observer = observer, .setting = &config->settings[h]};
        failed = set_up(&fit, err) || train_one(&fit, &out->histories[h], err);
        if (!failed && !out->network)
            failed = pf_head_network_new_like(fit.network, config->head_count, &out->network, err);
        if (!failed) pf_head_network_copy_head(out->network, h, fit.network, 0);
        tear_down(&fit);
        if (!failed && observer && observer->on_epoch)
            observer->on_epoch(observer->context, h + 1, out->histories);
    }
    out->seconds = out->train_seconds = pf_clock_seconds() - started;
    if (failed) pf_head_batch_result_free(out);
    return failed ? -1 : 0;
}

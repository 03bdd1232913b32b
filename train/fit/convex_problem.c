#include "train/fit/convex_problem.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Rows of a loader's batch, cut into slots of PF_GEMM_SUM_ROWS that threads take. Every slot adds
 * up on its own, so that sums have one order. */
#define MAX_SLOTS (PF_CONVEX_BATCH_ROWS / PF_GEMM_SUM_ROWS)
#define SLOTS_BYTES ((int64_t)256 << 20)

typedef struct Slot {
    float *outputs;   /* (PF_GEMM_SUM_ROWS, outputs) */
    double *gradient; /* (features + 1, outputs) */
    PfTaskSum *sums;  /* (tasks) */
    PfTaskTruth truth;
    bool failed; /* then error says why */
    PfError error;
} Slot;

struct PfConvexProblem {
    const PfTrainingData *data;
    PfConvexProblemConfig config;
    const double *decays; /* (tasks) */
    int64_t outputs, size;
    float *parameters; /* (features + 1, outputs) */
    double *weights;   /* (tasks) what the mean losses divide by */
    int slot_count;
    Slot slots[MAX_SLOTS];
    bool with_gradients; /* of what is being added up */
    PfRowBatch batch;    /* likewise */
};

/* A mean over all rows, as a sum times what makes the gradient's sums means again. */
static float scale_of(const PfConvexProblem *problem, int t)
{
    const PfTrainingData *data = problem->data;
    if (!(problem->weights[t] > 0)) return 0;
    return (float)(data->tasks[t].weight / problem->weights[t] * (double)data->train_count);
}

static int add_task_losses(PfConvexProblem *problem, Slot *slot, const int32_t *rows, int64_t n)
{
    const PfTrainingData *data = problem->data;
    const float smoothing = (float)problem->config.label_smoothing;
    int64_t offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        float scale = scale_of(problem, t);
        PfTaskColumns columns = {.outputs = slot->outputs + offset,
                                 .stride = problem->outputs,
                                 .heads = 1,
                                 .smoothing = problem->with_gradients ? &smoothing : NULL,
                                 .scale = problem->with_gradients ? &scale : NULL};
        if (pf_task_gather(&data->tasks[t], rows, n, &slot->truth, &slot->error)) return -1;
        pf_task_losses(&data->tasks[t], &slot->truth, &columns, &slot->sums[t], 1);
    }
    return 0;
}

static void add_gradient(const PfConvexProblem *problem, Slot *slot, const float *x, int64_t n,
                         PfThreadPool *pool)
{
    int64_t inputs = problem->data->features, width = problem->outputs;
    PfGemm backward = {
        .m = inputs, .n = width, .k = n, .a = x, .lda = inputs, .b = slot->outputs, .ldb = width};
    pf_gemm_tn_sum(&backward, slot->gradient, pool);
    double *bias = slot->gradient + inputs * width;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < width; c++) bias[c] += (double)slot->outputs[i * width + c];
}

static void add_slot(void *context, int64_t index)
{
    PfConvexProblem *problem = context;
    Slot *slot = &problem->slots[index];
    int64_t inputs = problem->data->features, width = problem->outputs;
    int64_t first = index * PF_GEMM_SUM_ROWS, left = problem->batch.n - first;
    int64_t n = left < PF_GEMM_SUM_ROWS ? left : PF_GEMM_SUM_ROWS;
    if (n <= 0) return;
    const float *x = problem->batch.x + first * inputs;
    PfThreadPool *pool = problem->slot_count > 1 ? NULL : problem->config.pool;
    for (int64_t i = 0; i < n; i++)
        memcpy(slot->outputs + i * width, problem->parameters + inputs * width,
               (size_t)width * sizeof(float));
    PfGemm forward = {.m = n,
                      .n = width,
                      .k = inputs,
                      .a = x,
                      .lda = inputs,
                      .b = problem->parameters,
                      .ldb = width,
                      .c = slot->outputs,
                      .ldc = width,
                      .accumulate = true};
    pf_gemm_nn(&forward, pool);
    slot->failed = add_task_losses(problem, slot, problem->batch.rows + first, n);
    if (slot->failed || !problem->with_gradients) return;
    add_gradient(problem, slot, x, n, pool);
}

static void clear_slots(PfConvexProblem *problem)
{
    for (int s = 0; s < problem->slot_count; s++) {
        memset(problem->slots[s].gradient, 0, (size_t)problem->size * sizeof(double));
        memset(problem->slots[s].sums, 0,
               (size_t)problem->data->task_count * sizeof *problem->slots[s].sums);
    }
}

static int add_rows(PfConvexProblem *problem, const double *x, const int32_t *rows, int64_t count,
                    bool with_gradients, PfError *err)
{
    PfBatchLoader *loader = problem->data->loader;
    int64_t block = (int64_t)problem->slot_count * PF_GEMM_SUM_ROWS;
    for (int64_t i = 0; i < problem->size; i++) problem->parameters[i] = (float)x[i];
    problem->with_gradients = with_gradients;
    clear_slots(problem);
    if (loader->start(loader->context, rows, count, NULL, block, err)) return -1;
    for (;;) {
        if (loader->next(loader->context, &problem->batch, err)) return -1;
        if (!problem->batch.n) return 0;
        pf_thread_pool_for(problem->slot_count > 1 ? problem->config.pool : NULL,
                           problem->slot_count, add_slot, problem);
        for (int s = 0; s < problem->slot_count; s++) {
            if (!problem->slots[s].failed) continue;
            if (err) *err = problem->slots[s].error;
            return -1;
        }
    }
}

static void sum_slots(const PfConvexProblem *problem, PfTaskSum *sums)
{
    for (int t = 0; t < problem->data->task_count; t++) {
        sums[t] = (PfTaskSum){0};
        for (int s = 0; s < problem->slot_count; s++) {
            const PfTaskSum *own = &problem->slots[s].sums[t];
            sums[t].loss += own->loss;
            sums[t].weight += own->weight;
            sums[t].entries += own->entries;
            sums[t].right += own->right;
        }
    }
}

/* Of one task: adds the decay's part of the gradient, and returns that of the value. */
static double add_decay(const PfConvexProblem *problem, int t, int64_t offset, const double *x,
                        double *gradient)
{
    double squares = 0, decay = problem->decays[t];
    int64_t width = problem->data->tasks[t].outputs;
    for (int64_t j = 0; j < problem->data->features; j++)
        for (int64_t i = j * problem->outputs + offset; i < j * problem->outputs + offset + width;
             i++) {
            gradient[i] += decay * x[i];
            squares += x[i] * x[i];
        }
    return 0.5 * decay * squares;
}

static double add_up(const PfConvexProblem *problem, const double *x, double *gradient)
{
    const PfTrainingData *data = problem->data;
    double value = 0;
    int64_t offset = 0;
    memset(gradient, 0, (size_t)problem->size * sizeof *gradient);
    for (int s = 0; s < problem->slot_count; s++)
        for (int64_t i = 0; i < problem->size; i++)
            gradient[i] += problem->slots[s].gradient[i] / (double)data->train_count;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        double loss = 0;
        for (int s = 0; s < problem->slot_count; s++) loss += problem->slots[s].sums[t].loss;
        if (problem->weights[t] > 0) value += data->tasks[t].weight * loss / problem->weights[t];
        value += add_decay(problem, t, offset, x, gradient);
    }
    return value;
}

int pf_convex_problem_objective(void *context, const double *x, double *value, double *gradient,
                                PfError *err)
{
    PfConvexProblem *problem = context;
    const PfTrainingData *data = problem->data;
    if (add_rows(problem, x, data->train_rows, data->train_count, true, err)) return -1;
    *value = add_up(problem, x, gradient);
    if (problem->config.on_step && problem->config.on_step(problem->config.step_context))
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted; nothing was written");
    return 0;
}

int pf_convex_problem_sums(PfConvexProblem *problem, const double *x, const int32_t *rows,
                           int64_t count, PfTaskSum *sums, PfError *err)
{
    if (add_rows(problem, x, rows, count, false, err)) return -1;
    sum_slots(problem, sums);
    return 0;
}

/* ---- from new to free ---- */

static int new_slots(PfConvexProblem *problem, PfError *err)
{
    int64_t fit = SLOTS_BYTES / (problem->size * (int64_t)sizeof(double));
    int64_t used = (problem->data->train_count + PF_GEMM_SUM_ROWS - 1) / PF_GEMM_SUM_ROWS;
    if (fit > used) fit = used; /* the others would add zeros */
    problem->slot_count = fit < 1 ? 1 : fit > MAX_SLOTS ? MAX_SLOTS : (int)fit;
    for (int s = 0; s < problem->slot_count; s++) {
        Slot *slot = &problem->slots[s];
        slot->outputs =
            pf_alloc_aligned((size_t)(PF_GEMM_SUM_ROWS * problem->outputs), sizeof(float), err);
        slot->gradient = pf_calloc((size_t)problem->size, sizeof(double), err);
        slot->sums = pf_calloc((size_t)problem->data->task_count, sizeof *slot->sums, err);
        if (!slot->outputs || !slot->gradient || !slot->sums) return -1;
    }
    return 0;
}

static int set_up(PfConvexProblem *problem, PfError *err)
{
    const PfTrainingData *data = problem->data;
    problem->outputs = pf_task_outputs(data->tasks, data->task_count);
    problem->size = (data->features + 1) * problem->outputs;
    problem->weights = pf_calloc((size_t)data->task_count, sizeof *problem->weights, err);
    problem->parameters = pf_alloc_aligned((size_t)problem->size, sizeof(float), err);
    if (!problem->weights || !problem->parameters) return -1;
    for (int t = 0; t < data->task_count; t++)
        problem->weights[t] = pf_task_weight(&data->tasks[t], data->train_rows, data->train_count);
    return new_slots(problem, err);
}

int pf_convex_problem_new(const PfTrainingData *data, const PfConvexProblemConfig *config,
                          PfConvexProblem **out, PfError *err)
{
    PfConvexProblem *problem = pf_calloc(1, sizeof *problem, err);
    if (!problem) return -1;
    problem->data = data;
    problem->config = *config;
    if (set_up(problem, err)) {
        pf_convex_problem_free(&problem);
        return -1;
    }
    *out = problem;
    return 0;
}

void pf_convex_problem_free(PfConvexProblem **problem)
{
    if (!*problem) return;
    for (int s = 0; s < (*problem)->slot_count; s++) {
        free((*problem)->slots[s].outputs);
        free((*problem)->slots[s].gradient);
        free((*problem)->slots[s].sums);
        pf_task_truth_free(&(*problem)->slots[s].truth);
    }
    free((*problem)->weights);
    free((*problem)->parameters);
    free(*problem);
    *problem = NULL;
}

int64_t pf_convex_problem_size(const PfConvexProblem *problem)
{
    return problem->size;
}

void pf_convex_problem_set_decays(PfConvexProblem *problem, const double *decays)
{
    problem->decays = decays;
}

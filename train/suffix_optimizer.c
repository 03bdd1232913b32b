#include "suffix_optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "optimizer.h"

/* A tensor is stepped as a matrix of rows of so many numbers and a shorter last row. */
#define COLUMNS 1024
/* Rows that one task of the pool takes. */
#define TASK_ROWS 64

typedef struct TensorState {
    const PfSuffixTensor *tensor;
    int64_t count;
    float *mean, *square; /* (count) NULL of buffers; square: Adam and AdamW only */
} TensorState;

struct PfSuffixOptimizer {
    PfSuffixOptimizerConfig config;
    TensorState *states; /* (count) */
    size_t count;
    int64_t step;
};

static int new_state(PfSuffixOptimizer *optimizer, const PfSuffixTensor *tensor, TensorState *state,
                     PfError *err)
{
    *state = (TensorState){.tensor = tensor, .count = pf_shape_count(&tensor->shape)};
    if (!tensor->gradient) return 0;
    state->mean = pf_calloc((size_t)state->count, sizeof(float), err);
    if (optimizer->config.kind != PF_SGD)
        state->square = pf_calloc((size_t)state->count, sizeof(float), err);
    return state->mean && (state->square || optimizer->config.kind == PF_SGD) ? 0 : -1;
}

int pf_suffix_optimizer_new(const PfSuffixTensor *tensors, size_t count,
                            const PfSuffixOptimizerConfig *config, PfSuffixOptimizer **out,
                            PfError *err)
{
    PfSuffixOptimizer *optimizer = pf_calloc(1, sizeof *optimizer, err);
    if (!optimizer) return -1;
    optimizer->config = *config;
    optimizer->states = pf_calloc(count ? count : 1, sizeof *optimizer->states, err);
    int failed = !optimizer->states;
    for (; optimizer->count < count && !failed; optimizer->count++)
        failed = new_state(optimizer, &tensors[optimizer->count],
                           &optimizer->states[optimizer->count], err);
    if (failed) {
        pf_suffix_optimizer_free(&optimizer);
        return -1;
    }
    *out = optimizer;
    return 0;
}

void pf_suffix_optimizer_free(PfSuffixOptimizer **optimizer)
{
    if (!*optimizer) return;
    for (size_t i = 0; i < (*optimizer)->count; i++) {
        free((*optimizer)->states[i].mean);
        free((*optimizer)->states[i].square);
    }
    free((*optimizer)->states);
    free(*optimizer);
    *optimizer = NULL;
}

double pf_suffix_optimizer_squared_length(const PfSuffixOptimizer *optimizer)
{
    double squares = 0;
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        for (int64_t j = 0; state->mean && j < state->count; j++)
            squares += (double)state->tensor->gradient[j] * (double)state->tensor->gradient[j];
    }
    return squares;
}

typedef struct TensorStep {
    const PfStepColumns *columns;
    int64_t step;
    const TensorState *state;
    float clip;
} TensorStep;

/* Whole rows, then the rest of the tensor, if it falls into this task. */
static void step_rows(void *context, int64_t index)
{
    const TensorStep *step = context;
    const TensorState *state = step->state;
    int64_t first = index * TASK_ROWS * COLUMNS;
    int64_t count =
        state->count - first < TASK_ROWS * COLUMNS ? state->count - first : TASK_ROWS * COLUMNS;
    float *gradient = state->tensor->gradient + first;
    for (int64_t i = 0; step->clip < 1 && i < count; i++) gradient[i] *= step->clip;
    PfStepBlock block = {.rows = count / COLUMNS,
                         .columns = COLUMNS,
                         .stride = COLUMNS,
                         .parameters = state->tensor->values + first,
                         .mean = state->mean + first,
                         .square = state->square ? state->square + first : NULL,
                         .gradient = gradient,
                         .gradient_stride = COLUMNS};
    if (block.rows) pf_step_columns_take(step->columns, step->step, &block);
    int64_t done = block.rows * COLUMNS;
    if (done == count) return;
    block.rows = 1;
    block.columns = count - done;
    block.parameters += done;
    block.mean += done;
    if (block.square) block.square += done;
    block.gradient += done;
    pf_step_columns_take(step->columns, step->step, &block);
}

void pf_suffix_optimizer_step(PfSuffixOptimizer *optimizer, double clip, double progress)
{
    const PfSuffixOptimizerConfig *config = &optimizer->config;
    float arrays[4][COLUMNS];
    PfStepColumns columns = {pf_optimizer_config(config->kind),
                             config->nesterov,
                             arrays[0],
                             arrays[1],
                             arrays[2],
                             arrays[3]};
    double rate = config->learning_rate * progress;
    optimizer->step++;
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        TensorStep step = {&columns, optimizer->step, state, (float)clip};
        int64_t tasks = (state->count + TASK_ROWS * COLUMNS - 1) / (TASK_ROWS * COLUMNS);
        if (!state->mean) continue;
        pf_step_columns_set(&columns, optimizer->step, 0, COLUMNS, rate,
                            state->tensor->decays ? config->weight_decay : 0, config->momentum);
        pf_thread_pool_for(tasks > 1 ? config->pool : NULL, tasks, step_rows, &step);
    }
}

int pf_suffix_optimizer_checkpoint(PfSuffixOptimizer *optimizer, PfCheckpoint *checkpoint,
                                   PfError *err)
{
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        size_t bytes = (size_t)state->count * sizeof(float);
        char name[sizeof state->tensor->name + 16];
        snprintf(name, sizeof name, "mean.%s", state->tensor->name);
        if (state->mean && pf_checkpoint_add(checkpoint, name, state->mean, bytes, err)) return -1;
        snprintf(name, sizeof name, "square.%s", state->tensor->name);
        if (state->square && pf_checkpoint_add(checkpoint, name, state->square, bytes, err))
            return -1;
    }
    return pf_checkpoint_add(checkpoint, "suffix.step", &optimizer->step, sizeof optimizer->step,
                             err);
}

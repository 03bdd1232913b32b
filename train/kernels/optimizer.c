#include "train/kernels/optimizer.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "train/kernels/kernels.h"

const char *const pf_optimizer_names[] = {
    [PF_ADAM] = "adam", [PF_ADAMW] = "adamw", [PF_SGD] = "sgd", [PF_LBFGS] = "lbfgs"};
const char *const pf_schedule_names[] = {[PF_SCHEDULE_CONSTANT] = "constant",
                                         [PF_SCHEDULE_COSINE] = "cosine",
                                         [PF_SCHEDULE_STEP] = "step"};

PfOptimizerConfig pf_optimizer_config(PfOptimizerKind kind)
{
    return (PfOptimizerConfig){.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
}

double pf_schedule_rate(const PfSchedule *schedule, double initial, int epoch, int epochs)
{
    switch (schedule->kind) {
    case PF_SCHEDULE_COSINE: return initial * 0.5 * (1.0 + cos(M_PI * epoch / epochs));
    case PF_SCHEDULE_STEP: return initial * pow(schedule->gamma, epoch / schedule->step_epochs);
    default: return initial;
    }
}

const char *pf_schedule_text(const PfSchedule *schedule, char text[PF_SCHEDULE_TEXT_SIZE])
{
    const char *name = pf_schedule_names[schedule->kind];
    if (schedule->kind == PF_SCHEDULE_STEP)
        snprintf(text, PF_SCHEDULE_TEXT_SIZE, "%s:%d,%g", name, schedule->step_epochs,
                 schedule->gamma);
    else
        snprintf(text, PF_SCHEDULE_TEXT_SIZE, "%s", name);
    return text;
}

/* ---- a step ---- */

/* 16 rows of few columns are one row of 16 times as many, whose settings repeat:
 * whole vectors instead of parts of them. */
#define FEW_COLUMNS 64
#define ROWS_IN_ONE 16

static bool is_narrow(const PfStepBlock *block)
{
    return block->columns % 16 && block->columns <= FEW_COLUMNS &&
           block->stride == block->columns && block->gradient_stride == block->columns;
}

/* out: (ROWS_IN_ONE, columns) */
static const float *repeat(const float *settings, int64_t columns, float *out)
{
    for (int i = 0; i < ROWS_IN_ONE; i++)
        memcpy(out + i * columns, settings, (size_t)columns * sizeof *out);
    return out;
}

/* Whole groups of rows of a narrow block, as rows of their own. */
static PfStepBlock joined_rows(const PfStepBlock *block)
{
    PfStepBlock joined = *block;
    joined.rows = block->rows / ROWS_IN_ONE;
    joined.columns = joined.stride = joined.gradient_stride = ROWS_IN_ONE * block->columns;
    return joined;
}

/* The rows behind them. */
static PfStepBlock rows_left(const PfStepBlock *block)
{
    PfStepBlock left = *block;
    int64_t done = block->rows / ROWS_IN_ONE * ROWS_IN_ONE * block->columns;
    left.rows = block->rows % ROWS_IN_ONE;
    left.parameters += done;
    left.mean += done;
    if (left.square) left.square += done;
    left.gradient += done;
    return left;
}

void pf_adam_step(const PfStepBlock *block, const PfAdamStep *step)
{
    const PfKernels *kernels = pf_kernels();
    if (!is_narrow(block)) {
        kernels->adam(block, step);
        return;
    }
    float settings[3][ROWS_IN_ONE * FEW_COLUMNS];
    PfStepBlock joined = joined_rows(block), left = rows_left(block);
    PfAdamStep repeated = *step;
    repeated.rate = repeat(step->rate, block->columns, settings[0]);
    repeated.decay = repeat(step->decay, block->columns, settings[1]);
    repeated.shrink = repeat(step->shrink, block->columns, settings[2]);
    kernels->adam(&joined, &repeated);
    kernels->adam(&left, step);
}

void pf_sgd_step(const PfStepBlock *block, const PfSgdStep *step)
{
    const PfKernels *kernels = pf_kernels();
    if (!is_narrow(block)) {
        kernels->sgd(block, step);
        return;
    }
    float settings[3][ROWS_IN_ONE * FEW_COLUMNS];
    PfStepBlock joined = joined_rows(block), left = rows_left(block);
    PfSgdStep repeated = *step;
    repeated.rate = repeat(step->rate, block->columns, settings[0]);
    repeated.decay = repeat(step->decay, block->columns, settings[1]);
    repeated.momentum = repeat(step->momentum, block->columns, settings[2]);
    kernels->sgd(&joined, &repeated);
    kernels->sgd(&left, step);
}

/* ---- the columns of a step ---- */

void pf_step_columns_set(const PfStepColumns *columns, int64_t step, int64_t first, int64_t end,
                         double learning_rate, double weight_decay, double momentum)
{
    const PfOptimizerConfig *config = &columns->config;
    double correction = config->kind == PF_SGD ? 1 : 1 - pow(config->beta1, (double)step);
    int decoupled = config->kind == PF_ADAMW;
    for (int64_t c = first; c < end; c++) {
        columns->rate[c] = (float)(learning_rate / correction);
        columns->decay[c] = decoupled ? 0 : (float)weight_decay;
        columns->shrink[c] = decoupled ? (float)(1 - learning_rate * weight_decay) : 1;
        columns->momentum[c] = (float)momentum;
    }
}

void pf_step_columns_take(const PfStepColumns *columns, int64_t step, const PfStepBlock *block)
{
    const PfOptimizerConfig *config = &columns->config;
    if (config->kind == PF_SGD) {
        pf_sgd_step(block, &(PfSgdStep){columns->rate, columns->decay, columns->momentum,
                                        columns->nesterov});
        return;
    }
    pf_adam_step(block, &(PfAdamStep){
                            .rate = columns->rate,
                            .decay = columns->decay,
                            .shrink = columns->shrink,
                            .beta1 = (float)config->beta1,
                            .one_less_beta1 = (float)(1 - config->beta1),
                            .beta2 = (float)config->beta2,
                            .one_less_beta2 = (float)(1 - config->beta2),
                            .correction = (float)(1 / sqrt(1 - pow(config->beta2, (double)step))),
                            .epsilon = (float)config->epsilon,
                        });
}

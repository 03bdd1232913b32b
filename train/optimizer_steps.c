#include "optimizer_steps.h"

#include <string.h>

#include "kernels.h"

/* 16 rows of few columns are one row of 16 times as many, whose settings repeat:
 * whole vectors instead of parts of them. */
#define FEW_COLUMNS 64
#define ROWS_IN_ONE 16

static int is_narrow(const PfStepBlock *block)
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

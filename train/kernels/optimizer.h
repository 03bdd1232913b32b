/* The optimisers, as torch.optim defines them: which there are, the schedules of their learning
 * rates, and one step over a matrix whose columns belong to different heads, each with settings of
 * its own. */
#ifndef PF_TRAIN_KERNELS_OPTIMIZER_H
#define PF_TRAIN_KERNELS_OPTIMIZER_H

#include <stdint.h>

#include "permafrost/error.h"

typedef enum PfOptimizerKind { PF_ADAM, PF_ADAMW, PF_SGD, PF_LBFGS } PfOptimizerKind;

/* As they are called on the command line and in files; by the enum. */
#define PF_OPTIMIZER_COUNT 4
extern const char *const pf_optimizer_names[PF_OPTIMIZER_COUNT];

typedef struct PfOptimizerConfig {
    PfOptimizerKind kind;
    double weight_decay; /* Adam, SGD: added to the gradient; AdamW: decoupled. Biases too. */
    double momentum;     /* SGD only, 0 to 1; no dampening */
    double beta1, beta2, epsilon; /* Adam, AdamW: 0.9, 0.999, 1e-8 */
} PfOptimizerConfig;

/* No weight decay, no momentum, torch's betas and epsilon. */
PfOptimizerConfig pf_optimizer_config(PfOptimizerKind kind);

typedef enum PfScheduleKind {
    PF_SCHEDULE_CONSTANT,
    PF_SCHEDULE_COSINE, /* torch's CosineAnnealingLR(T_max=epochs, eta_min=0) */
    PF_SCHEDULE_STEP,   /* torch's StepLR(step_size, gamma) */
} PfScheduleKind;

extern const char *const pf_schedule_names[]; /* by the enum: "constant", "cosine", "step" */

typedef struct PfSchedule {
    PfScheduleKind kind;
    int step_epochs; /* step: epochs between two drops */
    double gamma;    /* step: factor of a drop */
} PfSchedule;

/* Learning rate of an epoch, counted from 0; it changes between epochs only. */
double pf_schedule_rate(const PfSchedule *schedule, double initial, int epoch, int epochs);
/* "constant", "cosine", "step:30,0.1" into text, which is returned. */
#define PF_SCHEDULE_TEXT_SIZE 48
const char *pf_schedule_text(const PfSchedule *schedule, char text[PF_SCHEDULE_TEXT_SIZE]);

/* One step of an optimiser over a matrix whose columns belong to different heads,
 * each with settings of its own: what torch.optim does to each column alone.
 *
 * Every element's new value depends on that element, its column's settings and
 * the scalars, and is the same to the last bit on every processor; so rows and
 * columns may be cut up at will between calls and threads. */

/* Below these sizes numbers are taken for 0, so that none of the following ones is
 * subnormal, which would be slow: in Adam gradients (their squares count), in Adam
 * and SGD running means, in Adam running squares. */
#define PF_SMALLEST_GRADIENT 0x1p-56f
#define PF_SMALLEST_MEAN 0x1p-100f
#define PF_SMALLEST_SQUARE 0x1p-120f

typedef struct PfStepBlock {
    int64_t rows, columns;
    int64_t stride;    /* between rows of parameters, mean and square */
    float *parameters; /* (rows, columns) */
    float *mean;       /* Adam: exp_avg; SGD: momentum_buffer; zeros before the first step */
    float *square;     /* Adam: exp_avg_sq; SGD: not used */
    const float *gradient;
    int64_t gradient_stride;
} PfStepBlock;

/* With g' = g + decay p:
 *   m = beta1 m + one_less_beta1 g'    v = beta2 v + one_less_beta2 g'^2
 *   p = shrink p - rate m / (sqrt(v) correction + epsilon)
 * At step t, counted from 1, and learning rate lr: rate = lr / (1 - beta1^t),
 * correction = 1 / sqrt(1 - beta2^t); Adam: decay = weight decay, shrink = 1;
 * AdamW: decay = 0, shrink = 1 - lr * weight decay. */
typedef struct PfAdamStep {
    const float *rate, *decay, *shrink; /* (columns) */
    float beta1, one_less_beta1, beta2, one_less_beta2, correction, epsilon;
} PfAdamStep;

void pf_adam_step(const PfStepBlock *block, const PfAdamStep *step);

/* With g' = g + decay p:  m = momentum m + g',
 * p = p - rate m, or with Nesterov's momentum p - rate (g' + momentum m). */
typedef struct PfSgdStep {
    const float *rate, *decay, *momentum; /* (columns) */
    int nesterov;
} PfSgdStep;

void pf_sgd_step(const PfStepBlock *block, const PfSgdStep *step);

/* What torch's optimisers multiply by at a step, for every column of a matrix: the one
 * place where settings and the count of steps become the numbers of a step. */

typedef struct PfStepColumns {
    PfOptimizerConfig config; /* its kind and betas */
    int nesterov;
    float *rate, *decay, *shrink, *momentum; /* (columns) lent */
} PfStepColumns;

/* Columns [first, end), at step `step` from 1. */
void pf_step_columns_set(const PfStepColumns *columns, int64_t step, int64_t first, int64_t end,
                         double learning_rate, double weight_decay, double momentum);

/* Takes that step of a block that has these columns. */
void pf_step_columns_take(const PfStepColumns *columns, int64_t step, const PfStepBlock *block);

#endif

/* Which optimiser, and the schedules of its learning rate, as torch.optim defines
 * them. group_optimizer.h takes the steps. */
#ifndef PF_OPTIMIZER_H
#define PF_OPTIMIZER_H

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

#endif

#include "optimizer.h"

#include <math.h>

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

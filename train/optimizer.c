#include "optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "memory.h"

PfOptimizerConfig pf_optimizer_config(PfOptimizerKind kind)
{
    return (PfOptimizerConfig){.kind = kind, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8};
}

int pf_optimizer_new(const PfOptimizerConfig *config, int64_t count, PfOptimizer **out,
                     PfError *err)
{
    PfOptimizer *optimizer = pf_calloc(1, sizeof *optimizer, err);
    if (!optimizer) return -1;
    optimizer->config = *config;
    optimizer->count = count;
    optimizer->mean = pf_calloc((size_t)count, sizeof(float), err);
    optimizer->square =
        config->kind == PF_SGD ? NULL : pf_calloc((size_t)count, sizeof(float), err);
    if (!optimizer->mean || (config->kind != PF_SGD && !optimizer->square)) {
        pf_optimizer_free(&optimizer);
        return -1;
    }
    *out = optimizer;
    return 0;
}

void pf_optimizer_free(PfOptimizer **optimizer)
{
    if (!*optimizer) return;
    free((*optimizer)->mean);
    free((*optimizer)->square);
    free(*optimizer);
    *optimizer = NULL;
}

/* g' = g + decay p,  m = beta1 m + (1 - beta1) g',  v = beta2 v + (1 - beta2) g'^2,
 * p = shrink p - rate / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon).
 * Adam: shrink = 1. AdamW: decay = 0, shrink = 1 - rate * weight_decay. */
static void adam_step(PfOptimizer *optimizer, double learning_rate, float *restrict parameters,
                      const float *restrict gradient)
{
    const PfOptimizerConfig *config = &optimizer->config;
    float *restrict mean = optimizer->mean, *restrict square = optimizer->square;
    double t = (double)optimizer->step;
    int decoupled = config->kind == PF_ADAMW;
    const float decay = decoupled ? 0.0f : (float)config->weight_decay;
    const float shrink = decoupled ? (float)(1.0 - learning_rate * config->weight_decay) : 1.0f;
    const float rate = (float)(learning_rate / (1.0 - pow(config->beta1, t)));
    const float correction = (float)(1.0 / sqrt(1.0 - pow(config->beta2, t)));
    const float beta1 = (float)config->beta1, one_less_beta1 = (float)(1.0 - config->beta1);
    const float beta2 = (float)config->beta2, one_less_beta2 = (float)(1.0 - config->beta2);
    const float epsilon = (float)config->epsilon;
    for (int64_t i = 0; i < optimizer->count; i++) {
        float g = gradient[i] + decay * parameters[i];
        mean[i] = beta1 * mean[i] + one_less_beta1 * g;
        square[i] = beta2 * square[i] + one_less_beta2 * g * g;
        parameters[i] =
            shrink * parameters[i] - rate * mean[i] / (sqrtf(square[i]) * correction + epsilon);
    }
}

/* g' = g + weight_decay p,  m = momentum m + g' (first step: m = g'),  p = p - rate m */
static void sgd_step(PfOptimizer *optimizer, double learning_rate, float *restrict parameters,
                     const float *restrict gradient)
{
    float *restrict mean = optimizer->mean;
    const float decay = (float)optimizer->config.weight_decay;
    const float momentum = (float)optimizer->config.momentum, rate = (float)learning_rate;
    for (int64_t i = 0; i < optimizer->count; i++) {
        mean[i] = momentum * mean[i] + (gradient[i] + decay * parameters[i]);
        parameters[i] -= rate * mean[i];
    }
}

void pf_optimizer_step(PfOptimizer *optimizer, double learning_rate, float *parameters,
                       const float *gradient)
{
    optimizer->step++;
    if (optimizer->config.kind == PF_SGD)
        sgd_step(optimizer, learning_rate, parameters, gradient);
    else
        adam_step(optimizer, learning_rate, parameters, gradient);
}

double pf_schedule_rate(const PfSchedule *schedule, double initial, int epoch, int epochs)
{
    switch (schedule->kind) {
    case PF_SCHEDULE_COSINE: return initial * 0.5 * (1.0 + cos(M_PI * epoch / epochs));
    case PF_SCHEDULE_STEP: return initial * pow(schedule->gamma, epoch / schedule->step_epochs);
    default: return initial;
    }
}

#include "step_columns.h"

#include <math.h>

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

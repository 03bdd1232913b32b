/* One step of an optimiser over a matrix whose columns belong to different heads,
 * each with settings of its own: what torch.optim does to each column alone.
 *
 * Every element's new value depends on that element, its column's settings and
 * the scalars, and is the same to the last bit on every processor; so rows and
 * columns may be cut up at will between calls and threads. */
#ifndef PF_OPTIMIZER_STEPS_H
#define PF_OPTIMIZER_STEPS_H

#include <stdint.h>

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

#endif

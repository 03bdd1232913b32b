/* Activations by their definitions in double. */
#ifndef PF_ACTIVATION_DEFINITION_H
#define PF_ACTIVATION_DEFINITION_H

#include <math.h>

#include "common/base/random.h"
#include "common/conv/activation.h"
#include "tests/unit/random_between.h"

static inline double sigmoid_of(double x)
{
    return 1 / (1 + exp(-x));
}

static inline double clipped(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static inline double activated(const PfActivation *activation, double x)
{
    switch (activation->kind) {
    case PF_ACTIVATION_RELU: return x < 0 ? 0 : x;
    case PF_ACTIVATION_CLIP: return clipped(x, (double)activation->low, (double)activation->high);
    case PF_ACTIVATION_SIGMOID: return sigmoid_of(x);
    case PF_ACTIVATION_HARD_SIGMOID: return clipped(x + 3, 0, 6) / 6;
    case PF_ACTIVATION_HARD_SWISH: return x * clipped(x + 3, 0, 6) / 6;
    case PF_ACTIVATION_SILU: return x * sigmoid_of(x);
    case PF_ACTIVATION_GELU: return x * erfc(-x / sqrt(2)) / 2;
    case PF_ACTIVATION_GELU_TANH:
        return x * sigmoid_of(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
    case PF_ACTIVATION_QUICK_GELU: return x * sigmoid_of(1.702 * x);
    case PF_ACTIVATION_TANH: return tanh(x);
    case PF_ACTIVATION_NONE:
    case PF_ACTIVATION_COUNT: break;
    }
    return x;
}

/* Half of them cuts or none. */
static inline PfActivation random_activation(PfRandom *random)
{
    const int last = between(random, 0, 1) ? PF_ACTIVATION_CLIP : PF_ACTIVATION_COUNT - 1;
    return (PfActivation){(PfActivationKind)between(random, 0, last), -0.75f, 1.5f};
}

#endif

/* What is done to each number behind a convolution, a sum or a norm. */
#ifndef PF_COMMON_CONV_ACTIVATION_H
#define PF_COMMON_CONV_ACTIVATION_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The first three are cuts, so cheap that inner loops do them on the way; the others are done to
 * outputs that have just been computed and are in the cache still. A NaN stays NaN. */
typedef enum PfActivationKind {
    PF_ACTIVATION_NONE,
    PF_ACTIVATION_RELU,
    PF_ACTIVATION_CLIP, /* to low ... high */
    PF_ACTIVATION_SIGMOID,
    PF_ACTIVATION_HARD_SIGMOID, /* clip(x + 3, 0, 6) / 6 */
    PF_ACTIVATION_HARD_SWISH,   /* x times that */
    PF_ACTIVATION_SILU,         /* x sigmoid(x) */
    PF_ACTIVATION_GELU,         /* x P(x) with P the normal distribution function */
    PF_ACTIVATION_GELU_TANH,    /* x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 */
    PF_ACTIVATION_QUICK_GELU,   /* x sigmoid(1.702 x) */
    PF_ACTIVATION_TANH,
    PF_ACTIVATION_COUNT
} PfActivationKind;

typedef struct PfActivation {
    PfActivationKind kind;
    float low, high; /* clip */
} PfActivation;

static inline bool pf_activation_is_cut(const PfActivation *activation)
{
    return activation->kind <= PF_ACTIVATION_CLIP;
}

/* What an inner loop takes of it: the activation, if it is a cut. */
static inline PfActivation pf_activation_cut(const PfActivation *activation)
{
    return pf_activation_is_cut(activation) ? *activation
                                            : (PfActivation){PF_ACTIVATION_NONE, 0, 0};
}

#ifdef __cplusplus
}
#endif

#endif

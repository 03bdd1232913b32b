/* The shape of a head ("linear", "mlp:256", "mlp:512x128") and its layers. */
#ifndef PF_TRAIN_HEAD_HEAD_LAYER_H
#define PF_TRAIN_HEAD_HEAD_LAYER_H

#include <stdint.h>

#include "permafrost/error.h"

#define PF_MAX_HIDDEN 8
#define PF_HEAD_SPEC_TEXT_SIZE 96

typedef enum PfActivation { PF_RELU, PF_GELU } PfActivation;
typedef enum PfHeadNorm { PF_HEAD_NORM_NONE, PF_HEAD_NORM_BATCH, PF_HEAD_NORM_LAYER } PfHeadNorm;

/* As they are called on the command line and in files; by the enums. */
#define PF_ACTIVATION_COUNT 2
#define PF_HEAD_NORM_COUNT 3
extern const char *const pf_activation_names[PF_ACTIVATION_COUNT];
extern const char *const pf_head_norm_names[PF_HEAD_NORM_COUNT];

/* Hidden layers are Linear, normalisation, activation, dropout; the last is Linear alone. */
typedef struct PfHeadSpec {
    int hidden_count; /* 0: linear */
    int hidden[PF_MAX_HIDDEN];
    PfActivation activation;
    PfHeadNorm norm;
    double dropout; /* probability that a hidden value is dropped */
} PfHeadSpec;

/* Sets the widths; the rest stays. */
int pf_head_spec_parse(const char *text, PfHeadSpec *spec, PfError *err);
/* "mlp:512x128" into text, which is returned. */
const char *pf_head_spec_text(const PfHeadSpec *spec, char text[PF_HEAD_SPEC_TEXT_SIZE]);

/* What a hidden layer does between two products: normalisation, activation and
 * dropout, forward and backward, on (n, columns) matrices in place. Column sums run
 * over the rows in order, so a column comes out the same whatever is beside it. */

#define PF_NORM_EPSILON 1e-5f       /* torch's, of both norms */
#define PF_BATCH_NORM_MOMENTUM 0.1f /* torch's */

/* z -> (z - mean) * deviation by column. running (2, columns): mean and variance. Training:
 * deviation (columns) is filled with 1 / sqrt(variance + epsilon) of these rows, and running is
 * moved (by the unbiased variance); else deviation is NULL and running is used. */
void pf_batch_norm_forward(float *z, int64_t n, int64_t columns, float *running, float *deviation);
/* normalised: what forward made of z. derivative: of that -> of z. */
void pf_batch_norm_backward(const float *normalised, int64_t n, int64_t columns,
                            const float *deviation, float *derivative);

/* The same by row and head: deviation (n, heads), may be NULL. */
void pf_layer_norm_forward(float *z, int64_t n, int heads, int64_t width, float *deviation);
void pf_layer_norm_backward(const float *normalised, int64_t n, int heads, int64_t width,
                            const float *deviation, float *derivative);

/* scale: (2, columns) scale, then shift. out = z * scale + shift */
void pf_scale_and_shift(const float *z, int64_t n, int64_t columns, const float *scale, float *out);
/* derivative: of out -> of z; gradient (2, columns) is overwritten. */
void pf_scale_and_shift_backward(const float *z, int64_t n, int64_t columns, const float *scale,
                                 float *derivative, float *gradient);

void pf_activate(PfActivation activation, float *values, int64_t count);
/* input: the activation's. derivative: of its output -> of its input. */
void pf_activate_backward(PfActivation activation, const float *input, int64_t count,
                          float *derivative);

/* values (n, heads * width) times mask (n, width), the same for every head. */
void pf_apply_mask(float *values, int64_t n, int heads, int64_t width, const float *mask);

#endif

/* The linear head: logits = x W^T + b, softmax cross-entropy, and gradients.
 *
 * All functions work on one block of rows and on the calling thread;
 * pf_head_evaluate alone uses several, on blocks whose size depends on the
 * shapes only, so no result depends on the number of threads. The columns of W^T
 * may belong to several heads side by side: the loss takes the slice that is one
 * head's. */
#ifndef PF_HEAD_H
#define PF_HEAD_H

#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfHead {
    int64_t features, outputs;
    int64_t parameter_count; /* outputs * features + outputs */
    float *weight;           /* (outputs, features) row-major, as torch.nn.Linear; owned */
    float *bias;             /* (outputs), right behind weight in the same allocation */
} PfHead;

/* One BLAS thread: ours do the rest. Call once before any head is used. */
void pf_head_setup(void);

/* Parameters uniform in +-1/sqrt(features), torch.nn.Linear's default, from the
 * seed. Free with pf_head_free. */
int pf_head_new(int64_t features, int64_t outputs, uint64_t seed, PfHead **out, PfError *err);
/* A head of the same shape and parameters. */
int pf_head_copy(const PfHead *head, PfHead **out, PfError *err);
/* Parameters of source into head, which has the same shape. */
void pf_head_assign(PfHead *head, const PfHead *source);
void pf_head_free(PfHead **head);

/* x: (n, features). logits: (n, outputs). */
void pf_head_forward(const PfHead *head, const float *x, int64_t n, float *logits);

/* gradient of the loss by the logits (n, outputs) -> by the parameters, laid out
 * as they are: weight (outputs, features), then bias (outputs). Overwrites. */
void pf_head_backward(const PfHead *head, const float *x, const float *logits_gradient, int64_t n,
                      float *gradient);

/* Sums over rows; divide by the number of rows. */
typedef struct PfLossSum {
    double loss; /* cross-entropy, nats */
    int64_t correct;
} PfLossSum;

/* Softmax cross-entropy of one head: columns [0, classes) of logits, whose rows
 * are `stride` apart. labels: (n) in [0, classes). Each logit is replaced by
 * scale * d loss / d logit. The first of equal largest logits is the prediction. */
PfLossSum pf_softmax_cross_entropy(float *logits, int64_t n, int64_t classes, int64_t stride,
                                   const int32_t *labels, float scale);

/* The same sums without gradients: logits stay as they are. predictions: (n) or NULL. */
PfLossSum pf_softmax_score(const float *logits, int64_t n, int64_t classes, int64_t stride,
                           const int32_t *labels, int32_t *predictions);

/* out: (n, features) = rows[i] of features (.., features). */
void pf_gather_rows(const float *features, int64_t width, const int32_t *rows, int64_t n,
                    float *out);

/* Forward pass and score of rows[0..count) of features (.., head->features).
 * labels: by row of features, not by position in rows. predictions: (count), in
 * the order of rows, or NULL. threads: 0 = all processors. */
int pf_head_evaluate(const PfHead *head, const float *features, const int32_t *labels,
                     const int32_t *rows, int64_t count, int threads, int32_t *predictions,
                     PfLossSum *sum, PfError *err);

/* Makes the head take raw features where it was trained on
 * (x - mean) * scale: both (features). */
void pf_head_fold_normalization(PfHead *head, const float *mean, const float *scale);

#endif

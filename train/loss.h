/* Losses of many heads side by side, and their gradients.
 *
 * Row i of the outputs holds `heads` slices, one behind the other. What comes out
 * for a head depends on its own slices, on its settings and on the number of its
 * outputs; not on the heads beside it, on threads or on the processor. */
#ifndef PF_LOSS_H
#define PF_LOSS_H

#include <stdint.h>

typedef struct PfHeadSum {
    double loss;     /* of weight * loss */
    double weight;   /* what torch's mean divides by: sum of weights that counted */
    int64_t correct; /* rows whose first largest logit is the label's; softmax only */
    int64_t rows;    /* that counted; softmax only */
} PfHeadSum;

/* Softmax cross-entropy. The loss of a row with label y, in a head with label
 * smoothing s and class weights w, is as torch.nn.CrossEntropyLoss defines it:
 *   (1 - s) w_y (-log p_y) + s / classes * sum_c w_c (-log p_c)
 * times the row's weight; its share of PfHeadSum.weight is w_y times that weight. */
typedef struct PfSoftmaxBatch {
    int64_t rows, heads, classes;
    int64_t stride;             /* between rows of logits; at least heads * classes */
    const int32_t *labels;      /* (rows); -1: does not count */
    const float *row_weights;   /* (rows, heads), 0: does not count; or NULL for ones */
    const float *class_weights; /* (heads, classes), or NULL for ones */
    const float *smoothing;     /* (heads), or NULL for zeros */
} PfSoftmaxBatch;

/* Adds to sums (heads). predictions: (rows, heads), the first of equal largest
 * logits, also where a row does not count; or NULL. Sums are taken row by row, so
 * calls on consecutive rows equal one call. */
void pf_softmax_loss(const PfSoftmaxBatch *batch, const float *logits, int32_t *predictions,
                     PfHeadSum *sums);
/* The same, and every logit becomes scale[head] * d loss / d logit: 0 in rows that
 * do not count. */
void pf_softmax_gradient(const PfSoftmaxBatch *batch, const float *scale, float *logits,
                         PfHeadSum *sums);
/* Every logit becomes its probability. Only the batch's sizes are used. */
void pf_softmax_probabilities(const PfSoftmaxBatch *batch, float *logits);

/* Losses of single values, as torch.nn defines them. */
typedef enum PfPointwiseLoss {
    PF_LOSS_SQUARED,  /* (p - t)^2 */
    PF_LOSS_ABSOLUTE, /* |p - t| */
    PF_LOSS_HUBER,    /* (p - t)^2 / 2 up to delta from t, then linear */
    PF_LOSS_BINARY,   /* cross-entropy of sigmoid(p) and t in [0, 1] */
} PfPointwiseLoss;

typedef struct PfPointwiseBatch {
    PfPointwiseLoss kind;
    float huber_delta;
    int64_t rows, heads, outputs;
    int64_t stride;              /* between rows of predictions; at least heads * outputs */
    const float *targets;        /* (rows, outputs); NaN: does not count */
    const float *row_weights;    /* (rows, heads), 0: does not count; or NULL for ones */
    const float *output_weights; /* (heads, outputs), 0: does not count; or NULL for ones */
} PfPointwiseBatch;

/* Adds to sums (heads): in each output over the rows in ascending order, then over
 * the outputs. */
void pf_pointwise_loss(const PfPointwiseBatch *batch, const float *predictions, PfHeadSum *sums);
/* The same, and every prediction becomes scale[head] * weight * d loss / d prediction. */
void pf_pointwise_gradient(const PfPointwiseBatch *batch, const float *scale, float *predictions,
                           PfHeadSum *sums);

#endif

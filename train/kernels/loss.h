/* Losses of many heads side by side, and their gradients.
 *
 * Row i of the outputs holds `heads` slices, one behind the other. What comes out
 * for a head depends on its own slices, on its settings and on the number of its
 * outputs; not on the heads beside it, on threads or on the processor. */
#ifndef PF_TRAIN_KERNELS_LOSS_H
#define PF_TRAIN_KERNELS_LOSS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- the table of losses ---- */

/* The losses, one row each. To add one, write a row here and its function in loss_lanes.h:
 * nothing else has to name it. A row that lacks a column does not compile, and
 * tests/unit/train/kernels/test_loss.c looks at what the columns say. Files hold the words, so the
 * order is free.
 *
 *   id        makes PF_LOSS_<id>
 *   word      of --loss, and of a loss in a file
 *   title     in the result JSON
 *   serves    the kinds of targets that can be learned with it
 *   function  pointwise_<function> in loss_lanes.h: its value and slope
 *   parameter what --loss WORD:PARAMETER sets, or PF_LOSS_PLAIN
 *   convex    whether it is, in the outputs of a linear head
 *   curvature its second derivative by an output, about, of a target of `outputs` columns; or
 *             PF_NO_CURVATURE where an optimiser cannot rely on one
 *   classes   how the loss of a class is taken of its logits */
#define PF_LOSSES(LOSS)                                                                            \
    LOSS(SQUARED, "mse", "mse", PF_NUMBER_KINDS, squared, PF_LOSS_PLAIN, true, 2.0 / outputs,      \
         PF_CLASSES_NONE)                                                                          \
    LOSS(ABSOLUTE, "l1", "l1", PF_NUMBER_KINDS, absolute, PF_LOSS_PLAIN, true, PF_NO_CURVATURE,    \
         PF_CLASSES_NONE)                                                                          \
    LOSS(HUBER, "huber", "huber", PF_NUMBER_KINDS, huber,                                          \
         PF_LOSS_PARAMETER("huber_delta", 1, 1e-6, 1e6), true, 1.0 / outputs, PF_CLASSES_NONE)     \
    LOSS(BINARY, "binary-cross-entropy", "binary cross-entropy", PF_LABEL_KINDS, binary,           \
         PF_LOSS_PLAIN, true, 0.25 / outputs, PF_CLASSES_NONE)                                     \
    LOSS(CROSS_ENTROPY, "cross-entropy", "cross-entropy", PF_CLASS_KINDS, binary, PF_LOSS_PLAIN,   \
         true, (1 - 1.0 / outputs) / outputs, PF_CLASSES_ALL)                                      \
    LOSS(FOCAL, "focal", "focal", PF_CLASS_KINDS | PF_LABEL_KINDS, focal,                          \
         PF_LOSS_PARAMETER("focal_gamma", 2, 0, 100), false, PF_NO_CURVATURE, PF_CLASSES_MARGIN)

/* Sets of kinds, a bit each. */
#define PF_KIND_BIT(kind) (1u << (kind))
#define PF_CLASS_KINDS PF_KIND_BIT(PF_TARGET_CLASS)
#define PF_LABEL_KINDS PF_KIND_BIT(PF_TARGET_MULTILABEL)
#define PF_NUMBER_KINDS (PF_KIND_BIT(PF_TARGET_REGRESSION) | PF_KIND_BIT(PF_TARGET_KEYPOINTS))

#define PF_LOSS_PLAIN                                                                              \
    {                                                                                              \
        NULL, 1, 1, 1                                                                              \
    }
#define PF_LOSS_PARAMETER(key, initial, least, most)                                               \
    {                                                                                              \
        key, initial, least, most                                                                  \
    }
#define PF_NO_CURVATURE NAN

#define PF_LOSS_ID(id, ...) PF_LOSS_##id,
typedef enum PfLossKind { PF_LOSSES(PF_LOSS_ID) PF_LOSS_COUNT } PfLossKind;
#undef PF_LOSS_ID

typedef enum PfClassesLoss {
    PF_CLASSES_NONE,   /* it is not for classes */
    PF_CLASSES_ALL,    /* softmax cross-entropy, whose truth may be spread over all classes, as
                          label smoothing does */
    PF_CLASSES_MARGIN, /* the function with target 1 of the label's margin: its logit minus
                          log sum exp of the others, so that sigmoid(margin) is its probability.
                          Only the label counts, so there is no smoothing */
} PfClassesLoss;

typedef struct PfLoss {
    const char *word, *title;
    unsigned serves; /* PF_KIND_BIT of each kind */
    struct {
        const char *key; /* in the result JSON; NULL: there is none, and the rest is 1 */
        double initial, least, most;
    } parameter;
    bool is_convex;
    double (*curvature)(int outputs); /* NaN where there is none to rely on */
    PfClassesLoss classes;
} PfLoss;

const PfLoss *pf_loss(PfLossKind kind);
/* Whether it can be learned with targets of that kind. */
bool pf_loss_serves(PfLossKind loss, PfTargetKind kind);

/* "focal:3" into the loss and its parameter; fails with the words there are. option: as it is
 * called in messages. */
int pf_loss_parse(const char *option, const char *text, PfLossKind *kind, double *parameter,
                  PfError *err);

/* ---- classes ---- */

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
/* Either of them for a loss of the label's margin (PF_CLASSES_MARGIN), times the class's and the
 * row's weight; the batch has no smoothing. scale: NULL leaves the logits as they are. */
void pf_margin_loss(const PfSoftmaxBatch *batch, PfLossKind kind, float parameter,
                    const float *scale, float *logits, PfHeadSum *sums);
/* Every logit becomes its probability. Only the batch's sizes are used. */
void pf_softmax_probabilities(const PfSoftmaxBatch *batch, float *logits);

/* ---- losses of single values ---- */

/* As torch.nn defines them; focal loss as torchvision.ops, without its alpha. */
typedef struct PfPointwiseBatch {
    PfLossKind kind;
    float parameter; /* of the loss */
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

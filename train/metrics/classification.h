/* What a classifier got right and wrong, and how sure it was.
 *
 * Rows are added in blocks, in order; what comes out does not depend on the size of
 * the blocks or on the number of threads. Memory: some numbers a class and pair of classes, and the
 * scores for the AUC as long as they are few (PF_RANKING_MAX_SCORES). */
#ifndef PF_TRAIN_METRICS_CLASSIFICATION_H
#define PF_TRAIN_METRICS_CLASSIFICATION_H

#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/confusion.h"
#include "train/metrics/metrics.h"

/* With more classes no confusion matrix is given. */
#define PF_CONFUSION_MAX_CLASSES 100
/* With more classes pairs are not counted: the matrix behind them takes 8 MB here. */
#define PF_CONFUSED_MAX_CLASSES 1024
#define PF_CALIBRATION_BINS 15

/* Quotients whose denominator is 0 are 0, as scikit-learn's zero_division=0. */
typedef struct PfClassMetrics {
    int64_t support;   /* rows of this class */
    int64_t predicted; /* rows taken for it */
    int64_t correct;   /* both */
    double precision, recall, f1;
} PfClassMetrics;

/* Means and sums are over labelled rows. The first of equal largest logits is the
 * prediction. A number that cannot be had is NaN. */
typedef struct PfClassificationMetrics {
    int64_t count;        /* labelled rows */
    double log_loss;      /* mean of -log p(label), nats. Interval: normal */
    double accuracy;      /* Wilson */
    double top5_accuracy; /* label among the five largest logits, of equal ones the first; NaN with
                             five classes or fewer, where it is always 1. Wilson */
    double balanced_accuracy; /* mean recall of the classes with support. Square and add */
    double macro_precision, macro_recall; /* means over classes with support or predictions */
    double macro_f1; /* likewise. Linearised, on the log odds; none without confusion matrix */
    double weighted_precision, weighted_recall, weighted_f1; /* weights: support */
    double roc_auc; /* two classes: of class 1; else the mean of one class against the rest over the
                       classes that allow it, as scikit-learn's roc_auc_score(multi_class="ovr").
                       NaN where rows x classes exceed PF_RANKING_MAX_SCORES. DeLong, on the log
                       odds; none where one of the classes has a single row */
    double calibration_error; /* sum over PF_CALIBRATION_BINS equal bins of the largest probability
                                 of |its mean - accuracy| x share of rows (ECE): Naeini, Cooper,
                                 Hauskrecht, AAAI 2015; bins as in Guo et al., ICML 2017 */
    PfInterval log_loss_interval, accuracy_interval, top5_accuracy_interval,
        balanced_accuracy_interval, macro_f1_interval, roc_auc_interval;
    int class_count;
    PfClassMetrics *classes; /* (class_count) owned */
    int64_t *confusion;      /* (class_count, class_count) row = true, column = predicted; owned;
                                NULL with more than PF_CONFUSION_MAX_CLASSES */
    PfConfusedPair confused[PF_CONFUSED_PAIRS]; /* most rows first; none with more than
                                                   PF_CONFUSED_MAX_CLASSES */
    int confused_count;
} PfClassificationMetrics;

extern const PfMetricField pf_classification_fields[];

typedef struct PfClassificationMeter PfClassificationMeter;

/* threads: 0 = all processors. Free with pf_classification_meter_free. */
int pf_classification_meter_new(int classes, int threads, PfClassificationMeter **out,
                                PfError *err);
void pf_classification_meter_free(PfClassificationMeter **meter);

/* Before the first row: no AUC, which takes most of the memory and of the time. */
void pf_classification_meter_skip_auc(PfClassificationMeter *meter);

/* logits: (n, classes), finite, rows `stride` apart. labels: (n) in [0, classes); rows
 * of a negative label are left out. */
int pf_classification_meter_add(PfClassificationMeter *meter, int64_t n, const float *logits,
                                int64_t stride, const int32_t *labels, PfError *err);

/* The metrics of the rows so far. Free with pf_classification_metrics_free. */
int pf_classification_meter_finish(const PfClassificationMeter *meter, PfClassificationMetrics *out,
                                   PfError *err);
void pf_classification_metrics_free(PfClassificationMetrics *metrics);

#endif

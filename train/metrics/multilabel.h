/* What a classifier of several labels at once got right and wrong.
 *
 * Rows are added in blocks, in order; what comes out does not depend on the size of
 * the blocks. Memory: some numbers a label, and the scores for average precision and
 * AUC as long as they are few (PF_RANKING_MAX_SCORES). */
#ifndef PF_TRAIN_METRICS_MULTILABEL_H
#define PF_TRAIN_METRICS_MULTILABEL_H

#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/metrics.h"

/* A label is predicted where its logit is above 0, or above what the meter was told: probability
 * above one half. Quotients whose denominator is 0 are 0. */
typedef struct PfLabelMetrics {
    int64_t known;     /* rows that say whether they have the label */
    int64_t support;   /* rows that have it */
    int64_t predicted; /* known rows it was predicted for */
    int64_t correct;   /* support and predicted */
    double precision, recall, f1;
    double average_precision; /* NaN without support, or where scores are not kept */
    double roc_auc;           /* NaN also where all known rows have it */
} PfLabelMetrics;

/* A number that cannot be had is NaN. */
typedef struct PfMultilabelMetrics {
    int64_t count;   /* rows with a known label */
    double log_loss; /* binary cross-entropy, nats, mean over known values. Interval: ratio */
    double mean_average_precision; /* over labels that have one (mAP) */
    double macro_f1;        /* over labels with support or predictions. Linearised, on the log odds;
                               none where scores are not kept */
    double micro_f1;        /* of all known values together. Ratio, on the log odds */
    double macro_roc_auc;   /* over labels that have one. DeLong, on the log odds */
    double subset_accuracy; /* share of rows all of whose known labels are right (exact match).
                               Wilson */
    double hamming_loss;    /* share of known values that are wrong. Ratio */
    PfInterval log_loss_interval, macro_f1_interval, micro_f1_interval, macro_roc_auc_interval,
        subset_accuracy_interval, hamming_loss_interval;
    int label_count;
    PfLabelMetrics *labels; /* (label_count) owned */
} PfMultilabelMetrics;

/* Of PfMultilabelMetrics; of PfLabelMetrics. */
extern const PfMetricField pf_multilabel_fields[], pf_label_fields[];

typedef struct PfMultilabelMeter PfMultilabelMeter;

/* Free with pf_multilabel_meter_free. */
int pf_multilabel_meter_new(int labels, PfMultilabelMeter **out, PfError *err);
void pf_multilabel_meter_free(PfMultilabelMeter **meter);
/* Before the first rows: the logit above which a label is predicted. */
void pf_multilabel_meter_set_threshold(PfMultilabelMeter *meter, float logit);

/* logits: (n, labels), finite; targets: (n, labels) 0, 1 or NaN = not known; rows
 * `stride` and `target_stride` apart. */
int pf_multilabel_meter_add(PfMultilabelMeter *meter, int64_t n, const float *logits,
                            int64_t stride, const float *targets, int64_t target_stride,
                            PfError *err);

/* The metrics of the rows so far. Free with pf_multilabel_metrics_free. */
int pf_multilabel_meter_finish(const PfMultilabelMeter *meter, PfMultilabelMetrics *out,
                               PfError *err);
void pf_multilabel_metrics_free(PfMultilabelMetrics *metrics);

#endif

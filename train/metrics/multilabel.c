#include "train/metrics/multilabel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "train/metrics/ranking.h"

#define FIELD(member, key, title) PF_FIELD(PfMultilabelMetrics, member, key, title)
#define PLAIN(member, key, title) PF_PLAIN_FIELD(PfMultilabelMetrics, member, key, title)
#define LABEL(member) PF_PLAIN_FIELD(PfLabelMetrics, member, #member, NULL)
const PfMetricField pf_multilabel_fields[] = {
    FIELD(log_loss, "loss", "log loss"),
    PLAIN(mean_average_precision, "mean_average_precision", "mean average precision"),
    FIELD(macro_f1, "macro_f1", "macro f1"),
    FIELD(micro_f1, "micro_f1", "micro f1"),
    FIELD(macro_roc_auc, "roc_auc", "ROC AUC"),
    FIELD(subset_accuracy, "subset_accuracy", "all labels right"),
    FIELD(hamming_loss, "hamming_loss", "wrong labels"),
    {0},
};
const PfMetricField pf_label_fields[] = {
    LABEL(precision), LABEL(recall), LABEL(f1), LABEL(average_precision), LABEL(roc_auc), {0},
};

typedef struct LabelCounts {
    int64_t known, support, predicted, correct;
} LabelCounts;

struct PfMultilabelMeter {
    int labels;
    float threshold; /* logit above which a label is predicted */
    int64_t count, exact;
    PfRatio loss, wrong, micro_f1;
    LabelCounts *counts; /* (labels) */
    PfColumns kept;      /* logit and target of each label in turn */
};

/* ---- the meter ---- */

int pf_multilabel_meter_new(int labels, PfMultilabelMeter **out, PfError *err)
{
    PfMultilabelMeter *meter = pf_calloc(1, sizeof *meter, err);
    if (!meter) return -1;
    meter->labels = labels;
    meter->kept = (PfColumns){.columns = 2 * (int64_t)labels, .max_values = PF_RANKING_MAX_SCORES};
    meter->counts = pf_calloc((size_t)labels, sizeof *meter->counts, err);
    if (!meter->counts) {
        pf_multilabel_meter_free(&meter);
        return -1;
    }
    *out = meter;
    return 0;
}

void pf_multilabel_meter_free(PfMultilabelMeter **meter)
{
    if (!*meter) return;
    pf_columns_free(&(*meter)->kept);
    free((*meter)->counts);
    free(*meter);
    *meter = NULL;
}

void pf_multilabel_meter_set_threshold(PfMultilabelMeter *meter, float logit)
{
    meter->threshold = logit;
}

/* ---- rows ---- */

static int keep_row(PfMultilabelMeter *meter, const float *logits, const float *targets,
                    PfError *err)
{
    float *row;
    if (pf_columns_add(&meter->kept, &row, err)) return -1;
    for (int l = 0; row && l < meter->labels; l++) {
        row[2 * l * PF_COLUMNS_BLOCK] = logits[l];
        row[(2 * l + 1) * PF_COLUMNS_BLOCK] = targets[l];
    }
    return 0;
}

/* -log p(target) = log(1 + exp(-|z|)) + max(z, 0) - z target */
static double cross_entropy(double z, bool positive)
{
    return log1p(exp(-fabs(z))) + (z > 0 ? z : 0) - (positive ? z : 0);
}

typedef struct RowSums {
    int known, wrong, positives, predictions, correct;
    double loss;
} RowSums;

static RowSums count_row(PfMultilabelMeter *meter, const float *logits, const float *targets)
{
    RowSums sums = {0};
    for (int l = 0; l < meter->labels; l++) {
        if (isnan(targets[l])) continue;
        LabelCounts *counts = &meter->counts[l];
        bool positive = targets[l] > 0.5f, predicted = logits[l] > meter->threshold;
        counts->known++;
        counts->support += positive;
        counts->predicted += predicted;
        counts->correct += positive & predicted;
        sums.known++;
        sums.wrong += positive != predicted;
        sums.positives += positive;
        sums.predictions += predicted;
        sums.correct += positive & predicted;
        sums.loss += cross_entropy((double)logits[l], positive);
    }
    return sums;
}

static int add_row(PfMultilabelMeter *meter, const float *logits, const float *targets,
                   PfError *err)
{
    RowSums sums = count_row(meter, logits, targets);
    if (!sums.known) return 0;
    if (keep_row(meter, logits, targets, err)) return -1;
    meter->count++;
    meter->exact += !sums.wrong;
    pf_ratio_add(&meter->loss, sums.loss, sums.known);
    pf_ratio_add(&meter->wrong, sums.wrong, sums.known);
    pf_ratio_add(&meter->micro_f1, 2 * sums.correct, sums.positives + sums.predictions);
    return 0;
}

int pf_multilabel_meter_add(PfMultilabelMeter *meter, int64_t n, const float *logits,
                            int64_t stride, const float *targets, int64_t target_stride,
                            PfError *err)
{
    for (int64_t i = 0; i < n; i++)
        if (add_row(meter, logits + i * stride, targets + i * target_stride, err)) return -1;
    return 0;
}

/* ---- what comes out ---- */

/* A mean over labels and the influence of each row on the sum. */
typedef struct LabelMean {
    int labels;
    double sum;
    double *influence; /* (rows) */
} LabelMean;

typedef struct Finish {
    const PfMultilabelMeter *meter;
    PfRanking *ranking;
    LabelMean f1, auc, precision;
} Finish;

static void add_to_mean(LabelMean *mean, double value)
{
    if (isnan(value)) return;
    mean->sum += value;
    mean->labels++;
}

static double mean_value(const LabelMean *mean)
{
    return mean->sum / mean->labels;
}

static PfInterval mean_interval(const LabelMean *mean, int64_t rows)
{
    double error = pf_influence_standard_error(mean->influence, rows) / mean->labels;
    return pf_interval_logit(mean_value(mean), error);
}

static PfLabelMetrics label_metrics(const LabelCounts *counts)
{
    double correct = (double)counts->correct, nan = (double)NAN;
    double precision = pf_metrics_quotient(correct, (double)counts->predicted);
    double recall = pf_metrics_quotient(correct, (double)counts->support);
    double f1 = pf_metrics_quotient(2 * correct, (double)(counts->predicted + counts->support));
    return (PfLabelMetrics){counts->known,
                            counts->support,
                            counts->predicted,
                            counts->correct,
                            precision,
                            recall,
                            f1,
                            nan,
                            nan};
}

/* f1 = sum of 2 correct / sum of (positive + predicted) */
static void add_f1_influence(const PfLabelMetrics *label, double scale, int64_t row, bool positive,
                             bool predicted, double *influence)
{
    double parts = 2 * (positive & predicted) - label->f1 * (positive + predicted);
    influence[row] += scale * parts / (double)(label->support + label->predicted);
}

/* Ranks a label's known rows; adds up their influence on its f1. */
static void rank_label(Finish *finish, int index, const PfLabelMetrics *label)
{
    const PfMultilabelMeter *meter = finish->meter;
    double n = (double)meter->count, scale = sqrt(n / (n - 1));
    bool occurs = label->support || label->predicted;
    pf_ranking_clear(finish->ranking);
    for (int64_t i = 0; i < meter->count; i++) {
        const float *logit = pf_columns_at(&meter->kept, i, 2 * (int64_t)index);
        float target = logit[PF_COLUMNS_BLOCK];
        if (isnan(target)) continue;
        bool positive = target > 0.5f, predicted = logit[0] > meter->threshold;
        pf_ranking_put(finish->ranking, logit[0], (int32_t)i, positive);
        if (occurs) add_f1_influence(label, scale, i, positive, predicted, finish->f1.influence);
    }
    pf_ranking_sort(finish->ranking);
}

static void finish_label(Finish *finish, int index, PfLabelMetrics *out)
{
    *out = label_metrics(&finish->meter->counts[index]);
    if (out->support || out->predicted) add_to_mean(&finish->f1, out->f1);
    if (!finish->ranking) return;
    rank_label(finish, index, out);
    out->average_precision = pf_ranking_average_precision(finish->ranking);
    out->roc_auc = pf_ranking_auc(finish->ranking);
    if (!isnan(out->roc_auc))
        pf_ranking_auc_influence(finish->ranking, out->roc_auc, finish->auc.influence);
    add_to_mean(&finish->precision, out->average_precision);
    add_to_mean(&finish->auc, out->roc_auc);
}

static void finish_means(const Finish *finish, PfMultilabelMetrics *out)
{
    bool kept = finish->ranking != NULL;
    out->macro_f1 = mean_value(&finish->f1);
    out->macro_roc_auc = mean_value(&finish->auc);
    out->mean_average_precision = mean_value(&finish->precision);
    out->macro_f1_interval = kept ? mean_interval(&finish->f1, out->count) : pf_interval_none();
    out->macro_roc_auc_interval =
        kept ? mean_interval(&finish->auc, out->count) : pf_interval_none();
}

static void finish_sums(const PfMultilabelMeter *meter, PfMultilabelMetrics *out)
{
    out->log_loss = pf_ratio_value(&meter->loss);
    out->log_loss_interval = pf_interval_normal(
        out->log_loss, pf_ratio_standard_error(&meter->loss), 0, (double)INFINITY);
    out->hamming_loss = pf_ratio_value(&meter->wrong);
    out->hamming_loss_interval =
        pf_interval_logit(out->hamming_loss, pf_ratio_standard_error(&meter->wrong));
    out->micro_f1 = pf_ratio_value(&meter->micro_f1);
    out->micro_f1_interval =
        pf_interval_logit(out->micro_f1, pf_ratio_standard_error(&meter->micro_f1));
    out->subset_accuracy = (double)meter->exact / (double)meter->count;
    out->subset_accuracy_interval = pf_interval_wilson(meter->exact, meter->count);
}

static int allocate_finish(Finish *finish, PfError *err)
{
    int64_t rows = finish->meter->count;
    if (finish->meter->kept.dropped) return 0;
    finish->f1.influence = pf_calloc((size_t)rows, sizeof(double), err);
    finish->auc.influence = pf_calloc((size_t)rows, sizeof(double), err);
    return !finish->f1.influence || !finish->auc.influence ||
                   pf_ranking_new(rows, &finish->ranking, err)
               ? -1
               : 0;
}

int pf_multilabel_meter_finish(const PfMultilabelMeter *meter, PfMultilabelMetrics *out,
                               PfError *err)
{
    Finish finish = {.meter = meter};
    *out = (PfMultilabelMetrics){.count = meter->count, .label_count = meter->labels};
    out->labels = pf_calloc((size_t)meter->labels, sizeof *out->labels, err);
    int failed = !out->labels || allocate_finish(&finish, err);
    if (failed) {
        pf_multilabel_metrics_free(out);
    } else {
        for (int l = 0; l < meter->labels; l++) finish_label(&finish, l, &out->labels[l]);
        finish_means(&finish, out);
        finish_sums(meter, out);
    }
    pf_ranking_free(&finish.ranking);
    free(finish.f1.influence);
    free(finish.auc.influence);
    return failed ? -1 : 0;
}

void pf_multilabel_metrics_free(PfMultilabelMetrics *metrics)
{
    free(metrics->labels);
    *metrics = (PfMultilabelMetrics){0};
}

/* ---- for people, and JSON ---- */

#define LABEL_COLUMNS 70

static void print_labels(const void *results, const char *const *names, const char *split)
{
    const PfMultilabelMetrics *metrics = results;
    char heading[32], cell[PF_METRICS_NAME_SIZE];
    int shown =
        metrics->label_count < PF_METRICS_MAX_LINES ? metrics->label_count : PF_METRICS_MAX_LINES;
    snprintf(heading, sizeof heading, "%s, by label", split);
    const PfTableGaps gap = pf_metrics_gaps(LABEL_COLUMNS);
    pf_show("  %-23s%" PF_SENTENCE "precision%srecall%s    f1%s     ap%ssupport", heading,
            gap.first, gap.other, gap.other, gap.other, gap.other);
    for (int c = 0; c < shown; c++) {
        const PfLabelMetrics *label = &metrics->labels[c];
        pf_show("  %6d %" PF_SENTENCE "%" PF_SENTENCE "%9.4f%s%6.4f%s%6.4f%s%7.4f%s%7lld", c,
                pf_metrics_name_cell(names, c, cell), gap.first, label->precision, gap.other,
                label->recall, gap.other, label->f1, gap.other, label->average_precision, gap.other,
                (long long)label->support);
    }
    if (shown < metrics->label_count) pf_show("  ... and %d more", metrics->label_count - shown);
}

static void add_json(const void *results, const char *const *names, cJSON *json)
{
    const PfMultilabelMetrics *metrics = results;
    cJSON *labels = cJSON_AddArrayToObject(json, "labels");
    for (int c = 0; c < metrics->label_count; c++) {
        cJSON *label = cJSON_CreateObject();
        pf_metrics_add_name(label, names, c);
        cJSON_AddNumberToObject(label, "support", (double)metrics->labels[c].support);
        pf_metrics_add_fields(label, pf_label_fields, &metrics->labels[c], false);
        cJSON_AddItemToArray(labels, label);
    }
}

/* ---- as any metrics ---- */

static int start_meter(int width, int threads, bool with_auc, void **meter, PfError *err)
{
    PfMultilabelMeter *own = NULL;
    (void)threads;
    (void)with_auc;
    if (pf_multilabel_meter_new(width, &own, err)) return -1;
    *meter = own;
    return 0;
}

static int add_rows(void *meter, const PfMeterRows *rows, PfError *err)
{
    return pf_multilabel_meter_add(meter, rows->n, rows->outputs, rows->stride, rows->values,
                                   rows->width, err);
}

static void set_threshold(void *meter, float logit)
{
    pf_multilabel_meter_set_threshold(meter, logit);
}

static int finish_meter(const void *meter, void *results, PfError *err)
{
    return pf_multilabel_meter_finish(meter, results, err);
}

static void stop_meter(void *meter)
{
    PfMultilabelMeter *own = meter;
    pf_multilabel_meter_free(&own);
}

static void clear_results(void *results)
{
    pf_multilabel_metrics_free(results);
}

const PfMetrics pf_multilabel = {
    .fields = pf_multilabel_fields,
    .fields_at = 0,
    .size = sizeof(PfMultilabelMetrics),
    .main_name = "mean_average_precision",
    .main_value = offsetof(PfMultilabelMetrics, mean_average_precision),
    .start = start_meter,
    .add = add_rows,
    .set_threshold = set_threshold,
    .finish = finish_meter,
    .stop = stop_meter,
    .clear = clear_results,
    .print = print_labels,
    .add_json = add_json,
};

#include "train/metrics/classification.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/thread/parallel.h"
#include "train/metrics/ranking.h"

/* A thread takes this many logits at a time; rows are scored in blocks of BLOCK_ROWS. */
#define TASK_LOGITS (1 << 16)
#define BLOCK_ROWS 4096
/* With more classes than are listed, only the worst are. */
#define WORST_CLASSES 5

#define FIELD(member, key, title) PF_FIELD(PfClassificationMetrics, member, key, title)
#define PLAIN(member, key, title) PF_PLAIN_FIELD(PfClassificationMetrics, member, key, title)
const PfMetricField pf_classification_fields[] = {
    FIELD(log_loss, "loss", "log loss"),
    FIELD(accuracy, "accuracy", "accuracy"),
    FIELD(top5_accuracy, "top5_accuracy", "top-5 accuracy"),
    FIELD(balanced_accuracy, "balanced_accuracy", "balanced accuracy"),
    PLAIN(macro_precision, "macro_precision", NULL),
    PLAIN(macro_recall, "macro_recall", NULL),
    FIELD(macro_f1, "macro_f1", "macro f1"),
    PLAIN(weighted_precision, "weighted_precision", NULL),
    PLAIN(weighted_recall, "weighted_recall", NULL),
    PLAIN(weighted_f1, "weighted_f1", NULL),
    FIELD(roc_auc, "roc_auc", "ROC AUC"),
    PLAIN(calibration_error, "calibration_error", "calibration error"),
    {0},
};

/* One row of logits z: p_c = exp(z_c - largest - log_total). */
typedef struct RowScore {
    double largest, log_total;
    int32_t prediction;
    int32_t rank; /* classes before the label, by logit */
} RowScore;

typedef struct CalibrationBin {
    int64_t count, correct;
    double confidence; /* sum */
} CalibrationBin;

struct PfClassificationMeter {
    int classes, threads;
    int64_t count, correct, top5;
    PfRatio loss;
    CalibrationBin bins[PF_CALIBRATION_BINS];
    PfClassMetrics *per_class; /* (classes) its three counts only */
    int64_t *confusion;        /* (classes, classes) or NULL */
    RowScore *block;           /* (BLOCK_ROWS) */
    PfColumns scores;          /* log p of each class; of two classes the log odds of class 1 */
    int32_t *labels;           /* (count) while there are scores */
    size_t label_capacity;
};

/* ---- the meter ---- */

int pf_classification_meter_new(int classes, int threads, PfClassificationMeter **out, PfError *err)
{
    size_t count = (size_t)classes;
    bool matrix = classes <= PF_CONFUSED_MAX_CLASSES;
    PfClassificationMeter *meter = pf_calloc(1, sizeof *meter, err);
    if (!meter) return -1;
    meter->classes = classes;
    meter->threads = threads;
    meter->scores.columns = classes == 2 ? 1 : classes;
    meter->scores.max_values = PF_RANKING_MAX_SCORES;
    meter->per_class = pf_calloc(count, sizeof *meter->per_class, err);
    meter->block = pf_calloc(BLOCK_ROWS, sizeof *meter->block, err);
    if (matrix) meter->confusion = pf_calloc(count * count, sizeof *meter->confusion, err);
    if (!meter->per_class || !meter->block || (matrix && !meter->confusion)) {
        pf_classification_meter_free(&meter);
        return -1;
    }
    *out = meter;
    return 0;
}

void pf_classification_meter_free(PfClassificationMeter **meter)
{
    if (!*meter) return;
    pf_columns_free(&(*meter)->scores);
    free((*meter)->labels);
    free((*meter)->per_class);
    free((*meter)->confusion);
    free((*meter)->block);
    free(*meter);
    *meter = NULL;
}

void pf_classification_meter_skip_auc(PfClassificationMeter *meter)
{
    meter->scores.dropped = true;
}

/* ---- rows ---- */

static int32_t rank_of(const float *z, int classes, int32_t label)
{
    int32_t rank = 0;
    for (int c = 0; c < label; c++) rank += z[c] >= z[label];
    for (int c = label + 1; c < classes; c++) rank += z[c] > z[label];
    return rank;
}

/* log(1 + sum of the other exp) keeps what a sum near 1 would lose. */
static RowScore score_row(const float *z, int classes, int32_t label)
{
    int32_t largest = 0;
    for (int c = 1; c < classes; c++)
        if (z[c] > z[largest]) largest = c;
    double others = 0;
    for (int c = 0; c < largest; c++) others += (double)expf(z[c] - z[largest]);
    for (int c = largest + 1; c < classes; c++) others += (double)expf(z[c] - z[largest]);
    return (RowScore){(double)z[largest], log1p(others), largest, rank_of(z, classes, label)};
}

typedef struct Block {
    const PfClassificationMeter *meter;
    int64_t rows, task_rows, stride;
    const float *logits;
    const int32_t *labels;
} Block;

static void score_task(void *context, int64_t task)
{
    const Block *block = context;
    int64_t first = task * block->task_rows, end = first + block->task_rows;
    for (int64_t i = first; i < end && i < block->rows; i++)
        if (block->labels[i] >= 0)
            block->meter->block[i] = score_row(block->logits + i * block->stride,
                                               block->meter->classes, block->labels[i]);
}

static int keep_scores(PfClassificationMeter *meter, const float *z, const RowScore *row,
                       int32_t label, PfError *err)
{
    float *scores;
    if (pf_columns_add(&meter->scores, &scores, err)) return -1;
    if (!scores) return 0;
    if (pf_grow(&meter->labels, &meter->label_capacity, (size_t)meter->scores.rows,
                sizeof *meter->labels, err))
        return -1;
    meter->labels[meter->count] = label;
    if (meter->classes == 2) {
        scores[0] = z[1] - z[0];
        return 0;
    }
    for (int c = 0; c < meter->classes; c++)
        scores[c * PF_COLUMNS_BLOCK] = (float)((double)z[c] - row->largest - row->log_total);
    return 0;
}

/* Bin m holds the confidences in (m/M, (m+1)/M]. */
static CalibrationBin *bin_of(PfClassificationMeter *meter, double confidence)
{
    double bin = ceil(confidence * PF_CALIBRATION_BINS) - 1;
    int last = PF_CALIBRATION_BINS - 1;
    return &meter->bins[!(bin > 0) ? 0 : bin > last ? last : (int)bin]; /* also of a NaN */
}

static void count_row(PfClassificationMeter *meter, const float *z, const RowScore *row,
                      int32_t label)
{
    bool correct = row->prediction == label;
    double confidence = exp(-row->log_total);
    CalibrationBin *bin = bin_of(meter, confidence);
    bin->count++;
    bin->correct += correct;
    bin->confidence += confidence;
    meter->count++;
    meter->correct += correct;
    meter->top5 += row->rank < 5;
    pf_ratio_add(&meter->loss, row->log_total - ((double)z[label] - row->largest), 1);
    meter->per_class[label].support++;
    meter->per_class[row->prediction].predicted++;
    meter->per_class[label].correct += correct;
    if (meter->confusion) meter->confusion[(int64_t)label * meter->classes + row->prediction]++;
}

/* Rows are scored by several threads and counted in order by one. */
static int add_block(PfClassificationMeter *meter, Block *block, PfError *err)
{
    int64_t tasks = (block->rows + block->task_rows - 1) / block->task_rows;
    pf_parallel_for(tasks, meter->threads, score_task, block);
    for (int64_t i = 0; i < block->rows; i++) {
        const float *z = block->logits + i * block->stride;
        int32_t label = block->labels[i];
        if (label < 0) continue;
        assert(label < meter->classes);
        if (keep_scores(meter, z, &meter->block[i], label, err)) return -1;
        count_row(meter, z, &meter->block[i], label);
    }
    return 0;
}

int pf_classification_meter_add(PfClassificationMeter *meter, int64_t n, const float *logits,
                                int64_t stride, const int32_t *labels, PfError *err)
{
    int64_t task_rows = TASK_LOGITS / meter->classes;
    for (int64_t first = 0; first < n; first += BLOCK_ROWS) {
        Block block = {.meter = meter,
                       .rows = n - first < BLOCK_ROWS ? n - first : BLOCK_ROWS,
                       .task_rows = task_rows > 0 ? task_rows : 1,
                       .stride = stride,
                       .logits = logits + first * stride,
                       .labels = labels + first};
        if (add_block(meter, &block, err)) return -1;
    }
    return 0;
}

/* ---- what comes out ---- */

static void finish_class(PfClassMetrics *class)
{
    double correct = (double)class->correct;
    class->precision = pf_metrics_quotient(correct, (double)class->predicted);
    class->recall = pf_metrics_quotient(correct, (double)class->support);
    class->f1 = pf_metrics_quotient(2 * correct, (double)(class->predicted + class->support));
}

static bool occurs(const PfClassMetrics *class)
{
    return class->support || class->predicted;
}

/* Returns how many classes the macro averages are over. */
static int finish_classes(PfClassificationMetrics *metrics)
{
    int present = 0;
    for (int c = 0; c < metrics->class_count; c++) {
        PfClassMetrics *class = &metrics->classes[c];
        double weight = (double)class->support / (double)metrics->count;
        finish_class(class);
        present += occurs(class);
        metrics->macro_precision += class->precision;
        metrics->macro_recall += class->recall;
        metrics->macro_f1 += class->f1;
        metrics->weighted_precision += weight * class->precision;
        metrics->weighted_recall += weight * class->recall;
        metrics->weighted_f1 += weight * class->f1;
    }
    metrics->macro_precision /= present;
    metrics->macro_recall /= present;
    metrics->macro_f1 /= present;
    return present;
}

static void finish_balanced_accuracy(PfClassificationMetrics *metrics)
{
    PfProportionMean recalls = {0};
    for (int c = 0; c < metrics->class_count; c++)
        if (metrics->classes[c].support)
            pf_proportion_mean_add(&recalls, metrics->classes[c].correct,
                                   metrics->classes[c].support);
    metrics->balanced_accuracy = pf_proportion_mean_value(&recalls);
    metrics->balanced_accuracy_interval = pf_proportion_mean_interval(&recalls);
}

/* One row of the class moves its f1 = 2 correct / (support + predicted) by this much. */
static double f1_influence(const PfClassMetrics *class, bool correct)
{
    return ((correct ? 2.0 : 0.0) - (correct ? 2.0 : 1.0) * class->f1) /
           (double)(class->support + class->predicted);
}

/* Rows of one cell of the confusion matrix all have the same influence. */
static PfInterval macro_f1_interval(const PfClassificationMetrics *metrics, int present)
{
    double squares = 0, n = (double)metrics->count;
    if (!metrics->confusion) return pf_interval_none();
    for (int label = 0; label < metrics->class_count; label++)
        for (int prediction = 0; prediction < metrics->class_count; prediction++) {
            int64_t rows = metrics->confusion[label * metrics->class_count + prediction];
            if (!rows) continue;
            double influence = f1_influence(&metrics->classes[label], label == prediction);
            if (label != prediction)
                influence += f1_influence(&metrics->classes[prediction], false);
            squares += (double)rows * influence * influence;
        }
    return pf_interval_logit(metrics->macro_f1, sqrt(squares * n / (n - 1)) / present);
}

static double calibration_error(const PfClassificationMeter *meter)
{
    double sum = 0;
    for (int m = 0; m < PF_CALIBRATION_BINS; m++)
        sum += fabs(meter->bins[m].confidence - (double)meter->bins[m].correct);
    return sum / (double)meter->count;
}

static int finish_auc(const PfClassificationMeter *meter, PfClassificationMetrics *out,
                      PfError *err)
{
    PfOneVsRest ranked = {&meter->scores, meter->labels, meter->count, meter->classes};
    out->roc_auc = (double)NAN;
    out->roc_auc_interval = pf_interval_none();
    if (meter->scores.dropped) return 0;
    return pf_one_vs_rest_auc(&ranked, meter->threads, &out->roc_auc, &out->roc_auc_interval, err);
}

static int copy_counts(const PfClassificationMeter *meter, PfClassificationMetrics *out,
                       PfError *err)
{
    size_t classes = (size_t)meter->classes;
    out->count = meter->count;
    out->class_count = meter->classes;
    out->classes = pf_calloc(classes, sizeof *out->classes, err);
    if (!out->classes) return -1;
    memcpy(out->classes, meter->per_class, classes * sizeof *out->classes);
    if (meter->confusion)
        out->confused_count =
            pf_confusion_find_pairs(meter->confusion, meter->classes, out->confused);
    if (!meter->confusion || meter->classes > PF_CONFUSION_MAX_CLASSES) return 0;
    out->confusion = pf_calloc(classes * classes, sizeof *out->confusion, err);
    if (!out->confusion) return -1;
    memcpy(out->confusion, meter->confusion, classes * classes * sizeof *out->confusion);
    return 0;
}

static void finish_accuracy(const PfClassificationMeter *meter, PfClassificationMetrics *out)
{
    double n = (double)meter->count;
    out->accuracy = (double)meter->correct / n;
    out->accuracy_interval = pf_interval_wilson(meter->correct, meter->count);
    out->top5_accuracy = meter->classes > 5 ? (double)meter->top5 / n : (double)NAN;
    out->top5_accuracy_interval =
        meter->classes > 5 ? pf_interval_wilson(meter->top5, meter->count) : pf_interval_none();
    out->log_loss = pf_ratio_value(&meter->loss);
    out->log_loss_interval = pf_interval_normal(
        out->log_loss, pf_ratio_standard_error(&meter->loss), 0, (double)INFINITY);
}

int pf_classification_meter_finish(const PfClassificationMeter *meter, PfClassificationMetrics *out,
                                   PfError *err)
{
    *out = (PfClassificationMetrics){0};
    if (copy_counts(meter, out, err) || finish_auc(meter, out, err)) {
        pf_classification_metrics_free(out);
        return -1;
    }
    finish_accuracy(meter, out);
    int present = finish_classes(out);
    out->macro_f1_interval = macro_f1_interval(out, present);
    finish_balanced_accuracy(out);
    out->calibration_error = calibration_error(meter);
    return 0;
}

void pf_classification_metrics_free(PfClassificationMetrics *metrics)
{
    free(metrics->classes);
    free(metrics->confusion);
    *metrics = (PfClassificationMetrics){0};
}

/* ---- for people ---- */

#define CLASS_COLUMNS 61

static void print_class(const PfClassificationMetrics *metrics, const char *const *names, int index)
{
    const PfClassMetrics *class = &metrics->classes[index];
    char cell[PF_METRICS_NAME_SIZE];
    const PfTableGaps gap = pf_metrics_gaps(CLASS_COLUMNS);
    pf_show("  %6d %" PF_SENTENCE "%" PF_SENTENCE "%9.4f%s%6.4f%s%6.4f%s%7lld", index,
            pf_metrics_name_cell(names, index, cell), gap.first, class->precision, gap.other,
            class->recall, gap.other, class->f1, gap.other, (long long)class->support);
}

/* Index of the class with support whose f1 is next above (after, after_f1), or -1. */
static int next_worst(const PfClassificationMetrics *metrics, int after, double after_f1)
{
    int worst = -1;
    for (int c = 0; c < metrics->class_count; c++) {
        double f1 = metrics->classes[c].f1;
        if (!metrics->classes[c].support || f1 < after_f1 || (f1 == after_f1 && c <= after))
            continue;
        if (worst < 0 || f1 < metrics->classes[worst].f1) worst = c;
    }
    return worst;
}

static void print_classes(const PfClassificationMetrics *metrics, const char *const *names,
                          const char *split)
{
    bool all = metrics->class_count <= PF_METRICS_MAX_LINES;
    char heading[32];
    snprintf(heading, sizeof heading, all ? "%s, by class" : "%s, lowest f1", split);
    const PfTableGaps gap = pf_metrics_gaps(CLASS_COLUMNS);
    pf_show("  %-23s%" PF_SENTENCE "precision%srecall%s    f1%ssupport", heading, gap.first,
            gap.other, gap.other, gap.other);
    if (all) {
        for (int c = 0; c < metrics->class_count; c++) print_class(metrics, names, c);
        return;
    }
    for (int c = next_worst(metrics, -1, -1.0), n = 0; c >= 0 && n < WORST_CLASSES; n++) {
        print_class(metrics, names, c);
        c = next_worst(metrics, c, metrics->classes[c].f1);
    }
}

static void print_confusion(const PfClassificationMetrics *metrics, const char *const *names,
                            const char *split)
{
    PfConfusion confusion = {.classes = metrics->class_count,
                             .matrix = metrics->confusion,
                             .pairs = metrics->confused,
                             .pair_count = metrics->confused_count,
                             .names = names,
                             .split = split};
    pf_confusion_print(&confusion);
}

static void print_details(const void *results, const char *const *names, const char *split)
{
    const PfClassificationMetrics *metrics = results;
    print_classes(metrics, names, split);
    print_confusion(metrics, names, split);
}

/* ---- JSON ---- */

static cJSON *class_json(const PfClassMetrics *class, const char *const *names, int index)
{
    cJSON *json = cJSON_CreateObject();
    pf_metrics_add_name(json, names, index);
    cJSON_AddNumberToObject(json, "support", (double)class->support);
    cJSON_AddNumberToObject(json, "precision", class->precision);
    cJSON_AddNumberToObject(json, "recall", class->recall);
    cJSON_AddNumberToObject(json, "f1", class->f1);
    return json;
}

static void add_json(const void *results, const char *const *names, cJSON *json)
{
    const PfClassificationMetrics *metrics = results;
    cJSON *classes = cJSON_AddArrayToObject(json, "classes");
    for (int c = 0; c < metrics->class_count; c++)
        cJSON_AddItemToArray(classes, class_json(&metrics->classes[c], names, c));
    if (metrics->confused_count)
        cJSON_AddItemToObject(
            json, "confused",
            pf_confusion_pairs_json(metrics->confused, metrics->confused_count, names));
    if (!metrics->confusion) return;
    cJSON *rows = cJSON_AddArrayToObject(json, "confusion");
    for (int row = 0; row < metrics->class_count; row++) {
        cJSON *columns = cJSON_CreateArray();
        for (int c = 0; c < metrics->class_count; c++)
            cJSON_AddItemToArray(
                columns,
                cJSON_CreateNumber((double)metrics->confusion[row * metrics->class_count + c]));
        cJSON_AddItemToArray(rows, columns);
    }
}

/* ---- as any metrics ---- */

static int start_meter(int width, int threads, bool with_auc, void **meter, PfError *err)
{
    PfClassificationMeter *own = NULL;
    if (pf_classification_meter_new(width, threads, &own, err)) return -1;
    if (!with_auc) pf_classification_meter_skip_auc(own);
    *meter = own;
    return 0;
}

static int add_rows(void *meter, const PfMeterRows *rows, PfError *err)
{
    return pf_classification_meter_add(meter, rows->n, rows->outputs, rows->stride, rows->labels,
                                       err);
}

static int finish_meter(const void *meter, void *results, PfError *err)
{
    return pf_classification_meter_finish(meter, results, err);
}

static void stop_meter(void *meter)
{
    PfClassificationMeter *own = meter;
    pf_classification_meter_free(&own);
}

static void clear_results(void *results)
{
    pf_classification_metrics_free(results);
}

const PfMetrics pf_classification = {
    .fields = pf_classification_fields,
    .fields_at = 0,
    .size = sizeof(PfClassificationMetrics),
    .main_name = "accuracy",
    .main_value = offsetof(PfClassificationMetrics, accuracy),
    .start = start_meter,
    .add = add_rows,
    .finish = finish_meter,
    .stop = stop_meter,
    .clear = clear_results,
    .print = print_details,
    .add_json = add_json,
};

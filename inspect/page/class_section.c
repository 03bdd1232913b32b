#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/cache/split.h"
#include "inspect/page/chart.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"
#include "train/metrics/classification.h"

#define BINS PF_CALIBRATION_BINS
/* Points of a curve that are drawn. */
#define CURVE_POINTS 200
#define LEAST_PROBABILITY 1e-12f

/* Rows of a target of classes: those that are judged, or those of val beside them. */
typedef struct Judged {
    const PfPageTarget *target;
    int64_t count;
    int32_t *labels; /* (count) */
    float *logits;   /* (count, width) logarithms of the probabilities */
} Judged;

/* Rows of val, where those of test are judged. */
static bool is_beside(const PfPageData *data, const PfPageTarget *target, int64_t row)
{
    return target->judged == PF_SPLIT_TEST && data->splits[row] == PF_SPLIT_VAL &&
           pf_page_is_answered(target, row);
}

typedef bool IsWanted(const PfPageData *, const PfPageTarget *, int64_t row);

static int gather(const PfPageData *data, const PfPageTarget *target, IsWanted *is_wanted,
                  Judged *out, PfError *err)
{
    int64_t width = target->width, count = 0;
    for (int64_t i = 0; i < data->rows; i++) count += is_wanted(data, target, i);
    *out = (Judged){.target = target};
    out->labels = pf_calloc((size_t)count + 1, sizeof *out->labels, err);
    out->logits = pf_calloc((size_t)(count * width) + 1, sizeof *out->logits, err);
    if (!out->labels || !out->logits) return -1;
    for (int64_t i = 0; i < data->rows; i++) {
        if (!is_wanted(data, target, i)) continue;
        for (int64_t c = 0; c < width; c++)
            out->logits[out->count * width + c] =
                logf(fmaxf(target->outputs[i * width + c], LEAST_PROBABILITY));
        out->labels[out->count++] = target->labels[i];
    }
    return 0;
}

static void judged_free(Judged *judged)
{
    free(judged->labels);
    free(judged->logits);
}

/* ---- temperature ---- */

/* The largest probability at a temperature; *loss: -log of the label's. */
static double at_temperature(const float *logits, int width, double temperature, int32_t label,
                             int *best, double *loss)
{
    double sum = 0;
    *best = 0;
    for (int c = 1; c < width; c++)
        if (logits[c] > logits[*best]) *best = c;
    for (int c = 0; c < width; c++) sum += exp((logits[c] - logits[*best]) / temperature);
    *loss = log(sum) - (logits[label] - logits[*best]) / temperature;
    return 1 / sum;
}

/* Of so many numbers at most the temperature is chosen: more make no difference that can be seen.
 */
#define FITTED_NUMBERS ((int64_t)4000000)

/* Rows first, first + stride, ... of some; their sum of losses. */
static double sum_losses(const Judged *judged, int64_t first, int64_t stride, double temperature)
{
    double sum = 0, loss;
    int best, width = judged->target->width;
    for (int64_t i = first; i < judged->count; i += stride) {
        at_temperature(judged->logits + i * width, width, temperature, judged->labels[i], &best,
                       &loss);
        sum += loss;
    }
    return sum;
}

/* The temperature of the least loss (Guo et al., ICML 2017), by golden section on its logarithm. */
static double find_temperature(const Judged *judged, int64_t first, int64_t stride)
{
    const double ratio = 0.6180339887498949;
    double low = log(0.05), high = log(20);
    int64_t numbers = judged->count / stride * judged->target->width;
    stride *= 1 + numbers / FITTED_NUMBERS;
    for (int i = 0; i < 30; i++) {
        double left = high - ratio * (high - low), right = low + ratio * (high - low);
        if (sum_losses(judged, first, stride, exp(left)) <
            sum_losses(judged, first, stride, exp(right)))
            high = right;
        else
            low = left;
    }
    return exp((low + high) / 2);
}

/* Mean probability and accuracy of each bin, and the error: see calibration_error. temperatures: of
 * the rows of even and of odd numbers. */
static double fill_bins(const Judged *judged, const double temperatures[2], double *x, double *y)
{
    double counts[BINS] = {0}, error = 0, loss;
    for (int b = 0; b < BINS; b++) x[b] = y[b] = 0;
    for (int64_t i = 0; i < judged->count; i++) {
        int best, width = judged->target->width;
        double p = at_temperature(judged->logits + i * width, width, temperatures[i % 2],
                                  judged->labels[i], &best, &loss);
        int bin = (int)pf_min(BINS - 1, (int64_t)(p * BINS));
        counts[bin]++;
        x[bin] += p;
        y[bin] += best == judged->labels[i];
    }
    for (int b = 0; b < BINS; b++) {
        error += fabs(x[b] - y[b]) / (double)judged->count;
        x[b] = counts[b] > 0 ? x[b] / counts[b] : NAN;
        y[b] = counts[b] > 0 ? y[b] / counts[b] : NAN;
    }
    return error;
}

/* Which rows chose the temperature: never those that it is shown on. */
static void tell_calibration(FILE *stream, const Judged *judged, const Judged *beside,
                             const double errors[2], const double temperatures[2])
{
    pf_html_print(stream,
                  "<p class=\"note\">Images in %d ranges of their largest probability: where the "
                  "line lies below the dashed one, the model is surer than it is right. "
                  "Expected calibration error %.4f as predicted, ",
                  BINS, errors[0]);
    if (beside->count)
        pf_html_print(stream,
                      "%.4f after temperature scaling by %.3g. The %lld val images chose the "
                      "temperature; the %lld %s images are shown.</p>",
                      errors[1], temperatures[0], (long long)beside->count,
                      (long long)judged->count, pf_page_judged_split(judged->target));
    else
        pf_html_print(stream,
                      "%.4f after temperature scaling. There is no further set to choose the "
                      "temperature on, so each half of these %lld images was scaled by that of the "
                      "other half, %.3g and %.3g.</p>",
                      errors[1], (long long)judged->count, temperatures[0], temperatures[1]);
}

static void put_reliability(FILE *stream, const Judged *judged, const Judged *beside,
                            const char *id)
{
    static const double none[2] = {1, 1};
    double x[2][BINS], y[2][BINS], temperatures[2], errors[2];
    for (int half = 0; half < 2; half++)
        temperatures[half] =
            beside->count ? find_temperature(beside, 0, 1) : find_temperature(judged, 1 - half, 2);
    errors[0] = fill_bins(judged, none, x[0], y[0]);
    errors[1] = fill_bins(judged, temperatures, x[1], y[1]);
    PfChartSeries series[] = {{"as predicted", BINS, x[0], y[0], NULL, NULL},
                              {"after temperature scaling", BINS, x[1], y[1], NULL, NULL}};
    PfChart chart = {.id = id,
                     .title = "Reliability: accuracy by predicted probability",
                     .x = {"probability", 0, 1, false},
                     .y = {"accuracy", 0, 1, false},
                     .has_diagonal = true};
    pf_html_print(stream, "<div class=\"pane\">");
    pf_chart_lines(stream, &chart, series, judged->count > 1 ? 2 : 1, true);
    if (judged->count > 1) tell_calibration(stream, judged, beside, errors, temperatures);
    pf_html_print(stream, "</div>");
}

/* ---- curves ---- */

typedef struct Scored {
    float score;
    bool is_positive;
} Scored;

static int compare_scored(const void *a, const void *b)
{
    const Scored *left = a, *right = b;
    return (left->score < right->score) - (left->score > right->score);
}

typedef struct Curves {
    double roc_x[CURVE_POINTS + 2], roc_y[CURVE_POINTS + 2];
    double pr_x[CURVE_POINTS + 2], pr_y[CURVE_POINTS + 2];
    int64_t count;
} Curves;

/* Thresholds in descending order; of equal scores the last row's place counts. */
static void trace(const Scored *scored, int64_t count, Curves *curves)
{
    int64_t positives = 0, right = 0, drawn = 0;
    for (int64_t i = 0; i < count; i++) positives += scored[i].is_positive;
    curves->roc_x[0] = curves->roc_y[0] = 0;
    curves->pr_x[0] = 0;
    curves->pr_y[0] = NAN;
    for (int64_t i = 0, next = 0; i < count; i++) {
        right += scored[i].is_positive;
        bool is_last = i + 1 == count;
        if (!is_last && (scored[i + 1].score == scored[i].score || i < next)) continue;
        next = i + 1 + count / CURVE_POINTS;
        if (++drawn > CURVE_POINTS + 1) drawn = CURVE_POINTS + 1;
        curves->roc_x[drawn] = (double)(i + 1 - right) / (double)pf_max(1, count - positives);
        curves->roc_y[drawn] = (double)right / (double)pf_max(1, positives);
        curves->pr_x[drawn] = curves->roc_y[drawn];
        curves->pr_y[drawn] = (double)right / (double)(i + 1);
    }
    curves->count = drawn + 1;
}

/* The classes with the most rows; of two classes the second alone. */
static int choose_curves(const Judged *judged, const PfClassificationMetrics *metrics, int *classes)
{
    int count = 0, width = judged->target->width;
    if (width == 2 && metrics->classes[1].support) {
        classes[0] = 1;
        return 1;
    }
    while (count < width && count < PF_PAGE_MOST_CURVES) {
        int best = -1;
        for (int c = 0; c < width; c++) {
            bool is_taken = metrics->classes[c].support == 0;
            for (int i = 0; i < count; i++) is_taken |= classes[i] == c;
            if (!is_taken &&
                (best < 0 || metrics->classes[c].support > metrics->classes[best].support))
                best = c;
        }
        if (best < 0) break;
        classes[count++] = best;
    }
    return count;
}

static int put_curves(FILE *stream, const Judged *judged, const PfClassificationMetrics *metrics,
                      int number, PfError *err)
{
    int classes[PF_PAGE_MOST_CURVES], count = choose_curves(judged, metrics, classes);
    PfChartSeries roc[PF_PAGE_MOST_CURVES], precision[PF_PAGE_MOST_CURVES];
    char roc_id[24], pr_id[24];
    Scored *scored = pf_calloc((size_t)judged->count + 1, sizeof *scored, err);
    Curves *curves = scored ? pf_calloc((size_t)count + 1, sizeof *curves, err) : NULL;
    for (int s = 0; s < count && curves; s++) {
        int c = classes[s];
        for (int64_t i = 0; i < judged->count; i++)
            scored[i] =
                (Scored){judged->logits[i * judged->target->width + c], judged->labels[i] == c};
        qsort(scored, (size_t)judged->count, sizeof *scored, compare_scored);
        trace(scored, judged->count, &curves[s]);
        const char *name = judged->target->names[c];
        roc[s] =
            (PfChartSeries){name, curves[s].count, curves[s].roc_x, curves[s].roc_y, NULL, NULL};
        precision[s] =
            (PfChartSeries){name, curves[s].count, curves[s].pr_x, curves[s].pr_y, NULL, NULL};
    }
    snprintf(roc_id, sizeof roc_id, "roc-%d", number);
    snprintf(pr_id, sizeof pr_id, "pr-%d", number);
    PfChart chart = {.id = roc_id,
                     .title = "ROC curve, each class against the others",
                     .x = {"false positive rate", 0, 1, false},
                     .y = {"true positive rate", 0, 1, false},
                     .has_diagonal = true};
    if (curves) pf_chart_lines(stream, &chart, roc, count, false);
    chart = (PfChart){.id = pr_id,
                      .title = "Precision and recall by threshold",
                      .x = {"recall", 0, 1, false},
                      .y = {"precision", 0, 1, false}};
    if (curves) pf_chart_lines(stream, &chart, precision, count, false);
    if (count < judged->target->width && judged->target->width > 2)
        pf_html_print(stream,
                      "<p class=\"note\">Curves are of the %d classes with the most "
                      "images.</p>",
                      count);
    int failed = !curves;
    free(scored);
    free(curves);
    return failed ? -1 : 0;
}

/* ---- all of it ---- */

static int put_bars(FILE *stream, const PfPageTarget *target,
                    const PfClassificationMetrics *metrics, const char *id, PfError *err)
{
    static const char *const names[] = {"precision", "recall"};
    int64_t width = pf_min(target->width, PF_PAGE_MOST_BARS);
    double *values = pf_calloc((size_t)(2 * width), sizeof *values, err);
    if (!values) return -1;
    for (int64_t c = 0; c < width; c++) {
        values[c] = metrics->classes[c].precision;
        values[width + c] = metrics->classes[c].recall;
    }
    PfChartBars bars = {.id = id,
                        .title = "Precision and recall of each class",
                        .names = target->names,
                        .groups = width,
                        .series = names,
                        .series_count = 2,
                        .values = values,
                        .decimals = 3};
    pf_html_print(stream, "<div class=\"pane\">");
    pf_chart_bars(stream, &bars);
    if (width < target->width)
        pf_html_print(stream, "<p class=\"note\">The first %lld of %d classes.</p>",
                      (long long)width, target->width);
    pf_html_print(stream, "</div>");
    free(values);
    return 0;
}

static void put_numbers(FILE *stream, const PfPageTarget *target,
                        const PfClassificationMetrics *metrics)
{
    pf_html_print(stream, "<p>%lld images of %s with a known class. Accuracy <b>%.4f</b>",
                  (long long)metrics->count, pf_page_judged_split(target), metrics->accuracy);
    if (!isnan(metrics->accuracy_interval.low))
        pf_html_print(stream, " [%.3f, %.3f]", metrics->accuracy_interval.low,
                      metrics->accuracy_interval.high);
    pf_html_print(stream, ", balanced accuracy %.4f, macro F1 %.4f, log loss %.4f",
                  metrics->balanced_accuracy, metrics->macro_f1, metrics->log_loss);
    if (!isnan(metrics->roc_auc)) pf_html_print(stream, ", ROC AUC %.4f", metrics->roc_auc);
    pf_html_print(stream, ". Brackets are 95 %% intervals.</p>");
}

static int put_charts(FILE *stream, const Judged *judged, const Judged *beside, int number,
                      const PfClassificationMetrics *metrics, PfError *err)
{
    const PfPageTarget *target = judged->target;
    char id[24];
    put_numbers(stream, target, metrics);
    if (metrics->confusion) {
        snprintf(id, sizeof id, "confusion-%d", number);
        PfChartMatrix matrix = {id,
                                "Confusion matrix: click a cell to see its images",
                                "true",
                                "predicted",
                                target->names,
                                target->width,
                                metrics->confusion};
        pf_html_print(stream, "<div class=\"wide\">");
        pf_chart_matrix(stream, &matrix);
        pf_html_print(stream,
                      "<div class=\"cell-images\" id=\"cell-%d\" aria-live=\"polite\">"
                      "</div></div>",
                      number);
    } else {
        pf_html_print(stream,
                      "<p class=\"note\">No confusion matrix: there are more than %d "
                      "classes.</p>",
                      PF_CONFUSION_MAX_CLASSES);
    }
    snprintf(id, sizeof id, "bars-%d", number);
    if (put_bars(stream, target, metrics, id, err)) return -1;
    snprintf(id, sizeof id, "reliability-%d", number);
    put_reliability(stream, judged, beside, id);
    return put_curves(stream, judged, metrics, number, err);
}

int pf_page_class_section(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          int number, PfError *err)
{
    Judged judged, beside = {0};
    PfClassificationMeter *meter = NULL;
    PfClassificationMetrics metrics = {0};
    if (!target->outputs || !target->labels) return 0;
    int failed = gather(data, target, pf_page_is_judged, &judged, err) ||
                 gather(data, target, is_beside, &beside, err);
    if (!failed && judged.count) {
        pf_html_print(stream, "<section id=\"target-%d\" class=\"charts\"><h2>Predicted: %s</h2>",
                      number, target->name);
        failed = pf_classification_meter_new(target->width, data->threads, &meter, err) ||
                 pf_classification_meter_add(meter, judged.count, judged.logits, target->width,
                                             judged.labels, err) ||
                 pf_classification_meter_finish(meter, &metrics, err) ||
                 put_charts(stream, &judged, &beside, number, &metrics, err);
        pf_classification_metrics_free(&metrics);
        pf_classification_meter_free(&meter);
        pf_html_print(stream, "</section>\n");
    }
    judged_free(&judged);
    judged_free(&beside);
    return failed ? -1 : 0;
}

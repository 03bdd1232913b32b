#include <math.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/page/chart.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"

/* Points of a chart, evenly spaced among the rows where there are more. */
#define MOST_POINTS ((int64_t)1500)
#define MOST_LABELS 40

/* ---- numbers ---- */

static int put_residuals(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                         int column, const char *id, PfError *err)
{
    int64_t judged = 0, taken = 0, seen = 0, width = target->width;
    double absolute = 0, square = 0;
    for (int64_t i = 0; i < data->rows; i++)
        judged +=
            pf_page_is_judged(data, target, i) && isfinite(target->values[i * width + column]);
    int64_t stride = pf_max(1, (judged + MOST_POINTS - 1) / MOST_POINTS);
    double *x = pf_calloc((size_t)(2 * (judged / stride + 1)), sizeof *x, err);
    double *y = x ? x + judged / stride + 1 : NULL;
    if (!x) return -1;
    for (int64_t i = 0; i < data->rows; i++) {
        double truth = target->values ? target->values[i * width + column] : NAN;
        if (!pf_page_is_judged(data, target, i) || !isfinite(truth)) continue;
        double residual = target->outputs[i * width + column] - truth;
        absolute += fabs(residual) / (double)judged;
        square += residual * residual / (double)judged;
        if (seen++ % stride) continue;
        x[taken] = truth;
        y[taken++] = residual;
    }
    PfChartSeries series = {"image", taken, x, y, NULL, NULL};
    PfChart chart = {.id = id, .title = "Residuals: predicted less true, by what is true"};
    chart.x = pf_chart_axis("true", &series, 1, true);
    chart.y = pf_chart_axis("predicted less true", &series, 1, false);
    pf_html_print(stream,
                  "<p>%lld images of %s. Mean absolute error <b>%.4g</b>, root mean "
                  "squared error %.4g.</p>",
                  (long long)judged, pf_page_judged_split(target), absolute, sqrt(square));
    pf_chart_points(stream, &chart, &series, 1);
    if (stride > 1)
        pf_html_print(stream, "<p class=\"note\">One of %lld images is drawn.</p>",
                      (long long)stride);
    free(x);
    return 0;
}

/* ---- labels ---- */

static int put_cooccurrence(FILE *stream, const PfPageTarget *target, int64_t rows, const char *id,
                            PfError *err)
{
    int size = (int)pf_min(target->width, MOST_LABELS);
    int64_t *counts = pf_calloc((size_t)(size * size), sizeof *counts, err);
    if (!counts) return -1;
    for (int64_t i = 0; i < rows; i++) {
        const float *values = target->values + i * target->width;
        for (int a = 0; a < size; a++)
            for (int b = 0; b < size && values[a] == 1; b++) counts[a * size + b] += values[b] == 1;
    }
    PfChartMatrix matrix = {
        id, "Labels that occur together, all images", "label", "with", target->names, size, counts};
    pf_chart_matrix(stream, &matrix);
    if (size < target->width)
        pf_html_print(stream, "<p class=\"note\">The first %d of %d labels.</p>", size,
                      target->width);
    free(counts);
    return 0;
}

typedef struct LabelCounts {
    int64_t right, named, there; /* named and there; named by the model; there */
} LabelCounts;

/* A label counts as named above this probability. */
static double threshold_of(const PfPageData *data)
{
    return data->has_threshold ? data->threshold : 0.5;
}

static void count_labels(const PfPageData *data, const PfPageTarget *target, int labels,
                         LabelCounts *counts)
{
    const double threshold = threshold_of(data);
    for (int64_t i = 0; i < data->rows; i++) {
        if (!pf_page_is_judged(data, target, i)) continue;
        const float *truth = target->values + i * target->width;
        const float *found = target->outputs + i * target->width;
        for (int l = 0; l < labels; l++) {
            if (isnan(truth[l]) || (target->unknown && target->unknown[l])) continue;
            bool is_named = (double)found[l] > threshold;
            counts[l].right += truth[l] == 1 && is_named;
            counts[l].named += is_named;
            counts[l].there += truth[l] == 1;
        }
    }
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

static int put_label_bars(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          const char *id, PfError *err)
{
    static const char *const series[] = {"precision", "recall"};
    char title[96];
    int size = (int)pf_min(target->width, PF_PAGE_MOST_BARS);
    LabelCounts *counts = pf_calloc((size_t)size, sizeof *counts, err);
    double *values = pf_calloc(2 * (size_t)size, sizeof *values, err);
    PfChartBars bars = {.id = id,
                        .title = title,
                        .names = target->names,
                        .groups = size,
                        .series = series,
                        .series_count = 2,
                        .values = values,
                        .decimals = 3};
    int failed = !counts || !values;
    snprintf(title, sizeof title, "Precision and recall of each label, above a probability of %g",
             threshold_of(data));
    if (!failed) {
        count_labels(data, target, size, counts);
        for (int l = 0; l < size; l++) {
            values[l] = share(counts[l].right, counts[l].named);
            values[size + l] = share(counts[l].right, counts[l].there);
        }
        pf_html_print(stream, "<p>Judged on images of %s.</p>", pf_page_judged_split(target));
        pf_chart_bars(stream, &bars);
        if (size < target->width)
            pf_html_print(stream, "<p class=\"note\">The first %d of %d labels.</p>", size,
                          target->width);
    }
    free(counts);
    free(values);
    return failed ? -1 : 0;
}

/* ---- points ---- */

/* Faces and the like are drawn by the page's script, on thumbnails. */
typedef struct PointError {
    double sum;
    int64_t count;
} PointError;

static void put_point_table(FILE *stream, const PfPageTarget *target, const PointError *errors)
{
    pf_html_print(stream, "<details><summary>As a table: mean error of each point</summary>"
                          "<div class=\"scroll\"><table><tr><th>point</th><th>mean error, pixels"
                          "</th><th>images</th></tr>");
    for (int p = 0; p < target->width / 2; p++)
        if (errors[p].count)
            pf_html_print(stream, "<tr><td>%d</td><td>%.3f</td><td>%lld</td></tr>", p + 1,
                          errors[p].sum / (double)errors[p].count, (long long)errors[p].count);
    pf_html_print(stream, "</table></div></details>");
}

static void sum_point_errors(const PfPageData *data, const PfPageTarget *target, PointError *errors,
                             PointError *all)
{
    for (int64_t i = 0; i < data->rows; i++) {
        if (!target->outputs || !pf_page_is_judged(data, target, i)) continue;
        const float *truth = target->values + i * target->width;
        const float *found = target->outputs + i * target->width;
        for (int p = 0; p < target->width / 2; p++) {
            double distance =
                hypot(found[2 * p] - truth[2 * p], found[2 * p + 1] - truth[2 * p + 1]);
            if (!isfinite(distance)) continue;
            errors[p].sum += distance;
            errors[p].count++;
            all->sum += distance;
            all->count++;
        }
    }
}

/* Faces and the like are drawn by the page's script, on thumbnails. */
static int put_points(FILE *stream, const PfPageData *data, const PfPageTarget *target, int number,
                      PfError *err)
{
    PointError all = {0}, *errors = pf_calloc((size_t)target->width, sizeof *errors, err);
    if (!errors) return -1;
    sum_point_errors(data, target, errors, &all);
    if (all.count)
        pf_html_print(stream, "<p>Mean error <b>%.3f</b> pixels over %lld points of %s.</p>",
                      all.sum / (double)all.count, (long long)all.count,
                      pf_page_judged_split(target));
    pf_html_print(
        stream,
        "<figure id=\"points-%d\" class=\"points wide\"><figcaption>Points on images drawn "
        "at random: ",
        number);
    if (target->values) pf_html_print(stream, "<span class=\"key s0\">true</span>");
    if (target->outputs) pf_html_print(stream, " <span class=\"key s1\">predicted</span>");
    pf_html_print(stream, "</figcaption><div class=\"tiles\"></div>");
    if (all.count) put_point_table(stream, target, errors);
    pf_html_print(stream, "</figure>");
    free(errors);
    return 0;
}

int pf_page_value_section(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          int number, PfError *err)
{
    char id[32];
    int failed = 0;
    bool has_points = target->kind == PF_TARGET_KEYPOINTS && target->outputs;
    if (!target->values && !has_points) return 0;
    if (target->kind == PF_TARGET_REGRESSION && !target->outputs) return 0;
    pf_html_print(stream, "<section id=\"target-%d\" class=\"charts\"><h2>%s%s</h2>", number,
                  target->outputs ? "Predicted: " : "", target->name);
    for (int c = 0; target->kind == PF_TARGET_REGRESSION && c < pf_min(target->width, 4); c++) {
        snprintf(id, sizeof id, "residuals-%d-%d", number, c);
        if (!failed) failed = put_residuals(stream, data, target, c, id, err);
    }
    snprintf(id, sizeof id, "together-%d", number);
    if (target->kind == PF_TARGET_MULTILABEL)
        failed = put_cooccurrence(stream, target, data->rows, id, err);
    snprintf(id, sizeof id, "label-bars-%d", number);
    if (target->kind == PF_TARGET_MULTILABEL && target->outputs && !failed)
        failed = put_label_bars(stream, data, target, id, err);
    if (target->kind == PF_TARGET_KEYPOINTS) failed = put_points(stream, data, target, number, err);
    pf_html_print(stream, "</section>\n");
    return failed;
}

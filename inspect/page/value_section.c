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
    PfChartSeries series = {"image", taken, x, y};
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

/* ---- points ---- */

/* Faces and the like are drawn by the page's script, on thumbnails. */
static void put_points(FILE *stream, const PfPageData *data, const PfPageTarget *target, int number)
{
    double sum = 0;
    int64_t points = 0;
    for (int64_t i = 0; i < data->rows; i++) {
        if (!target->outputs || !pf_page_is_judged(data, target, i)) continue;
        const float *truth = target->values + i * target->width;
        const float *found = target->outputs + i * target->width;
        for (int p = 0; p + 1 < target->width; p += 2) {
            double distance = hypot(found[p] - truth[p], found[p + 1] - truth[p + 1]);
            if (!isfinite(distance)) continue;
            sum += distance;
            points++;
        }
    }
    if (points)
        pf_html_print(stream, "<p>Mean error <b>%.3f</b> pixels over %lld points of %s.</p>",
                      sum / (double)points, (long long)points, pf_page_judged_split(target));
    pf_html_print(stream,
                  "<figure id=\"points-%d\" class=\"points\"><figcaption>Points on images: "
                  "<span class=\"key s0\">true</span> <span class=\"key s1\">predicted"
                  "</span></figcaption><div class=\"tiles\"></div></figure>",
                  number);
}

int pf_page_value_section(FILE *stream, const PfPageData *data, const PfPageTarget *target,
                          int number, PfError *err)
{
    char id[32];
    int failed = 0;
    if (!target->values) return 0;
    if (target->kind == PF_TARGET_REGRESSION && !target->outputs) return 0;
    pf_html_print(stream, "<section id=\"target-%d\"><h2>%s</h2>", number, target->name);
    for (int c = 0; target->kind == PF_TARGET_REGRESSION && c < pf_min(target->width, 4); c++) {
        snprintf(id, sizeof id, "residuals-%d-%d", number, c);
        if (!failed) failed = put_residuals(stream, data, target, c, id, err);
    }
    snprintf(id, sizeof id, "together-%d", number);
    if (target->kind == PF_TARGET_MULTILABEL)
        failed = put_cooccurrence(stream, target, data->rows, id, err);
    if (target->kind == PF_TARGET_KEYPOINTS) put_points(stream, data, target, number);
    pf_html_print(stream, "</section>\n");
    return failed;
}

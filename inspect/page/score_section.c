/* Numbers among the findings: classes, neighbours and few images, models. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "inspect/page/chart.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"

#define MOST_PAIRS ((int64_t)20)
#define NAME_SIZE 160

/* ---- classes ---- */

/* Images of each class in each split that has any. */
static int put_counts(FILE *stream, const PfClassFindings *found, const PfPageTarget *target,
                      PfError *err)
{
    const char *names[PF_SPLIT_COUNT];
    int64_t groups = pf_min(found->classes, PF_PAGE_MOST_BARS);
    double *values = pf_calloc((size_t)(PF_SPLIT_COUNT * groups) + 1, sizeof *values, err);
    PfChartBars bars = {.id = "class-counts",
                        .title = "Images of each class",
                        .names = target->names,
                        .groups = groups,
                        .series = names,
                        .values = values,
                        .full = 1};
    if (!values) return -1;
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        double sum = 0, *to = values + bars.series_count * groups;
        for (int64_t c = 0; c < groups; c++) {
            to[c] = (double)found->counts[c * PF_SPLIT_COUNT + split];
            bars.full = fmax(bars.full, to[c]);
            sum += to[c];
        }
        if (sum > 0) names[bars.series_count++] = pf_split_names[split];
    }
    pf_html_print(stream, "<div class=\"pane\">");
    pf_chart_bars(stream, &bars);
    if (groups < found->classes)
        pf_html_print(stream, "<p class=\"note\">The first %lld of %d classes.</p>",
                      (long long)groups, found->classes);
    pf_html_print(stream, "</div>");
    free(values);
    return 0;
}

static int put_pairs(FILE *stream, const PfClassFindings *found, const PfPageTarget *target,
                     PfError *err)
{
    static const char *const series[] = {"share of the nearest images"};
    int64_t count = pf_min(found->pair_count, MOST_PAIRS);
    char(*texts)[NAME_SIZE] = pf_calloc((size_t)count + 1, NAME_SIZE, err);
    const char **names = pf_calloc((size_t)count + 1, sizeof *names, err);
    double *values = pf_calloc((size_t)count + 1, sizeof *values, err);
    int failed = !texts || !names || !values;
    for (int64_t i = 0; i < count && !failed; i++) {
        const PfClassPair *pair = &found->pairs[i];
        snprintf(texts[i], NAME_SIZE, "%s: like %s", target->names[pair->of],
                 target->names[pair->taken_for]);
        names[i] = texts[i];
        values[i] = pair->share;
    }
    PfChartBars bars = {.id = "class-pairs",
                        .title = "Classes that look alike",
                        .names = names,
                        .groups = count,
                        .series = series,
                        .series_count = 1,
                        .values = values,
                        .full = failed || !count ? 1 : values[0],
                        .decimals = 3};
    if (!failed) {
        pf_html_print(stream, "<div class=\"pane\">");
        pf_chart_bars(stream, &bars);
        pf_html_print(stream,
                      "<p class=\"note\">Of the %d images nearest to each image of the first "
                      "class, the share that is of the second.%s</p></div>",
                      found->k, count < found->pair_count ? " The pairs with the most." : "");
    }
    free(texts);
    free(names);
    free(values);
    return failed ? -1 : 0;
}

static int put_classes(FILE *stream, const PfPageData *data, PfError *err)
{
    const PfClassFindings *found = &data->findings->classes;
    const PfPageTarget *target = pf_page_class_target(data);
    if (!found->status.done || !target || target->width < found->classes) return 0;
    pf_html_print(stream, "<section id=\"classes\" class=\"charts\"><h2>Classes</h2>");
    if (found->empty || found->unlabelled)
        pf_html_print(stream, "<p>%d classes have no image; %lld images have no class.</p>",
                      found->empty, (long long)found->unlabelled);
    int failed = put_counts(stream, found, target, err);
    if (!failed && found->has_overlap && found->pair_count)
        failed = put_pairs(stream, found, target, err);
    pf_html_print(stream, "</section>\n");
    return failed;
}

/* ---- how good the features are ---- */

static void put_score(FILE *stream, const PfKnnScores *found, int k)
{
    for (int i = 0; i < found->count; i++) {
        const PfKnnScore *score = &found->scores[i];
        if (score->k != k) continue;
        pf_html_print(stream, "<td>%.4f <span class=\"soft\">[%.3f, %.3f]</span></td>",
                      score->accuracy, score->interval.low, score->interval.high);
        return;
    }
    pf_html_print(stream, "<td></td>");
}

static void put_knn(FILE *stream, const PfFindings *findings)
{
    const PfKnnScores *train = &findings->knn, *others = &findings->knn_held_out;
    bool has_train = train->status.done && train->count;
    bool has_others = others->status.done && others->count;
    if (!has_train && !has_others) return;
    const PfKnnScores *longer =
        has_train && (!has_others || train->count > others->count) ? train : others;
    pf_html_print(stream, "<div class=\"pane\"><h3>Without training: the class of the nearest "
                          "images</h3><div class=\"scroll\"><table class=\"numbers\" id=\"knn\">"
                          "<thead><tr><th>nearest images</th>");
    if (has_train) pf_html_print(stream, "<th>train</th>");
    if (has_others) pf_html_print(stream, "<th>val and test</th>");
    pf_html_print(stream, "</tr></thead><tbody>");
    for (int i = 0; i < longer->count; i++) {
        pf_html_print(stream, "<tr><td>%d</td>", longer->scores[i].k);
        if (has_train) put_score(stream, train, longer->scores[i].k);
        if (has_others) put_score(stream, others, longer->scores[i].k);
        pf_html_print(stream, "</tr>");
    }
    pf_html_print(stream,
                  "</tbody></table></div><p class=\"note\">Share of the images whose class "
                  "the train images nearest to them name, each with a vote by its "
                  "similarity (temperature %.2f)",
                  longer->temperature);
    if (has_train)
        pf_html_print(stream, "; %lld train images, each by the others",
                      (long long)train->scores[0].count);
    if (has_others)
        pf_html_print(stream, "; %lld val and test images", (long long)others->scores[0].count);
    pf_html_print(stream, ". Brackets are 95 %% intervals.</p></div>");
}

static int put_few_shot(FILE *stream, const PfFewShot *found, PfError *err)
{
    size_t count = (size_t)found->count;
    double *x = pf_calloc(4 * count + 1, sizeof *x, err);
    if (!x) return -1;
    double *y = x + count, *low = y + count, *high = low + count;
    for (size_t i = 0; i < count; i++) {
        x[i] = found->points[i].shots;
        y[i] = found->points[i].mean;
        low[i] = found->points[i].low;
        high[i] = found->points[i].high;
    }
    PfChartSeries series[] = {{"mean", (int64_t)count, x, y, low, high},
                              {"lowest", (int64_t)count, x, low, NULL, NULL},
                              {"highest", (int64_t)count, x, high, NULL, NULL}};
    PfChart chart = {.id = "few-shot",
                     .title = "Accuracy by the number of images of each class",
                     .x = {"images of each class", x[0] / 1.15, x[count - 1] * 1.15, true},
                     .x_ticks = x,
                     .x_tick_count = (int)count};
    chart.y = pf_chart_axis("accuracy", series, 3, false);
    pf_html_print(stream, "<div class=\"pane\">");
    pf_chart_lines(stream, &chart, series, 1, true);
    pf_html_print(stream,
                  "<p class=\"note\">A linear head on so many images of each class, judged on %lld "
                  "others. The line is the mean of %d draws, the band reaches from the lowest to "
                  "the highest. Where the line still rises at its end, more labelled images would "
                  "help.</p></div>",
                  (long long)found->test_rows, found->seeds);
    free(x);
    return 0;
}

static int put_features(FILE *stream, const PfFindings *findings, PfError *err)
{
    bool has_few_shot = findings->few_shot.status.done && findings->few_shot.count;
    bool has_knn = findings->knn.status.done || findings->knn_held_out.status.done;
    if (!has_few_shot && !has_knn) return 0;
    pf_html_print(stream,
                  "<section id=\"scores\" class=\"charts\"><h2>How good the features are</h2>");
    int failed = has_few_shot ? put_few_shot(stream, &findings->few_shot, err) : 0;
    put_knn(stream, findings);
    pf_html_print(stream, "</section>\n");
    return failed;
}

/* ---- models ---- */

/* "2: bees" of models/bees.safetensors; "model 2" where nothing may be told. */
static void name_model(const PfPageData *data, const PfModelComparison *found, int model,
                       char text[NAME_SIZE])
{
    const char *path = found->models[model].path, *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *end = strrchr(name, '.');
    size_t size = end && end > name ? (size_t)(end - name) : strlen(name);
    if (data->is_anonymous)
        snprintf(text, NAME_SIZE, "model %d", model + 1);
    else
        snprintf(text, NAME_SIZE, "%d: %.*s", model + 1, (int)pf_min((int64_t)size, 120), name);
}

static void put_model_rows(FILE *stream, const PfModelComparison *found,
                           const PfChartInterval *items)
{
    pf_html_print(stream, "<div class=\"scroll\"><table class=\"numbers sortable\" id=\"models\">"
                          "<thead><tr><th>model</th><th>accuracy</th><th>95 %% from</th><th>to</th>"
                          "<th>mean recall</th><th>log loss</th></tr></thead><tbody>");
    for (int m = 0; m < found->model_count; m++) {
        const PfComparedModel *model = &found->models[m];
        pf_html_print(stream,
                      "<tr><td>%s</td><td>%.4f</td><td>%.4f</td><td>%.4f</td><td>%.4f</td>"
                      "<td>%.4f</td></tr>",
                      items[m].name, model->accuracy, model->interval.low, model->interval.high,
                      model->macro_recall, model->log_loss);
    }
    pf_html_print(stream, "</tbody></table></div>");
}

static void put_pair_rows(FILE *stream, const PfModelComparison *found)
{
    pf_html_print(stream, "<div class=\"scroll\"><table class=\"numbers\" id=\"pairs\"><thead><tr>"
                          "<th>models</th><th>difference</th><th>95 %% from</th><th>to</th>"
                          "<th>only first right</th><th>only second</th>"
                          "<th>McNemar p</th><th></th></tr></thead><tbody>");
    for (int p = 0; p < found->pair_count; p++) {
        const PfComparedPair *pair = &found->pairs[p];
        pf_html_print(stream,
                      "<tr><td>%d and %d</td><td>%+.4f</td><td>%+.4f</td><td>%+.4f</td>"
                      "<td>%lld</td><td>%lld</td><td>%.3g</td><td>",
                      pair->a + 1, pair->b + 1, pair->difference, pair->interval.low,
                      pair->interval.high, (long long)pair->only_a, (long long)pair->only_b,
                      pair->p);
        if (pair->p >= 0.05)
            pf_html_print(stream, "may be chance</td></tr>");
        else
            pf_html_print(stream, "%d is better</td></tr>",
                          1 + (pair->only_a > pair->only_b ? pair->a : pair->b));
    }
    pf_html_print(stream, "</tbody></table></div>");
}

static int put_models(FILE *stream, const PfPageData *data, PfError *err)
{
    const PfModelComparison *found = &data->findings->models;
    if (!found->status.done || !found->model_count) return 0;
    size_t most = (size_t)pf_max(found->model_count, found->pair_count);
    PfChartInterval *items = pf_calloc(2 * most, sizeof *items, err);
    char(*names)[NAME_SIZE] = pf_calloc(2 * most, NAME_SIZE, err);
    int failed = !items || !names;
    for (int m = 0; m < found->model_count && !failed; m++) {
        const PfComparedModel *model = &found->models[m];
        name_model(data, found, m, names[m]);
        items[m] =
            (PfChartInterval){names[m], model->accuracy, model->interval.low, model->interval.high};
    }
    for (int p = 0; p < found->pair_count && !failed; p++) {
        const PfComparedPair *pair = &found->pairs[p];
        snprintf(names[most + (size_t)p], NAME_SIZE, "%d less %d", pair->a + 1, pair->b + 1);
        items[most + (size_t)p] = (PfChartInterval){names[most + (size_t)p], pair->difference,
                                                    pair->interval.low, pair->interval.high};
    }
    if (!failed) {
        pf_html_print(stream,
                      "<section id=\"comparison\" class=\"charts\"><h2>Models side by "
                      "side</h2><p>On the same %lld "
                      "%s images%s. Bars are 95 %% intervals. Mistakes, confusion and map on this "
                      "page are those of model 1.</p>",
                      (long long)found->rows, found->split,
                      found->may_be_learned ? " (a model may have learned from some of them)" : "");
        pf_html_print(stream, "<div class=\"pane\">");
        pf_chart_intervals(stream, "model-accuracy", "Accuracy of each model", "accuracy", items,
                           found->model_count);
        pf_html_print(stream, "</div><div class=\"pane\">");
        pf_chart_intervals(stream, "model-differences", "Differences of accuracy, pair by pair",
                           "difference", items + most, found->pair_count);
        pf_html_print(stream, "</div>");
        put_model_rows(stream, found, items);
        put_pair_rows(stream, found);
        pf_html_print(stream, "</section>\n");
    }
    free(items);
    free(names);
    return failed ? -1 : 0;
}

int pf_page_score_sections(FILE *stream, const PfPageData *data, PfError *err)
{
    if (!data->findings) return 0;
    return put_models(stream, data, err) || put_classes(stream, data, err) ||
                   put_features(stream, data->findings, err)
               ? -1
               : 0;
}

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "inspect/page/chart.h"
#include "inspect/page/html.h"
#include "inspect/page/sections.h"

#define MOST_AXES 16

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* "val_accuracy", "val_r2": the score's name, behind "val_"; NULL where there is none. */
static const char *score_key(const cJSON *object)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object) if (!strncmp(item->string, "val_", 4) &&
                                         strcmp(item->string, "val_loss")) return item->string;
    return NULL;
}

/* A ranking by the train part, where there were no val rows: its score; NULL where it has none. */
static const char *train_score_key(const cJSON *object)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object) if (!strncmp(item->string, "train_", 6) &&
                                         strcmp(item->string, "train_loss")) return item->string;
    return NULL;
}

/* ---- the training curve ---- */

static void put_curve(FILE *stream, const char *id, const char *title, const char *name,
                      const cJSON *epochs, const char *const keys[2], double *x, double *y[2])
{
    int64_t count = 0;
    const cJSON *epoch;
    cJSON_ArrayForEach(epoch, epochs)
    {
        x[count] = number(epoch, "epoch");
        for (int s = 0; s < 2; s++) y[s][count] = number(epoch, keys[s]);
        count++;
    }
    PfChartSeries series[] = {{"train", count, x, y[0], NULL, NULL},
                              {"val", count, x, y[1], NULL, NULL}};
    PfChart chart = {.id = id, .title = title};
    chart.x = pf_chart_axis("epoch", series, 2, true);
    chart.y = pf_chart_axis(name, series, 2, false);
    pf_chart_lines(stream, &chart, series, 2, false);
}

static int put_epochs(FILE *stream, const cJSON *epochs, PfError *err)
{
    size_t count = (size_t)cJSON_GetArraySize(epochs);
    double *x = pf_calloc(3 * count, sizeof *x, err);
    if (!x) return -1;
    double *y[] = {x + count, x + 2 * count};
    const char *score = score_key(epochs->child), *losses[] = {"train_loss", "val_loss"};
    char train[64];
    put_curve(stream, "curve-loss", "Loss by epoch", "loss", epochs, losses, x, y);
    if (score) {
        snprintf(train, sizeof train, "train_%s", score + 4);
        const char *scores[] = {train, score};
        put_curve(stream, "curve-score", "Score by epoch", score + 4, epochs, scores, x, y);
    }
    free(x);
    return 0;
}

/* ---- the sweep ---- */

/* The settings' names, those of the taps too. */
static int list_axes(const cJSON *ranked, const char *names[MOST_AXES])
{
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(ranked, "setting")) if (count <
                                                                                      MOST_AXES - 1)
        names[count++] = item->string;
    if (cJSON_GetObjectItemCaseSensitive(ranked, "tap")) names[count++] = "tap";
    return count;
}

static const char *value_of(const cJSON *ranked, const char *name)
{
    const char *tap = strcmp(name, "tap") ? NULL : pf_json_member_text(ranked, "tap");
    const char *text =
        tap ? tap : pf_json_member_text(cJSON_GetObjectItemCaseSensitive(ranked, "setting"), name);
    return text ? text : "";
}

static void put_ranking(FILE *stream, const cJSON *ranking, const char *const *names, int axes,
                        const char *score)
{
    int place = 0;
    bool has_deviations = false;
    const bool of_train = !strncmp(score, "train_", 6);
    const char *split = of_train ? "train" : "val";
    const cJSON *ranked;
    cJSON_ArrayForEach(ranked, ranking) has_deviations |= !isnan(number(ranked, "deviation"));
    pf_html_print(stream,
                  "<div class=\"pane scroll\"><table class=\"sortable\" id=\"sweep\"><thead><tr>"
                  "<th>rank</th><th>%s %s</th>",
                  split, score + strlen(split) + 1);
    if (has_deviations) pf_html_print(stream, "<th>deviation</th>");
    pf_html_print(stream, "<th>%s loss</th>", split);
    for (int a = 0; a < axes; a++) pf_html_print(stream, "<th>%s</th>", names[a]);
    pf_html_print(stream, "</tr></thead><tbody>");
    cJSON_ArrayForEach(ranked, ranking)
    {
        double deviation = number(ranked, "deviation");
        pf_html_print(stream, "<tr><td>%d</td><td>%.4f</td>", ++place, number(ranked, score));
        if (has_deviations && isnan(deviation))
            pf_html_print(stream, "<td></td>");
        else if (has_deviations)
            pf_html_print(stream, "<td>%.4f</td>", deviation);
        pf_html_print(stream, "<td>%.4f</td>",
                      number(ranked, of_train ? "train_loss" : "val_loss"));
        for (int a = 0; a < axes; a++)
            pf_html_print(stream, "<td>%s</td>", value_of(ranked, names[a]));
        pf_html_print(stream, "</tr>");
    }
    pf_html_print(stream, "</tbody></table></div>\n");
}

/* Where a setting's value stands among those of its axis, from 0 to 1: numbers by their size (by
 * their logarithm where they reach over two powers of ten), words in the order of their first use.
 */
static void place_axis(const cJSON *ranking, const char *name, int columns, double *values,
                       const char *labels[2])
{
    double low = INFINITY, high = -INFINITY;
    bool is_number = true;
    const cJSON *ranked;
    cJSON_ArrayForEach(ranked, ranking)
    {
        char *end;
        const char *text = value_of(ranked, name);
        double value = strtod(text, &end);
        is_number &= *text && !*end && isfinite(value);
        if (value < low) low = value, labels[0] = text;
        if (value > high) high = value, labels[1] = text;
    }
    bool is_logarithmic = is_number && low > 0 && high / low >= 100;
    int words = 0, place = 0;
    cJSON_ArrayForEach(ranked, ranking)
    {
        const char *text = value_of(ranked, name);
        double value = strtod(text, NULL);
        if (is_number) {
            values[place++ * columns] = high == low      ? 0.5
                                        : is_logarithmic ? log(value / low) / log(high / low)
                                                         : (value - low) / (high - low);
            continue;
        }
        int known = 0;
        const cJSON *other = ranking->child;
        while (strcmp(value_of(other, name), text)) other = other->next, known++;
        if (other == ranked) labels[words++ ? 1 : 0] = text;
        values[place++ * columns] = known;
    }
    for (int i = 0, count = place; i < count && !is_number; i++)
        values[i * columns] /= fmax(1, count - 1);
    if (words == 1) labels[1] = labels[0];
}

static int put_parallel(FILE *stream, const cJSON *ranking, const char *const *names, int axes,
                        const char *score, PfError *err)
{
    int columns = axes + 1, rows = cJSON_GetArraySize(ranking), row = 0;
    const char *titles[MOST_AXES + 1], *labels[2 * (MOST_AXES + 1)] = {0};
    double *values = pf_calloc((size_t)(rows * columns), sizeof *values, err);
    double low = INFINITY, high = -INFINITY;
    char ends[2][32];
    if (!values) return -1;
    for (int a = 0; a < axes; a++) {
        titles[a] = names[a];
        place_axis(ranking, names[a], columns, values + a, labels + 2 * a);
    }
    const cJSON *ranked;
    cJSON_ArrayForEach(ranked, ranking)
    {
        low = fmin(low, number(ranked, score));
        high = fmax(high, number(ranked, score));
    }
    cJSON_ArrayForEach(ranked, ranking) values[row++ * columns + axes] =
        high > low ? (number(ranked, score) - low) / (high - low) : 0.5;
    titles[axes] = strchr(score, '_') + 1;
    snprintf(ends[0], sizeof ends[0], "%.4f", low);
    snprintf(ends[1], sizeof ends[1], "%.4f", high);
    labels[2 * axes] = ends[0];
    labels[2 * axes + 1] = ends[1];
    for (int i = 0; i < 2 * columns; i++)
        if (!labels[i]) labels[i] = "";
    pf_chart_parallel(stream, "parallel", "Settings side by side", titles, columns, values, rows,
                      labels);
    free(values);
    return 0;
}

static int put_sweep(FILE *stream, const cJSON *ranking, PfError *err)
{
    const char *names[MOST_AXES], *score = score_key(ranking->child);
    int axes = list_axes(ranking->child, names);
    if (!score) score = train_score_key(ranking->child);
    if (!score) return 0;
    pf_html_print(stream,
                  "<section id=\"settings\" class=\"charts\"><h2>Settings that were tried</h2>"
                  "<p class=\"note\">A click on a heading sorts by it.</p>");
    put_ranking(stream, ranking, names, axes, score);
    int failed = axes ? put_parallel(stream, ranking, names, axes, score, err) : 0;
    pf_html_print(stream, "</section>\n");
    return failed;
}

int pf_page_run_section(FILE *stream, const PfPageData *data, PfError *err)
{
    const cJSON *epochs = cJSON_GetObjectItemCaseSensitive(data->result, "epochs");
    const cJSON *ranking = cJSON_GetObjectItemCaseSensitive(data->result, "sweep");
    int failed = 0;
    if (cJSON_GetArraySize(epochs) > 1) {
        pf_html_print(stream, "<section id=\"training\" class=\"charts\"><h2>Training</h2>");
        failed = put_epochs(stream, epochs, err);
        pf_html_print(stream, "</section>\n");
    }
    if (!failed && cJSON_GetArraySize(ranking) > 1) failed = put_sweep(stream, ranking, err);
    return failed;
}

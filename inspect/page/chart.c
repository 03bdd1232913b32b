#include "inspect/page/chart.h"

#include <math.h>
#include <string.h>

#include "common/base/integers.h"
#include "inspect/page/html.h"

/* Of the coordinate system that charts are drawn in; the page scales them. */
#define WIDTH 480.0
#define HEIGHT 270.0
#define LEFT 54.0
#define RIGHT 14.0
#define TOP 14.0
#define BOTTOM 44.0
#define TICKS 5
#define MOST_TICKS 20
/* Names that are longer are cut. On a phone letters are larger, COLUMN wide. */
#define LABEL_COLUMNS 18
#define COLUMN 7.8
/* Of matrices of more than so many classes. */
#define MANY_CLASSES 12
#define WIDE 760.0
/* Of bars, which may be of pairs of classes. */
#define BAR_COLUMNS 27
#define BAR 12.0 /* high */
/* Longer tables are cut, and say so: the numbers are in the JSON. */
#define TABLE_ROWS 200

/* attributes: markup of our own. */
static void begin_figure(FILE *stream, const char *id, const char *title, const char *attributes,
                         double width, double height)
{
    pf_html_print(stream, "<figure id=\"%s\"><figcaption>%s</figcaption><svg", id, title);
    fwrite(attributes, 1, strlen(attributes), stream);
    pf_html_print(stream, " viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">", width, height,
                  title);
}

static void begin_table(FILE *stream)
{
    pf_html_print(stream, "</svg><details><summary>As a table</summary><div class=\"scroll\">"
                          "<table>");
}

static void end_table(FILE *stream)
{
    pf_html_print(stream, "</table></div></details></figure>\n");
}

/* ---- names ---- */

/* Columns that the letters of a label take, at most. */
static int label_columns(const char *const *names, int64_t count, int most)
{
    int64_t longest = 4;
    for (int64_t i = 0; i < count; i++) longest = pf_max(longest, (int64_t)strlen(names[i]));
    return (int)pf_min(longest, most);
}

/* A name beside a chart, at the end of the <text> that the format begins; cut where it has no room,
 * with all of it behind it for the mouse. */
static void end_label(FILE *stream, const char *name, int columns)
{
    if (pf_html_print_short(stream, name, columns))
        pf_html_print(stream, "<title>%s</title>", name);
    pf_html_print(stream, "</text>");
}

/* ---- axes ---- */

/* Makes room between low and high where they are equal, or as good as: at least this much on either
 * side. */
static void part_ends(PfChartAxis *axis, double least)
{
    const double size = fmax(fabs(axis->low), fabs(axis->high));
    if (axis->high - axis->low > 1e-9 * size) return;
    const double room = fmax(least, 1e-3 * size);
    axis->low -= room;
    axis->high += room;
}

PfChartAxis pf_chart_axis(const char *title, const PfChartSeries *series, int count, bool is_x)
{
    PfChartAxis axis = {.title = title, .low = INFINITY, .high = -INFINITY};
    for (int s = 0; s < count; s++)
        for (int64_t i = 0; i < series[s].count; i++) {
            double value = is_x ? series[s].x[i] : series[s].y[i];
            if (!isfinite(value)) continue;
            axis.low = fmin(axis.low, value);
            axis.high = fmax(axis.high, value);
        }
    if (!(axis.low <= axis.high)) axis.low = 0, axis.high = 1;
    part_ends(&axis, 0.5);
    double margin = is_x ? 0 : 0.04 * (axis.high - axis.low);
    axis.low -= margin;
    axis.high += margin;
    return axis;
}

static double place(const PfChartAxis *axis, double value)
{
    if (axis->is_logarithmic)
        return (log(value) - log(axis->low)) / (log(axis->high) - log(axis->low));
    return (value - axis->low) / (axis->high - axis->low);
}

static double place_x(const PfChart *chart, double value)
{
    return LEFT + place(&chart->x, value) * (WIDTH - LEFT - RIGHT);
}

static double place_y(const PfChart *chart, double value)
{
    return HEIGHT - BOTTOM - place(&chart->y, value) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that about TICKS of them fit. */
static double tick_step(const PfChartAxis *axis)
{
    double rough = (axis->high - axis->low) / TICKS, power = pow(10, floor(log10(rough)));
    double factor = rough / power;
    return power * (factor < 1.5 ? 1 : factor < 3.5 ? 2 : factor < 7.5 ? 5 : 10);
}

/* Multiples of a round step, from low to high. Numbers that are too large or too close together to
 * be told apart end the list, so that it always has an end. */
typedef struct Ticks {
    double first, step;
    int count;
} Ticks;

static double tick_at(const Ticks *ticks, int i)
{
    double value = ticks->first + i * ticks->step;
    return fabs(value) < 1e-9 * ticks->step ? 0.0 : value;
}

static Ticks list_ticks(const PfChartAxis *axis)
{
    Ticks ticks = {.step = tick_step(axis)};
    ticks.first = ceil(axis->low / ticks.step - 1e-9) * ticks.step;
    while (ticks.count < MOST_TICKS &&
           tick_at(&ticks, ticks.count) <= axis->high + 1e-9 * ticks.step)
        ticks.count++;
    return ticks;
}

/* A line from top to bottom, and its number below it. */
static void put_x_tick(FILE *stream, double x, double bottom, double value)
{
    pf_html_print(stream,
                  "<line class=\"grid\" x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\"/>"
                  "<text class=\"tick\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.4g</text>",
                  x, TOP, x, bottom, x, bottom + 15, value);
}

static void put_x_ticks(FILE *stream, const PfChart *chart)
{
    const Ticks ticks = list_ticks(&chart->x);
    for (int i = 0; i < chart->x_tick_count; i++)
        put_x_tick(stream, place_x(chart, chart->x_ticks[i]), HEIGHT - BOTTOM, chart->x_ticks[i]);
    for (int i = 0; i < ticks.count && !chart->x_tick_count; i++)
        put_x_tick(stream, place_x(chart, tick_at(&ticks, i)), HEIGHT - BOTTOM, tick_at(&ticks, i));
}

static void put_axes(FILE *stream, const PfChart *chart)
{
    put_x_ticks(stream, chart);
    const Ticks ticks = list_ticks(&chart->y);
    for (int i = 0; i < ticks.count; i++) {
        const double value = tick_at(&ticks, i), y = place_y(chart, value);
        pf_html_print(stream,
                      "<line class=\"grid\" x1=\"%g\" y1=\"%.1f\" x2=\"%g\" y2=\"%.1f\"/>"
                      "<text class=\"tick\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>",
                      LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, value);
    }
    pf_html_print(stream,
                  "<text class=\"axis\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>"
                  "<text class=\"axis\" transform=\"translate(13 %g) rotate(-90)\" "
                  "text-anchor=\"middle\">%s</text>",
                  (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, chart->x.title,
                  (TOP + HEIGHT - BOTTOM) / 2, chart->y.title);
    if (chart->has_diagonal)
        pf_html_print(stream,
                      "<line class=\"diagonal\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                      "y2=\"%.1f\"/>",
                      place_x(chart, fmax(chart->x.low, chart->y.low)),
                      place_y(chart, fmax(chart->x.low, chart->y.low)),
                      place_x(chart, fmin(chart->x.high, chart->y.high)),
                      place_y(chart, fmin(chart->x.high, chart->y.high)));
}

static bool is_there(const PfChartSeries *series, int64_t i)
{
    return isfinite(series->x[i]) && isfinite(series->y[i]);
}

/* ---- lines and points ---- */

static void put_line(FILE *stream, const PfChart *chart, const PfChartSeries *series, int number,
                     bool markers)
{
    const char *mark = markers ? "" : " mark";
    pf_html_print(stream, "<polyline class=\"line s%d%s\" points=\"", number % PF_CHART_SERIES,
                  mark);
    for (int64_t i = 0; i < series->count; i++)
        if (is_there(series, i))
            pf_html_print(stream, "%.1f,%.1f ", place_x(chart, series->x[i]),
                          place_y(chart, series->y[i]));
    pf_html_print(stream, "\"><title>%s</title></polyline>", series->name);
}

/* There and back again. */
static void put_band(FILE *stream, const PfChart *chart, const PfChartSeries *series, int number)
{
    if (!series->low || !series->high) return;
    pf_html_print(stream, "<polygon class=\"band s%d\" points=\"", number % PF_CHART_SERIES);
    for (int64_t i = 0; i < series->count; i++)
        if (is_there(series, i))
            pf_html_print(stream, "%.1f,%.1f ", place_x(chart, series->x[i]),
                          place_y(chart, series->high[i]));
    for (int64_t i = series->count - 1; i >= 0; i--)
        if (is_there(series, i))
            pf_html_print(stream, "%.1f,%.1f ", place_x(chart, series->x[i]),
                          place_y(chart, series->low[i]));
    pf_html_print(stream, "\"/>");
}

static void put_points(FILE *stream, const PfChart *chart, const PfChartSeries *series, int number,
                       double radius)
{
    for (int64_t i = 0; i < series->count; i++)
        if (is_there(series, i))
            pf_html_print(stream,
                          "<circle class=\"dot s%d mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\">"
                          "<title>%s: %.5g, %.5g</title></circle>",
                          number % PF_CHART_SERIES, place_x(chart, series->x[i]),
                          place_y(chart, series->y[i]), radius, series->name, series->x[i],
                          series->y[i]);
}

static void put_point_row(FILE *stream, const PfChartSeries *series, int64_t i)
{
    if (!is_there(series, i)) return;
    pf_html_print(stream, "<tr><td>%s</td><td>%.6g</td><td>%.6g</td>", series->name, series->x[i],
                  series->y[i]);
    if (series->low)
        pf_html_print(stream, "<td>%.6g</td><td>%.6g</td>", series->low[i], series->high[i]);
    pf_html_print(stream, "</tr>");
}

/* Behind the chart: which colour is which, and the numbers. */
static void end_series(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count)
{
    pf_html_print(stream, "</svg><p class=\"legend\">");
    for (int s = 0; s < count && count > 1; s++)
        pf_html_print(stream, "<span class=\"key s%d\">%s</span> ", s % PF_CHART_SERIES,
                      series[s].name);
    pf_html_print(stream,
                  "</p><details><summary>As a table</summary><div class=\"scroll\"><table>"
                  "<tr><th></th><th>%s</th><th>%s</th>",
                  chart->x.title, chart->y.title);
    if (count && series->low) pf_html_print(stream, "<th>lowest</th><th>highest</th>");
    pf_html_print(stream, "</tr>");
    for (int s = 0; s < count; s++) {
        int64_t stride = (series[s].count + TABLE_ROWS - 1) / TABLE_ROWS;
        for (int64_t i = 0; i < series[s].count; i += stride) put_point_row(stream, &series[s], i);
        if (stride > 1)
            pf_html_print(stream, "<tr><td colspan=\"3\">one of %lld points is shown</td></tr>",
                          (long long)stride);
    }
    end_table(stream);
}

void pf_chart_lines(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count,
                    bool markers)
{
    begin_figure(stream, chart->id, chart->title, "", WIDTH, HEIGHT);
    put_axes(stream, chart);
    for (int s = 0; s < count; s++) put_band(stream, chart, &series[s], s);
    for (int s = 0; s < count; s++) put_line(stream, chart, &series[s], s, markers);
    for (int s = 0; s < count && markers; s++) put_points(stream, chart, &series[s], s, 3);
    end_series(stream, chart, series, count);
}

void pf_chart_points(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count)
{
    begin_figure(stream, chart->id, chart->title, "", WIDTH, HEIGHT);
    put_axes(stream, chart);
    for (int s = 0; s < count; s++) put_points(stream, chart, &series[s], s, 2);
    end_series(stream, chart, series, count);
}

/* ---- bars ---- */

static void put_bar(FILE *stream, const PfChartBars *bars, int64_t group, int series, double left,
                    double room, double y)
{
    double value = bars->values[series * bars->groups + group];
    double length = room * value / (bars->full > 0 ? bars->full : 1);
    char number[32];
    if (!isfinite(value)) return;
    snprintf(number, sizeof number, "%.*f", bars->decimals, value);
    pf_html_print(stream,
                  "<rect class=\"bar s%d mark\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
                  "height=\"%g\"><title>%s, %s: %s</title></rect>"
                  "<text class=\"value\" x=\"%.1f\" y=\"%.1f\">%s</text>",
                  series % PF_CHART_SERIES, left, y, length, BAR - 1, bars->names[group],
                  bars->series[series], number, left + length + 4, y + 9, number);
}

static void end_bars(FILE *stream, const PfChartBars *bars)
{
    pf_html_print(stream, "</svg><p class=\"legend\">");
    for (int s = 0; s < bars->series_count && bars->series_count > 1; s++)
        pf_html_print(stream, "<span class=\"key s%d\">%s</span> ", s % PF_CHART_SERIES,
                      bars->series[s]);
    pf_html_print(stream, "</p><details><summary>As a table</summary><div class=\"scroll\"><table>"
                          "<tr><th></th>");
    for (int s = 0; s < bars->series_count; s++)
        pf_html_print(stream, "<th>%s</th>", bars->series[s]);
    for (int64_t g = 0; g < bars->groups; g++) {
        pf_html_print(stream, "</tr><tr><td>%s</td>", bars->names[g]);
        for (int s = 0; s < bars->series_count; s++) {
            char number[32];
            double value = bars->values[s * bars->groups + g];
            snprintf(number, sizeof number, "%.*f", bars->decimals, value);
            pf_html_print(stream, "<td>%s</td>", isfinite(value) ? number : "");
        }
    }
    pf_html_print(stream, "</tr>");
    end_table(stream);
}

void pf_chart_bars(FILE *stream, const PfChartBars *bars)
{
    const double left = 12 + COLUMN * label_columns(bars->names, bars->groups, BAR_COLUMNS);
    const double room = WIDTH - left - 54, group = BAR * bars->series_count + 9;
    begin_figure(stream, bars->id, bars->title, "", WIDTH, (double)bars->groups * group + 4);
    for (int64_t g = 0; g < bars->groups; g++) {
        double top = (double)g * group + 4;
        pf_html_print(stream, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">",
                      left - 8, top + group / 2);
        end_label(stream, bars->names[g], BAR_COLUMNS);
        for (int s = 0; s < bars->series_count; s++)
            put_bar(stream, bars, g, s, left, room, top + BAR * s);
    }
    end_bars(stream, bars);
}

/* ---- intervals ---- */

static PfChartAxis intervals_axis(const char *title, const PfChartInterval *items, int count)
{
    PfChartAxis axis = {.title = title, .low = INFINITY, .high = -INFINITY};
    for (int i = 0; i < count; i++) {
        axis.low = fmin(axis.low, fmin(items[i].value, items[i].low));
        axis.high = fmax(axis.high, fmax(items[i].value, items[i].high));
    }
    if (!(axis.low <= axis.high)) axis.low = 0, axis.high = 1;
    part_ends(&axis, 0.05);
    double margin = 0.05 * (axis.high - axis.low);
    axis.low -= margin;
    axis.high += margin;
    return axis;
}

static void put_interval(FILE *stream, const PfChartInterval *item, double low, double value,
                         double high, double y)
{
    pf_html_print(stream, "<g class=\"s0 mark\"><title>%s: %.4f", item->name, item->value);
    if (isfinite(item->low)) pf_html_print(stream, " (%.4f to %.4f)", item->low, item->high);
    pf_html_print(stream, "</title>");
    if (isfinite(item->low))
        pf_html_print(stream,
                      "<line class=\"line\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>", low,
                      y, high, y);
    pf_html_print(stream, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/></g>", value, y);
}

static void end_intervals(FILE *stream, const char *axis, const PfChartInterval *items, int count)
{
    begin_table(stream);
    pf_html_print(stream, "<tr><th></th><th>%s</th><th>95 %% from</th><th>to</th></tr>", axis);
    for (int i = 0; i < count; i++) {
        pf_html_print(stream, "<tr><td>%s</td><td>%.4f</td>", items[i].name, items[i].value);
        if (isfinite(items[i].low))
            pf_html_print(stream, "<td>%.4f</td><td>%.4f</td></tr>", items[i].low, items[i].high);
        else
            pf_html_print(stream, "<td></td><td></td></tr>");
    }
    end_table(stream);
}

void pf_chart_intervals(FILE *stream, const char *id, const char *title, const char *axis_title,
                        const PfChartInterval *items, int count)
{
    const double line = 28, left = 12 + COLUMN * LABEL_COLUMNS;
    const double room = WIDTH - left - RIGHT, bottom = TOP + line * count;
    PfChartAxis axis = intervals_axis(axis_title, items, count);
    const Ticks ticks = list_ticks(&axis);
    begin_figure(stream, id, title, "", WIDTH, bottom + BOTTOM);
    for (int i = 0; i < ticks.count; i++)
        put_x_tick(stream, left + room * place(&axis, tick_at(&ticks, i)), bottom,
                   tick_at(&ticks, i));
    if (axis.low < 0 && axis.high > 0)
        pf_html_print(stream,
                      "<line class=\"pillar\" x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\"/>",
                      left + room * place(&axis, 0), TOP, left + room * place(&axis, 0), bottom);
    for (int i = 0; i < count; i++) {
        double y = TOP + line * (i + 0.5);
        pf_html_print(stream, "<text class=\"tick\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">",
                      left - 8, y + 4);
        end_label(stream, items[i].name, LABEL_COLUMNS);
        put_interval(stream, &items[i], left + room * place(&axis, items[i].low),
                     left + room * place(&axis, items[i].value),
                     left + room * place(&axis, items[i].high), y);
    }
    pf_html_print(stream, "<text class=\"axis\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>",
                  left + room / 2, bottom + BOTTOM - 8, axis_title);
    end_intervals(stream, axis_title, items, count);
}

/* ---- matrices ---- */

static void put_cell(FILE *stream, const PfChartMatrix *matrix, int row, int column, double side,
                     double left, double top, int64_t total)
{
    int64_t count = matrix->counts[row * matrix->size + column];
    double share = total ? (double)count / (double)total : 0;
    double x = left + column * side, y = top + row * side;
    pf_html_print(stream,
                  "<g class=\"cell mark %s\" data-row=\"%d\" data-column=\"%d\" tabindex=\"0\" "
                  "role=\"button\"><title>%s: %s, %s: %s: %lld</title><rect class=\"under\" "
                  "x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/><rect class=\"shade\" "
                  "x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill-opacity=\"%.3f\"/>",
                  row == column ? "right" : "wrong", row, column, matrix->of, matrix->names[row],
                  matrix->as, matrix->names[column], (long long)count, x, y, side - 1, side - 1, x,
                  y, side - 1, side - 1, sqrt(share));
    if (count && side >= 17)
        pf_html_print(stream,
                      "<text class=\"count%s\" x=\"%.1f\" y=\"%.1f\" font-size=\"%.1f\" "
                      "text-anchor=\"middle\">%lld</text>",
                      share > 0.3 ? " strong" : "", x + side / 2 - 0.5, y + side / 2 + side * 0.12,
                      fmin(13, side * (count < 1000 ? 0.4 : 0.28)), (long long)count);
    pf_html_print(stream, "</g>");
}

void pf_chart_matrix(FILE *stream, const PfChartMatrix *matrix)
{
    const int size = matrix->size;
    const double label = COLUMN * label_columns(matrix->names, size, LABEL_COLUMNS),
                 slope = 0.71 * label;
    const double left = fmax(74, 12 + label), top = 36 + slope;
    const double most = size > MANY_CLASSES ? WIDE : WIDTH;
    const double side = fmin(48, (most - left - slope) / size), width = left + side * size + slope;
    char attributes[64] = "";
    if (size <= MANY_CLASSES)
        snprintf(attributes, sizeof attributes, " class=\"narrow\" width=\"%.0f\"", 1.15 * width);
    begin_figure(stream, matrix->id, matrix->title, attributes, width, top + side * size + 8);
    pf_html_print(stream,
                  "<text class=\"axis\" x=\"%g\" y=\"14\">%s</text><text class=\"axis\" x=\"%g\" "
                  "y=\"%g\" text-anchor=\"end\">%s</text>",
                  left, matrix->as, left - 6, top - 8, matrix->of);
    for (int i = 0; i < size; i++) {
        if (side < 15 && i % 2) continue; /* names that would lie over each other */
        if (side < 7.5 && i % 4) continue;
        pf_html_print(stream, "<text class=\"tick\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">",
                      left - 6, top + side * (i + 0.5) + 4);
        end_label(stream, matrix->names[i], LABEL_COLUMNS);
        pf_html_print(stream, "<text class=\"tick\" transform=\"translate(%.1f %g) rotate(-45)\">",
                      left + side * (i + 0.5), top - 6);
        end_label(stream, matrix->names[i], LABEL_COLUMNS);
    }
    for (int r = 0; r < size; r++) {
        int64_t total = 0;
        for (int c = 0; c < size; c++) total += matrix->counts[r * size + c];
        for (int c = 0; c < size; c++) put_cell(stream, matrix, r, c, side, left, top, total);
    }
    begin_table(stream);
    pf_html_print(stream, "<tr><th>%s \\ %s</th>", matrix->of, matrix->as);
    for (int c = 0; c < size; c++) pf_html_print(stream, "<th>%s</th>", matrix->names[c]);
    for (int r = 0; r < size; r++) {
        pf_html_print(stream, "</tr><tr><th>%s</th>", matrix->names[r]);
        for (int c = 0; c < size; c++)
            pf_html_print(stream, "<td>%lld</td>", (long long)matrix->counts[r * size + c]);
    }
    pf_html_print(stream, "</tr>");
    end_table(stream);
}

/* ---- parallel coordinates ---- */

void pf_chart_parallel(FILE *stream, const char *id, const char *title, const char *const *columns,
                       int column_count, const double *values, int64_t rows,
                       const char *const *labels)
{
    const double top = 40, bottom = 26, side = 54;
    double gap = column_count > 1 ? (WIDTH - 2 * side) / (column_count - 1) : 0;
    begin_figure(stream, id, title, "", WIDTH, HEIGHT);
    for (int64_t r = rows - 1; r >= 0; r--) {
        pf_html_print(stream, "<polyline class=\"line mark %s\" points=\"",
                      r ? "other" : "s0 best");
        for (int c = 0; c < column_count; c++) {
            double value = values[r * column_count + c];
            pf_html_print(stream, "%.1f,%.1f ", side + gap * c,
                          HEIGHT - bottom -
                              (isfinite(value) ? value : 0) * (HEIGHT - top - bottom));
        }
        pf_html_print(stream, "\"/>");
    }
    for (int c = 0; c < column_count; c++) {
        double x = side + gap * c;
        pf_html_print(stream,
                      "<line class=\"pillar\" x1=\"%.1f\" y1=\"%g\" x2=\"%.1f\" y2=\"%g\"/>"
                      "<text class=\"axis\" x=\"%.1f\" y=\"14\" text-anchor=\"middle\">%s</text>"
                      "<text class=\"tick\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>"
                      "<text class=\"tick\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>",
                      x, top, x, HEIGHT - bottom, x, columns[c], x, HEIGHT - bottom + 14,
                      labels[2 * c], x, top - 6, labels[2 * c + 1]);
    }
    pf_html_print(stream, "</svg><p class=\"note\">The best setting is the thick line; all of them "
                          "are in the table above.</p></figure>\n");
}

/* Charts as inline SVG, each with a table behind it. Colours are the page's style sheet's, by
 * class: s0 to s7 are series. Each mark that is counted has the class "mark". */
#ifndef PF_INSPECT_PAGE_CHART_H
#define PF_INSPECT_PAGE_CHART_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PF_CHART_SERIES 8

typedef struct PfChartAxis {
    const char *title;
    double low, high;
    bool is_logarithmic;
} PfChartAxis;

typedef struct PfChartSeries {
    const char *name;
    int64_t count;
    const double *x, *y;      /* (count); a point with a NaN is left out */
    const double *low, *high; /* (count) a band around the line; or NULL */
} PfChartSeries;

/* id: of the figure, for scripts and tests; a literal. */
typedef struct PfChart {
    const char *id, *title;
    PfChartAxis x, y;
    bool has_diagonal;     /* a line where y = x */
    const double *x_ticks; /* (x_tick_count) in place of round numbers; or NULL */
    int x_tick_count;
} PfChart;

/* Low and high of all values, a little wider; 0 and 1 where there are none. */
PfChartAxis pf_chart_axis(const char *title, const PfChartSeries *series, int count, bool is_x);

/* Lines through points. markers: a mark on each point; else one mark per line. */
void pf_chart_lines(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count,
                    bool markers);
/* Points alone. */
void pf_chart_points(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count);

/* Horizontal bars in groups, from 0 on; a NaN has no bar. */
typedef struct PfChartBars {
    const char *id, *title;
    const char *const *names; /* (groups) */
    int64_t groups;
    const char *const *series; /* (series_count) */
    int series_count;
    const double *values; /* (series_count, groups) */
    double full;          /* the value of a bar of full length; 0: 1 */
    int decimals;         /* of the numbers beside the bars */
} PfChartBars;
void pf_chart_bars(FILE *stream, const PfChartBars *bars);

/* A value with its interval for each name, on one axis; with a line at 0 where the axis has it. */
typedef struct PfChartInterval {
    const char *name;
    double value, low, high; /* NaN: no interval */
} PfChartInterval;
void pf_chart_intervals(FILE *stream, const char *id, const char *title, const char *axis,
                        const PfChartInterval *items, int count);

/* A matrix of numbers, (rows, columns): rows are `of`, columns `as`; cells can be clicked, and
 * carry data-row and data-column. Shaded by the share of their row. */
typedef struct PfChartMatrix {
    const char *id, *title, *of, *as;
    const char *const *names; /* (size) */
    int size;
    const int64_t *counts; /* (size, size) */
} PfChartMatrix;
void pf_chart_matrix(FILE *stream, const PfChartMatrix *matrix);

/* A polyline per row over columns, the best row marked: values[r * columns + c] from 0 to 1.
 * labels: what stands at each column's low and high end, (columns, 2). */
void pf_chart_parallel(FILE *stream, const char *id, const char *title, const char *const *columns,
                       int column_count, const double *values, int64_t rows,
                       const char *const *labels);

#endif

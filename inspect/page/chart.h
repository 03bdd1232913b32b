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
    const double *x, *y; /* (count); a point with a NaN is left out */
} PfChartSeries;

/* id: of the figure, for scripts and tests; a literal. */
typedef struct PfChart {
    const char *id, *title;
    PfChartAxis x, y;
    bool has_diagonal; /* a line where y = x */
} PfChart;

/* Low and high of all values, a little wider; 0 and 1 where there are none. */
PfChartAxis pf_chart_axis(const char *title, const PfChartSeries *series, int count, bool is_x);

/* Lines through points. markers: a mark on each point; else one mark per line. */
void pf_chart_lines(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count,
                    bool markers);
/* Points alone. */
void pf_chart_points(FILE *stream, const PfChart *chart, const PfChartSeries *series, int count);

/* Horizontal bars from 0 to 1 in groups: values[s * groups + g]. */
void pf_chart_bars(FILE *stream, const char *id, const char *title, const char *const *names,
                   int64_t groups, const char *const *series, int series_count,
                   const double *values);

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

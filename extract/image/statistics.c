#include "extract/image/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "extract/image/luminance.h"

/* Sums of every eighth value, so that eight are added at once: always in the same order. */
#define LANES 8

typedef struct Sums {
    int64_t count;
    double sum[LANES], squares[LANES];
} Sums;

PF_IMAGE_CLONES static void add(Sums *sums, const double *values, int64_t n)
{
    double sum[LANES], squares[LANES];
    int64_t i = 0;
    memcpy(sum, sums->sum, sizeof sum);
    memcpy(squares, sums->squares, sizeof squares);
    for (; i + LANES <= n; i += LANES)
        for (int lane = 0; lane < LANES; lane++) {
            sum[lane] += values[i + lane];
            squares[lane] += values[i + lane] * values[i + lane];
        }
    for (int lane = 0; i + lane < n; lane++) {
        sum[lane] += values[i + lane];
        squares[lane] += values[i + lane] * values[i + lane];
    }
    memcpy(sums->sum, sum, sizeof sum);
    memcpy(sums->squares, squares, sizeof squares);
    sums->count += n;
}

static double total(const double lanes[LANES])
{
    double sum = 0;
    for (int lane = 0; lane < LANES; lane++) sum += lanes[lane];
    return sum;
}

static double mean_of(const Sums *sums)
{
    return sums->count ? total(sums->sum) / (double)sums->count : 0;
}

static double variance_of(const Sums *sums)
{
    double mean = mean_of(sums);
    return sums->count ? fmax(0, total(sums->squares) / (double)sums->count - mean * mean) : 0;
}

typedef struct Blocks {
    int factor;    /* pixels of a block's side */
    int columns;   /* blocks of a row */
    int32_t *sums; /* (columns * factor) of a row's pixels, over the block's height */
    double *room;  /* (3, columns) the rows of blocks of a strip; fewer of an image of fewer */
    double *edges; /* (columns) the Laplacian; NULL where there are fewer than three rows */
    Sums luminance, laplacian;
} Blocks;

PF_IMAGE_CLONES static void average(const int32_t *sums, int64_t columns, int factor, double *out)
{
    double scale = 1 / (1000.0 * factor * factor);
    if (factor == 1) {
        for (int64_t c = 0; c < columns; c++) out[c] = (double)sums[c] * scale;
        return;
    }
    for (int64_t c = 0; c < columns; c++) {
        int64_t sum = 0;
        for (int x = 0; x < factor; x++) sum += sums[c * factor + x];
        out[c] = (double)sum * scale;
    }
}

/* Inside the border; the rows are (columns). out: (columns - 2). */
PF_IMAGE_CLONES static void laplacian_of(const double *above, const double *middle,
                                         const double *below, int64_t columns, double *out)
{
    for (int64_t c = 1; c < columns - 1; c++)
        out[c - 1] = above[c] + below[c] + middle[c - 1] + middle[c + 1] - 4 * middle[c];
}

static void add_row(const PfImage *image, int row, Blocks *blocks)
{
    int64_t stride = (int64_t)pf_image_columns(image) * 3, columns = blocks->columns;
    for (int y = 0; y < blocks->factor; y++)
        pf_luminance_add(image->pixels + ((int64_t)row * blocks->factor + y) * stride,
                         columns * blocks->factor, y == 0, blocks->sums);
    double *newest = blocks->room + row % PF_IMAGE_STATISTICS_STRIDE * columns;
    average(blocks->sums, columns, blocks->factor, newest);
    add(&blocks->luminance, newest, columns);
    if (row % PF_IMAGE_STATISTICS_STRIDE < 2 || columns < 3) return;
    laplacian_of(blocks->room, blocks->room + columns, newest, columns, blocks->edges);
    add(&blocks->laplacian, blocks->edges, columns - 2);
}

int pf_image_measure(const PfImage *image, float out[PF_IMAGE_STATISTIC_COUNT], PfError *err)
{
    int width = pf_image_columns(image), height = pf_image_rows(image);
    int factor = (int)pf_max(1, pf_min(width, height) / PF_IMAGE_STATISTICS_SIDE);
    Blocks blocks = {.factor = factor, .columns = width / factor};
    size_t columns = (size_t)blocks.columns, rows = (size_t)(height / factor);
    bool has_edges = rows >= 3;
    blocks.room = pf_calloc((has_edges ? 4 : rows) * columns, sizeof *blocks.room, err);
    blocks.sums = pf_calloc(columns * (size_t)factor, sizeof *blocks.sums, err);
    int failed = !blocks.room || !blocks.sums;
    blocks.edges = failed || !has_edges ? NULL : blocks.room + 3 * columns;
    for (int row = 0; row < height / factor && !failed; row++)
        if (row % PF_IMAGE_STATISTICS_STRIDE < 3) add_row(image, row, &blocks);
    free(blocks.room);
    free(blocks.sums);
    if (failed) return -1;
    out[PF_IMAGE_WIDTH] = (float)image->width;
    out[PF_IMAGE_HEIGHT] = (float)image->height;
    out[PF_IMAGE_MEAN] = (float)mean_of(&blocks.luminance);
    out[PF_IMAGE_DEVIATION] = (float)sqrt(variance_of(&blocks.luminance));
    out[PF_IMAGE_LAPLACIAN] = (float)variance_of(&blocks.laplacian);
    return 0;
}

#include "extract/image/statistics.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

/* Sums over values, for mean and variance. */
typedef struct Sums {
    int64_t count;
    double sum, squares;
} Sums;

static void add(Sums *sums, double value)
{
    sums->count++;
    sums->sum += value;
    sums->squares += value * value;
}

static double mean_of(const Sums *sums)
{
    return sums->count ? sums->sum / (double)sums->count : 0;
}

static double variance_of(const Sums *sums)
{
    double mean = mean_of(sums);
    return sums->count ? fmax(0, sums->squares / (double)sums->count - mean * mean) : 0;
}

/* One row of blocks. */
static void average_row(const PfImage *image, int row, int factor, int columns, double *out)
{
    int64_t stride = (int64_t)pf_image_columns(image) * 3;
    for (int c = 0; c < columns; c++) {
        int64_t sum = 0;
        for (int y = 0; y < factor; y++) {
            const uint8_t *pixel =
                image->pixels + (int64_t)(row * factor + y) * stride + (int64_t)c * factor * 3;
            for (int x = 0; x < factor; x++, pixel += 3)
                sum += 299 * pixel[0] + 587 * pixel[1] + 114 * pixel[2];
        }
        out[c] = (double)sum / (1000.0 * factor * factor);
    }
}

int pf_image_measure(const PfImage *image, float out[PF_IMAGE_STATISTIC_COUNT], PfError *err)
{
    int width = pf_image_columns(image), height = pf_image_rows(image);
    int factor = (int)pf_max(1, pf_min(width, height) / PF_IMAGE_STATISTICS_SIDE);
    int columns = width / factor, rows = height / factor;
    Sums luminance = {0}, laplacian = {0};
    double *room = pf_calloc(3 * (size_t)columns, sizeof *room, err);
    if (!room) return -1;
    for (int r = 0; r < rows; r++) {
        double *row = room + (int64_t)(r % 3) * columns;
        average_row(image, r, factor, columns, row);
        for (int c = 0; c < columns; c++) add(&luminance, row[c]);
        const double *middle = room + (int64_t)((r + 2) % 3) * columns;
        const double *above = room + (int64_t)((r + 1) % 3) * columns;
        for (int c = 1; c < columns - 1 && r >= 2; c++)
            add(&laplacian, above[c] + row[c] + middle[c - 1] + middle[c + 1] - 4 * middle[c]);
    }
    free(room);
    out[PF_IMAGE_WIDTH] = (float)image->width;
    out[PF_IMAGE_HEIGHT] = (float)image->height;
    out[PF_IMAGE_MEAN] = (float)mean_of(&luminance);
    out[PF_IMAGE_DEVIATION] = (float)sqrt(variance_of(&luminance));
    out[PF_IMAGE_LAPLACIAN] = (float)variance_of(&laplacian);
    return 0;
}

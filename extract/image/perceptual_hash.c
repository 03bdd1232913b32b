#include "extract/image/perceptual_hash.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/cache/perceptual_hash.h"
#include "extract/image/luminance.h"

#define CELLS 32
#define ROWS_OF_CELL 4
#define FREQUENCIES 11 /* 0 to 10: the 64 bits reach v + u = 10 */
#define LEAST_AMPLITUDE 0.5
/* Of coefficients that are 0, as of symmetric images, but for rounding. */
#define ROUNDING 1e-6

/* The columns of cell k; an image may have fewer columns than there are cells. */
static int64_t first_column(int64_t width, int cell)
{
    return cell * width / CELLS;
}

static int64_t end_column(int64_t width, int cell)
{
    return pf_max(first_column(width, cell) + 1, first_column(width, cell + 1));
}

/* sums: room for a row. */
static void average_cells(const PfImage *image, int32_t *sums, double cells[CELLS][CELLS])
{
    const int64_t width = pf_image_columns(image), height = pf_image_rows(image);
    for (int r = 0; r < CELLS; r++) {
        for (int i = 0; i < ROWS_OF_CELL; i++) {
            int64_t row = (2 * ((int64_t)r * ROWS_OF_CELL + i) + 1) * height;
            row /= 2 * CELLS * ROWS_OF_CELL;
            pf_luminance_add(image->pixels + row * width * 3, width, i == 0, sums);
        }
        for (int c = 0; c < CELLS; c++) {
            const int64_t first = first_column(width, c), end = end_column(width, c);
            int64_t sum = 0;
            for (int64_t x = first; x < end; x++) sum += sums[x];
            cells[r][c] = (double)sum / (1000.0 * ROWS_OF_CELL * (double)(end - first));
        }
    }
}

/* out[v][u]: amplitudes in levels. */
static void transform(const double cells[CELLS][CELLS], double out[FREQUENCIES][FREQUENCIES])
{
    double cosines[FREQUENCIES][CELLS], rows[FREQUENCIES][CELLS];
    for (int f = 0; f < FREQUENCIES; f++)
        for (int x = 0; x < CELLS; x++)
            cosines[f][x] = cos(M_PI * (2 * x + 1) * f / (2.0 * CELLS)) / CELLS;
    for (int v = 0; v < FREQUENCIES; v++) {
        for (int x = 0; x < CELLS; x++) rows[v][x] = 0;
        for (int y = 0; y < CELLS; y++)
            for (int x = 0; x < CELLS; x++) rows[v][x] += cosines[v][y] * cells[y][x];
    }
    for (int v = 0; v < FREQUENCIES; v++)
        for (int u = 0; u < FREQUENCIES; u++) {
            out[v][u] = 0;
            for (int x = 0; x < CELLS; x++) out[v][u] += cosines[u][x] * rows[v][x];
        }
}

static uint64_t signs_of(const double amplitudes[FREQUENCIES][FREQUENCIES])
{
    uint64_t hash = 0;
    double most = 0;
    int bit = 0;
    for (int sum = 1; sum < FREQUENCIES; sum++)
        for (int v = 0; v <= sum && bit < PF_PERCEPTUAL_HASH_BITS; v++, bit++) {
            const double amplitude = amplitudes[v][sum - v];
            hash |= (uint64_t)(amplitude > ROUNDING) << bit;
            most = fmax(most, fabs(amplitude));
        }
    return most < LEAST_AMPLITUDE ? 0 : hash;
}

int pf_image_hash(const PfImage *image, uint64_t *out, PfError *err)
{
    double cells[CELLS][CELLS], amplitudes[FREQUENCIES][FREQUENCIES];
    int32_t *sums = pf_calloc((size_t)pf_image_columns(image), sizeof *sums, err);
    if (!sums) return -1;
    average_cells(image, sums, cells);
    free(sums);
    transform((const double(*)[CELLS])cells, amplitudes);
    *out = signs_of((const double(*)[FREQUENCIES])amplitudes);
    return 0;
}

#include "common/arch/positions.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

int64_t pf_positions_side(const PfNode *node)
{
    const int64_t places = node->shape.rank == 2 ? node->shape.dims[0] - node->start : 0;
    const int64_t side = places > 0 ? (int64_t)sqrt((double)places) : 0;
    return side * side == places ? side : 0;
}

/* What the places along an axis take: of each, which of the old ones and how much. */
typedef struct Axis {
    int64_t most;    /* that a place takes */
    int64_t *counts; /* (size) */
    int64_t *from;   /* (size, most) */
    double *weights; /* (size, most) */
} Axis;

/* Keys, Cubic Convolution Interpolation, 1981: of a place at that distance. */
static double cubic(double distance, double a)
{
    const double d = fabs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static float place_of(const PfNode *node, int64_t side, int64_t size, int64_t i)
{
    if (node->align_corners) return size > 1 ? (float)(side - 1) / (float)(size - 1) * (float)i : 0;
    const double factor = ((double)size + (double)node->value) / (double)side;
    return (float)(1 / factor) * ((float)i + 0.5f) - 0.5f;
}

static void set_four(const PfNode *node, int64_t side, int64_t size, int64_t i, Axis *axis)
{
    const float place = place_of(node, side, size, i);
    const int64_t before = (int64_t)floorf(place);
    axis->counts[i] = 4;
    for (int k = 0; k < 4; k++) {
        const int64_t at = before - 1 + k;
        axis->from[i * axis->most + k] = pf_max(0, pf_min(at, side - 1));
        axis->weights[i * axis->most + k] = cubic((double)place - (double)at, -0.75);
    }
}

/* The cubic is as wide as the new places are where these are fewer, and what of it lies outside is
 * left out. */
static void set_antialiased(int64_t side, int64_t size, int64_t i, Axis *axis)
{
    const double factor = (double)((float)side / (float)size), width = factor > 1 ? factor : 1;
    const double centre = factor * ((double)i + 0.5);
    const int64_t first = pf_max(0, (int64_t)(centre - 2 * width + 0.5));
    const int64_t end = pf_min(side, (int64_t)(centre + 2 * width + 0.5));
    double *weights = axis->weights + i * axis->most, sum = 0;
    axis->counts[i] = pf_min(end - first, axis->most);
    for (int64_t k = 0; k < axis->counts[i]; k++) {
        axis->from[i * axis->most + k] = first + k;
        weights[k] = cubic(((double)(first + k) - centre + 0.5) / width, -0.5);
        sum += weights[k];
    }
    for (int64_t k = 0; k < axis->counts[i]; k++) weights[k] /= sum;
}

static void free_axis(Axis *axis)
{
    free(axis->counts);
    free(axis->from);
    free(axis->weights);
}

static int make_axis(const PfNode *node, int64_t side, int64_t size, Axis *axis, PfError *err)
{
    axis->most = node->antialias ? pf_max(side, 4) : 4;
    const size_t count = (size_t)(size * axis->most);
    axis->counts = pf_calloc((size_t)size, sizeof *axis->counts, err);
    axis->from = pf_calloc(count, sizeof *axis->from, err);
    axis->weights = pf_calloc(count, sizeof *axis->weights, err);
    if (!axis->counts || !axis->from || !axis->weights) return -1;
    for (int64_t i = 0; i < size; i++)
        if (node->antialias)
            set_antialiased(side, size, i, axis);
        else
            set_four(node, side, size, i, axis);
    return 0;
}

static double resized(const Axis *rows, int64_t y, const Axis *columns, int64_t x, int64_t side,
                      int64_t channels, const float *from)
{
    const int64_t row = y * rows->most, column = x * columns->most;
    double sum = 0;
    for (int64_t i = 0; i < rows->counts[y]; i++)
        for (int64_t j = 0; j < columns->counts[x]; j++)
            sum +=
                rows->weights[row + i] * columns->weights[column + j] *
                (double)from[(rows->from[row + i] * side + columns->from[column + j]) * channels];
    return sum;
}

int pf_positions_resize(const PfNode *node, int64_t height, int64_t width, const float *from,
                        float *to, PfError *err)
{
    const int64_t side = pf_positions_side(node), channels = node->shape.dims[1];
    const bool is_same = height == side && width == side;
    const int64_t kept = is_same ? node->shape.dims[0] : node->start;
    Axis rows = {0}, columns = {0};
    memcpy(to, from, (size_t)(kept * channels) * sizeof *to);
    if (is_same) return 0;
    int failed =
        make_axis(node, side, height, &rows, err) || make_axis(node, side, width, &columns, err);
    from += node->start * channels;
    to += node->start * channels;
    for (int64_t y = 0; y < height && !failed; y++)
        for (int64_t x = 0; x < width; x++)
            for (int64_t c = 0; c < channels; c++)
                *to++ = (float)resized(&rows, y, &columns, x, side, channels, from + c);
    free_axis(&rows);
    free_axis(&columns);
    return failed ? -1 : 0;
}

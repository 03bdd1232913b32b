#include "common/arch/positions.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/integers.h"

int64_t pf_positions_side(const PfNode *node)
{
    const int64_t places = node->shape.rank == 2 ? node->shape.dims[0] - node->start : 0;
    const int64_t side = places > 0 ? (int64_t)sqrt((double)places) : 0;
    return side * side == places ? side : 0;
}

/* What one place along an axis takes: of four places, which and how much. */
typedef struct Taps {
    int64_t from[4];
    double weights[4];
} Taps;

/* Keys, Cubic Convolution Interpolation, 1981, with a = -3/4: of a place at that distance. */
static double cubic(double distance)
{
    const double a = -0.75, d = fabs(distance);
    if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static float place_of(const PfNode *node, int64_t side, int64_t size, int64_t i)
{
    if (node->align_corners) return size > 1 ? (float)(side - 1) / (float)(size - 1) * (float)i : 0;
    const double factor = ((double)size + (double)node->value) / (double)side;
    return (float)(1 / factor) * ((float)i + 0.5f) - 0.5f;
}

static Taps taps_of(const PfNode *node, int64_t side, int64_t size, int64_t i)
{
    Taps taps;
    const float place = place_of(node, side, size, i);
    const int64_t before = (int64_t)floorf(place);
    for (int k = 0; k < 4; k++) {
        const int64_t at = before - 1 + k;
        taps.from[k] = pf_max(0, pf_min(at, side - 1));
        taps.weights[k] = cubic((double)place - (double)at);
    }
    return taps;
}

static double resized(const Taps *rows, const Taps *columns, int64_t side, int64_t channels,
                      const float *from)
{
    double sum = 0;
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            sum += rows->weights[i] * columns->weights[j] *
                   (double)from[(rows->from[i] * side + columns->from[j]) * channels];
    return sum;
}

void pf_positions_resize(const PfNode *node, int64_t height, int64_t width, const float *from,
                         float *to)
{
    const int64_t side = pf_positions_side(node), channels = node->shape.dims[1];
    const bool is_same = height == side && width == side;
    const int64_t kept = is_same ? node->shape.dims[0] : node->start;
    memcpy(to, from, (size_t)(kept * channels) * sizeof *to);
    from += node->start * channels;
    to += node->start * channels;
    for (int64_t y = 0; y < height && !is_same; y++) {
        const Taps rows = taps_of(node, side, height, y);
        for (int64_t x = 0; x < width; x++) {
            const Taps columns = taps_of(node, side, width, x);
            for (int64_t c = 0; c < channels; c++)
                *to++ = (float)resized(&rows, &columns, side, channels, from + c);
        }
    }
}

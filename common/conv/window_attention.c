#include "common/conv/window_attention.h"

#include <stdbool.h>
#include <string.h>

#include "common/conv/attention.h"

static int64_t pixels_of(const PfWindowAttention *attention)
{
    return attention->side * attention->side;
}

/* ---- biases ---- */

int64_t pf_window_attention_biases(const PfWindowAttention *attention)
{
    return 4 * attention->heads * pixels_of(attention) * pixels_of(attention);
}

/* Whether the map's beginning lies before a pixel of a window at the end, along an axis. */
static bool is_past_end(const PfWindowAttention *attention, int axis, int64_t place)
{
    return place >= attention->side - attention->shifts[axis];
}

/* Whether it lies between two pixels of the window; ends: 1 in the last row, 2 in the last column.
 */
static bool is_between(const PfWindowAttention *attention, int ends, int64_t query, int64_t key)
{
    const int64_t side = attention->side;
    const bool along_y =
        is_past_end(attention, 0, query / side) != is_past_end(attention, 0, key / side);
    const bool along_x =
        is_past_end(attention, 1, query % side) != is_past_end(attention, 1, key % side);
    return ((ends & 1) && along_y) || ((ends & 2) && along_x);
}

static int64_t distance(int64_t side, int64_t query, int64_t key)
{
    const int64_t down = query / side - key / side + side - 1;
    const int64_t right = query % side - key % side + side - 1;
    return down * (2 * side - 1) + right;
}

void pf_window_attention_fill(const PfWindowAttention *attention, const float *table, float *biases)
{
    const int64_t pixels = pixels_of(attention), heads = attention->heads;
    for (int ends = 0; ends < 4; ends++)
        for (int64_t head = 0; head < heads; head++)
            for (int64_t query = 0; query < pixels; query++)
                for (int64_t key = 0; key < pixels; key++)
                    *biases++ = table[distance(attention->side, query, key) * heads + head] -
                                (is_between(attention, ends, query, key) ? 100.0f : 0.0f);
}

/* ---- windows ---- */

/* Queries, keys and values of one window, then what becomes of them. */
static size_t window_bytes(const PfWindowAttention *attention)
{
    return (size_t)(pixels_of(attention) * (attention->x_row + attention->y_row)) * sizeof(float);
}

static PfAttention in_one_window(const PfWindowAttention *attention)
{
    return (PfAttention){.heads = attention->heads,
                         .queries = pixels_of(attention),
                         .keys = pixels_of(attention),
                         .width = attention->width,
                         .value_width = attention->width,
                         .scale = attention->scale,
                         .q_row = attention->x_row,
                         .k_row = attention->x_row,
                         .v_row = attention->x_row,
                         .y_row = attention->y_row};
}

size_t pf_window_attention_scratch(const PfWindowAttention *attention)
{
    const PfAttention one = in_one_window(attention);
    return window_bytes(attention) + pf_attention_scratch(&one);
}

/* Which pixel of the map is that of a window. */
static int64_t place_of(const PfWindowAttention *attention, int64_t row, int64_t column,
                        int64_t pixel)
{
    const int64_t side = attention->side;
    const int64_t y = row * side + pixel / side + attention->shifts[0];
    const int64_t x = column * side + pixel % side + attention->shifts[1];
    return y % attention->sizes[0] * attention->sizes[1] + x % attention->sizes[1];
}

static void run_window(const PfWindowAttention *attention, PfAttention *one, int64_t row,
                       int64_t column, float *window, void *scratch)
{
    const int64_t pixels = pixels_of(attention), side = attention->side;
    const int64_t ends = (row == attention->sizes[0] / side - 1 ? 1 : 0) +
                         (column == attention->sizes[1] / side - 1 ? 2 : 0);
    for (int64_t p = 0; p < pixels; p++)
        memcpy(window + p * attention->x_row,
               attention->x + place_of(attention, row, column, p) * attention->x_row,
               (size_t)attention->x_row * sizeof(float));
    one->bias = attention->biases + ends * attention->heads * pixels * pixels;
    pf_attention_run(one, scratch);
    for (int64_t p = 0; p < pixels; p++)
        memcpy(attention->y + place_of(attention, row, column, p) * attention->y_row,
               one->y + p * attention->y_row, (size_t)attention->y_row * sizeof(float));
}

void pf_window_attention_run(const PfWindowAttention *attention, void *scratch)
{
    const int64_t channels = attention->heads * attention->width, side = attention->side;
    float *window = scratch;
    PfAttention one = in_one_window(attention);
    one.q = window;
    one.k = window + channels;
    one.v = window + 2 * channels;
    one.y = window + pixels_of(attention) * attention->x_row;
    for (int64_t row = 0; row < attention->sizes[0] / side; row++)
        for (int64_t column = 0; column < attention->sizes[1] / side; column++)
            run_window(attention, &one, row, column, window,
                       (char *)scratch + window_bytes(attention));
}

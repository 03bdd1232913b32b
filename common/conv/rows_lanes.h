/* The loops of rows.h in the words of one instruction set: see lanes.h, which includes this. */

#include <math.h>

#include "common/conv/rows.h"

/* Sum of (x - shift)^power for power 1 or 2: 16 sums, then lanes_sum's order. */
LANES float row_sum(const float *x, int64_t count, Lanes shift, int power)
{
    Lanes sum = lanes_set(0);
    int64_t i = 0;
    for (; i + 16 <= count; i += 16) {
        Lanes value = lanes_sub(lanes_load(x + i), shift);
        sum = power == 2 ? lanes_fma(value, value, sum) : lanes_add(sum, value);
    }
    if (i == count) return lanes_sum(sum);
    Lanes rest = lanes_sub(lanes_load_over(shift, x + i, (int)(count - i)), shift);
    return lanes_sum(power == 2 ? lanes_fma(rest, rest, sum) : lanes_add(sum, rest));
}

/* What lies behind the last number is zero. */
LANES void row_store(float *y, int64_t left, Lanes value)
{
    if (left >= 16) {
        lanes_store(y, value);
        return;
    }
    lanes_store(y, lanes_set(0));
    lanes_store_part(y, (int)left, value);
}

LANES Lanes row_load(Lanes fill, const float *x, int64_t left)
{
    return left >= 16 ? lanes_load(x) : lanes_load_over(fill, x, (int)left);
}

/* The mean is taken twice: once more of the distances from the first one, so that it is right where
 * it is much larger than they are. */
LANES void layer_norm_row(const PfLayerNorm *n, const float *x, float *y)
{
    const float count = (float)n->channels;
    float mean = row_sum(x, n->channels, lanes_set(0), 1) / count;
    mean += row_sum(x, n->channels, lanes_set(mean), 1) / count;
    const Lanes shift = lanes_set(mean);
    const float variance = row_sum(x, n->channels, shift, 2) / count;
    const Lanes scale =
        lanes_div(lanes_set(1.0f), lanes_sqrt(lanes_add(lanes_set(variance), lanes_set(n->eps))));
    for (int64_t i = 0; i < n->channels; i += 16) {
        Lanes value = lanes_sub(row_load(shift, x + i, n->channels - i), shift);
        value =
            lanes_fma(lanes_mul(value, scale), lanes_load(n->weight + i), lanes_load(n->bias + i));
        row_store(y + i, n->channels - i, value);
    }
}

LANES_TARGET static void layer_norm(const PfLayerNorm *n)
{
    for (int64_t r = 0; r < n->rows; r++)
        layer_norm_row(n, n->x + r * n->x_row, n->y + r * n->y_row);
}

/* Without NaNs, which make the sum NaN whatever is taken off. */
LANES float row_largest(const float *x, int64_t count)
{
    const Lanes least = lanes_set(-INFINITY);
    Lanes most = least;
    for (int64_t i = 0; i < count; i += 16)
        most = lanes_max(row_load(least, x + i, count - i), most);
    return lanes_largest(most);
}

/* Lanes behind the end are minus infinity less a finite number, whose power is zero; or NaN, as all
 * others are then. */
LANES_TARGET static void softmax(const PfSoftmax *s)
{
    for (int64_t r = 0; r < s->rows; r++) {
        const float *x = s->x + r * s->x_row;
        float *y = s->y + r * s->y_row;
        const Lanes largest = lanes_set(row_largest(x, s->count));
        Lanes sum = lanes_set(0);
        for (int64_t i = 0; i < s->count; i += 16) {
            Lanes value = row_load(lanes_set(-INFINITY), x + i, s->count - i);
            value = math_exp(lanes_sub(value, largest));
            sum = lanes_add(sum, value);
            row_store(y + i, s->count - i, value);
        }
        const float total = lanes_sum(sum);
        if (s->sums) s->sums[r] = total;
        for (int64_t i = 0; i < s->count && !s->sums; i += 16)
            row_store(y + i, s->count - i, lanes_div(lanes_load(y + i), lanes_set(total)));
    }
}

/* y = x / divisor, of each row, of which only its numbers are written. */
LANES_TARGET static void divide_rows(const PfSoftmax *s)
{
    for (int64_t r = 0; r < s->rows; r++)
        for (int64_t i = 0; i < s->count; i += 16) {
            const float *x = s->x + r * s->x_row + i;
            float *y = s->y + r * s->y_row + i;
            Lanes value = lanes_div(lanes_load(x), lanes_set(s->sums[r]));
            if (s->count - i >= 16)
                lanes_store(y, value);
            else
                lanes_store_part(y, (int)(s->count - i), value);
        }
}

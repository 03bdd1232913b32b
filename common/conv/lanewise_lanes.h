/* The loops of PfLanewise in the words of lanes.h, which includes this: PRODUCT_UNROLL is at least
 * LANEWISE_PIXELS, or 1 where nothing is to be unrolled.
 *
 * Every sum begins with the bias and is a chain of fused multiply-adds over rows, columns and depth
 * in this order. */

/* Outputs whose sums the registers hold: with AVX2, 12 of 16. */
enum { LANEWISE_PIXELS = 6 };

/* y: what 16 channels of one output have become. */
LANES void lanewise_finish(const PfLanewise *p, int64_t pixel, int64_t c, Lanes y)
{
    const int64_t at = pixel * p->y_step + c;
    if (p->sum) y = lanes_add(y, lanes_load(p->sum + at));
    y = cut_of(&p->cut, y);
    lanes_store(p->y + at, p->bf16 ? lanes_round_bf16(y) : y);
}

/* A row of taps of depth 1: `columns` and `count` are constants wherever this is expanded. */
LANES void lanewise_taps(const PfLanewise *p, const float *x, const float *w, int count,
                         int columns, Lanes sum[LANEWISE_PIXELS])
{
#pragma GCC unroll PRODUCT_UNROLL
    for (int column = 0; column < columns; column++, x += p->column) {
        const Lanes weight = lanes_load(w + 16 * column);
#pragma GCC unroll PRODUCT_UNROLL
        for (int i = 0; i < count; i++)
            sum[i] = lanes_fma(lanes_load(x + i * p->step), weight, sum[i]);
    }
}

/* 16 channels of `count` outputs, a constant wherever this is expanded. columns: as many as there
 * are, of depth 1, a constant, too; or 0: whatever there is. */
LANES void lanewise_tile(const PfLanewise *p, int64_t pixel, int64_t c, int count, int columns)
{
    Lanes sum[LANEWISE_PIXELS];
    const float *weights = p->weight + c / 16 * p->weight_vector;
#pragma GCC unroll PRODUCT_UNROLL
    for (int i = 0; i < count; i++) sum[i] = lanes_load(p->bias + c);
    for (int64_t row = 0; row < p->rows; row++, weights += p->weight_row) {
        const float *x = p->x[row] + pixel * p->step + c, *w = weights;
        if (columns) lanewise_taps(p, x, w, count, columns, sum);
        for (int64_t column = columns ? p->columns : 0; column < p->columns;
             column++, x += p->column)
            for (int64_t k = 0; k < p->depth; k++, w += 16) {
                const Lanes weight = lanes_load(w);
#pragma GCC unroll PRODUCT_UNROLL
                for (int i = 0; i < count; i++)
                    sum[i] = lanes_fma(lanes_load(x + i * p->step + 16 * k), weight, sum[i]);
            }
    }
#pragma GCC unroll PRODUCT_UNROLL
    for (int i = 0; i < count; i++) lanewise_finish(p, pixel + i, c, sum[i]);
}

/* Vectors of channels of one output, of depth 1: several chains of sums that do not wait for each
 * other, which one vector of one output would be. */
LANES void lanewise_vectors(const PfLanewise *p, int64_t pixel, int64_t c, int count)
{
    Lanes sum[LANEWISE_PIXELS];
    const float *weights = p->weight + c / 16 * p->weight_vector;
#pragma GCC unroll PRODUCT_UNROLL
    for (int i = 0; i < count; i++) sum[i] = lanes_load(p->bias + c + 16 * i);
    for (int64_t row = 0; row < p->rows; row++, weights += p->weight_row) {
        const float *x = p->x[row] + pixel * p->step + c, *w = weights;
        for (int64_t column = 0; column < p->columns; column++, x += p->column, w += 16)
#pragma GCC unroll PRODUCT_UNROLL
            for (int i = 0; i < count; i++)
                sum[i] =
                    lanes_fma(lanes_load(x + 16 * i), lanes_load(w + i * p->weight_vector), sum[i]);
    }
#pragma GCC unroll PRODUCT_UNROLL
    for (int i = 0; i < count; i++) lanewise_finish(p, pixel, c + 16 * i, sum[i]);
}

/* A function of its own for every number. */
#define LANEWISE_EACH_COUNT(COUNT, CALL)                                                           \
    switch (COUNT) {                                                                               \
    case 1: CALL(1); break;                                                                        \
    case 2: CALL(2); break;                                                                        \
    case 3: CALL(3); break;                                                                        \
    case 4: CALL(4); break;                                                                        \
    case 5: CALL(5); break;                                                                        \
    case 6: CALL(6); break;                                                                        \
    }

/* Outputs of one row of taps come from memory while those of the row before are made. */
LANES void lanewise_fetch(const PfLanewise *p, int64_t pixel, int64_t c, int count)
{
    const float *next = p->next + pixel * p->step + c;
    for (int64_t row = 0; row < p->next_rows; row++, next += p->next_row)
        for (int i = 0; i < count; i++) __builtin_prefetch(next + i * p->step);
}

/* Channels in the outer loop: the weights and what neighbours share stay in the first-level cache.
 */
LANES void lanewise_outputs(const PfLanewise *p, int columns)
{
    for (int64_t c = 0; c < p->channels; c += 16)
        for (int64_t pixel = 0; pixel < p->pixels;) {
            /* The last two shared out evenly: 7 are 4 and 3. */
            const int64_t left = p->pixels - pixel;
            const int count = left <= LANEWISE_PIXELS      ? (int)left
                              : left < 2 * LANEWISE_PIXELS ? (int)(left + 1) / 2
                                                           : LANEWISE_PIXELS;
            if (p->next_rows) lanewise_fetch(p, pixel, c, count);
#define LANEWISE_TILE(COUNT) lanewise_tile(p, pixel, c, COUNT, columns)
            LANEWISE_EACH_COUNT(count, LANEWISE_TILE)
            pixel += count;
        }
}

/* The usual windows without loops over their columns, which are as long as what they do. */
LANES_TARGET static void lanewise(const PfLanewise *p)
{
    const int64_t columns = p->depth == 1 ? p->columns : 0;
    if (columns == 3)
        lanewise_outputs(p, 3);
    else if (columns == 5)
        lanewise_outputs(p, 5);
    else
        lanewise_outputs(p, 0);
}

LANES_TARGET static void lanewise_deep(const PfLanewise *p)
{
    for (int64_t pixel = 0; pixel < p->pixels; pixel++)
        for (int64_t c = 0; c < p->channels;) {
            const int64_t left = (p->channels - c) / 16;
            const int count = left < LANEWISE_PIXELS ? (int)left : LANEWISE_PIXELS;
#define LANEWISE_VECTORS(COUNT) lanewise_vectors(p, pixel, c, COUNT)
            LANEWISE_EACH_COUNT(count, LANEWISE_VECTORS)
            c += 16 * count;
        }
}

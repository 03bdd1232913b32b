/* The loops of PfLanewise in the words of lanes.h, which includes this: PRODUCT_UNROLL is at least
 * LANEWISE_PIXELS, or 1 where nothing is to be unrolled.
 *
 * Every sum begins with the bias and is a chain of fused multiply-adds over rows, columns and depth
 * in this order. */

/* Outputs whose sums the registers hold: with AVX2, 12 of 16; and with AVX-512 more than the 8 that
 * keep two units of multiplication busy. */
#if PRODUCT_VECTORS == 4
enum { LANEWISE_PIXELS = 14 };
#else
enum { LANEWISE_PIXELS = 6 };
#endif
enum { LANEWISE_VECTORS = 6 };

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
    Lanes sum[LANEWISE_VECTORS];
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

/* A function for each number of outputs and of columns: see PRODUCT_TILE. */
typedef void LanewiseTile(const PfLanewise *p, int64_t pixel, int64_t c);
#define LANEWISE_TILE(COUNT, COLUMNS)                                                              \
    LANES_TARGET __attribute__((noinline)) static void lanewise_##COUNT##_##COLUMNS(               \
        const PfLanewise *p, int64_t pixel, int64_t c)                                             \
    {                                                                                              \
        lanewise_tile(p, pixel, c, COUNT, COLUMNS);                                                \
    }
#define LANEWISE_NAME(COUNT, COLUMNS) lanewise_##COUNT##_##COLUMNS,
#if PRODUCT_VECTORS == 4
#define LANEWISE_MORE(DO, COLUMNS)                                                                 \
    DO(7, COLUMNS)                                                                                 \
    DO(8, COLUMNS)                                                                                 \
    DO(9, COLUMNS) DO(10, COLUMNS) DO(11, COLUMNS) DO(12, COLUMNS) DO(13, COLUMNS) DO(14, COLUMNS)
#else
#define LANEWISE_MORE(DO, COLUMNS)
#endif
#define LANEWISE_ALL(DO, COLUMNS)                                                                  \
    DO(1, COLUMNS)                                                                                 \
    DO(2, COLUMNS)                                                                                 \
    DO(3, COLUMNS) DO(4, COLUMNS) DO(5, COLUMNS) DO(6, COLUMNS) LANEWISE_MORE(DO, COLUMNS)
LANEWISE_ALL(LANEWISE_TILE, 0)
LANEWISE_ALL(LANEWISE_TILE, 3)
LANEWISE_ALL(LANEWISE_TILE, 5)
static LanewiseTile *const lanewise_tiles_0[] = {LANEWISE_ALL(LANEWISE_NAME, 0)};
static LanewiseTile *const lanewise_tiles_3[] = {LANEWISE_ALL(LANEWISE_NAME, 3)};
static LanewiseTile *const lanewise_tiles_5[] = {LANEWISE_ALL(LANEWISE_NAME, 5)};

/* The usual windows have no loop over their columns, which would be as long as what it does.
 * Channels in the outer loop: the weights and what neighbours share stay in the first-level
 * cache. */
LANES_TARGET static void lanewise(const PfLanewise *p)
{
    const int64_t columns = p->depth == 1 ? p->columns : 0;
    LanewiseTile *const *tiles = columns == 3   ? lanewise_tiles_3
                                 : columns == 5 ? lanewise_tiles_5
                                                : lanewise_tiles_0;
    for (int64_t c = 0; c < p->channels; c += 16)
        for (int64_t pixel = 0, count; pixel < p->pixels; pixel += count) {
            /* Shared out evenly: 7 are 4 and 3, where there is room for 6. */
            const int64_t left = p->pixels - pixel;
            const int64_t parts = (left + LANEWISE_PIXELS - 1) / LANEWISE_PIXELS;
            count = (left + parts - 1) / parts;
            if (p->next_rows) lanewise_fetch(p, pixel, c, (int)count);
            tiles[count - 1](p, pixel, c);
        }
}

LANES_TARGET static void lanewise_deep(const PfLanewise *p)
{
    for (int64_t pixel = 0; pixel < p->pixels; pixel++)
        for (int64_t c = 0; c < p->channels;) {
            const int64_t left = (p->channels - c) / 16;
            const int count = left < LANEWISE_VECTORS ? (int)left : LANEWISE_VECTORS;
#define LANEWISE_DEEP(COUNT) lanewise_vectors(p, pixel, c, COUNT)
            LANEWISE_EACH_COUNT(count, LANEWISE_DEEP)
            c += 16 * count;
        }
}

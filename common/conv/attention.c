#include "common/conv/attention.h"

#include <string.h>

#include "common/base/integers.h"
#include "common/conv/kernels.h"

enum {
    COLUMNS = 16,
    SCORES = 32768 / sizeof(float), /* of the queries of a block: about a first-level cache */
    LEAST_ROWS = 12,
    MOST_ROWS = 96 /* queries of a block: products take 6 at a time */
};

/* One head, and where the parts of scratch begin. */
typedef struct Head {
    const PfAttention *attention;
    const PfConvKernels *kernels;
    const float *q, *k, *v, *bias;
    float *y;
    int64_t depth, columns, values; /* width, keys, value_width, filled up to multiples of 16 */
    int64_t rows;                   /* queries of a block */
    float *queries;                 /* (rows, depth), times scale */
    float *packed_keys;             /* (depth, columns) as pf_product_u has it */
    float *packed_values;           /* (columns, values), the same */
    float *scores;                  /* (rows, columns) */
    float *outputs;                 /* (rows, values) */
    float *sums;                    /* (rows) */
    const float **query_rows, **score_rows; /* (rows) each */
} Head;

static int64_t filled_up(int64_t count)
{
    return (count + 15) / 16 * 16;
}

/* Its sizes. */
static Head head_of(const PfAttention *attention)
{
    Head head = {.attention = attention,
                 .kernels = pf_conv_kernels(),
                 .depth = filled_up(attention->width),
                 .columns = filled_up(attention->keys),
                 .values = filled_up(attention->value_width)};
    const int64_t fitting = SCORES / head.columns / LEAST_ROWS * LEAST_ROWS;
    head.rows = pf_min(pf_max(fitting, LEAST_ROWS), MOST_ROWS);
    return head;
}

static int64_t floats_of(const Head *head)
{
    return head->rows * (head->depth + head->columns + head->values) + filled_up(head->rows) +
           head->columns * (head->depth + head->values);
}

size_t pf_attention_scratch(const PfAttention *attention)
{
    const Head head = head_of(attention);
    return (size_t)floats_of(&head) * sizeof(float) + 2 * (size_t)head.rows * sizeof(const float *);
}

static float *take(float **from, int64_t count)
{
    float *part = *from;
    *from += count;
    return part;
}

static void divide_scratch(Head *head, void *scratch)
{
    float *from = scratch;
    head->query_rows = scratch;
    head->score_rows = head->query_rows + head->rows;
    from = (float *)(void *)(head->score_rows + head->rows);
    head->queries = take(&from, head->rows * head->depth);
    head->scores = take(&from, head->rows * head->columns);
    head->outputs = take(&from, head->rows * head->values);
    head->sums = take(&from, filled_up(head->rows));
    head->packed_keys = take(&from, head->columns * head->depth);
    head->packed_values = take(&from, head->columns * head->values);
    for (int64_t r = 0; r < head->rows; r++) {
        head->query_rows[r] = head->queries + r * head->depth;
        head->score_rows[r] = head->scores + r * head->columns;
    }
}

/* ---- packing ---- */

/* 16 keys, of which `count` are there: (width, 16), rows `row` apart. Where they are written they
 * are side by side. */
static void pack_columns(const PfAttention *attention, const float *keys, int64_t count, float *to,
                         int64_t row)
{
    if (count < COLUMNS) {
        for (int64_t c = 0; c < attention->width; c++)
            for (int64_t i = 0; i < COLUMNS; i++)
                to[c * row + i] = i < count ? keys[i * attention->k_row + c] : 0;
        return;
    }
    for (int64_t c = 0; c < attention->width; c++)
        for (int64_t i = 0; i < COLUMNS; i++) to[c * row + i] = keys[i * attention->k_row + c];
}

/* Keys become columns; those that fill up are zeros. */
static void pack_keys(const Head *head)
{
    const PfAttention *attention = head->attention;
    const int64_t strip = head->kernels->strip;
    for (int64_t key = 0; key < attention->keys; key += COLUMNS) {
        const int64_t first = key / strip * strip, row = pf_min(strip, head->columns - first);
        pack_columns(attention, head->k + key * attention->k_row,
                     pf_min(COLUMNS, attention->keys - key),
                     head->packed_keys + first * head->depth + key - first, row);
    }
}

static void pack_values(const Head *head)
{
    const PfAttention *attention = head->attention;
    memset(head->packed_values, 0, (size_t)(head->columns * head->values) * sizeof(float));
    const int64_t strip = head->kernels->strip;
    for (int64_t first = 0; first < attention->value_width; first += strip) {
        const size_t count = (size_t)pf_min(strip, attention->value_width - first);
        const int64_t row = pf_min(strip, head->values - first);
        float *to = head->packed_values + first * head->columns;
        for (int64_t key = 0; key < attention->keys; key++, to += row)
            memcpy(to, head->v + key * attention->v_row + first, count * sizeof(float));
    }
}

static void take_queries(const Head *head, int64_t first, int64_t count)
{
    const PfAttention *attention = head->attention;
    for (int64_t r = 0; r < count; r++) {
        const float *from = head->q + (first + r) * attention->q_row;
        float *to = head->queries + r * head->depth;
        for (int64_t c = 0; c < attention->width; c++) to[c] = from[c] * attention->scale;
        for (int64_t c = attention->width; c < head->depth; c++) to[c] = 0;
    }
}

/* ---- blocks of queries ---- */

static void add_bias(const Head *head, int64_t first, int64_t count)
{
    const PfAttention *attention = head->attention;
    for (int64_t r = 0; r < count; r++) {
        const float *bias = head->bias + (first + r) * attention->keys;
        float *scores = head->scores + r * head->columns;
        for (int64_t key = 0; key < attention->keys; key++) scores[key] += bias[key];
    }
}

/* m: (count, width), from u, (depth, width), of whose depth `used` count, and rows of v that lie
 * side by side. Strip by strip: of one, all rows are done while it is in the cache. */
static void multiply(const Head *head, const float *const *v, int64_t count, const float *u,
                     int64_t depth, int64_t used, int64_t width, float *m)
{
    PfProduct product = {.rows = count,
                         .depth = depth,
                         .filled = depth - used,
                         .v_step = depth,
                         .v = v,
                         .m_row = width,
                         .u = u,
                         .m = m};
    for (int64_t column = 0; column < width; column += product.width) {
        product.width = pf_min(head->kernels->strip, width - column);
        head->kernels->multiply(&product);
        product.u += depth * product.width;
        product.m += product.width;
    }
}

static void run_block(const Head *head, int64_t first, int64_t count)
{
    const PfAttention *attention = head->attention;
    take_queries(head, first, count);
    multiply(head, head->query_rows, count, head->packed_keys, head->depth, attention->width,
             head->columns, head->scores);
    if (head->bias) add_bias(head, first, count);
    head->kernels->softmax(&(PfSoftmax){.rows = count,
                                        .count = attention->keys,
                                        .x = head->scores,
                                        .x_row = head->columns,
                                        .y = head->scores,
                                        .y_row = head->columns,
                                        .sums = head->sums});
    multiply(head, head->score_rows, count, head->packed_values, head->columns, attention->keys,
             head->values, head->outputs);
    head->kernels->divide_rows(&(PfSoftmax){.rows = count,
                                            .count = attention->value_width,
                                            .x = head->outputs,
                                            .x_row = head->values,
                                            .y = head->y + first * attention->y_row,
                                            .y_row = attention->y_row,
                                            .sums = head->sums});
}

static void run_head(Head *head, int64_t index)
{
    const PfAttention *attention = head->attention;
    head->q = attention->q + index * attention->width;
    head->k = attention->k + index * attention->width;
    head->v = attention->v + index * attention->value_width;
    head->y = attention->y + index * attention->value_width;
    head->bias = attention->bias;
    if (head->bias) head->bias += index * attention->queries * attention->keys;
    pack_keys(head);
    pack_values(head);
    for (int64_t first = 0; first < attention->queries; first += head->rows)
        run_block(head, first, pf_min(head->rows, attention->queries - first));
}

static void fill_rows(const PfAttention *attention)
{
    const int64_t channels = attention->heads * attention->value_width;
    const size_t bytes = (size_t)(attention->y_row - channels) * sizeof(float);
    for (int64_t r = 0; r < attention->queries && bytes; r++)
        memset(attention->y + r * attention->y_row + channels, 0, bytes);
}

void pf_attention_run(const PfAttention *attention, void *scratch)
{
    Head head = head_of(attention);
    divide_scratch(&head, scratch);
    for (int64_t h = 0; h < attention->heads; h++) run_head(&head, h);
    fill_rows(attention);
}

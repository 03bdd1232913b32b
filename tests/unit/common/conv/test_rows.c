/* Norms, softmax and attention (rows.h, attention.h) against their definitions in double on random
 * shapes, between unreadable pages, and the same bits from every set of kernels. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conv/attention.h"
#include "tests/unit/conv_sets.h"

enum { CASES = 40 };

static const float poison = -777.0f;

static int64_t filled_up(int64_t count)
{
    return (count + 15) / 16 * 16;
}

static void fill(GuardedFloats *floats, int64_t count)
{
    for (int64_t i = 0; i < count; i++) floats->values[i] = poison;
}

static void check(float found, double expected, double tolerance, int64_t at)
{
    assert_each(is_near((double)found, expected, tolerance), "%.9g at %ld, not %.9g", (double)found,
                (long)at, expected);
}

/* ---- norms of rows ---- */

static void check_norm(const PfLayerNorm *norm)
{
    for (int64_t r = 0; r < norm->rows; r++) {
        const float *x = norm->x + r * norm->x_row;
        const double count = (double)norm->channels;
        double mean = 0, variance = 0;
        for (int64_t c = 0; c < norm->channels; c++) mean += (double)x[c] / count;
        for (int64_t c = 0; c < norm->channels; c++)
            variance += ((double)x[c] - mean) * ((double)x[c] - mean) / count;
        for (int64_t c = 0; c < norm->y_row; c++) {
            const float found = norm->y[r * norm->y_row + c];
            if (c >= norm->channels && c < filled_up(norm->channels))
                assert_each(found == 0, "%g in what fills up", (double)found);
            else if (c >= norm->channels)
                assert_each(found == poison, "written behind the row");
            else
                check(found,
                      ((double)x[c] - mean) / sqrt(variance + (double)norm->eps) *
                              (double)norm->weight[c] +
                          (double)norm->bias[c],
                      2e-5, r * norm->y_row + c);
        }
    }
}

START_TEST(rows_are_normed)
{
    PfRandom random = pf_random_seeded(31, (uint64_t)_i);
    PfLayerNorm norm = {
        .rows = between(&random, 1, 5), .channels = between(&random, 1, 70), .eps = 1e-6f};
    norm.x_row = norm.channels + between(&random, 0, 9);
    norm.y_row = filled_up(norm.channels) + 16 * between(&random, 0, 1);
    const int64_t inputs = (norm.rows - 1) * norm.x_row + norm.channels;
    const int64_t outputs = norm.rows * norm.y_row;
    /* Means may be far from zero, and rows all the same. */
    GuardedFloats x = random_guarded(&random, inputs, _i % 5 ? 2 : 0, _i % 3 ? 0 : 30);
    GuardedFloats y = guarded_floats((size_t)outputs, 0);
    GuardedFloats weight = random_guarded(&random, filled_up(norm.channels), 1, 0);
    GuardedFloats bias = random_guarded(&random, filled_up(norm.channels), 1, 0);
    float *kept = calloc((size_t)outputs, sizeof *kept);
    if (_i % 4 == 3) x.values[between(&random, 0, inputs - 1)] = _i % 8 == 3 ? NAN : INFINITY;
    norm.x = x.values;
    norm.weight = weight.values;
    norm.bias = bias.values;
    norm.y = y.values;
    for (int s = 0; s < conv_set_count(); s++) {
        fill(&y, outputs);
        conv_set(s)->layer_norm(&norm);
        check_norm(&norm);
        if (_i % 4 < 3) keep_or_compare(s, kept, y.values, outputs);
    }
    free(kept);
    guarded_floats_free(&x);
    guarded_floats_free(&y);
    guarded_floats_free(&weight);
    guarded_floats_free(&bias);
}
END_TEST

/* ---- softmax ---- */

static void check_softmax(const PfSoftmax *softmax)
{
    for (int64_t r = 0; r < softmax->rows; r++) {
        const float *x = softmax->x + r * softmax->x_row;
        double largest = -INFINITY, sum = 0;
        for (int64_t i = 0; i < softmax->count; i++) /* see tolerance.c for why not by fmax */
            if ((double)x[i] > largest) largest = (double)x[i];
        for (int64_t i = 0; i < softmax->count; i++) sum += exp((double)x[i] - largest);
        for (int64_t i = 0; i < softmax->y_row; i++) {
            const float found = softmax->y[r * softmax->y_row + i];
            if (i < softmax->count)
                check(found, exp((double)x[i] - largest) / (softmax->sums ? 1 : sum), 5e-7, i);
            else
                assert_each(found == (i < filled_up(softmax->count) ? 0 : poison),
                            "%g behind the row", (double)found);
        }
        if (softmax->sums) check(softmax->sums[r], sum, 1e-6 * sum, r);
    }
}

START_TEST(rows_become_shares)
{
    PfRandom random = pf_random_seeded(32, (uint64_t)_i);
    static const double scales[] = {0, 1, 10, 100};
    float sums[5];
    PfSoftmax softmax = {.rows = between(&random, 1, 5),
                         .count = between(&random, 1, 70),
                         .sums = _i % 2 ? sums : NULL};
    softmax.x_row = softmax.count + between(&random, 0, 9);
    softmax.y_row = filled_up(softmax.count) + 16 * between(&random, 0, 1);
    const int64_t inputs = (softmax.rows - 1) * softmax.x_row + softmax.count;
    const int64_t outputs = softmax.rows * softmax.y_row;
    GuardedFloats x = random_guarded(&random, inputs, scales[_i / 2 % 4], _i % 3 ? 0 : 1000);
    GuardedFloats y = guarded_floats((size_t)outputs, 0);
    float *kept = calloc((size_t)outputs, sizeof *kept);
    const int kind = _i % 8 == 3 ? 1 : _i % 8 == 5 ? 2 : _i % 8 == 6 ? 3 : 0;
    const float odd[] = {0, NAN, INFINITY, -INFINITY};
    if (kind) x.values[between(&random, 0, inputs - 1)] = odd[kind];
    softmax.x = x.values;
    softmax.y = y.values;
    for (int s = 0; s < conv_set_count(); s++) {
        fill(&y, outputs);
        conv_set(s)->softmax(&softmax);
        check_softmax(&softmax);
        if (!kind) keep_or_compare(s, kept, y.values, outputs);
    }
    free(kept);
    guarded_floats_free(&x);
    guarded_floats_free(&y);
}
END_TEST

/* ---- attention ---- */

typedef struct Attention {
    PfAttention what;
    GuardedFloats q, k, v, y;
    int64_t outputs;
} Attention;

static GuardedFloats open_part(PfRandom *random, int64_t tokens, int64_t channels, int64_t *row)
{
    *row = channels + between(random, 0, 20);
    return random_guarded(random, (tokens - 1) * *row + channels, 1.5, 0);
}

static void open_attention(PfRandom *random, Attention *a)
{
    static const int64_t widths[] = {64, 32, 16, 48, 5, 24};
    PfAttention *what = &a->what;
    const int64_t width = widths[between(random, 0, 5)];
    *what = (PfAttention){.heads = between(random, 1, 3),
                          .queries = between(random, 1, 120),
                          .keys = between(random, 1, 120),
                          .width = width,
                          .value_width = between(random, 0, 1) ? width : between(random, 1, 40),
                          .scale = 0.3f};
    if (between(random, 0, 7) == 0) what->keys = between(random, 700, 1000);
    const int64_t outputs = what->heads * what->value_width;
    a->q = open_part(random, what->queries, what->heads * width, &what->q_row);
    a->k = open_part(random, what->keys, what->heads * width, &what->k_row);
    a->v = open_part(random, what->keys, outputs, &what->v_row);
    what->y_row = filled_up(outputs);
    a->outputs = what->queries * what->y_row;
    a->y = guarded_floats((size_t)a->outputs, 0);
    what->q = a->q.values;
    what->k = a->k.values;
    what->v = a->v.values;
    what->y = a->y.values;
}

static void close_attention(Attention *a)
{
    guarded_floats_free(&a->q);
    guarded_floats_free(&a->k);
    guarded_floats_free(&a->v);
    guarded_floats_free(&a->y);
}

static void run_attention(const Attention *a)
{
    PfError err = {0};
    const size_t bytes = pf_attention_scratch(&a->what);
    void *scratch = pf_alloc_aligned(1, bytes, &err);
    ck_assert_ptr_nonnull(scratch);
    memset(scratch, 0xff, bytes); /* NaNs */
    pf_attention_run(&a->what, scratch);
    free(scratch);
}

/* shares: (keys) */
static void find_shares(const PfAttention *what, int64_t head, int64_t query, double *shares)
{
    const float *q = what->q + query * what->q_row + head * what->width;
    double largest = -INFINITY, sum = 0;
    for (int64_t key = 0; key < what->keys; key++) {
        const float *k = what->k + key * what->k_row + head * what->width;
        shares[key] = 0;
        for (int64_t c = 0; c < what->width; c++) shares[key] += (double)q[c] * (double)k[c];
        shares[key] *= (double)what->scale;
        largest = fmax(largest, shares[key]);
    }
    for (int64_t key = 0; key < what->keys; key++) sum += shares[key] = exp(shares[key] - largest);
    for (int64_t key = 0; key < what->keys; key++) shares[key] /= sum;
}

static void check_query(const PfAttention *what, int64_t head, int64_t query, const double *shares)
{
    const float *y = what->y + query * what->y_row + head * what->value_width;
    for (int64_t c = 0; c < what->value_width; c++) {
        double expected = 0;
        for (int64_t key = 0; key < what->keys; key++)
            expected +=
                shares[key] * (double)what->v[key * what->v_row + head * what->value_width + c];
        check(y[c], expected, 1e-5, query);
    }
}

static void check_attention(const PfAttention *what)
{
    double *shares = calloc((size_t)what->keys, sizeof *shares);
    for (int64_t head = 0; head < what->heads; head++)
        for (int64_t query = 0; query < what->queries; query++) {
            find_shares(what, head, query, shares);
            check_query(what, head, query, shares);
        }
    for (int64_t query = 0; query < what->queries; query++)
        for (int64_t c = what->heads * what->value_width; c < what->y_row; c++)
            assert_each(what->y[query * what->y_row + c] == 0, "not zero behind the heads");
    free(shares);
}

START_TEST(queries_attend_to_keys)
{
    PfRandom random = pf_random_seeded(33, (uint64_t)_i);
    Attention a;
    open_attention(&random, &a);
    const int is_broken = _i % 5 == 4; /* a key: all that see it; else a query */
    if (is_broken && _i % 2) a.k.values[0] = NAN;
    if (is_broken && _i % 2 == 0) a.q.values[0] = NAN;
    float *kept = calloc((size_t)a.outputs, sizeof *kept);
    for (int s = 0; s < conv_set_count(); s++) {
        setenv("PF_KERNELS", conv_set(s)->name, 1);
        fill(&a.y, a.outputs);
        run_attention(&a);
        check_attention(&a.what);
        if (!is_broken) keep_or_compare(s, kept, a.y.values, a.outputs);
    }
    free(kept);
    close_attention(&a);
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("rows");
    TCase *cases = tcase_create("rows");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, rows_are_normed, 0, CASES);
    tcase_add_loop_test(cases, rows_become_shares, 0, CASES);
    tcase_add_loop_test(cases, queries_attend_to_keys, 0, CASES);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Matrix products against their definition, bit for bit, whatever computes them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/guarded_floats.h"
#include "tests/unit/kernel_sets.h"
#include "train/kernels/gemm.h"

enum { POISON = 12345 };
enum { MAX_THREADS = 4 };

typedef enum Kind { NN, TN, NT, TN_SUM, KINDS } Kind;

/* One product with everything it needs. Rows end `stride - columns` values after
 * their last one: NaN in the factors, POISON in C; nothing lies behind the last row. */
typedef struct Case {
    Kind kind;
    PfGemm gemm;
    GuardedFloats a, b, c;
    float *start;     /* (m, n) what C holds before */
    double *sum;      /* (m, n) */
    double *sum_was;  /* (m, n) */
    double *expected; /* (m, n) by the definition: of C or of sum */
} Case;

/* 0, 1, about a tile, about a few of them, or more. */
static int64_t random_size(PfRandom *random, int64_t most)
{
    switch (below(random, 8)) {
    case 0: return below(random, 2);
    case 1: return 16 + below(random, 3) - 1;
    case 2: return 48 + below(random, 3) - 1;
    case 3: return 1 + below(random, most);
    default: return 1 + below(random, 30);
    }
}

static float random_value(PfRandom *random, int wild)
{
    float value = (float)pf_random_normal(random);
    if (!wild || below(random, 10)) return value;
    const float odd[] = {0.0f, -0.0f, 1e-42f, -3e38f, 1e30f, INFINITY, NAN};
    return odd[below(random, 7)];
}

static void fill_matrix(PfRandom *random, float *values, int64_t rows, int64_t columns,
                        int64_t stride, int wild)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) values[i * stride + j] = random_value(random, wild);
}

static size_t extent(int64_t rows, int64_t columns, int64_t stride)
{
    return rows ? (size_t)((rows - 1) * stride + columns) : 0;
}

static Case make_case(PfRandom *random, Kind kind, int64_t m, int64_t n, int64_t k)
{
    int64_t a_rows = kind == TN || kind == TN_SUM ? k : m, b_rows = kind == NT ? n : k;
    int64_t a_columns = a_rows == k && kind != NN && kind != NT ? m : k;
    int64_t b_columns = kind == NT ? k : n, wild = below(random, 6) == 0;
    PfGemm g = {.m = m, .n = n, .k = k, .accumulate = (int)below(random, 2)};
    g.lda = a_columns + below(random, 3) * below(random, 9);
    g.ldb = b_columns + below(random, 3) * below(random, 9);
    g.ldc = n + below(random, 3) * below(random, 9);
    Case made = {.kind = kind};
    made.a = guarded_floats(extent(a_rows, a_columns, g.lda), NAN);
    made.b = guarded_floats(extent(b_rows, b_columns, g.ldb), NAN);
    made.c = guarded_floats(extent(m, n, g.ldc), POISON);
    fill_matrix(random, made.a.values, a_rows, a_columns, g.lda, (int)wild);
    fill_matrix(random, made.b.values, b_rows, b_columns, g.ldb, (int)wild);
    made.start = calloc((size_t)(m * n + 1), sizeof *made.start);
    made.sum = calloc((size_t)(m * n + 1), sizeof *made.sum);
    made.sum_was = calloc((size_t)(m * n + 1), sizeof *made.sum);
    fill_matrix(random, made.start, m, n, n, 0);
    for (int64_t i = 0; i < m * n; i++) made.sum_was[i] = pf_random_normal(random);
    g.a = made.a.values;
    g.b = made.b.values;
    g.c = made.c.values;
    made.expected = calloc((size_t)(m * n + 1), sizeof *made.expected);
    made.gemm = g;
    return made;
}

static void free_case(Case *made)
{
    guarded_floats_free(&made->a);
    guarded_floats_free(&made->b);
    guarded_floats_free(&made->c);
    free(made->start);
    free(made->sum);
    free(made->sum_was);
    free(made->expected);
}

static float a_at(const Case *made, int64_t i, int64_t k)
{
    const PfGemm *g = &made->gemm;
    return made->kind == NN || made->kind == NT ? g->a[i * g->lda + k] : g->a[k * g->lda + i];
}

static float b_at(const Case *made, int64_t k, int64_t j)
{
    const PfGemm *g = &made->gemm;
    return made->kind == NT ? g->b[j * g->ldb + k] : g->b[k * g->ldb + j];
}

static float chain(const Case *made, int64_t i, int64_t j, int64_t first, int64_t end, float value)
{
    for (int64_t k = first; k < end; k++) value = fmaf(a_at(made, i, k), b_at(made, k, j), value);
    return value;
}

/* gemm.h's definition of one element of C. */
static float expected_element(const Case *made, int64_t i, int64_t j)
{
    float start = made->gemm.accumulate ? made->start[i * made->gemm.n + j] : 0.0f;
    return chain(made, i, j, 0, made->gemm.k, start);
}

static double expected_sum(const Case *made, int64_t i, int64_t j)
{
    double sum = made->sum_was[i * made->gemm.n + j];
    for (int64_t k = 0; k < made->gemm.k; k += PF_GEMM_SUM_ROWS) {
        int64_t end = k + PF_GEMM_SUM_ROWS < made->gemm.k ? k + PF_GEMM_SUM_ROWS : made->gemm.k;
        sum += (double)chain(made, i, j, k, end, 0.0f);
    }
    return sum;
}

static void run_case(Case *made, PfThreadPool *pool)
{
    PfGemm *g = &made->gemm;
    for (int64_t i = 0; i < g->m; i++)
        memcpy(g->c + i * g->ldc, made->start + i * g->n, (size_t)g->n * sizeof *g->c);
    memcpy(made->sum, made->sum_was, (size_t)(g->m * g->n) * sizeof *made->sum);
    switch (made->kind) {
    case NN: pf_gemm_nn(g, pool); break;
    case TN: pf_gemm_tn(g, pool); break;
    case NT: pf_gemm_nt(g, pool); break;
    default: pf_gemm_tn_sum(g, made->sum, pool); break;
    }
}

static int same_double(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

static void find_expected(Case *made)
{
    for (int64_t i = 0; i < made->gemm.m; i++)
        for (int64_t j = 0; j < made->gemm.n; j++)
            made->expected[i * made->gemm.n + j] = made->kind == TN_SUM
                                                       ? expected_sum(made, i, j)
                                                       : (double)expected_element(made, i, j);
}

static int is_expected(const Case *made, int64_t i, int64_t j)
{
    const PfGemm *g = &made->gemm;
    double expected = made->expected[i * g->n + j];
    if (made->kind == TN_SUM) return same_double(made->sum[i * g->n + j], expected);
    return same(g->c[i * g->ldc + j], (float)expected);
}

static void check_case(const Case *made, const char *set, int threads)
{
    const PfGemm *g = &made->gemm;
    for (int64_t i = 0; i < g->m; i++) {
        for (int64_t j = 0; j < g->n; j++)
            ck_assert_msg(is_expected(made, i, j),
                          "%s, kind %d, %d threads: (%d, %d) of %d x %d x %d", set, (int)made->kind,
                          threads, (int)i, (int)j, (int)g->m, (int)g->n, (int)g->k);
        for (int64_t j = g->n; j < g->ldc && i + 1 < g->m; j++)
            ck_assert(g->c[i * g->ldc + j] == (float)POISON);
    }
}

static PfThreadPool *pools[MAX_THREADS + 1];

static void start_pools(void)
{
    for (int threads = 1; threads <= MAX_THREADS; threads++)
        ck_assert_int_eq(pf_thread_pool_new(threads, &pools[threads], NULL), 0);
}

static void stop_pools(void)
{
    for (int threads = 1; threads <= MAX_THREADS; threads++) pf_thread_pool_free(&pools[threads]);
    pf_kernels_use(NULL);
}

static void check_on_all_sets(Case *made, PfRandom *random)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    find_expected(made);
    for (int s = 0; s < count; s++) {
        int threads = (int)below(random, MAX_THREADS + 1); /* 0: no pool */
        pf_kernels_use(sets[s]);
        run_case(made, pools[threads]);
        check_case(made, sets[s]->name, threads);
    }
}

START_TEST(every_element_is_its_chain)
{
    PfRandom random = pf_random_seeded(21, (uint64_t)_i);
    for (int round = 0; round < 150; round++) {
        int64_t m = random_size(&random, 120), n = random_size(&random, 200);
        int64_t k = random_size(&random, 70);
        Case made = make_case(&random, (Kind)_i, m, n, k);
        check_on_all_sets(&made, &random);
        free_case(&made);
    }
}
END_TEST

START_TEST(deep_tall_and_wide_products_too)
{
    PfRandom random = pf_random_seeded(22, (uint64_t)_i);
    /* The last three are large enough for threads. */
    const int64_t sizes[][3] = {{3, 10, 1300}, {17, 50, 513}, {520, 10, 20}, {9, 700, 30},
                                {600, 2, 256}, {2, 13, 257},  {40, 12, 0},   {130, 100, 100},
                                {70, 330, 50}, {400, 12, 300}};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        Case made = make_case(&random, (Kind)_i, sizes[s][0], sizes[s][1], sizes[s][2]);
        check_on_all_sets(&made, &random);
        free_case(&made);
    }
}
END_TEST

/* Columns [first, first + count) of the case's C alone, compared with all of it. */
static void check_columns_alone(const Case *all, int64_t first, int64_t count)
{
    Case alone = *all;
    const PfGemm *g = &all->gemm;
    float *c = calloc((size_t)(g->m * count), sizeof *c);
    alone.gemm.n = alone.gemm.ldc = count;
    alone.gemm.b = g->b + first * (all->kind == NT ? g->ldb : 1);
    alone.gemm.c = c;
    alone.gemm.accumulate = 0;
    (all->kind == NN ? pf_gemm_nn : all->kind == TN ? pf_gemm_tn : pf_gemm_nt)(&alone.gemm, NULL);
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < count; j++)
            ck_assert(same(c[i * count + j], g->c[i * g->ldc + first + j]));
    free(c);
}

START_TEST(columns_alone_equal_themselves_among_others)
{
    PfRandom random = pf_random_seeded(23, (uint64_t)_i);
    pf_kernels_use(NULL);
    Case made = make_case(&random, (Kind)_i, 64, 1000, 300);
    made.gemm.accumulate = 0;
    run_case(&made, pools[3]);
    for (int round = 0; round < 40; round++) {
        int64_t first = below(&random, 999), count = 1 + below(&random, 20);
        check_columns_alone(&made, first, count < 1000 - first ? count : 1000 - first);
    }
    free_case(&made);
}
END_TEST

START_TEST(sums_of_consecutive_blocks_are_the_whole_sum)
{
    PfRandom random = pf_random_seeded(24, 0);
    for (int n = 5; n <= 40; n += 35) { /* turned and not */
        Case made = make_case(&random, TN_SUM, 30, n, 3 * PF_GEMM_SUM_ROWS + 77);
        PfGemm part = made.gemm;
        run_case(&made, pools[2]);
        double *sum = calloc((size_t)(30 * n), sizeof *sum);
        memcpy(sum, made.sum_was, (size_t)(30 * n) * sizeof *sum);
        part.k = 2 * PF_GEMM_SUM_ROWS;
        pf_gemm_tn_sum(&part, sum, NULL);
        part.a += part.k * part.lda;
        part.b += part.k * part.ldb;
        part.k = made.gemm.k - part.k;
        pf_gemm_tn_sum(&part, sum, pools[4]);
        for (int i = 0; i < 30 * n; i++) ck_assert(same_double(sum[i], made.sum[i]));
        free(sum);
        free_case(&made);
    }
}
END_TEST

/* What the fixed order costs in digits: a chain of k roundings, each 2^-24 of the
 * sum so far. */
START_TEST(products_are_near_the_exact_ones)
{
    PfRandom random = pf_random_seeded(25, 0);
    Case made = make_case(&random, NN, 20, 30, 2048);
    made.gemm.accumulate = 0;
    run_case(&made, NULL);
    for (int64_t i = 0; i < 20; i++)
        for (int64_t j = 0; j < 30; j++) {
            double exact = 0, magnitude = 0;
            for (int64_t k = 0; k < 2048; k++) {
                double product = (double)a_at(&made, i, k) * (double)b_at(&made, k, j);
                exact += product;
                magnitude += fabs(product);
            }
            float found = made.gemm.c[i * made.gemm.ldc + j];
            if (isfinite(magnitude))
                ck_assert_double_eq_tol((double)found, exact, 2048 * ldexp(magnitude, -24));
        }
    free_case(&made);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gemm");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, start_pools, stop_pools);
    tcase_add_loop_test(cases, every_element_is_its_chain, 0, KINDS);
    tcase_add_loop_test(cases, deep_tall_and_wide_products_too, 0, KINDS);
    tcase_add_loop_test(cases, columns_alone_equal_themselves_among_others, NN, TN_SUM);
    tcase_add_test(cases, sums_of_consecutive_blocks_are_the_whole_sum);
    tcase_add_test(cases, products_are_near_the_exact_ones);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Projections: each step against its definition, and the same bits on any number of threads. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "inspect/projection/affinity.h"
#include "inspect/projection/nearest.h"
#include "inspect/projection/pca.h"
#include "inspect/projection/repulsion.h"
#include "inspect/projection/tsne.h"
#include "tests/unit/assert_each.h"

enum { ROWS = 700, COLUMNS = 23, CLUSTERS = 5 };

static PfError err;

/* Clusters of unequal width in ROWS x COLUMNS. */
static float *draw_rows(void)
{
    PfRandom random = pf_random_seeded(3, 0);
    float *x = malloc(ROWS * COLUMNS * sizeof *x), centres[CLUSTERS][COLUMNS];
    for (int c = 0; c < CLUSTERS; c++)
        for (int j = 0; j < COLUMNS; j++) centres[c][j] = 4 * (float)pf_random_normal(&random);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            x[i * COLUMNS + j] =
                centres[i % CLUSTERS][j] + (float)((1 + j % 3) * pf_random_normal(&random));
    return x;
}

static PfThreadPool *threads(int count)
{
    PfThreadPool *pool;
    ck_assert_int_eq(pf_thread_pool_new(count, &pool, &err), 0);
    return pool;
}

/* Scores are uncorrelated, and their variances are the shares that are told, largest first. */
START_TEST(components_are_eigenvectors)
{
    float *x = draw_rows();
    PfPca pca;
    double total = 0, last = 1;
    ck_assert_int_eq(pf_pca_run(x, ROWS, COLUMNS, 10, NULL, &pca, &err), 0);
    ck_assert_int_eq(pca.components, 10);
    for (int j = 0; j < COLUMNS; j++) {
        double mean = 0;
        for (int i = 0; i < ROWS; i++) mean += x[i * COLUMNS + j] / (double)ROWS;
        for (int i = 0; i < ROWS; i++) total += pow(x[i * COLUMNS + j] - mean, 2);
    }
    for (int a = 0; a < 10; a++)
        for (int b = 0; b <= a; b++) {
            double product = 0;
            for (int i = 0; i < ROWS; i++)
                product += (double)pca.scores[i * 10 + a] * pca.scores[i * 10 + b];
            double expected = a == b ? pca.explained[a] : 0;
            assert_each(fabs(product / total - expected) < 1e-5, "%d %d: %g, not %g", a, b,
                        product / total, expected);
        }
    for (int a = 0; a < 10; a++) {
        ck_assert(pca.explained[a] <= last);
        last = pca.explained[a];
    }
    pf_pca_free(&pca);
    free(x);
}
END_TEST

/* Rows that do not vary, and more components than columns. */
START_TEST(components_of_nothing)
{
    float x[8] = {3, 3, 3, 3, 3, 3, 3, 3};
    PfPca pca;
    ck_assert_int_eq(pf_pca_run(x, 4, 2, 5, NULL, &pca, &err), 0);
    ck_assert_int_eq(pca.components, 2);
    for (int i = 0; i < 8; i++) ck_assert(pca.scores[i] == 0);
    pf_pca_free(&pca);
}
END_TEST

static double square(const float *x, int a, int b)
{
    double sum = 0;
    for (int j = 0; j < COLUMNS; j++) sum += pow(x[a * COLUMNS + j] - x[b * COLUMNS + j], 2);
    return sum;
}

START_TEST(nearest_are_nearest)
{
    enum { K = 12 };
    float *x = draw_rows(), squares[ROWS * K];
    int32_t indices[ROWS * K];
    memcpy(x + 5 * COLUMNS, x, COLUMNS * sizeof *x); /* rows 0 and 5 are equal */
    ck_assert_int_eq(pf_nearest_find(x, ROWS, COLUMNS, K, NULL, indices, squares, &err), 0);
    ck_assert_int_eq(indices[0], 5);
    ck_assert_int_eq(indices[5 * K], 0);
    for (int i = 0; i < ROWS; i++) {
        double last = square(x, i, indices[i * K + K - 1]);
        int nearer = 0;
        for (int j = 0; j < ROWS; j++) nearer += j != i && square(x, i, j) < last * (1 - 1e-4);
        assert_each(nearer < K, "row %d: %d are nearer than the last of %d", i, nearer, K);
        for (int n = 0; n < K; n++) {
            int32_t j = indices[i * K + n];
            assert_each(j != i && fabs(squares[i * K + n] - square(x, i, j)) < 1e-2,
                        "row %d, neighbour %d", i, n);
            assert_each(!n || squares[i * K + n] >= squares[i * K + n - 1], "row %d: order", i);
        }
    }
    free(x);
}
END_TEST

/* Weights are symmetric, sum up to 1, and have the perplexity that was asked for. */
START_TEST(affinities)
{
    float *x = draw_rows();
    PfAffinity a;
    double sum = 0;
    ck_assert_int_eq(pf_affinity_find(x, ROWS, COLUMNS, 10, NULL, &a, &err), 0);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t e = a.starts[i]; e < a.starts[i + 1]; e++) {
            int32_t j = a.partners[e];
            float back = -1;
            for (int64_t f = a.starts[j]; f < a.starts[j + 1]; f++)
                if (a.partners[f] == i) back = a.weights[f];
            assert_each(back == a.weights[e], "%lld and %d", (long long)i, j);
            sum += a.weights[e];
        }
    ck_assert(fabs(sum - 1) < 1e-5);
    pf_affinity_free(&a);
    free(x);
}
END_TEST

static void draw_cloud(float *x, float *y, int count)
{
    PfRandom random = pf_random_seeded(4, 0);
    for (int i = 0; i < count; i++) {
        x[i] = (float)(10 * pf_random_normal(&random));
        y[i] = (float)(i % 3 * 20 + pf_random_normal(&random));
    }
    for (int i = 0; i < 40; i++) x[i] = y[i] = 1; /* more on one spot than a leaf takes */
}

static double exact_push(const float *x, const float *y, int i, double *push_x, double *push_y)
{
    double sum = *push_x = *push_y = 0;
    for (int j = 0; j < ROWS; j++) {
        double dx = x[i] - x[j], dy = y[i] - y[j], q = 1 / (1 + dx * dx + dy * dy);
        if (j == i) continue;
        sum += q;
        *push_x += q * q * dx;
        *push_y += q * q * dy;
    }
    return sum;
}

/* theta 0 opens every cell. */
START_TEST(pushes)
{
    float x[ROWS], y[ROWS], push_x[ROWS], push_y[ROWS];
    const double thetas[] = {0, 0.5}, tolerances[] = {1e-5, 0.02};
    draw_cloud(x, y, ROWS);
    for (int t = 0; t < 2; t++) {
        PfRepulsion *repulsion;
        double sum = 0, error = 0, norm = 0;
        ck_assert_int_eq(pf_repulsion_new(ROWS, thetas[t], &repulsion, &err), 0);
        double found = pf_repulsion_run(repulsion, x, y, push_x, push_y, NULL);
        for (int i = 0; i < ROWS; i++) {
            double exact_x, exact_y;
            sum += exact_push(x, y, i, &exact_x, &exact_y);
            error += pow(push_x[i] - exact_x, 2) + pow(push_y[i] - exact_y, 2);
            norm += exact_x * exact_x + exact_y * exact_y;
        }
        ck_assert_msg(fabs(found / sum - 1) < tolerances[t], "theta %g: %g, not %g", thetas[t],
                      found, sum);
        ck_assert_msg(sqrt(error / norm) < tolerances[t], "theta %g: error %g", thetas[t],
                      sqrt(error / norm));
        pf_repulsion_free(&repulsion);
    }
}
END_TEST

static void lay_out(const float *x, int count, float *map)
{
    PfThreadPool *pool = threads(count);
    PfPca pca;
    PfTsneOptions options = {.iterations = 150};
    ck_assert_int_eq(pf_pca_run(x, ROWS, COLUMNS, 2, pool, &pca, &err), 0);
    ck_assert_int_eq(pf_tsne_run(x, ROWS, COLUMNS, pca.scores, &options, pool, map, &err), 0);
    pf_pca_free(&pca);
    pf_thread_pool_free(&pool);
}

START_TEST(map_does_not_depend_on_threads)
{
    float *x = draw_rows(), maps[3][ROWS * 2];
    const int counts[] = {1, 2, 7};
    for (int m = 0; m < 3; m++) lay_out(x, counts[m], maps[m]);
    ck_assert(!memcmp(maps[0], maps[1], sizeof maps[0]));
    ck_assert(!memcmp(maps[0], maps[2], sizeof maps[0]));
    double trust = pf_tsne_trustworthiness(x, ROWS, COLUMNS, maps[0], 15, ROWS, NULL, &err);
    ck_assert_msg(trust > 0.9, "trustworthiness %g", trust);
    /* Neighbours on a map of noise are no neighbours. */
    for (int i = 0; i < 2 * ROWS; i++) maps[1][i] = (float)((i * 7919) % 1009);
    double noise = pf_tsne_trustworthiness(x, ROWS, COLUMNS, maps[1], 15, ROWS, NULL, &err);
    ck_assert_msg(noise < 0.7, "trustworthiness %g of noise", noise);
    free(x);
}
END_TEST

START_TEST(few_rows)
{
    float x[7 * 3], map[14];
    PfPca pca;
    PfTsneOptions options = {0};
    for (int i = 0; i < 21; i++) x[i] = (float)((i * 5) % 7);
    for (int rows = 1; rows <= 7; rows++) {
        ck_assert_int_eq(pf_pca_run(x, rows, 3, 2, NULL, &pca, &err), 0);
        ck_assert_int_eq(pf_tsne_run(x, rows, 3, pca.scores, &options, NULL, map, &err), 0);
        for (int i = 0; i < 2 * rows; i++) ck_assert(isfinite(map[i]));
        pf_pca_free(&pca);
    }
    memset(x, 0, sizeof x); /* all equal */
    ck_assert_int_eq(pf_pca_run(x, 7, 3, 2, NULL, &pca, &err), 0);
    ck_assert_int_eq(pf_tsne_run(x, 7, 3, pca.scores, &options, NULL, map, &err), 0);
    for (int i = 0; i < 14; i++) ck_assert(isfinite(map[i]));
    pf_pca_free(&pca);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("projection");
    TCase *cases = tcase_create("projection");
    tcase_add_test(cases, components_are_eigenvectors);
    tcase_add_test(cases, components_of_nothing);
    tcase_add_test(cases, nearest_are_nearest);
    tcase_add_test(cases, affinities);
    tcase_add_test(cases, pushes);
    tcase_add_test(cases, map_does_not_depend_on_threads);
    tcase_add_test(cases, few_rows);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

/* Rows of float32 on a plane, by the projections of inspect: for comparisons with other programs.
 *
 *   project_rows ROWS COLUMNS pca K | tsne ITERATIONS  < float32 rows > float32 positions
 *
 * tsne first reduces more than 50 columns to 50 principal components. On stderr: seconds, and the
 * trustworthiness (k = 15) of 1,000 rows. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "inspect/projection/pca.h"
#include "inspect/projection/tsne.h"

static int project(const float *x, int64_t rows, int64_t columns, char **arguments, PfError *err)
{
    PfThreadPool *pool;
    PfPca pca = {0};
    PfTsneOptions options = {.iterations = atoi(arguments[1])};
    bool is_pca = !strcmp(arguments[0], "pca");
    int components = is_pca ? atoi(arguments[1]) : columns < 50 ? (int)columns : 50;
    const char *threads = getenv("THREADS");
    double started = pf_clock_seconds();
    if (pf_thread_pool_new(threads ? atoi(threads) : 0, &pool, err) ||
        pf_pca_run(x, rows, columns, components, pool, &pca, err))
        return -1;
    fprintf(stderr, "pca %.2f s\n", pf_clock_seconds() - started);
    if (is_pca) {
        fwrite(pca.scores, sizeof(float), (size_t)(rows * pca.components), stdout);
        for (int c = 0; c < pca.components; c++)
            fprintf(stderr, "explained %.9g\n", pca.explained[c]);
    } else {
        float *start = pf_calloc((size_t)rows * 2, sizeof *start, err),
              *map = pf_calloc((size_t)rows * 2, sizeof *map, err);
        if (!start || !map) return -1;
        for (int64_t i = 0; i < rows; i++)
            memcpy(start + 2 * i, pca.scores + i * pca.components, 2 * sizeof *start);
        if (pf_tsne_run(pca.scores, rows, pca.components, start, &options, pool, map, err))
            return -1;
        fprintf(stderr, "tsne %.2f s in all\n", pf_clock_seconds() - started);
        fprintf(stderr, "trust %.6f\n",
                pf_tsne_trustworthiness(x, rows, columns, map, 15, 1000, pool, err));
        fwrite(map, sizeof(float), (size_t)(rows * 2), stdout);
        free(start);
        free(map);
    }
    pf_pca_free(&pca);
    pf_thread_pool_free(&pool);
    return 0;
}

int main(int argc, char **argv)
{
    PfError err = {0};
    if (argc != 5) return 2;
    int64_t rows = atoll(argv[1]), columns = atoll(argv[2]);
    float *x = pf_calloc((size_t)(rows * columns), sizeof *x, &err);
    if (!x || fread(x, sizeof *x, (size_t)(rows * columns), stdin) != (size_t)(rows * columns))
        return 1;
    int failed = project(x, rows, columns, argv + 3, &err);
    if (failed) fprintf(stderr, "%s\n", err.message);
    free(x);
    return failed ? 1 : 0;
}

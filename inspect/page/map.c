#include "inspect/page/map.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "inspect/projection/pca.h"
#include "inspect/projection/tsne.h"

/* Dimensions that t-SNE begins with. */
#define COMPONENTS 50
/* From so many rows on two thirds of the iterations have to do. */
#define MANY_ROWS 30000
#define TRUSTED_ROWS 300

static void show_progress(void *context, int64_t done, int64_t total)
{
    (void)total;
    pf_progress_update(context, done, "map");
}

/* Maps of the network's layers, (channels, height, width), are averaged over their places. */
static int64_t averaged_columns(const PfRows *rows)
{
    const PfCacheTap *tap = pf_cache_tap(rows->cache, rows->tap);
    int64_t places = 1;
    if (tap->shape.rank - (rows->views > 1) == 3)
        for (int axis = tap->shape.rank - 2; axis < tap->shape.rank; axis++)
            places *= tap->shape.dims[axis];
    return rows->features / places;
}

/* Of so many rows, evenly spaced. */
static int gather_rows(const PfRows *rows, int64_t sample, int64_t columns, float *x, PfError *err)
{
    int64_t places = rows->features / columns;
    float *row = pf_alloc_aligned((size_t)rows->features, sizeof *row, err);
    int failed = !row;
    for (int64_t i = 0; i < sample && !failed; i++) {
        failed = pf_rows_block(rows, i * rows->count / sample, 1, row, err);
        for (int64_t c = 0; c < columns; c++) {
            double sum = 0;
            for (int64_t p = 0; p < places; p++) sum += row[c * places + p];
            x[i * columns + c] = (float)(sum / (double)places);
        }
    }
    free(row);
    return failed;
}

static float *spread(const PfRows *rows, int64_t sample, const float *positions, int stride,
                     PfError *err)
{
    float *map = pf_calloc(2 * (size_t)rows->count, sizeof *map, err);
    for (int64_t i = 0; map && i < 2 * rows->count; i++) map[i] = NAN;
    for (int64_t i = 0; map && i < sample; i++)
        for (int axis = 0; axis < 2; axis++)
            map[2 * (i * rows->count / sample) + axis] = positions[i * stride + axis];
    return map;
}

/* x: (sample, columns). */
static int lay_out(const PfRows *rows, const PfPca *pca, const float *x, int64_t columns,
                   int64_t sample, PfThreadPool *pool, PfMap *out, PfError *err)
{
    PfProgress progress;
    PfTsneOptions options = {.iterations = sample > MANY_ROWS ? 500 : 750,
                             .interrupted = rows->interrupted,
                             .progress = show_progress,
                             .context = &progress};
    float *start = pf_calloc(2 * (size_t)sample, sizeof *start, err);
    float *map = start ? pf_calloc(2 * (size_t)sample, sizeof *map, err) : NULL;
    for (int64_t i = 0; map && i < sample; i++)
        memcpy(start + 2 * i, pca->scores + i * pca->components, 2 * sizeof *start);
    pf_progress_start(&progress, "steps", options.iterations);
    int failed =
        !map || pf_tsne_run(pca->scores, sample, pca->components, start, &options, pool, map, err);
    pf_progress_end(&progress);
    if (!failed) {
        out->trustworthiness = pf_tsne_trustworthiness(
            x, sample, columns, map, PF_MAP_TRUSTED_NEIGHBOURS, TRUSTED_ROWS, pool, err);
        out->placed = sample;
        out->positions = spread(rows, sample, map, 2, err);
        failed = !out->positions;
    }
    free(start);
    free(map);
    return failed ? -1 : 0;
}

int pf_map_draw(const PfRows *rows, PfMap *out, PfError *err)
{
    int64_t columns = averaged_columns(rows), sample = pf_min(rows->count, PF_MAP_MOST_ROWS);
    int64_t room = rows->memory_bytes / (columns * (int64_t)sizeof(float) + 1) / 2;
    PfThreadPool *pool = NULL;
    PfPca pca = {0};
    *out = (PfMap){.trustworthiness = NAN};
    sample = pf_min(sample, room);
    if (sample < 2 || columns < 2) return 0;
    float *x = pf_alloc_aligned((size_t)(sample * columns), sizeof *x, err);
    int failed = !x || pf_thread_pool_new(rows->threads, &pool, err) ||
                 gather_rows(rows, sample, columns, x, err) ||
                 pf_pca_run(x, sample, columns, COMPONENTS, pool, &pca, err);
    if (!failed) {
        snprintf(out->components_name, sizeof out->components_name,
                 "principal components (%.0f %% and %.0f %% of the variance)",
                 100 * pca.explained[0], 100 * pca.explained[1]);
        out->components = spread(rows, sample, pca.scores, pca.components, err);
        failed = !out->components || lay_out(rows, &pca, x, columns, sample, pool, out, err);
    }
    if (!failed && sample < rows->count)
        pf_warn("the map has %lld of %lld images, evenly spaced", (long long)sample,
                (long long)rows->count);
    pf_pca_free(&pca);
    pf_thread_pool_free(&pool);
    free(x);
    return failed ? -1 : 0;
}

void pf_map_free(PfMap *map)
{
    free(map->positions);
    free(map->components);
    *map = (PfMap){0};
}

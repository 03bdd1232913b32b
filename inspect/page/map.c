#include "inspect/page/map.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "inspect/projection/pca.h"
#include "inspect/projection/tsne.h"

/* Dimensions that t-SNE begins with. */
#define COMPONENTS 50
/* From so many rows on two thirds of the iterations have to do. */
#define MANY_ROWS 30000
#define TRUSTED_ROWS 300
/* Rows that are read in one go, where less than FAR_BYTES lie between one and the next. */
#define BLOCK_BYTES ((int64_t)8 << 20)
#define FAR_BYTES ((int64_t)512 << 10)

/* The row that the i-th of the sample is. */
static int64_t place_of(const PfRows *rows, int64_t sample, int64_t i)
{
    return i * rows->count / sample;
}

static void show_progress(void *context, int64_t done, int64_t total)
{
    (void)total;
    pf_progress_update(context, done, "map");
}

/* How a row's features are averaged: column c is the mean of those at
 * c * column_stride + p * place_stride for each place p. */
typedef struct Averaging {
    int64_t columns, places, column_stride, place_stride;
} Averaging;

/* Maps of the network's layers, (channels, height, width), and tokens, (tokens, channels), are
 * averaged over their places. */
static Averaging find_averaging(const PfRows *rows)
{
    const PfShape *shape = &pf_cache_tap(rows->cache, rows->tap)->shape;
    int axes = shape->rank - (rows->views > 1);
    int64_t last = shape->dims[shape->rank - 1];
    if (axes == 2 && last > 1) return (Averaging){last, rows->features / last, 1, last};
    int64_t places = axes == 3 ? shape->dims[shape->rank - 2] * last : 1;
    return (Averaging){rows->features / places, places, places, 1};
}

static void average_row(const Averaging *averaging, const float *row, float *x)
{
    for (int64_t c = 0; c < averaging->columns; c++) {
        const float *from = row + c * averaging->column_stride;
        double sum = 0;
        for (int64_t p = 0; p < averaging->places; p++) sum += from[p * averaging->place_stride];
        x[c] = (float)(sum / (double)averaging->places);
    }
}

/* Rows that are read in one go: as many as are near to each other on the disk. */
static int64_t block_rows(const PfRows *rows, int64_t sample)
{
    int64_t row_bytes = rows->features * rows->views * (int64_t)sizeof(float);
    int64_t step = rows->count / sample;
    if (step > 1 && step * row_bytes > FAR_BYTES) return 1;
    return pf_max(1, pf_min(rows->count, BLOCK_BYTES / row_bytes));
}

/* Of so many rows, evenly spaced. */
static int gather_rows(const PfRows *rows, int64_t sample, const Averaging *averaging, float *x,
                       PfError *err)
{
    int64_t block = block_rows(rows, sample);
    float *read = pf_alloc_aligned((size_t)(block * rows->features), sizeof *read, err);
    int failed = !read;
    for (int64_t i = 0; i < sample && !failed;) {
        int64_t first = place_of(rows, sample, i), end = i + 1;
        while (end < sample && place_of(rows, sample, end) < first + block) end++;
        failed = pf_rows_check_interrupt(rows, err) ||
                 pf_rows_block(rows, first, place_of(rows, sample, end - 1) - first + 1, read, err);
        for (; i < end && !failed; i++)
            average_row(averaging, read + (place_of(rows, sample, i) - first) * rows->features,
                        x + i * averaging->columns);
    }
    free(read);
    return failed;
}

static float *spread(const PfRows *rows, int64_t sample, const float *positions, int stride,
                     PfError *err)
{
    float *map = pf_calloc(2 * (size_t)rows->count, sizeof *map, err);
    for (int64_t i = 0; map && i < 2 * rows->count; i++) map[i] = NAN;
    for (int64_t i = 0; map && i < sample; i++)
        for (int axis = 0; axis < 2; axis++)
            map[2 * place_of(rows, sample, i) + axis] = positions[i * stride + axis];
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

/* Whether there are too few rows or too little memory, and out says so. */
static bool has_no_map(const PfRows *rows, int64_t columns, int64_t room, PfMap *out)
{
    const double bytes = PF_PCA_BYTES(columns);
    char needed[PF_SIZE_TEXT], free_bytes[PF_SIZE_TEXT];
    if (rows->count < 2 || columns < 2) {
        pf_format(out->reason, sizeof out->reason, "there are fewer than two rows or features");
        return true;
    }
    if (room >= 2 && bytes <= (double)rows->memory_bytes) return false;
    pf_format(out->reason, sizeof out->reason,
              "principal components of %lld features take %s, and %s may be taken; "
              "inspect --memory allows more",
              (long long)columns, pf_size_text((int64_t)fmin(bytes, 9e18), needed),
              pf_size_text(rows->memory_bytes, free_bytes));
    pf_warn("no map: %" PF_SENTENCE, out->reason);
    return true;
}

int pf_map_draw(const PfRows *rows, PfMap *out, PfError *err)
{
    const Averaging averaging = find_averaging(rows);
    int64_t columns = averaging.columns, sample = pf_min(rows->count, PF_MAP_MOST_ROWS);
    int64_t room = rows->memory_bytes / (columns * (int64_t)sizeof(float) + 1) / 2;
    PfThreadPool *pool = NULL;
    PfPca pca = {0};
    *out = (PfMap){.trustworthiness = NAN};
    sample = pf_min(sample, room);
    if (has_no_map(rows, columns, room, out)) return 0;
    float *x = pf_alloc_aligned((size_t)(sample * columns), sizeof *x, err);
    int failed = !x || pf_thread_pool_new(rows->threads, &pool, err) ||
                 gather_rows(rows, sample, &averaging, x, err) ||
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

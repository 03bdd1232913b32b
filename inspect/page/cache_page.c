#include "inspect/page/cache_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/projection/pca.h"
#include "inspect/projection/tsne.h"

#define NEAREST 3
#define MOST_MISTAKES 240
/* Dimensions that t-SNE begins with. */
#define COMPONENTS 50
/* From so many rows on two thirds of the iterations have to do. */
#define MANY_ROWS 30000
#define TRUSTED_NEIGHBOURS 15
#define TRUSTED_ROWS 300

/* ---- what is true ---- */

static void *own(PfCachePage *page, size_t count, size_t size, PfError *err)
{
    if (pf_grow(&page->owned, &page->owned_capacity, page->owned_count + 1, sizeof *page->owned,
                err))
        return NULL;
    void *array = pf_calloc(count + 1, size, err);
    if (array) page->owned[page->owned_count++] = array;
    return array;
}

static int read_target(PfCachePage *page, int index, PfError *err)
{
    const PfCacheTarget *from = pf_cache_target(page->cache, index);
    PfPageTarget *to = &page->targets[index];
    size_t rows = (size_t)page->data.rows;
    *to = (PfPageTarget){.name = from->name, .kind = from->kind, .width = from->width};
    if (from->kind == PF_TARGET_CLASS) {
        int32_t *labels = own(page, rows, sizeof *labels, err);
        to->width = from->class_count;
        to->names = from->classes;
        to->labels = labels;
        return labels ? pf_cache_read_classes(page->cache, index, labels, err) : -1;
    }
    float *values = own(page, rows * (size_t)from->width, sizeof *values, err);
    to->values = values;
    if (from->kind == PF_TARGET_MULTILABEL) to->names = from->classes;
    return values ? pf_cache_read_values(page->cache, index, values, err) : -1;
}

static void add_facts(PfCachePage *page)
{
    PfPageData *data = &page->data;
    cJSON *identity = cJSON_Parse(pf_cache_identity(page->cache));
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    const char *name = pf_json_member_text(backbone, "name");
    int64_t counts[PF_SPLIT_COUNT] = {0};
    for (int64_t i = 0; data->splits && i < data->rows; i++) counts[data->splits[i]]++;
    if (data->splits)
        pf_page_add_fact(data, "images", "%lld: %lld train, %lld val, %lld test",
                         (long long)data->rows, (long long)counts[0], (long long)counts[1],
                         (long long)counts[2]);
    else
        pf_page_add_fact(data, "images", "%lld", (long long)data->rows);
    if (name) pf_page_add_fact(data, "network", "%s", name);
    if (pf_cache_rejected_count(page->cache))
        pf_page_add_fact(data, "rejected", "%lld images",
                         (long long)pf_cache_rejected_count(page->cache));
    cJSON_Delete(identity);
}

static void find_images(PfCachePage *page, const PfCachePageConfig *config)
{
    PfError why = {0};
    page->data.images_reason = page->reason;
    if (config->no_thumbnails) {
        snprintf(page->reason, sizeof page->reason, "none were asked for");
    } else if (pf_images_open(page->cache, config->images, &page->data.images, &why)) {
        snprintf(page->reason, sizeof page->reason, "%.390s",
                 config->anonymous ? "the images are not where they were" : why.message);
        pf_warn("no thumbnails: %" PF_SENTENCE, why.message);
    }
}

int pf_cache_page_open(PfCache *cache, const PfCachePageConfig *config, PfCachePage *out,
                       PfError *err)
{
    const char *path = pf_cache_path(cache), *slash = strrchr(path, '/');
    *out = (PfCachePage){.cache = cache};
    PfPageData *data = &out->data;
    data->title = slash ? slash + 1 : path;
    data->rows = pf_cache_row_count(cache);
    data->splits = config->splits ? config->splits : pf_cache_splits(cache);
    data->is_anonymous = config->anonymous;
    data->threads = config->threads;
    data->interrupted = config->interrupted;
    data->target_count = pf_cache_target_count(cache);
    out->targets = pf_calloc((size_t)data->target_count + 1, sizeof *out->targets, err);
    data->targets = out->targets;
    if (!out->targets || pf_image_files_read(cache, &out->files, err)) return -1;
    data->paths = out->files.paths;
    data->widths = out->files.widths;
    data->heights = out->files.heights;
    for (int t = 0; t < data->target_count; t++)
        if (read_target(out, t, err)) return -1;
    for (int t = 0; t < data->target_count; t++)
        if (out->targets[t].kind == PF_TARGET_KEYPOINTS) data->side = 210;
    add_facts(out);
    find_images(out, config);
    return 0;
}

void pf_cache_page_close(PfCachePage *page)
{
    pf_images_close(&page->data.images);
    for (size_t i = 0; i < page->owned_count; i++) free(page->owned[i]);
    free(page->owned);
    free(page->targets);
    pf_image_files_free(&page->files);
    *page = (PfCachePage){0};
}

float *pf_cache_page_outputs(PfCachePage *page, PfPageTarget *target, PfError *err)
{
    size_t count = (size_t)page->data.rows * (size_t)target->width;
    float *outputs = own(page, count, sizeof *outputs, err);
    for (size_t i = 0; outputs && i < count; i++) outputs[i] = NAN;
    target->outputs = outputs;
    return outputs;
}

/* ---- the map ---- */

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

static float *spread(PfCachePage *page, int64_t sample, const float *positions, int stride,
                     PfError *err)
{
    int64_t rows = page->data.rows;
    float *map = own(page, 2 * (size_t)rows, sizeof *map, err);
    for (int64_t i = 0; map && i < 2 * rows; i++) map[i] = NAN;
    for (int64_t i = 0; map && i < sample; i++)
        for (int axis = 0; axis < 2; axis++)
            map[2 * (i * rows / sample) + axis] = positions[i * stride + axis];
    return map;
}

static int lay_out(PfCachePage *page, const PfPca *pca, const float *x, int64_t columns,
                   int64_t sample, PfThreadPool *pool, PfError *err)
{
    PfProgress progress;
    PfTsneOptions options = {.iterations = sample > MANY_ROWS ? 500 : 750,
                             .interrupted = page->data.interrupted,
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
        double trust = pf_tsne_trustworthiness(x, sample, columns, map, TRUSTED_NEIGHBOURS,
                                               TRUSTED_ROWS, pool, err);
        if (!isnan(trust))
            pf_page_add_fact(&page->data, "map",
                             "t-SNE, perplexity 30; trustworthiness (k = %d) "
                             "%.3f",
                             TRUSTED_NEIGHBOURS, trust);
        page->data.map = spread(page, sample, map, 2, err);
        page->data.map_name = "t-SNE";
        failed = !page->data.map;
    }
    free(start);
    free(map);
    return failed;
}

int pf_cache_page_map(PfCachePage *page, const PfRows *rows, PfError *err)
{
    int64_t columns = averaged_columns(rows), sample = pf_min(rows->count, PF_CACHE_PAGE_MAP_ROWS);
    int64_t room = rows->memory_bytes / (columns * (int64_t)sizeof(float) + 1) / 2;
    PfThreadPool *pool = NULL;
    PfPca pca = {0};
    sample = pf_min(sample, room);
    if (sample < 2 || columns < 2) return 0;
    float *x = pf_alloc_aligned((size_t)(sample * columns), sizeof *x, err);
    int failed = !x || pf_thread_pool_new(rows->threads, &pool, err) ||
                 gather_rows(rows, sample, columns, x, err) ||
                 pf_pca_run(x, sample, columns, COMPONENTS, pool, &pca, err);
    if (!failed) {
        char shares[80];
        snprintf(shares, sizeof shares,
                 "principal components (%.0f %% and %.0f %% of the variance)",
                 100 * pca.explained[0], 100 * pca.explained[1]);
        char *name = own(page, sizeof shares, 1, err);
        failed = !name;
        if (name) strcpy(name, shares);
        page->data.other_map =
            failed ? NULL : spread(page, sample, pca.scores, pca.components, err);
        page->data.other_map_name = name;
        failed = failed || !page->data.other_map;
    }
    if (!failed) failed = lay_out(page, &pca, x, columns, sample, pool, err);
    if (!failed && sample < rows->count)
        pf_warn("the map has %lld of %lld images, evenly spaced", (long long)sample,
                (long long)rows->count);
    pf_pca_free(&pca);
    pf_thread_pool_free(&pool);
    free(x);
    return failed ? -1 : 0;
}

/* ---- the nearest training images ---- */

/* Looks among ever more neighbours until three of them, other than the row, are of train. */
static int find_nearest(const PfRows *rows, int64_t row, float *x, int32_t *index,
                        float *similarity, int64_t most, int32_t out[NEAREST], PfError *err)
{
    for (int n = 0; n < NEAREST; n++) out[n] = -1;
    if (pf_rows_block(rows, row, 1, x, err)) return -1;
    for (int64_t k = pf_min(most, 16);; k = pf_min(most, 8 * k)) {
        int found = 0;
        if (pf_neighbours_of(rows, x, (int)k, index, similarity, err)) return -1;
        for (int64_t i = 0; i < k && index[i] >= 0 && found < NEAREST; i++)
            if (index[i] != row && rows->splits[index[i]] == PF_SPLIT_TRAIN)
                out[found++] = index[i];
        if (found == NEAREST || k == most) return 0;
    }
}

int pf_cache_page_nearest(PfCachePage *page, const PfRows *rows, PfError *err)
{
    int32_t mistakes[MOST_MISTAKES];
    int64_t count = pf_page_mistakes(&page->data, MOST_MISTAKES, mistakes);
    int64_t most = pf_min(rows->count, 4096);
    if (!count) return 0;
    int32_t *nearest = own(page, NEAREST * (size_t)rows->count, sizeof *nearest, err);
    float *x = pf_calloc((size_t)rows->features, sizeof *x, err);
    float *similarity = pf_calloc((size_t)most, sizeof *similarity, err);
    int32_t *index = pf_calloc((size_t)most, sizeof *index, err);
    int failed = !nearest || !x || !similarity || !index;
    for (int64_t i = 0; i < NEAREST * rows->count && !failed; i++) nearest[i] = -1;
    for (int64_t i = 0; i < count && !failed; i++)
        failed = find_nearest(rows, mistakes[i], x, index, similarity, most,
                              nearest + NEAREST * (int64_t)mistakes[i], err);
    if (!failed) {
        page->data.nearest = nearest;
        page->data.nearest_count = NEAREST;
    }
    free(x);
    free(similarity);
    free(index);
    return failed ? -1 : 0;
}

#include "inspect/page/cache_page.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "train/kernels/gemm.h"

#define NEAREST 3
#define MOST_MISTAKES 240

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
    } else {
        pf_images_set_max_pixels(page->data.images, config->max_pixels);
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
    pf_map_free(&page->map);
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

int pf_cache_page_add_class(PfCachePage *page, PfPageTarget *target, const char *name, PfError *err)
{
    const char **names = own(page, (size_t)target->width + 1, sizeof *names, err);
    if (!names) return -1;
    for (int c = 0; c < target->width; c++) names[c] = target->names[c];
    names[target->width++] = name;
    target->names = names;
    return 0;
}

uint8_t *pf_cache_page_unknown(PfCachePage *page, PfPageTarget *target, PfError *err)
{
    uint8_t *unknown = own(page, (size_t)target->width, 1, err);
    target->unknown = unknown;
    return unknown;
}

/* ---- the map ---- */

static void show_map(PfCachePage *page, const PfMap *map)
{
    if (!map->positions) return;
    page->data.map = map->positions;
    page->data.map_name = "t-SNE";
    page->data.other_map = map->components;
    page->data.other_map_name = map->components_name;
    if (!isnan(map->trustworthiness))
        pf_page_add_fact(&page->data, "map", "t-SNE, perplexity 30; trustworthiness (k = %d) %.3f",
                         PF_MAP_TRUSTED_NEIGHBOURS, map->trustworthiness);
}

int pf_cache_page_map(PfCachePage *page, const PfRows *rows, const PfMap *drawn, PfError *err)
{
    if (!drawn && pf_map_draw(rows, &page->map, err)) return -1;
    show_map(page, drawn ? drawn : &page->map);
    return 0;
}

/* ---- the nearest training images ---- */

/* Some rows, scaled to length 1, and the best found so far for each. */
typedef struct Nearest {
    const PfRows *rows;
    const uint8_t *splits;  /* (rows) as the page has them */
    const int32_t *queries; /* (count) rows */
    int64_t count;
    float *x;          /* (count, features) */
    float *block;      /* (BLOCK_ROWS, features) */
    float *products;   /* (count, BLOCK_ROWS) */
    float *similarity; /* (count, NEAREST) descending */
    int32_t *index;    /* (count, NEAREST) */
} Nearest;

#define BLOCK_ROWS ((int64_t)1024)

/* Of equal similarities the first row comes first. */
static void insert(float *similarity, int32_t *index, float value, int32_t row)
{
    int place = NEAREST;
    while (place > 0 && (index[place - 1] < 0 || value > similarity[place - 1])) place--;
    for (int n = NEAREST - 1; n > place; n--) {
        similarity[n] = similarity[n - 1];
        index[n] = index[n - 1];
    }
    if (place == NEAREST) return;
    similarity[place] = value;
    index[place] = row;
}

static int compare_block(Nearest *nearest, int64_t first, int64_t count, PfThreadPool *pool,
                         PfError *err)
{
    const PfRows *rows = nearest->rows;
    if (pf_rows_unit_block(rows, first, count, nearest->block, err)) return -1;
    PfGemm product = {.m = nearest->count,
                      .n = count,
                      .k = rows->features,
                      .a = nearest->x,
                      .lda = rows->features,
                      .b = nearest->block,
                      .ldb = rows->features,
                      .c = nearest->products,
                      .ldc = BLOCK_ROWS};
    pf_gemm_nt(&product, pool);
    for (int64_t q = 0; q < nearest->count; q++)
        for (int64_t i = 0; i < count; i++)
            if (first + i != nearest->queries[q] && !rows->broken[first + i] &&
                nearest->splits[first + i] == PF_SPLIT_TRAIN)
                insert(nearest->similarity + q * NEAREST, nearest->index + q * NEAREST,
                       nearest->products[q * BLOCK_ROWS + i], (int32_t)(first + i));
    return 0;
}

static int find_nearest(Nearest *nearest, PfError *err)
{
    const PfRows *rows = nearest->rows;
    size_t count = (size_t)nearest->count, features = (size_t)rows->features;
    PfThreadPool *pool = NULL;
    nearest->x = pf_alloc_aligned(count * features, sizeof(float), err);
    nearest->block = pf_alloc_aligned((size_t)BLOCK_ROWS * features, sizeof(float), err);
    nearest->products = pf_alloc_aligned(count * (size_t)BLOCK_ROWS, sizeof(float), err);
    nearest->similarity = pf_calloc(count * NEAREST, sizeof(float), err);
    nearest->index = pf_calloc(count * NEAREST, sizeof *nearest->index, err);
    int failed = !nearest->x || !nearest->block || !nearest->products || !nearest->similarity ||
                 !nearest->index || pf_thread_pool_new(rows->threads, &pool, err);
    for (size_t i = 0; i < count * NEAREST && !failed; i++) nearest->index[i] = -1;
    for (size_t q = 0; q < count && !failed; q++)
        failed = pf_rows_unit_block(rows, nearest->queries[q], 1, nearest->x + q * features, err);
    for (int64_t first = 0; first < rows->count && !failed; first += BLOCK_ROWS)
        failed = pf_rows_check_interrupt(rows, err) ||
                 compare_block(nearest, first, pf_min(BLOCK_ROWS, rows->count - first), pool, err);
    pf_thread_pool_free(&pool);
    return failed;
}

int pf_cache_page_nearest(PfCachePage *page, const PfRows *rows, PfError *err)
{
    int32_t mistakes[MOST_MISTAKES];
    const uint8_t *splits = page->data.splits ? page->data.splits : rows->splits;
    Nearest nearest = {.rows = rows, .splits = splits, .queries = mistakes};
    nearest.count = pf_page_mistakes(&page->data, MOST_MISTAKES, mistakes);
    if (!nearest.count) return 0;
    int32_t *all = own(page, NEAREST * (size_t)rows->count, sizeof *all, err);
    int failed = !all || find_nearest(&nearest, err);
    for (int64_t i = 0; i < NEAREST * rows->count && !failed; i++) all[i] = -1;
    for (int64_t q = 0; q < nearest.count && !failed; q++)
        memcpy(all + NEAREST * (int64_t)mistakes[q], nearest.index + q * NEAREST,
               NEAREST * sizeof *all);
    if (!failed) {
        page->data.nearest = all;
        page->data.nearest_count = NEAREST;
    }
    free(nearest.x);
    free(nearest.block);
    free(nearest.products);
    free(nearest.similarity);
    free(nearest.index);
    return failed ? -1 : 0;
}

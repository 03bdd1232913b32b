#include "feature_cache_remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "feature_cache_h5.h"
#include "memory.h"

typedef enum What { OPEN, TEXTS, COLUMN, VALUES, ROWS, CHUNK } What;

typedef struct Request {
    What what;
    int index; /* of the tap or target */
    int64_t first, count;
    hid_t type; /* one of HDF5's own, which a child has under the same number */
    size_t row_bytes;
    char group[PF_CACHE_NAME_SIZE], member[PF_CACHE_NAME_SIZE];
} Request;

/* What OPEN is answered with first; then taps, targets, texts and numbers follow. */
typedef struct Contents {
    int64_t row_count, rejected_count;
    int tap_count, target_count, source_count, has_paths, has_splits;
} Contents;

/* ==== in the child ==== */

static int add_text(PfChildReply *reply, const char *text, PfError *err)
{
    uint64_t size = strlen(text) + 1;
    return pf_child_reply_add(reply, &size, sizeof size, err) ||
           pf_child_reply_add(reply, text, size, err);
}

static int add_texts(PfChildReply *reply, const PfCacheTexts *texts, PfError *err)
{
    uint64_t size = 0;
    for (int64_t i = 0; i < texts->count; i++) size += strlen(texts->items[i]) + 1;
    int failed = pf_child_reply_add(reply, &texts->count, sizeof texts->count, err) ||
                 pf_child_reply_add(reply, &size, sizeof size, err);
    for (int64_t i = 0; i < texts->count && !failed; i++)
        failed = pf_child_reply_add(reply, texts->items[i], strlen(texts->items[i]) + 1, err);
    return failed;
}

static int add_tap(PfChildReply *reply, const PfCacheRows *rows, PfError *err)
{
    PfCacheRows copy = *rows;
    pf_h5_lock();
    copy.stored_bytes = pf_cache_rows_stored_bytes(rows);
    pf_cache_rows_filters(rows, copy.filters, sizeof copy.filters);
    pf_h5_unlock();
    return pf_child_reply_add(reply, &copy, sizeof copy, err);
}

static int add_target(PfChildReply *reply, const PfCache *cache, const PfCacheTargetRows *target,
                      PfError *err)
{
    size_t index_bytes = target->indices ? (size_t)cache->file.row_count * sizeof(int32_t) : 0;
    return pf_child_reply_add(reply, &target->info, sizeof target->info, err) ||
           add_texts(reply, &target->classes, err) ||
           pf_child_reply_add(reply, target->indices, index_bytes, err);
}

static int add_contents(PfChildReply *reply, const PfCache *cache, PfError *err)
{
    Contents contents = {
        .row_count = cache->file.row_count,
        .rejected_count = cache->rejected_count,
        .tap_count = cache->tap_count,
        .target_count = cache->target_count,
        .source_count = cache->sources.count,
        .has_paths = cache->has_paths,
        .has_splits = cache->splits != NULL,
    };
    int failed = pf_child_reply_add(reply, &contents, sizeof contents, err);
    for (int t = 0; t < cache->tap_count && !failed; t++)
        failed = add_tap(reply, &cache->taps[t], err);
    for (int t = 0; t < cache->target_count && !failed; t++)
        failed = add_target(reply, cache, &cache->targets[t], err);
    if (cache->splits && !failed)
        failed = pf_child_reply_add(reply, cache->splits, (size_t)cache->file.row_count, err);
    if (cache->sources.count && !failed)
        failed =
            add_texts(reply, &cache->sources.paths, err) ||
            pf_child_reply_add(reply, cache->sources.items,
                               (size_t)cache->sources.count * sizeof *cache->sources.items, err);
    return failed || add_text(reply, cache->identity, err) ||
           add_text(reply, cache->provenance, err);
}

static int serve_open(const char *path, PfCache **cache, PfChildReply *reply, PfError *err)
{
    struct stat status;
    if (!(*cache = pf_cache_new(path, err))) return -1;
    if (stat(path, &status)) return pf_fail_errno(err, "cannot read '%s'", path);
    (*cache)->file.size_bytes = status.st_size;
    pf_h5_lock();
    int failed = pf_cache_open_contents(*cache, err);
    pf_h5_unlock();
    return failed || add_contents(reply, *cache, err);
}

static int serve_texts(const PfCache *cache, const Request *request, PfChildReply *reply,
                       PfError *err)
{
    PfCacheTexts texts = {0};
    int failed =
        pf_cache_load_texts(cache, request->member, &texts, err) || add_texts(reply, &texts, err);
    pf_cache_texts_free(&texts);
    return failed;
}

/* Room for (count, row_bytes) in the reply. */
static void *make_room(PfChildReply *reply, int64_t count, size_t row_bytes, PfError *err)
{
    size_t size;
    if (count < 0 || __builtin_mul_overflow((size_t)count, row_bytes, &size) ||
        pf_grow(&reply->bytes, &reply->capacity, size + 1, 1, err))
        return NULL;
    reply->size = size;
    return reply->bytes;
}

static int serve_column(const PfCache *cache, const Request *request, PfChildReply *reply,
                        PfError *err)
{
    void *out = make_room(reply, request->count, request->row_bytes, err);
    if (!out) return -1;
    pf_h5_lock();
    int failed = pf_cache_load_column(cache, request->group, request->member, request->type,
                                      request->count, out, request->row_bytes, err);
    pf_h5_unlock();
    return failed;
}

static int serve_values(PfCache *cache, const Request *request, PfChildReply *reply, PfError *err)
{
    size_t row_bytes = (size_t)cache->targets[request->index].info.width * sizeof(float);
    float *out = make_room(reply, cache->file.row_count, row_bytes, err);
    return out ? pf_cache_read_values(cache, request->index, out, err) : -1;
}

static int serve_rows(const PfCache *cache, const Request *request, PfChildReply *reply,
                      PfError *err)
{
    const PfCacheRows *rows = &cache->taps[request->index];
    void *out = make_room(reply, request->count, pf_cache_rows_row_bytes(rows), err);
    if (!out) return -1;
    return pf_cache_rows_read_block(rows, cache->file.path, request->first, request->count, out,
                                    err);
}

/* A format, then the chunk. */
static int serve_chunk(const PfCache *cache, const Request *request, PfChildReply *reply,
                       PfError *err)
{
    const PfCacheRows *rows = &cache->taps[request->index];
    PfChunkFormat format;
    size_t capacity = pf_chunk_bound(&rows->format), stored_bytes = 0;
    uint8_t *out = make_room(reply, 1, sizeof format + capacity, err);
    if (!out) return -1;
    const char *wrong = pf_cache_rows_read_raw(rows, request->first, out + sizeof format, capacity,
                                               &stored_bytes, &format);
    if (wrong) return pf_fail(err, PF_EXIT_FAILED, "%s", wrong);
    memcpy(out, &format, sizeof format);
    reply->size = sizeof format + stored_bytes;
    return 0;
}

static int serve(const char *path, void **context, const void *bytes, PfChildReply *reply,
                 PfError *err)
{
    const Request *request = bytes;
    PfCache **cache = (PfCache **)context;
    switch (request->what) {
    case OPEN: return serve_open(path, cache, reply, err);
    case TEXTS: return serve_texts(*cache, request, reply, err);
    case COLUMN: return serve_column(*cache, request, reply, err);
    case VALUES: return serve_values(*cache, request, reply, err);
    case ROWS: return serve_rows(*cache, request, reply, err);
    case CHUNK: return serve_chunk(*cache, request, reply, err);
    }
    return -1;
}

/* ==== in the parent ==== */

/* What is left of a reply. A child that a file has led astray may say anything, so everything
 * is checked as if it were a file. */
typedef struct Parcel {
    const uint8_t *at;
    size_t left;
} Parcel;

static const void *take(Parcel *parcel, size_t size)
{
    const uint8_t *bytes = parcel->at;
    if (size > parcel->left) return NULL;
    parcel->at += size;
    parcel->left -= size;
    return bytes;
}

static int take_into(Parcel *parcel, void *out, size_t size)
{
    const void *bytes = take(parcel, size);
    if (bytes && size) memcpy(out, bytes, size);
    return bytes ? 0 : -1;
}

/* (count, size), malloc'ed. */
static void *take_copy(Parcel *parcel, int64_t count, size_t size)
{
    if (count < 0 || (size_t)count > parcel->left / size) return NULL;
    void *copy = pf_alloc_aligned((size_t)count, size, NULL);
    if (copy) take_into(parcel, copy, (size_t)count * size);
    return copy;
}

static char *take_text(Parcel *parcel)
{
    uint64_t size;
    if (take_into(parcel, &size, sizeof size) || !size || size > parcel->left) return NULL;
    const char *text = take(parcel, (size_t)size);
    return text[size - 1] ? NULL : strdup(text);
}

static int take_texts(Parcel *parcel, PfCacheTexts *texts)
{
    int64_t count;
    uint64_t size;
    if (take_into(parcel, &count, sizeof count) || take_into(parcel, &size, sizeof size) ||
        size > parcel->left)
        return -1;
    const char *bytes = take(parcel, (size_t)size);
    return count ? pf_cache_texts_copy(texts, count, bytes, (size_t)size) : 0;
}

static int has_end(const char *name, size_t size)
{
    return memchr(name, '\0', size) != NULL;
}

/* That a tap is one as pf_cache_rows_open describes it. */
static int is_tap(const PfCacheRows *rows)
{
    const PfCacheTap *tap = &rows->tap;
    uint64_t elements = 1;
    if (!has_end(tap->name, sizeof tap->name) || !has_end(rows->filters, sizeof rows->filters) ||
        tap->shape.rank < 0 || tap->shape.rank > PF_MAX_RANK ||
        (tap->dtype != PF_DTYPE_F16 && tap->dtype != PF_DTYPE_F32 && tap->dtype != PF_DTYPE_U8))
        return 0;
    for (int i = 0; i < tap->shape.rank; i++) {
        if (tap->shape.dims[i] < 1 || tap->shape.dims[i] > (int64_t)(UINT32_MAX / elements))
            return 0;
        elements *= (uint64_t)tap->shape.dims[i];
    }
    if (rows->row_elements != elements) return 0;
    return !rows->is_direct ||
           (rows->chunk_rows > 0 && rows->chunk_rows <= UINT32_MAX &&
            rows->format.raw_bytes == (size_t)rows->chunk_rows * pf_cache_rows_row_bytes(rows) &&
            rows->format.element_bytes > 0 && rows->format.compression <= PF_COMPRESS_ZSTD);
}

static int take_taps(PfCache *cache, const Contents *contents, Parcel *parcel)
{
    cache->taps = take_copy(parcel, contents->tap_count, sizeof *cache->taps);
    for (int t = 0; t < contents->tap_count && cache->taps; t++) {
        PfCacheRows *rows = &cache->taps[t];
        rows->parts = NULL;
        rows->part_count = 0;
        rows->dataset = H5I_INVALID_HID;
        rows->child = cache->child;
        rows->index = t;
        cache->tap_count++;
        if (!is_tap(rows) || rows->row_count != cache->file.row_count) return -1;
    }
    return cache->tap_count ? 0 : -1;
}

static int are_classes(const PfCacheTargetRows *target, int64_t row_count)
{
    for (int64_t i = 0; i < row_count; i++)
        if (target->indices[i] < -1 || target->indices[i] >= target->classes.count) return 0;
    return 1;
}

static int take_target(PfCacheTargetRows *target, int64_t row_count, Parcel *parcel)
{
    PfCacheTarget *info = &target->info;
    if (take_into(parcel, info, sizeof *info) || !has_end(info->name, sizeof info->name) ||
        (unsigned)info->kind > PF_TARGET_KEYPOINTS || info->width < 1 ||
        take_texts(parcel, &target->classes))
        return -1;
    int64_t names = target->classes.count;
    info->classes = target->classes.items;
    info->class_count = (int)names;
    switch (info->kind) {
    case PF_TARGET_CLASS:
        target->indices = take_copy(parcel, row_count, sizeof *target->indices);
        return info->width == 1 && target->indices && are_classes(target, row_count) ? 0 : -1;
    case PF_TARGET_MULTILABEL: return names == info->width ? 0 : -1;
    case PF_TARGET_KEYPOINTS:
        return info->width % 2 == 0 && (!names || names == info->width / 2) ? 0 : -1;
    default: return names ? -1 : 0;
    }
}

static int take_targets(PfCache *cache, const Contents *contents, Parcel *parcel)
{
    if (contents->target_count < 0 || (size_t)contents->target_count > parcel->left) return -1;
    cache->targets = pf_calloc((size_t)contents->target_count, sizeof *cache->targets, NULL);
    for (int t = 0; t < contents->target_count && cache->targets; t++) {
        cache->target_count++;
        if (take_target(&cache->targets[t], cache->file.row_count, parcel)) return -1;
    }
    return cache->targets ? 0 : -1;
}

static int take_splits(PfCache *cache, Parcel *parcel)
{
    cache->splits = take_copy(parcel, cache->file.row_count, 1);
    for (int64_t i = 0; i < cache->file.row_count && cache->splits; i++)
        if (cache->splits[i] >= PF_SPLIT_COUNT) return -1;
    return cache->splits ? 0 : -1;
}

static int take_sources(PfCache *cache, const Contents *contents, Parcel *parcel)
{
    PfCacheSources *sources = &cache->sources;
    if (take_texts(parcel, &sources->paths) || sources->paths.count != contents->source_count)
        return -1;
    sources->items = take_copy(parcel, contents->source_count, sizeof *sources->items);
    sources->caches = pf_calloc((size_t)contents->source_count, sizeof(PfCache *), NULL);
    if (!sources->items || !sources->caches) return -1;
    for (int i = 0; i < contents->source_count; i++)
        sources->items[i].path = sources->paths.items[i];
    sources->count = contents->source_count;
    return 0;
}

static int take_contents(PfCache *cache, Parcel *parcel)
{
    Contents contents;
    if (take_into(parcel, &contents, sizeof contents) || contents.row_count < 0 ||
        contents.rejected_count < 0)
        return -1;
    cache->file.row_count = contents.row_count;
    cache->rejected_count = contents.rejected_count;
    cache->has_paths = contents.has_paths;
    if (take_taps(cache, &contents, parcel) || take_targets(cache, &contents, parcel) ||
        (contents.has_splits && take_splits(cache, parcel)) ||
        (contents.source_count && take_sources(cache, &contents, parcel)))
        return -1;
    cache->file.row_source = cache->taps[0].tap.name;
    cache->identity = take_text(parcel);
    cache->provenance = take_text(parcel);
    return cache->identity && cache->provenance && !parcel->left ? 0 : -1;
}

static int fail_astray(const PfCache *cache, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: what HDF5 reads in it does not fit together",
                   cache->file.path);
}

int pf_cache_remote_start(PfCache *cache, PfError *err)
{
    return pf_cache_child_start(cache->file.path, serve, sizeof(Request), &cache->child, err);
}

int pf_cache_remote_open(PfCache *cache, PfError *err)
{
    PfChildReply reply;
    Request request = {.what = OPEN};
    if (pf_cache_child_ask(cache->child, &request, &reply, err)) return -1;
    Parcel parcel = {reply.bytes, reply.size};
    int failed = take_contents(cache, &parcel) ? fail_astray(cache, err) : 0;
    free(reply.bytes);
    return failed;
}

int pf_cache_remote_texts(const PfCache *cache, const char *name, PfCacheTexts *texts, PfError *err)
{
    PfChildReply reply;
    Request request = {.what = TEXTS};
    snprintf(request.member, sizeof request.member, "%s", name);
    if (pf_cache_child_ask(cache->child, &request, &reply, err)) return -1;
    Parcel parcel = {reply.bytes, reply.size};
    int failed = take_texts(&parcel, texts) || parcel.left;
    free(reply.bytes);
    /* No strings at all are a list, too. */
    if (!failed && !texts->items) texts->items = pf_calloc(1, sizeof *texts->items, NULL);
    if (!failed && texts->items) return 0;
    pf_cache_texts_free(texts);
    return fail_astray(cache, err);
}

int pf_cache_remote_column(const PfCache *cache, const char *group, const char *member, hid_t type,
                           int64_t count, void *out, size_t row_bytes, PfError *err)
{
    Request request = {.what = COLUMN, .count = count, .type = type, .row_bytes = row_bytes};
    snprintf(request.group, sizeof request.group, "%s", group);
    snprintf(request.member, sizeof request.member, "%s", member);
    return pf_cache_child_ask_exactly(cache->child, &request, out, (size_t)count * row_bytes, err);
}

int pf_cache_remote_values(const PfCache *cache, int target, float *out, PfError *err)
{
    Request request = {.what = VALUES, .index = target};
    size_t width = (size_t)cache->targets[target].info.width;
    return pf_cache_child_ask_exactly(cache->child, &request, out,
                                      (size_t)cache->file.row_count * width * sizeof *out, err);
}

int pf_cache_remote_rows(const PfCacheRows *rows, int64_t first, int64_t count, void *out,
                         PfError *err)
{
    Request request = {.what = ROWS, .index = rows->index, .first = first, .count = count};
    return pf_cache_child_ask_exactly(rows->child, &request, out,
                                      (size_t)count * pf_cache_rows_row_bytes(rows), err);
}

const char *pf_cache_remote_chunk(const PfCacheRows *rows, int64_t first, void *stored,
                                  size_t capacity, size_t *stored_bytes, PfChunkFormat *format)
{
    PfChildReply reply;
    Request request = {.what = CHUNK, .index = rows->index, .first = first};
    const char *wrong = NULL;
    if (pf_cache_child_ask(rows->child, &request, &reply, NULL))
        return "HDF5 cannot read the chunk";
    Parcel parcel = {reply.bytes, reply.size};
    PfChunkFormat found;
    if (take_into(&parcel, &found, sizeof found) || parcel.left > capacity)
        wrong = "the chunk is larger than it can be";
    *format = rows->format;
    if (!wrong) {
        /* Filters can have been left out of it, and that is all. */
        if (!found.shuffle) format->shuffle = 0;
        if (found.compression == PF_COMPRESS_NONE) format->compression = PF_COMPRESS_NONE;
        if (!found.fletcher32) format->fletcher32 = 0;
        *stored_bytes = parcel.left;
        take_into(&parcel, stored, parcel.left);
    }
    free(reply.bytes);
    return wrong;
}

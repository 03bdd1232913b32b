#include "common/cache/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/memory.h"

typedef enum What { OPEN, TEXTS, COLUMN, VALUES, ROWS, CHUNK } What;

typedef struct Request {
    What what;
    int index; /* of the tap or target */
    int64_t first, count;
    PfHdf5Number type;
    size_t row_bytes;
    char group[PF_CACHE_NAME_SIZE], member[PF_CACHE_NAME_SIZE];
} Request;

/* What OPEN is answered with first; then taps, targets, texts and numbers follow. It comes from the
 * child, so that has_* may be any number. */
typedef struct Heading {
    int64_t row_count, rejected_count;
    int tap_count, target_count, source_count, has_paths, has_splits;
} Heading;

/* ==== in the child ==== */

static int add_text(PfCacheChildReply *reply, const char *text, PfError *err)
{
    uint64_t size = strlen(text) + 1;
    return pf_cache_child_reply_add(reply, &size, sizeof size, err) ||
           pf_cache_child_reply_add(reply, text, size, err);
}

static int add_texts(PfCacheChildReply *reply, const PfHdf5Texts *texts, PfError *err)
{
    uint64_t size = 0;
    for (int64_t i = 0; i < texts->count; i++) size += strlen(texts->items[i]) + 1;
    int failed = pf_cache_child_reply_add(reply, &texts->count, sizeof texts->count, err) ||
                 pf_cache_child_reply_add(reply, &size, sizeof size, err);
    for (int64_t i = 0; i < texts->count && !failed; i++)
        failed = pf_cache_child_reply_add(reply, texts->items[i], strlen(texts->items[i]) + 1, err);
    return failed;
}

static int add_tap(PfCacheChildReply *reply, const PfHdf5Tap *tap, PfError *err)
{
    PfHdf5Tap copy = *tap;
    pf_hdf5_tap_measure(&copy);
    return pf_cache_child_reply_add(reply, &copy, sizeof copy, err);
}

static int add_target(PfCacheChildReply *reply, const PfHdf5Contents *contents,
                      const PfHdf5Target *target, PfError *err)
{
    size_t index_bytes = target->indices ? (size_t)contents->file.row_count * sizeof(int32_t) : 0;
    return pf_cache_child_reply_add(reply, &target->info, sizeof target->info, err) ||
           add_texts(reply, &target->classes, err) ||
           pf_cache_child_reply_add(reply, target->indices, index_bytes, err);
}

static int add_contents(PfCacheChildReply *reply, const PfHdf5Contents *contents, PfError *err)
{
    Heading heading = {
        .row_count = contents->file.row_count,
        .rejected_count = contents->rejected_count,
        .tap_count = contents->tap_count,
        .target_count = contents->target_count,
        .source_count = contents->source_count,
        .has_paths = contents->has_paths,
        .has_splits = contents->splits != NULL,
    };
    int failed = pf_cache_child_reply_add(reply, &heading, sizeof heading, err);
    for (int t = 0; t < contents->tap_count && !failed; t++)
        failed = add_tap(reply, &contents->taps[t], err);
    for (int t = 0; t < contents->target_count && !failed; t++)
        failed = add_target(reply, contents, &contents->targets[t], err);
    if (contents->splits && !failed)
        failed = pf_cache_child_reply_add(reply, contents->splits, (size_t)contents->file.row_count,
                                          err);
    if (contents->source_count && !failed)
        failed = add_texts(reply, &contents->source_paths, err) ||
                 pf_cache_child_reply_add(
                     reply, contents->sources,
                     (size_t)contents->source_count * sizeof *contents->sources, err);
    return failed || add_text(reply, contents->identity, err) ||
           add_text(reply, contents->provenance, err);
}

static int serve_open(const char *path, PfHdf5Contents **out, PfCacheChildReply *reply,
                      PfError *err)
{
    struct stat status;
    PfHdf5Contents *contents = *out = pf_calloc(1, sizeof *contents, err);
    if (!contents || pf_hdf5_contents_init(contents, path, err)) return -1;
    if (stat(path, &status)) return pf_fail_errno(err, "cannot read '%s'", path);
    contents->file.size_bytes = status.st_size;
    contents->file.expect_bytes = pf_cache_child_expect_bytes;
    return pf_hdf5_contents_open(contents, err) || add_contents(reply, contents, err);
}

static int serve_texts(const PfHdf5Contents *contents, const Request *request,
                       PfCacheChildReply *reply, PfError *err)
{
    PfHdf5Texts texts = {0};
    int failed = pf_hdf5_contents_texts(contents, request->member, &texts, err) ||
                 add_texts(reply, &texts, err);
    pf_hdf5_texts_free(&texts);
    return failed;
}

/* Room for (count, row_bytes) in the reply. */
static void *make_room(PfCacheChildReply *reply, int64_t count, size_t row_bytes, PfError *err)
{
    size_t size;
    if (count < 0 || __builtin_mul_overflow((size_t)count, row_bytes, &size) ||
        pf_grow(&reply->bytes, &reply->capacity, size + 1, 1, err))
        return NULL;
    reply->size = size;
    return reply->bytes;
}

static int serve_column(const PfHdf5Contents *contents, const Request *request,
                        PfCacheChildReply *reply, PfError *err)
{
    void *out = make_room(reply, request->count, request->row_bytes, err);
    if (!out) return -1;
    return pf_hdf5_contents_column(contents, request->group, request->member, request->type,
                                   request->count, out, request->row_bytes, err);
}

static int serve_values(PfHdf5Contents *contents, const Request *request, PfCacheChildReply *reply,
                        PfError *err)
{
    size_t row_bytes = (size_t)contents->targets[request->index].info.width * sizeof(float);
    float *out = make_room(reply, contents->file.row_count, row_bytes, err);
    return out ? pf_hdf5_contents_values(contents, request->index, out, err) : -1;
}

static int serve_rows(const PfHdf5Contents *contents, const Request *request,
                      PfCacheChildReply *reply, PfError *err)
{
    const PfHdf5Tap *tap = &contents->taps[request->index];
    void *out = make_room(reply, request->count, pf_hdf5_tap_row_bytes(tap), err);
    if (!out) return -1;
    return pf_hdf5_tap_read_rows(tap, contents->file.path, request->first, request->count, out,
                                 err);
}

/* A format, then the chunk. */
static int serve_chunk(const PfHdf5Contents *contents, const Request *request,
                       PfCacheChildReply *reply, PfError *err)
{
    const PfHdf5Tap *tap = &contents->taps[request->index];
    PfChunkFormat format;
    size_t capacity = pf_chunk_bound(&tap->format), stored_bytes = 0;
    uint8_t *out = make_room(reply, 1, sizeof format + capacity, err);
    if (!out) return -1;
    const char *wrong = pf_hdf5_tap_read_chunk(tap, request->first, out + sizeof format, capacity,
                                               &stored_bytes, &format);
    if (wrong) return pf_fail(err, PF_EXIT_FAILED, "%s", wrong);
    memcpy(out, &format, sizeof format);
    reply->size = sizeof format + stored_bytes;
    return 0;
}

static int serve(const char *path, void **context, const void *bytes, PfCacheChildReply *reply,
                 PfError *err)
{
    const Request *request = bytes;
    PfHdf5Contents **contents = (PfHdf5Contents **)context;
    switch (request->what) {
    case OPEN: return serve_open(path, contents, reply, err);
    case TEXTS: return serve_texts(*contents, request, reply, err);
    case COLUMN: return serve_column(*contents, request, reply, err);
    case VALUES: return serve_values(*contents, request, reply, err);
    case ROWS: return serve_rows(*contents, request, reply, err);
    case CHUNK: return serve_chunk(*contents, request, reply, err);
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

static int take_texts(Parcel *parcel, PfHdf5Texts *texts)
{
    int64_t count;
    uint64_t size;
    if (take_into(parcel, &count, sizeof count) || take_into(parcel, &size, sizeof size) ||
        size > parcel->left)
        return -1;
    const char *bytes = take(parcel, (size_t)size);
    return count ? pf_hdf5_texts_copy(texts, count, bytes, (size_t)size) : 0;
}

static bool has_end(const char *name, size_t size)
{
    return memchr(name, '\0', size) != NULL;
}

/* That a tap is one as pf_hdf5_tap_open describes it. */
static bool is_tap(const PfHdf5Tap *stored)
{
    const PfCacheTap *tap = &stored->info;
    uint64_t elements = 1;
    if (!has_end(tap->name, sizeof tap->name) ||
        !has_end(stored->filters, sizeof stored->filters) || tap->shape.rank < 0 ||
        tap->shape.rank > PF_MAX_RANK ||
        (tap->dtype != PF_DTYPE_F16 && tap->dtype != PF_DTYPE_F32 && tap->dtype != PF_DTYPE_U8))
        return false;
    for (int i = 0; i < tap->shape.rank; i++) {
        if (tap->shape.dims[i] < 1 || tap->shape.dims[i] > (int64_t)(UINT32_MAX / elements))
            return false;
        elements *= (uint64_t)tap->shape.dims[i];
    }
    if (stored->row_elements != elements || stored->request_rows < 1) return false;
    return !stored->is_direct ||
           (stored->chunk_rows > 0 &&
            stored->chunk_rows <= (int64_t)(UINT32_MAX / pf_hdf5_tap_row_bytes(stored)) &&
            stored->format.raw_bytes ==
                (size_t)stored->chunk_rows * pf_hdf5_tap_row_bytes(stored) &&
            stored->format.element_bytes > 0 && stored->format.compression <= PF_COMPRESS_ZSTD);
}

static int take_taps(PfHdf5Contents *contents, const Heading *heading, Parcel *parcel)
{
    contents->taps = take_copy(parcel, heading->tap_count, sizeof *contents->taps);
    for (int t = 0; t < heading->tap_count && contents->taps; t++) {
        PfHdf5Tap *tap = &contents->taps[t];
        tap->id = -1;
        contents->tap_count++;
        if (!is_tap(tap) || tap->row_count != contents->file.row_count) return -1;
    }
    return contents->tap_count ? 0 : -1;
}

static bool are_classes(const PfHdf5Target *target, int64_t row_count)
{
    for (int64_t i = 0; i < row_count; i++)
        if (target->indices[i] < -1 || target->indices[i] >= target->classes.count) return false;
    return true;
}

static int take_target(PfHdf5Target *target, int64_t row_count, Parcel *parcel)
{
    PfCacheTarget *info = &target->info;
    if (take_into(parcel, info, sizeof *info) || !has_end(info->name, sizeof info->name) ||
        (unsigned)info->kind > PF_TARGET_KEYPOINTS || info->width < 1 ||
        take_texts(parcel, &target->classes))
        return -1;
    int64_t names = target->classes.count;
    target->id = -1;
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

static int take_targets(PfHdf5Contents *contents, const Heading *heading, Parcel *parcel)
{
    if (heading->target_count < 0 || (size_t)heading->target_count > parcel->left) return -1;
    contents->targets = pf_calloc((size_t)heading->target_count, sizeof *contents->targets, NULL);
    for (int t = 0; t < heading->target_count && contents->targets; t++) {
        contents->target_count++;
        if (take_target(&contents->targets[t], contents->file.row_count, parcel)) return -1;
    }
    return contents->targets ? 0 : -1;
}

static int take_splits(PfHdf5Contents *contents, Parcel *parcel)
{
    contents->splits = take_copy(parcel, contents->file.row_count, 1);
    for (int64_t i = 0; i < contents->file.row_count && contents->splits; i++)
        if (contents->splits[i] >= PF_SPLIT_COUNT) return -1;
    return contents->splits ? 0 : -1;
}

static int take_sources(PfHdf5Contents *contents, const Heading *heading, Parcel *parcel)
{
    if (take_texts(parcel, &contents->source_paths) ||
        contents->source_paths.count != heading->source_count)
        return -1;
    contents->sources = take_copy(parcel, heading->source_count, sizeof *contents->sources);
    if (!contents->sources) return -1;
    for (int i = 0; i < heading->source_count; i++)
        contents->sources[i].path = contents->source_paths.items[i];
    contents->source_count = heading->source_count;
    return 0;
}

static int take_contents(PfHdf5Contents *contents, Parcel *parcel)
{
    Heading heading;
    if (take_into(parcel, &heading, sizeof heading) || heading.row_count < 0 ||
        heading.rejected_count < 0)
        return -1;
    contents->file.row_count = heading.row_count;
    contents->rejected_count = heading.rejected_count;
    contents->has_paths = heading.has_paths != 0;
    if (take_taps(contents, &heading, parcel) || take_targets(contents, &heading, parcel) ||
        (heading.has_splits && take_splits(contents, parcel)) ||
        (heading.source_count && take_sources(contents, &heading, parcel)))
        return -1;
    contents->file.row_source = contents->taps[0].info.name;
    contents->identity = take_text(parcel);
    contents->provenance = take_text(parcel);
    return contents->identity && contents->provenance && !parcel->left ? 0 : -1;
}

static int fail_astray(const PfCache *cache, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: what HDF5 reads in it does not fit together",
                   pf_cache_path(cache));
}

int pf_cache_remote_open(PfCache *cache, PfError *err)
{
    PfCacheChildReply reply;
    Request request = {.what = OPEN};
    if (pf_cache_child_start(pf_cache_path(cache), serve, sizeof request, &cache->child, err) ||
        pf_cache_child_ask(cache->child, &request, &reply, err))
        return -1;
    Parcel parcel = {reply.bytes, reply.size};
    int failed = take_contents(&cache->contents, &parcel) ? fail_astray(cache, err) : 0;
    free(reply.bytes);
    return failed;
}

int pf_cache_remote_texts(const PfCache *cache, const char *name, PfHdf5Texts *texts, PfError *err)
{
    PfCacheChildReply reply;
    Request request = {.what = TEXTS};
    snprintf(request.member, sizeof request.member, "%s", name);
    if (pf_cache_child_ask(cache->child, &request, &reply, err)) return -1;
    Parcel parcel = {reply.bytes, reply.size};
    int failed = take_texts(&parcel, texts) || parcel.left;
    free(reply.bytes);
    /* No strings at all are a list, too. */
    if (!failed && !texts->items) texts->items = pf_calloc(1, sizeof *texts->items, NULL);
    if (!failed && texts->items) return 0;
    pf_hdf5_texts_free(texts);
    return fail_astray(cache, err);
}

int pf_cache_remote_column(const PfCache *cache, const char *group, const char *member,
                           PfHdf5Number type, int64_t count, void *out, size_t row_bytes,
                           PfError *err)
{
    Request request = {.what = COLUMN, .count = count, .type = type, .row_bytes = row_bytes};
    snprintf(request.group, sizeof request.group, "%s", group);
    snprintf(request.member, sizeof request.member, "%s", member);
    return pf_cache_child_ask_exactly(cache->child, &request, out, (size_t)count * row_bytes, err);
}

int pf_cache_remote_values(const PfCache *cache, int target, float *out, PfError *err)
{
    Request request = {.what = VALUES, .index = target};
    size_t width = (size_t)cache->contents.targets[target].info.width;
    return pf_cache_child_ask_exactly(cache->child, &request, out,
                                      (size_t)pf_cache_row_count(cache) * width * sizeof *out, err);
}

int pf_cache_remote_rows(const PfCache *cache, int tap, int64_t first, int64_t count, void *out,
                         PfError *err)
{
    Request request = {.what = ROWS, .index = tap, .first = first, .count = count};
    size_t row_bytes = pf_hdf5_tap_row_bytes(&cache->contents.taps[tap]);
    return pf_cache_child_ask_exactly(cache->child, &request, out, (size_t)count * row_bytes, err);
}

const char *pf_cache_remote_chunk(const PfCache *cache, int tap, int64_t first, void *stored,
                                  size_t capacity, size_t *stored_bytes, PfChunkFormat *format)
{
    PfCacheChildReply reply;
    Request request = {.what = CHUNK, .index = tap, .first = first};
    const char *wrong = NULL;
    if (pf_cache_child_ask(cache->child, &request, &reply, NULL))
        return "HDF5 cannot read the chunk";
    Parcel parcel = {reply.bytes, reply.size};
    PfChunkFormat found;
    if (take_into(&parcel, &found, sizeof found) || parcel.left > capacity)
        wrong = "the chunk is larger than it can be";
    *format = cache->contents.taps[tap].format;
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

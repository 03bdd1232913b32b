#include "extract/plan/row_index.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/hash_index.h"
#include "common/base/memory.h"
#include "common/file/file_stamp.h"
#include "extract/image/image.h"

/* Images that lie together: the rows of a source, or refused ones. */
typedef struct Part {
    enum { CACHE_ROWS, CACHE_REJECTS, SEGMENT_ROWS, JOURNAL_REJECTS } kind;
    uint32_t first; /* number of its first image among all */
    int64_t count;
    int segment;
    PfRowSource source;          /* of rows */
    int taps[PF_KNOWN_TAPS_MAX]; /* index of each tap in the source, or -1 */
} Part;

struct PfRowIndex {
    bool has_larger_limits; /* than the usual ones */
    PfCache *cache;
    PfJournal *journal;
    int tap_count;
    /* Of the cache's rows. */
    PfImageFiles files;
    const PfCacheReject *rejects;
    Part *parts; /* rows first, so that their index is their source's */
    PfRowSource *sources;
    int part_count, source_count;
    int64_t image_count;
    PfHashIndex by_path, by_digest, by_size;
};

/* ---- images by number ---- */

static const Part *part_of(const PfRowIndex *known, uint32_t number)
{
    const Part *part = known->parts;
    while (number - part->first >= (uint64_t)part->count) part++;
    return part;
}

static PfJournalImage cache_reject(const PfCacheReject *reject)
{
    return (PfJournalImage){.file = pf_image_file_of_reject(reject), .reason = reject->reason};
}

static PfJournalImage image_at(const PfRowIndex *known, uint32_t number)
{
    const Part *part = part_of(known, number);
    int64_t index = number - part->first;
    switch (part->kind) {
    case CACHE_ROWS: return (PfJournalImage){.file = pf_image_files_at(&known->files, index)};
    case CACHE_REJECTS: return cache_reject(&known->rejects[index]);
    case SEGMENT_ROWS: return *pf_journal_row(known->journal, part->segment, index);
    default: return *pf_journal_reject_at(known->journal, index);
    }
}

static const uint8_t *digest_at(const PfRowIndex *known, uint32_t number)
{
    const Part *part = part_of(known, number);
    int64_t index = number - part->first;
    switch (part->kind) {
    case CACHE_ROWS: return known->files.digests[index];
    case CACHE_REJECTS: return known->rejects[index].digest;
    case SEGMENT_ROWS: return pf_journal_row(known->journal, part->segment, index)->file.digest;
    default: return pf_journal_reject_at(known->journal, index)->file.digest;
    }
}

/* ---- indices ---- */

static uint64_t digest_hash(const uint8_t digest[PF_DIGEST_SIZE])
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

static uint64_t size_hash(uint64_t size_bytes)
{
    return size_bytes * 0x9e3779b97f4a7c15u >> 32;
}

/* The next slot, from `slot` on, of an image of these bytes, or an empty one. */
static uint32_t *next_of_digest(const PfRowIndex *known, uint32_t *slot,
                                const uint8_t digest[PF_DIGEST_SIZE])
{
    while (*slot != PF_HASH_EMPTY && memcmp(digest_at(known, *slot), digest, PF_DIGEST_SIZE))
        slot = pf_hash_index_next(&known->by_digest, slot);
    return slot;
}

static uint32_t *first_of_digest(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE])
{
    return next_of_digest(known, pf_hash_index_first(&known->by_digest, digest_hash(digest)),
                          digest);
}

static uint32_t *second_of_digest(const PfRowIndex *known, uint32_t *slot,
                                  const uint8_t digest[PF_DIGEST_SIZE])
{
    return next_of_digest(known, pf_hash_index_next(&known->by_digest, slot), digest);
}

/* The first image of these bytes in each part is enough. */
static void add_digest(PfRowIndex *known, uint32_t number, const uint8_t digest[PF_DIGEST_SIZE])
{
    const Part *part = part_of(known, number);
    if (pf_digest_is_none(digest)) return;
    uint32_t *slot = first_of_digest(known, digest);
    while (*slot != PF_HASH_EMPTY && part_of(known, *slot) != part)
        slot = second_of_digest(known, slot, digest);
    if (*slot == PF_HASH_EMPTY) *slot = number;
}

static uint32_t *next_of_path(const PfRowIndex *known, uint32_t *slot, const char *path)
{
    while (*slot != PF_HASH_EMPTY && strcmp(image_at(known, *slot).file.path, path))
        slot = pf_hash_index_next(&known->by_path, slot);
    return slot;
}

static uint32_t *first_of_path(const PfRowIndex *known, const char *path)
{
    return next_of_path(known, pf_hash_index_first(&known->by_path, pf_digest_xxh64_text(path)),
                        path);
}

static uint32_t *second_of_path(const PfRowIndex *known, uint32_t *slot, const char *path)
{
    return next_of_path(known, pf_hash_index_next(&known->by_path, slot), path);
}

static bool same_image(const PfJournalImage *a, const PfJournalImage *b)
{
    return pf_file_stamp_equal(&a->file.stamp, &b->file.stamp) &&
           !memcmp(a->file.digest, b->file.digest, PF_DIGEST_SIZE) && !a->reason == !b->reason;
}

static void add_path(PfRowIndex *known, uint32_t number, const PfJournalImage *image)
{
    uint32_t *slot = first_of_path(known, image->file.path);
    while (*slot != PF_HASH_EMPTY) {
        PfJournalImage other = image_at(known, *slot);
        if (same_image(image, &other)) return;
        slot = second_of_path(known, slot, image->file.path);
    }
    *slot = number;
}

static uint32_t *slot_of_size(const PfRowIndex *known, uint64_t size_bytes)
{
    uint32_t *slot = pf_hash_index_first(&known->by_size, size_hash(size_bytes));
    while (*slot != PF_HASH_EMPTY && image_at(known, *slot).file.stamp.size_bytes != size_bytes)
        slot = pf_hash_index_next(&known->by_size, slot);
    return slot;
}

static int index_images(PfRowIndex *known, PfError *err)
{
    if (pf_hash_index_init(&known->by_path, known->image_count, err) ||
        pf_hash_index_init(&known->by_digest, known->image_count, err) ||
        pf_hash_index_init(&known->by_size, known->image_count, err))
        return -1;
    for (uint32_t number = 0; number < known->image_count; number++) {
        PfJournalImage image = image_at(known, number);
        add_path(known, number, &image);
        add_digest(known, number, image.file.digest);
        uint32_t *slot = slot_of_size(known, image.file.stamp.size_bytes);
        if (*slot == PF_HASH_EMPTY) *slot = number;
    }
    return 0;
}

/* ---- parts ---- */

static int read_cache(PfRowIndex *known, PfError *err)
{
    if (pf_cache_paths(known->cache, &known->files.paths, err) ||
        pf_image_files_read(known->cache, &known->files, err) ||
        pf_cache_rejects(known->cache, &known->rejects, err))
        return -1;
    return 0;
}

static void add_part(PfRowIndex *known, Part part, int64_t count)
{
    part.first = (uint32_t)known->image_count;
    part.count = count;
    known->image_count += count;
    known->parts[known->part_count++] = part;
}

static const PfCacheTap *tap_of_source(const PfRowIndex *known, const Part *part, int tap)
{
    return part->kind == CACHE_ROWS ? pf_cache_tap(known->cache, tap)
                                    : pf_journal_segment_tap(known->journal, part->segment, tap);
}

static void match_taps(const PfRowIndex *known, Part *part, PfCacheTap *taps)
{
    for (int t = 0; t < known->tap_count; t++) {
        int index = part->source.find_tap(part->source.context, taps[t].name);
        const PfCacheTap *found = index < 0 ? NULL : tap_of_source(known, part, index);
        if (found && taps[t].shape.rank < 0) taps[t].shape = found->shape;
        bool fits =
            found && found->dtype == taps[t].dtype && pf_shape_equal(&found->shape, &taps[t].shape);
        part->taps[t] = fits ? index : -1;
    }
}

static void add_source(PfRowIndex *known, Part part, int64_t count, PfCacheTap *taps)
{
    match_taps(known, &part, taps);
    add_part(known, part, count);
    known->sources[known->source_count++] = part.source;
}

static int list_parts(PfRowIndex *known, PfCacheTap *taps, PfError *err)
{
    PfCache *cache = known->cache;
    PfJournal *journal = known->journal;
    int segments = journal ? pf_journal_segment_count(journal) : 0;
    known->parts = pf_calloc((size_t)segments + 3, sizeof *known->parts, err);
    known->sources = pf_calloc((size_t)segments + 1, sizeof *known->sources, err);
    if (!known->parts || !known->sources || (cache && read_cache(known, err))) return -1;
    if (cache)
        add_source(known, (Part){.kind = CACHE_ROWS, .source = pf_cache_build_source(cache)},
                   pf_cache_row_count(cache), taps);
    for (int s = 0; s < segments; s++)
        add_source(
            known,
            (Part){.kind = SEGMENT_ROWS, .segment = s, .source = pf_journal_source(journal, s)},
            pf_journal_row_count(journal, s), taps);
    if (cache) add_part(known, (Part){.kind = CACHE_REJECTS}, pf_cache_rejected_count(cache));
    if (journal) add_part(known, (Part){.kind = JOURNAL_REJECTS}, pf_journal_reject_count(journal));
    return 0;
}

int pf_row_index_new(PfCache *cache, PfJournal *journal, PfCacheTap *taps, int tap_count,
                     PfRowIndex **out, PfError *err)
{
    assert(tap_count <= PF_KNOWN_TAPS_MAX);
    PfRowIndex *known = *out = pf_calloc(1, sizeof *known, err);
    if (!known) return -1;
    known->cache = cache;
    known->journal = journal;
    known->tap_count = tap_count;
    if (!list_parts(known, taps, err) && !index_images(known, err)) return 0;
    pf_row_index_free(out);
    return -1;
}

void pf_row_index_free(PfRowIndex **known)
{
    PfRowIndex *closing = *known;
    if (!closing) return;
    pf_hash_index_free(&closing->by_path);
    pf_hash_index_free(&closing->by_digest);
    pf_hash_index_free(&closing->by_size);
    pf_image_files_free(&closing->files);
    free(closing->parts);
    free(closing->sources);
    free(closing);
    *known = NULL;
}

/* ---- asking ---- */

void pf_row_index_expect_larger(PfRowIndex *known)
{
    known->has_larger_limits = true;
}

static bool is_retried(const PfRowIndex *known, const PfJournalImage *image)
{
    return image->reason && pf_image_may_be_taken_now(image->reason, known->has_larger_limits);
}

bool pf_row_index_by_stamp(const PfRowIndex *known, const char *path, const PfFileStamp *stamp,
                           PfJournalImage *image)
{
    if (!stamp->mtime_ns)
        return false; /* it is not to be relied on, and others are stored as 0 too */
    uint32_t *slot = first_of_path(known, path);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_path(known, slot, path)) {
        *image = image_at(known, *slot);
        if (pf_file_stamp_equal(&image->file.stamp, stamp) &&
            !pf_digest_is_none(image->file.digest) && !is_retried(known, image))
            return true;
    }
    return false;
}

bool pf_row_index_by_digest(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE],
                            PfJournalImage *image)
{
    bool found = false;
    uint32_t *slot = first_of_digest(known, digest);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_digest(known, slot, digest)) {
        PfJournalImage here = image_at(known, *slot);
        if (is_retried(known, &here)) continue;
        *image = here;
        found = true;
        if (!image->reason) break;
    }
    return found;
}

bool pf_row_index_has_size(const PfRowIndex *known, uint64_t size_bytes)
{
    return *slot_of_size(known, size_bytes) != PF_HASH_EMPTY;
}

bool pf_row_index_unreadable(const PfRowIndex *known, const char *path, PfJournalImage *image)
{
    uint32_t *slot = first_of_path(known, path);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_path(known, slot, path)) {
        *image = image_at(known, *slot);
        if (image->reason && pf_digest_is_none(image->file.digest)) return true;
    }
    return false;
}

bool pf_row_index_was_rejected(const PfRowIndex *known, const char *path,
                               const uint8_t digest[PF_DIGEST_SIZE])
{
    uint32_t *slot = first_of_path(known, path);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_path(known, slot, path)) {
        PfJournalImage image = image_at(known, *slot);
        if (image.reason && !memcmp(image.file.digest, digest, PF_DIGEST_SIZE)) return true;
    }
    return false;
}

void pf_row_index_decoded(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE],
                          PfImageFile *out)
{
    uint32_t *slot = first_of_digest(known, digest);
    out->width = out->height = 0;
    out->has_statistics = false;
    out->perceptual_hash = 0;
    for (; *slot != PF_HASH_EMPTY && !(out->width && out->has_statistics);
         slot = second_of_digest(known, slot, digest)) {
        PfJournalImage image = image_at(known, *slot);
        if (image.reason) continue;
        if (!out->width) {
            out->width = image.file.width;
            out->height = image.file.height;
        }
        if (out->has_statistics || !image.file.has_statistics) continue;
        out->has_statistics = true;
        memcpy(out->statistics, image.file.statistics, sizeof out->statistics);
        out->perceptual_hash = image.file.perceptual_hash;
    }
}

/* ---- rows ---- */

/* Whether that part holds rows of the tap. */
static bool has_tap(const Part *part, int tap)
{
    return (part->kind == CACHE_ROWS || part->kind == SEGMENT_ROWS) && part->taps[tap] >= 0;
}

uint64_t pf_row_index_missing(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE])
{
    uint64_t missing = known->tap_count < 64 ? ((uint64_t)1 << known->tap_count) - 1 : UINT64_MAX;
    uint32_t *slot = first_of_digest(known, digest);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_digest(known, slot, digest))
        for (int t = 0; t < known->tap_count; t++)
            if (has_tap(part_of(known, *slot), t)) missing &= ~((uint64_t)1 << t);
    return missing;
}

static bool is_row_of(const PfRowIndex *known, PfRowPlace place, int tap,
                      const uint8_t digest[PF_DIGEST_SIZE])
{
    if (place.source < 0) return false;
    const Part *part = &known->parts[place.source];
    return has_tap(part, tap) && place.row < part->count &&
           !memcmp(digest_at(known, part->first + (uint32_t)place.row), digest, PF_DIGEST_SIZE);
}

PfRowPlace pf_row_index_place(const PfRowIndex *known, int tap,
                              const uint8_t digest[PF_DIGEST_SIZE], PfRowPlace before)
{
    PfRowPlace next = {before.source, before.row + 1};
    if (is_row_of(known, next, tap, digest)) return next;
    uint32_t *slot = first_of_digest(known, digest);
    for (; *slot != PF_HASH_EMPTY; slot = second_of_digest(known, slot, digest)) {
        const Part *part = part_of(known, *slot);
        if (has_tap(part, tap))
            return (PfRowPlace){(int)(part - known->parts), *slot - part->first};
    }
    return (PfRowPlace){-1, 0};
}

const PfRowSource *pf_row_index_sources(const PfRowIndex *known, int *count)
{
    *count = known->source_count;
    return known->sources;
}

const char *pf_row_index_runtime(const PfRowIndex *known, int source)
{
    const Part *part = &known->parts[source];
    if (part->kind != SEGMENT_ROWS) return NULL;
    return pf_journal_segment_runtime(known->journal, part->segment);
}

bool pf_row_index_in_journal(const PfRowIndex *known, const uint8_t digest[PF_DIGEST_SIZE])
{
    uint32_t *slot = first_of_digest(known, digest);
    while (*slot != PF_HASH_EMPTY && part_of(known, *slot)->kind != SEGMENT_ROWS)
        slot = second_of_digest(known, slot, digest);
    return *slot != PF_HASH_EMPTY;
}

#include "common/cache/journal/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they are");

/* A limit for numbers that make sense. */
#define MAX_DIMENSION ((int64_t)1 << 32)
#define NO_REASON UINT32_MAX
#define MEASURED (UINT32_MAX - 1)

typedef struct TapRecord {
    char name[PF_CACHE_NAME_SIZE];
    int32_t dtype, rank;
    int64_t dims[PF_MAX_RANK];
    int64_t chunk_rows;
    int32_t shuffle, compression, level, unused;
} TapRecord;

typedef struct ImageRecord {
    uint8_t digest[PF_DIGEST_SIZE];
    uint64_t size_bytes;
    int64_t mtime_ns, ctime_ns;
    int32_t width, height;
    uint32_t path_size, reason_size; /* NO_REASON: a row; MEASURED: one whose statistics
                                         and perceptual hash follow the path; texts follow */
} ImageRecord;

_Static_assert(sizeof(PfJournalChunkHead) == 16 && sizeof(TapRecord) == 144 &&
                   sizeof(ImageRecord) == 56,
               "records have no padding");

/* ---- writing ---- */

static int put(PfJournalBytes *bytes, const void *data, size_t size, PfError *err)
{
    if (pf_grow(&bytes->data, &bytes->capacity, bytes->size + size, 1, err)) return -1;
    if (size) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
    return 0;
}

int pf_journal_records_put_segment(PfJournalBytes *bytes, const PfTapLayout *layouts, int count,
                                   PfError *err)
{
    for (int t = 0; t < count; t++) {
        const PfCacheTap *tap = &layouts[t].tap;
        const PfChunkFormat *format = &layouts[t].format;
        TapRecord record = {
            .dtype = (int32_t)tap->dtype,
            .rank = tap->shape.rank,
            .chunk_rows = layouts[t].chunk_rows,
            .shuffle = format->shuffle,
            .compression = (int32_t)format->compression,
            .level = format->level,
        };
        strcpy(record.name, tap->name);
        memcpy(record.dims, tap->shape.dims, sizeof record.dims);
        if (put(bytes, &record, sizeof record, err)) return -1;
    }
    return 0;
}

int pf_journal_records_put_image(PfJournalBytes *bytes, const PfJournalImage *image, PfError *err)
{
    const PfImageFile *file = &image->file;
    size_t path_size = strlen(file->path);
    size_t reason_size = image->reason ? strlen(image->reason) : 0;
    ImageRecord record = {
        .size_bytes = file->stamp.size_bytes,
        .mtime_ns = file->stamp.mtime_ns,
        .ctime_ns = file->stamp.ctime_ns,
        .width = file->width,
        .height = file->height,
        .path_size = (uint32_t)path_size,
        .reason_size = image->reason          ? (uint32_t)reason_size
                       : file->has_statistics ? MEASURED
                                              : NO_REASON,
    };
    memcpy(record.digest, file->digest, sizeof record.digest);
    if (put(bytes, &record, sizeof record, err) || put(bytes, file->path, path_size, err))
        return -1;
    if (record.reason_size == MEASURED)
        return put(bytes, file->statistics, sizeof file->statistics, err) ||
                       put(bytes, &file->perceptual_hash, sizeof file->perceptual_hash, err)
                   ? -1
                   : 0;
    return put(bytes, image->reason, reason_size, err);
}

/* ---- reading ---- */

static bool is_dtype(int32_t dtype)
{
    return dtype == PF_DTYPE_F16 || dtype == PF_DTYPE_F32 || dtype == PF_DTYPE_U8;
}

static int get_shape(const TapRecord *record, PfShape *shape)
{
    if (record->rank < 0 || record->rank > PF_MAX_RANK) return -1;
    shape->rank = record->rank;
    int64_t elements = 1;
    for (int i = 0; i < record->rank; i++) {
        int64_t dim = shape->dims[i] = record->dims[i];
        if (dim < 1 || dim > MAX_DIMENSION / elements) return -1;
        elements *= dim;
    }
    return 0;
}

/* Layouts are taken from the record, not planned anew: another version of the
 * program may have planned otherwise. */
static int get_layout(const TapRecord *record, PfTapLayout *layout)
{
    PfCacheTap tap = {.dtype = (PfDtype)record->dtype};
    if (!memchr(record->name, '\0', sizeof record->name) || !is_dtype(record->dtype) ||
        record->compression < PF_COMPRESS_NONE || record->compression > PF_COMPRESS_ZSTD ||
        get_shape(record, &tap.shape))
        return -1;
    strcpy(tap.name, record->name);
    if (pf_tap_layout_plan(&tap, (PfCompression)record->compression, record->level, layout, NULL) ||
        record->chunk_rows < 1 || record->chunk_rows > MAX_DIMENSION / (int64_t)layout->row_bytes)
        return -1;
    layout->chunk_rows = record->chunk_rows;
    layout->format.any_level = 0;
    layout->format.shuffle = record->shuffle != 0;
    layout->format = pf_tap_layout_format_of_rows(layout, record->chunk_rows);
    return 0;
}

int pf_journal_records_get_segment(const void *payload, size_t size, PfTapLayout **layouts,
                                   int *count, PfError *err)
{
    size_t tap_count = size / sizeof(TapRecord);
    if (!tap_count || tap_count > INT16_MAX || size % sizeof(TapRecord)) return 1;
    PfTapLayout *items = pf_calloc(tap_count, sizeof *items, err);
    if (!items) return -1;
    for (size_t t = 0; t < tap_count; t++) {
        TapRecord record;
        memcpy(&record, (const unsigned char *)payload + t * sizeof record, sizeof record);
        if (!get_layout(&record, &items[t])) continue;
        free(items);
        return 1;
    }
    *layouts = items;
    *count = (int)tap_count;
    return 0;
}

int pf_journal_records_get_image(const unsigned char **next, const unsigned char *end,
                                 PfJournalImage *image, PfJournalText *path, PfJournalText *reason)
{
    ImageRecord record;
    size_t left = (size_t)(end - *next);
    if (!left) return 0;
    if (left < sizeof record) return -1;
    memcpy(&record, *next, sizeof record);
    bool is_measured = record.reason_size == MEASURED;
    bool is_row = is_measured || record.reason_size == NO_REASON;
    size_t path_size = record.path_size, reason_size = is_row ? 0 : record.reason_size;
    size_t statistics_size = is_measured ? sizeof image->file.statistics : 0;
    size_t hash_size = is_measured ? sizeof image->file.perceptual_hash : 0;
    if (path_size + reason_size + statistics_size + hash_size > left - sizeof record) return -1;
    const char *texts = (const char *)*next + sizeof record;
    *path = (PfJournalText){texts, path_size};
    *reason = (PfJournalText){is_row ? NULL : texts + path_size, reason_size};
    *image = (PfJournalImage){
        .file.stamp = {record.size_bytes, record.mtime_ns, record.ctime_ns},
        .file.width = record.width,
        .file.height = record.height,
    };
    memcpy(image->file.digest, record.digest, sizeof image->file.digest);
    image->file.has_statistics = is_measured;
    memcpy(image->file.statistics, texts + path_size, statistics_size);
    memcpy(&image->file.perceptual_hash, texts + path_size + statistics_size, hash_size);
    for (int s = 0; s < PF_CACHE_STATISTICS; s++)
        if (!isfinite(image->file.statistics[s])) return -1;
    *next += sizeof record + path_size + reason_size + statistics_size + hash_size;
    return 1;
}

/* Rows of one dataset of features, read.
 *
 * Chunks of whole rows with the filters of our own writer are read as they are
 * and unpacked here, in parallel; whatever else HDF5 can read goes through
 * H5Dread. */
#ifndef PF_FEATURE_CACHE_ROWS_H
#define PF_FEATURE_CACHE_ROWS_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "feature_cache_child.h"
#include "feature_cache_chunk.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* Rows of a virtual tap that are another file's. */
typedef struct PfCacheRowsPart {
    int64_t first_row;
    const struct PfCacheRows *rows; /* lent */
    const char *path;               /* of the file, for messages */
} PfCacheRowsPart;

typedef struct PfCacheRows {
    PfCacheTap tap;
    int64_t row_count;
    size_t row_elements;
    hid_t dataset;
    PfCacheRowsPart *parts; /* where they all are instead of in the dataset; NULL: they are not */
    int part_count;
    int is_direct; /* then the rest tells how a chunk is stored */
    int64_t chunk_rows;
    PfChunkFormat format;
    unsigned shuffle_bit, compression_bit,
        fletcher32_bit; /* of a chunk's mask of skipped filters */
    /* Where another process has the dataset open; the file is not open in this one then. */
    PfCacheChild *child; /* lent; NULL: it is open here */
    int index;           /* of the tap in the child */
    int64_t stored_bytes;
    char filters[64];
} PfCacheRows;

/* What a thread needs to unpack chunks, kept from read to read. */
typedef struct PfRowsWorker {
    PfChunkCodec *codec;
    unsigned char *stored, *raw;
    size_t stored_capacity, raw_capacity;
    double read_seconds, unpack_seconds; /* of all chunks so far */
} PfRowsWorker;

typedef struct PfRowsWorkers {
    PfRowsWorker *items;
    int count;
} PfRowsWorkers;

/* The open object /features/<name>. Under pf_h5_lock; path is for messages. */
int pf_cache_rows_open(hid_t object, const char *name, const char *path, PfCacheRows *rows,
                       PfError *err);

size_t pf_cache_rows_row_bytes(const PfCacheRows *rows);
/* The part that has the row; where there are no parts, all of the rows, in the file path. */
PfCacheRowsPart pf_cache_rows_part(const PfCacheRows *rows, const char *path, int64_t row);
/* How many are best read at once: a chunk, or what is as large. */
int64_t pf_cache_rows_block_rows(const PfCacheRows *rows);

/* The chunk that begins with row `first` as it is in the file, and its format; where that
 * has a checksum, it holds. Of direct rows only. Takes pf_h5_lock itself. */
int pf_cache_rows_read_stored(const PfCacheRows *rows, const char *path, int64_t first,
                              void *stored, size_t capacity, size_t *stored_bytes,
                              PfChunkFormat *format, PfError *err);

/* Rows [first, first + count) into out, (count, shape) row-major, as float32 or
 * in the tap's dtype. Takes pf_h5_lock itself. */
int pf_cache_rows_read(const PfCacheRows *rows, PfRowsWorkers *workers, const char *path,
                       int64_t first, int64_t count, int as_f32, void *out, int threads,
                       PfError *err);

/* What pf_cache_rows_read and pf_cache_rows_read_stored take from HDF5, for a child: rows of
 * the tap's dtype, and a chunk without a look at it (NULL, or static words what is wrong). */
int pf_cache_rows_read_block(const PfCacheRows *rows, const char *path, int64_t first,
                             int64_t count, void *out, PfError *err);
const char *pf_cache_rows_read_raw(const PfCacheRows *rows, int64_t first, void *stored,
                                   size_t capacity, size_t *stored_bytes, PfChunkFormat *format);

/* What the rows take in their files. Under pf_h5_lock. */
int64_t pf_cache_rows_stored_bytes(const PfCacheRows *rows);
/* "shuffle, zstd, fletcher32" or "none" into text; of parts, the first one's. Under pf_h5_lock. */
void pf_cache_rows_filters(const PfCacheRows *rows, char *text, size_t size);

void pf_rows_workers_free(PfRowsWorkers *workers);

#endif

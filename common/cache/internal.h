/* The inside of caches, for the files of this folder.
 *
 * A cache with a seal is read in this process, where contents has its file open. One without is
 * read by a child process, since HDF5 crashes on files that are damaged: the child has the file
 * open, contents says what it found there, and the child is asked for the numbers. */
#ifndef PF_COMMON_CACHE_INTERNAL_H
#define PF_COMMON_CACHE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cache/codec/chunk.h"
#include "common/cache/codec/tap_layout.h"
#include "common/cache/hdf5/contents.h"
#include "common/cache/hdf5/writer.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- the seal ----
 *
 * The trailer behind a cache's HDF5 data: a digest over every byte that HDF5's own checksums leave
 * open, that is all but the chunks of features. docs/cache-format.md has its bytes. */

/* Appends the trailer to the closed HDF5 file `path`, which messages call `name`.
 * extents: in the order of offsets, not overlapping. */
int pf_cache_seal_write(const char *path, const char *name, const PfHdf5Extent *extents,
                        int64_t count, PfError *err);
/* Reads the trailer and everything it covers. A digest that does not match is an error: "damaged".
 * *is_sealed: false where there is no trailer, as in another program's file or in one whose end is
 * gone. digest (16 bytes, may be NULL): names this very file; filled where it is sealed. */
int pf_cache_seal_check(const char *path, bool *is_sealed, uint8_t *digest, PfError *err);
/* What the trailer says alone: whether the file ends with one that is whole in itself, and its
 * digest, which nobody has compared with the rest. */
int pf_cache_seal_read(const char *path, bool *is_sealed, uint8_t *digest, PfError *err);

/* ---- writing tap after tap ----
 *
 * What pf_cache_writer_append does in one step, in its parts. When the writer is finished, every
 * tap must have as many rows as there are samples. */

/* How the rows of a tap will lie. Lent until the writer is finished. */
const PfTapLayout *pf_cache_writer_layout(const PfCacheWriter *writer, int tap);

/* n rows of a tap after those it has: (n, shape) row-major of the tap's dtype, copied. */
int pf_cache_writer_append_tap(PfCacheWriter *writer, int tap, int64_t n, const void *features,
                               PfError *err);
/* A chunk of `rows` rows that is encoded in the tap's layout already, copied. Only where the
 * tap's rows so far end with a chunk; `rows` is chunk_rows, or less for the tap's last chunk. */
int pf_cache_writer_append_chunk(PfCacheWriter *writer, int tap, int64_t rows, const void *stored,
                                 size_t stored_bytes, PfError *err);
/* The tap is complete: its last chunk comes before those of other taps in the file, whether it
 * was appended as rows or encoded. */
void pf_cache_writer_finish_tap(PfCacheWriter *writer, int tap);
int pf_cache_writer_append_samples(PfCacheWriter *writer, int64_t n, const PfCacheSample *samples,
                                   PfError *err);

/* ---- the rows of a tap ---- */

typedef struct PfCacheRows PfCacheRows;

/* Rows of a virtual tap that are another file's, or all rows of another tap. */
typedef struct PfCacheRowsPart {
    int64_t first_row, end_row;
    const PfCacheRows *rows; /* lent until the part is released */
    int source;              /* its index; -1: the rows are the cache's own */
} PfCacheRowsPart;

struct PfCacheRows {
    const PfCache *cache;
    int tap;                 /* index */
    const PfHdf5Tap *stored; /* the cache's */
};

/* What a thread needs to unpack chunks, kept from read to read. */
typedef struct PfCacheRowsWorker {
    PfChunkCodec *codec;
    unsigned char *stored, *raw;
    size_t stored_capacity, raw_capacity;
    double read_seconds, unpack_seconds; /* of all chunks so far */
} PfCacheRowsWorker;

typedef struct PfCacheRowsWorkers {
    PfCacheRowsWorker *items;
    int count;
} PfCacheRowsWorkers;

void pf_cache_rows_free_workers(PfCacheRowsWorkers *workers);

size_t pf_cache_rows_row_bytes(const PfCacheRows *rows);
/* The part that has the row, its file open until it is released; of a cache that is not virtual,
 * all of the rows. Any thread. */
int pf_cache_rows_hold(const PfCacheRows *rows, int64_t row, PfCacheRowsPart *part, PfError *err);
void pf_cache_rows_release(const PfCacheRows *rows, const PfCacheRowsPart *part);
/* How many are best read at once: a chunk, or what is as large. */
int64_t pf_cache_rows_block_rows(const PfCacheRows *rows);

/* The chunk that begins with row `first` as it is in the file, and its format; where that
 * has a checksum, it holds. Of direct rows only. */
int pf_cache_rows_read_stored(const PfCacheRows *rows, int64_t first, void *stored, size_t capacity,
                              size_t *stored_bytes, PfChunkFormat *format, PfError *err);

/* Rows [first, first + count) into out, (count, shape) row-major, as float32 or in the tap's
 * dtype.
 *
 * Chunks of whole rows with the filters of our own writer are read as they are and unpacked here,
 * in parallel; whatever else HDF5 can read, it reads and unpacks itself. */
int pf_cache_rows_read(const PfCacheRows *rows, PfCacheRowsWorkers *workers, int64_t first,
                       int64_t count, bool as_f32, void *out, int threads, PfError *err);

/* ---- a cache that is open ---- */

/* Rows [first, first + count) of a tap in its stored dtype, kept from read to read. */
typedef struct PfRowWindow {
    int tap;
    int64_t first, count; /* count 0: none yet */
    unsigned char *rows;
    size_t capacity_bytes;
} PfRowWindow;

typedef struct PfCacheChild PfCacheChild;
typedef struct PfCacheSources PfCacheSources;

struct PfCache {
    PfHdf5Contents contents;
    uint8_t digest[PF_DIGEST_SIZE]; /* of its seal, where contents.file.is_sealed */
    PfCacheChild *child;            /* which has the file open; NULL: this process has */
    PfCacheSources *sources;        /* of a virtual cache; else NULL */
    PfCacheRows *rows;              /* (contents.tap_count) */
    PfHdf5Texts paths, rejected_paths, reasons; /* empty: not read yet */
    PfCacheReject *rejects;                     /* NULL: not read yet */
    PfCacheRowsWorkers workers;
    PfRowWindow window;
};

/* As pf_cache_open, but where that cache is virtual, its own sources stay closed: files that name
 * each other in a circle end here. */
int pf_cache_reader_open_alone(const char *path, PfCache **out, PfError *err);

/* ---- the caches that a virtual one takes its features from ---- */

/* Checks that all are there and the ones that were merged; a few are opened and checked from end to
 * end, of many each is when it is held first. owner: the virtual cache, whose contents are open and
 * which stays where it is. On failure too, close it. */
int pf_cache_sources_open(const PfCache *owner, PfCacheSources **out, PfError *err);
void pf_cache_sources_close(PfCacheSources **sources);
/* The one that has the row, and the rows [*first, *end) that are one's. */
int pf_cache_sources_find(const PfCacheSources *sources, int64_t row);
void pf_cache_sources_range(const PfCacheSources *sources, int index, int64_t *first, int64_t *end);
/* It stays open until it is released; NULL and err where it cannot be had. Any thread. */
const PfCache *pf_cache_sources_hold(PfCacheSources *sources, int index, PfError *err);
void pf_cache_sources_release(PfCacheSources *sources, int index);

/* Lent until pf_cache_close. */
const PfCacheRows *pf_cache_reader_rows(const PfCache *cache, int tap);

/* ---- a child process that reads a file in this one's place ---- */

/* What a child answers: bytes, or an error. */
typedef struct PfCacheChildReply {
    uint8_t *bytes; /* malloc'ed */
    size_t size, capacity;
} PfCacheChildReply;

/* Answers one request in the child: 0 with the reply filled, or -1 with err. `context` lives from
 * request to request, NULL at first. */
typedef int PfCacheChildServer(const char *path, void **context, const void *request,
                               PfCacheChildReply *reply, PfError *err);

/* Starts a child that answers requests of request_bytes each, in a sandbox whose memory and work
 * go by the size of the file `path`. What other threads hold is held for ever there, so `serve` may
 * use HDF5, memory and files alone. */
int pf_cache_child_start(const char *path, PfCacheChildServer *serve, size_t request_bytes,
                         PfCacheChild **out, PfError *err);
/* Asks for what becomes *reply, whose bytes the caller frees. From any thread. Where the
 * child has ended, now or before, the error says that the file is damaged. */
int pf_cache_child_ask(PfCacheChild *child, const void *request, PfCacheChildReply *reply,
                       PfError *err);
/* The same where the size of the reply is known: exactly `size` bytes into out. */
int pf_cache_child_ask_exactly(PfCacheChild *child, const void *request, void *out, size_t size,
                               PfError *err);
/* Ends it, whatever it does. NULL is left alone. */
void pf_cache_child_end(PfCacheChild **child);

/* In the child: that this many bytes of other files belong to what is read, for which there is more
 * time from now on. */
void pf_cache_child_expect_bytes(int64_t bytes);

/* Appends to a reply. */
int pf_cache_child_reply_add(PfCacheChildReply *reply, const void *bytes, size_t size,
                             PfError *err);

/* From here on this process, a child, may open files for reading, write to `channel`, and
 * nothing else: no other file, network or program. It takes no more memory than it has now and
 * `memory_bytes`, says nothing on stderr, leaves no core file, and dies of its faults. What it
 * inherited besides files open for reading is closed. Where the system has no filter
 * for system calls, only the limits hold. */
void pf_cache_sandbox_enter(int channel, uint64_t memory_bytes);

/* Ends this process unless the next call comes before it has computed for so many seconds. 0:
 * no such limit. */
void pf_cache_sandbox_limit_work(int64_t seconds);

/* ---- what a child reads of a cache ----
 *
 * As the functions of the contents, through cache->child. */

/* Starts the child, and fills the contents with what it finds. */
int pf_cache_remote_open(PfCache *cache, PfError *err);
int pf_cache_remote_texts(const PfCache *cache, const char *name, PfHdf5Texts *texts, PfError *err);
int pf_cache_remote_column(const PfCache *cache, const char *group, const char *member,
                           PfHdf5Number type, int64_t count, void *out, size_t row_bytes,
                           PfError *err);
int pf_cache_remote_values(const PfCache *cache, int target, float *out, PfError *err);
int pf_cache_remote_rows(const PfCache *cache, int tap, int64_t first, int64_t count, void *out,
                         PfError *err);
const char *pf_cache_remote_chunk(const PfCache *cache, int tap, int64_t first, void *stored,
                                  size_t capacity, size_t *stored_bytes, PfChunkFormat *format);

#endif

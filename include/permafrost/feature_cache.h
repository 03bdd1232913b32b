/* The feature cache: one HDF5 file of features, targets and samples.
 *
 * docs/cache-format.md describes the file. A writer appends rows in dataset
 * order; chunks are compressed in its own threads and the finished file is
 * renamed into place. A reader lends what it holds until it is closed and
 * decompresses in parallel. Neither may be shared between threads without a
 * lock of the caller's. */
#ifndef PERMAFROST_FEATURE_CACHE_H
#define PERMAFROST_FEATURE_CACHE_H

#include <stdbool.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"
#include "permafrost/tensor.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

#define PF_CACHE_FORMAT "permafrost-cache"
#define PF_CACHE_FORMAT_VERSION 1
#define PF_DIGEST_SIZE 16
/* Every tap name, target name and attribute fits in this. */
#define PF_CACHE_NAME_SIZE 64

typedef enum PfSplit { PF_SPLIT_TRAIN = 0, PF_SPLIT_VAL = 1, PF_SPLIT_TEST = 2 } PfSplit;
#define PF_SPLIT_COUNT 3

typedef enum PfCompression { PF_COMPRESS_NONE, PF_COMPRESS_GZIP, PF_COMPRESS_ZSTD } PfCompression;

typedef enum PfTargetKind {
    PF_TARGET_CLASS,      /* (N) int32 index into the target's classes, -1 unlabelled */
    PF_TARGET_REGRESSION, /* (N, k) float32, NaN missing */
    PF_TARGET_MULTILABEL, /* (N, k) float32, 1 where the label applies, 0 where not, NaN unknown */
    PF_TARGET_KEYPOINTS,  /* (N, 2p) float32, x0, y0, x1, ... in pixels of the whole image, NaN */
} PfTargetKind;

typedef struct PfCacheTap {
    char name[PF_CACHE_NAME_SIZE];
    PfShape shape; /* per row */
    PfDtype dtype; /* PF_DTYPE_F16, PF_DTYPE_F32 or PF_DTYPE_U8 */
} PfCacheTap;

typedef struct PfCacheTarget {
    char name[PF_CACHE_NAME_SIZE]; /* class folders: "class" */
    PfTargetKind kind;
    int width;                  /* numbers per row; 1 for classes */
    const char *const *classes; /* class_count UTF-8 names of the classes; or of the `width` labels;
                                   or of the width / 2 points; NULL for numbers */
    int class_count;            /* of keypoints: 0 where the points have no names */
} PfCacheTarget;

/* What tells, without reading it, that a file is still the one that was read. */
typedef struct PfFileStamp {
    uint64_t size_bytes;
    int64_t mtime_ns; /* 0: changed too shortly before it was read to be relied on */
    int64_t ctime_ns; /* of the inode: tells two files apart that were swapped by renaming */
} PfFileStamp;

/* Of an image's pixels: width, height, mean and standard deviation of the luminance, 0 to 255, and
 * the variance of its Laplacian. docs/inspect.md says how they are taken. */
#define PF_CACHE_STATISTICS 5

/* What is known of one image besides its features. */
typedef struct PfCacheSample {
    const char *path;               /* UTF-8, relative to the dataset's root */
    uint8_t digest[PF_DIGEST_SIZE]; /* XXH3-128 of the file's bytes, big-endian as in its canonical
                                       form */
    PfFileStamp stamp;
    PfSplit split;
    const int32_t *class_indices; /* one per class target, in target order */
    const float *values;          /* the other targets' numbers, concatenated in target order */
    int32_t width, height;        /* of the decoded image, in pixels; 0 unknown */
    uint64_t group;               /* a hash that images have in common which belong together, as of
                                     one patient; 0: none */
    int has_statistics;
    float statistics[PF_CACHE_STATISTICS]; /* finite */
    uint64_t perceptual_hash;              /* with the statistics; 0: nearly of one colour */
} PfCacheSample;

/* "class", "regression", "multilabel" or "keypoints". */
const char *pf_target_kind_name(PfTargetKind kind);
/* The kind of that name; -1 where there is none. */
int pf_target_kind_from_name(const char *name, PfTargetKind *kind);

/* An image that could not be used. */
typedef struct PfCacheReject {
    const char *path, *reason;
    uint8_t digest[PF_DIGEST_SIZE]; /* zeros where it could not even be read */
    PfFileStamp stamp;
} PfCacheReject;

/* One of the files whose rows, one after the other, are those of a virtual cache. */
typedef struct PfCacheSource {
    const char *path; /* relative to the folder of the virtual cache */
    int64_t row_count;
    uint8_t seal[PF_DIGEST_SIZE]; /* pf_cache_seal */
} PfCacheSource;

/* ---- writing ---- */

typedef struct PfCacheWriterConfig {
    const PfCacheTap *taps; /* copied */
    int tap_count;
    const PfCacheTarget *targets; /* copied, class names too */
    int target_count;
    const char *identity;   /* JSON: all that decides the numbers */
    const char *provenance; /* JSON: what does not */
    PfCompression compression;
    int level;                    /* of the compressor; 0 = its default here (zstd 1, gzip 1) */
    int threads;                  /* compressing threads, at least 1 */
    const PfCacheSource *sources; /* of a virtual cache, to which no features are appended */
    int source_count;             /* 0: it is none */
} PfCacheWriterConfig;

typedef struct PfCacheWriterStats {
    int64_t rows, rejected;
    int64_t raw_bytes, stored_bytes; /* of the features, before and after the filters */
    int64_t file_bytes;
    double compress_seconds; /* summed over the threads */
    double write_seconds;    /* in HDF5 and the file system */
} PfCacheWriterStats;

typedef struct PfCacheWriter PfCacheWriter;

/* Creates the file beside path under a temporary name. Nothing exists at path
 * (or what was there stays) until finish succeeds. */
int pf_cache_writer_open(const char *path, const PfCacheWriterConfig *config, PfCacheWriter **out,
                         PfError *err);
/* Appends n rows. samples: n; features[t]: (n, taps[t].shape) row-major of the
 * tap's dtype. Everything is copied before it returns; blocks while the
 * compressing threads are behind (bounded memory). */
int pf_cache_writer_append(PfCacheWriter *writer, int n, const PfCacheSample *samples,
                           const void *const *features, PfError *err);
/* Notes an image that could not be used; no row is made for it. */
int pf_cache_writer_reject(PfCacheWriter *writer, const PfCacheReject *reject, PfError *err);
/* Writes what is pending, syncs, renames into place and frees the writer,
 * also on failure (then nothing is left behind). stats may be NULL. */
int pf_cache_writer_finish(PfCacheWriter **writer, PfCacheWriterStats *stats, PfError *err);
/* Gives up: removes the temporary file and frees the writer. */
void pf_cache_writer_abandon(PfCacheWriter **writer);

/* ---- reading ---- */

typedef struct PfCache PfCache;

/* Opens and checks the file: its seal, where it was written with one, then format,
 * version, equal row counts, class indices in range. "not a feature cache" names what
 * was found. */
int pf_cache_open(const char *path, PfCache **out, PfError *err);
void pf_cache_close(PfCache **cache);

/* From now on the files that virtual caches refer to may lie in this folder too, not only in
 * that of the virtual cache: --sources-from. Not while another thread opens a cache. */
int pf_cache_allow_sources(const char *folder, PfError *err);

/* All lent until pf_cache_close. */
const char *pf_cache_path(const PfCache *cache);
/* Whether it ends in a seal, which then was found intact; files from elsewhere have none. */
int pf_cache_is_sealed(const PfCache *cache);
/* The digest in its seal, PF_DIGEST_SIZE bytes: names this very file. NULL where there is none. */
const uint8_t *pf_cache_seal(const PfCache *cache);
/* Of the provenance: 32 hexadecimal digits, see pf_cache_content. */
#define PF_CACHE_CONTENT_KEY "content"
/* What names its rows, whatever it knows of their files' dates: the digest in its seal, or in that
 * of the file before it where extract has renewed nothing but those dates. False where there is no
 * seal. Looked up in the provenance at every call. */
bool pf_cache_content(const PfCache *cache, uint8_t content[PF_DIGEST_SIZE]);
int64_t pf_cache_row_count(const PfCache *cache);
int pf_cache_tap_count(const PfCache *cache);
const PfCacheTap *pf_cache_tap(const PfCache *cache, int index);
/* Index of the tap with that name, or -1 with the names there are in err. */
int pf_cache_find_tap(const PfCache *cache, const char *name, int *index, PfError *err);
int pf_cache_target_count(const PfCache *cache);
const PfCacheTarget *pf_cache_target(const PfCache *cache, int index);
const char *pf_cache_identity(const PfCache *cache);   /* JSON; "{}" where the file has none */
const char *pf_cache_provenance(const PfCache *cache); /* JSON; "{}" where the file has none */
const uint8_t *
pf_cache_splits(const PfCache *cache); /* (N) PfSplit; NULL where the file has none */
int64_t pf_cache_rejected_count(const PfCache *cache);

/* What a virtual cache's features lie in; *count is 0 where they are in the file itself.
 * Opening has checked that the sources are there and are the ones that were merged. */
const PfCacheSource *pf_cache_sources(const PfCache *cache, int *count);

/* Stored size of a tap's chunks and its filters in words: "shuffle, zstd, fletcher32". Of a
 * virtual cache: the sources' sizes, the first one's filters. */
int pf_cache_tap_storage(PfCache *cache, int tap, int64_t *stored_bytes, char *filters,
                         size_t filters_size, PfError *err);
/* What its chunks are compressed with; none where they are not as extract lays them out. */
PfCompression pf_cache_tap_compression(const PfCache *cache, int tap);

/* Sample paths (N), and rejected images (R): lent until pf_cache_close, read on
 * first use. */
int pf_cache_has_paths(const PfCache *cache);
int pf_cache_paths(PfCache *cache, const char *const **paths, PfError *err);
int pf_cache_rejects(PfCache *cache, const PfCacheReject **rejects, PfError *err);

/* Each (N). Zeros for what the file does not have, which then matches no image. */
int pf_cache_read_stamps(PfCache *cache, PfFileStamp *out, PfError *err);
int pf_cache_read_digests(PfCache *cache, uint8_t (*out)[PF_DIGEST_SIZE], PfError *err);

/* Groups (N); zeros where the file has none. */
int pf_cache_read_groups(PfCache *cache, uint64_t *out, PfError *err);

/* Each (N): the decoded images' sizes in pixels. Where the file does not have them, or not
 * of every row, that is an error. */
int pf_cache_read_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err);

/* The same with zeros for what the file does not know. */
int pf_cache_find_image_sizes(PfCache *cache, int32_t *widths, int32_t *heights, PfError *err);

/* out: (N) the statistics of the pixels, all NaN where the file does not have an image's. *known:
 * so many rows have them. */
int pf_cache_find_statistics(PfCache *cache, float (*out)[PF_CACHE_STATISTICS], int64_t *known,
                             PfError *err);

/* out: (N) the perceptual hashes of the pixels, as docs/cache-format.md says, 0 where the file does
 * not have an image's. */
int pf_cache_find_perceptual_hashes(PfCache *cache, uint64_t *out, PfError *err);

/* out: (N) int32 class indices of a class target. */
int pf_cache_read_classes(PfCache *cache, int target, int32_t *out, PfError *err);
/* out: (N, width) float32 of a target of any other kind; none is infinite. */
int pf_cache_read_values(PfCache *cache, int target, float *out, PfError *err);

/* Rows [first, first + count) of a tap as float32, (count, shape) row-major,
 * decompressed by `threads` threads (0 = all cores). */
int pf_cache_read_f32(PfCache *cache, int tap, int64_t first, int64_t count, float *out,
                      int threads, PfError *err);
/* The same in the stored dtype. */
int pf_cache_read(PfCache *cache, int tap, int64_t first, int64_t count, void *out, int threads,
                  PfError *err);

/* Rows that lie together: a chunk, where the tap has chunks of whole rows. */
typedef struct PfCacheBlock {
    int64_t first, count;
    int64_t run;          /* of pf_cache_visit_runs: its index there */
    const void *rows;     /* (count, shape) in the stored dtype; NULL: they cannot be read */
    const PfError *error; /* why not */
    double read_seconds, unpack_seconds; /* what it took to get the chunks from the file, and to
                                            decompress them; 0 where HDF5 does both */
} PfCacheBlock;

/* Nonzero: no more blocks. Called from several threads at once, blocks in any order. */
typedef int PfCacheBlockVisitor(void *context, const PfCacheBlock *block);

/* Reads all rows of a tap, `threads` blocks at a time (0 = as many as cores), each into
 * memory that is used again. A block that cannot be read does not keep from the others. */
void pf_cache_visit(PfCache *cache, int tap, int threads, PfCacheBlockVisitor *visitor,
                    void *context);

typedef struct PfCacheRun {
    int64_t first, count; /* rows [first, first + count) */
} PfCacheRun;

/* All rows of a tap in ascending runs that are best read at once: whole chunks, or what is as
 * large as one. *runs: malloc'ed. */
int pf_cache_list_runs(const PfCache *cache, int tap, PfCacheRun **runs, int64_t *count,
                       PfError *err);

/* As pf_cache_visit, but these runs only, each a block. Where one tap is read like this on one
 * thread, others may ask what is in the cache meanwhile. */
void pf_cache_visit_runs(PfCache *cache, int tap, const PfCacheRun *runs, int64_t count,
                         int threads, PfCacheBlockVisitor *visitor, void *context);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif

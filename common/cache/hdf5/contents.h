/* The HDF5 file of a feature cache, as it is read: what is in it, and its numbers.
 *
 * Nothing of HDF5 itself shows here. HDF5 serves one thread at a time: the functions below wait
 * for their turn, and may be called from any thread. */
#ifndef PF_COMMON_CACHE_HDF5_CONTENTS_H
#define PF_COMMON_CACHE_HDF5_CONTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/arena.h"
#include "common/cache/codec/chunk.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* ---- before a file is opened ---- */

/* What can be told without opening it: fails where another program has the file locked for writing,
 * where it is all holes, and where memory is so short that HDF5 might crash. A file that cannot be
 * read passes: opening it says why. *size_bytes: of the file, 0 where it cannot be read. */
int pf_hdf5_preflight(const char *path, int64_t *size_bytes, PfError *err);
/* That the file is as long as its first bytes say, where they are those of an HDF5 file. */
int pf_hdf5_preflight_length(const char *path, PfError *err);

/* As fork, at a moment when no other thread uses HDF5, so that the child can use it. */
pid_t pf_hdf5_fork(void);

/* Where the file lies that the virtual cache `path` calls `name`: *source is malloc'ed, and NULL
 * where nothing is there. An error where that is, links resolved, neither in the folder of
 * the cache nor in the one of pf_cache_allow_sources, or no regular file. */
int pf_hdf5_outside_find(const char *path, const char *name, char **source, PfError *err);

/* ---- lists of strings ---- */

/* A dataset of strings, in memory. */
typedef struct PfHdf5Texts {
    const char **items; /* lent until pf_hdf5_texts_free */
    int64_t count;
    PfArena arena;     /* where the characters are */
    size_t used, most; /* characters, and how many there may be */
} PfHdf5Texts;

/* Fills empty texts with "0", "1", ... */
int pf_hdf5_texts_number(PfHdf5Texts *texts, int64_t count, PfError *err);
/* Fills empty texts with `count` strings that follow each other in size bytes, each with its
 * terminator. -1 where they are not that many, or memory is short. */
int pf_hdf5_texts_copy(PfHdf5Texts *texts, int64_t count, const char *bytes, size_t size);
/* Leaves texts empty. */
void pf_hdf5_texts_free(PfHdf5Texts *texts);

/* ---- what is in it ---- */

/* A dataset of features. One that a child process describes comes as bytes, which may be anything:
 * is_direct is an int for that, since a bool must be 0 or 1. */
typedef struct PfHdf5Tap {
    PfCacheTap info;
    int64_t row_count;
    size_t row_elements;
    int is_direct; /* chunks of whole rows, with filters of our own writer, which can be decoded
                      without HDF5; then chunk_rows and format tell how */
    int64_t chunk_rows;
    PfChunkFormat format;
    int64_t request_rows; /* 1 or more: so many are read at a time by a process of which an answer
                             is expected within seconds */
    int64_t stored_bytes; /* with filters: 0 until pf_hdf5_tap_measure */
    char filters[64];     /* "shuffle, zstd, fletcher32" or "none" */
    /* For the functions that read it from HDF5: its number there, negative where this process does
     * not have it open, and the bits of a chunk's mask of filters that were left out. */
    int64_t id;
    unsigned shuffle_bit, compression_bit, fletcher32_bit;
} PfHdf5Tap;

typedef struct PfHdf5Target {
    PfCacheTarget info; /* its class names are those of classes */
    PfHdf5Texts classes;
    int32_t *indices; /* (N) of a class target, checked; NULL for the others */
    int64_t id;       /* as that of a tap */
} PfHdf5Target;

/* The file itself, and what its datasets are checked against. */
typedef struct PfHdf5File {
    char *path;
    bool is_sealed; /* its seal was found intact */
    int64_t id;     /* HDF5's number of it; negative: this process does not have it open */
    int64_t size_bytes;
    void (*expect_bytes)(int64_t bytes); /* NULL, or told what the files have in which a virtual
                                            dataset lies, before these are looked through */
    bool has_sources; /* features are not read from here: a virtual cache of ours */
    int64_t row_count;
    const char *row_source; /* the tap that told row_count, for messages */
} PfHdf5File;

typedef struct PfHdf5Contents {
    PfHdf5File file;
    PfHdf5Tap *taps;
    int tap_count;
    PfHdf5Target *targets;
    int target_count;
    PfCacheSource *sources; /* of a virtual cache; their paths are those of source_paths */
    int source_count;       /* 0: the features are in the file itself */
    PfHdf5Texts source_paths;
    bool has_paths;
    uint8_t *splits;             /* (N) PfSplit, or NULL */
    int64_t rejected_count;      /* images */
    char *identity, *provenance; /* JSON */
} PfHdf5Contents;

/* Nothing of the file is open afterwards. */
int pf_hdf5_contents_init(PfHdf5Contents *contents, const char *path, PfError *err);
/* Opens the file, describes and checks it; what is short (targets, splits) is read. Wants
 * file.is_sealed and file.size_bytes set. On failure too, clear it. */
int pf_hdf5_contents_open(PfHdf5Contents *contents, PfError *err);
/* Closes the file and frees everything. */
void pf_hdf5_contents_clear(PfHdf5Contents *contents);

/* ---- its numbers, where this process has it open ---- */

/* The dataset of strings "group/name" into empty texts. */
int pf_hdf5_contents_texts(const PfHdf5Contents *contents, const char *name, PfHdf5Texts *texts,
                           PfError *err);

typedef enum PfHdf5Number {
    PF_HDF5_U8,
    PF_HDF5_I32,
    PF_HDF5_I64,
    PF_HDF5_U64,
    PF_HDF5_F32
} PfHdf5Number;
/* out: for each of `count` rows row_bytes of numbers of that type, from the dataset
 * "group/member"; zeros where the file has none. */
int pf_hdf5_contents_column(const PfHdf5Contents *contents, const char *group, const char *member,
                            PfHdf5Number type, int64_t count, void *out, size_t row_bytes,
                            PfError *err);
/* out: (N, width) of a target that is no class. */
int pf_hdf5_contents_values(const PfHdf5Contents *contents, int target, float *out, PfError *err);

size_t pf_hdf5_tap_row_bytes(const PfHdf5Tap *tap);
/* Rows [first, first + count), (count, shape) of the tap's dtype; path is for messages. */
int pf_hdf5_tap_read_rows(const PfHdf5Tap *tap, const char *path, int64_t first, int64_t count,
                          void *out, PfError *err);
/* The chunk that begins with row `first` as it is in the file, and its format; of direct taps only.
 * NULL, or what is wrong in static words. */
const char *pf_hdf5_tap_read_chunk(const PfHdf5Tap *tap, int64_t first, void *stored,
                                   size_t capacity, size_t *stored_bytes, PfChunkFormat *format);
/* Fills in stored_bytes and filters. */
void pf_hdf5_tap_measure(PfHdf5Tap *tap);

#endif

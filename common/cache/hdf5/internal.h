/* HDF5 as the files of this folder use it. No other library includes this header, or hdf5.h. */
#ifndef PF_COMMON_CACHE_HDF5_INTERNAL_H
#define PF_COMMON_CACHE_HDF5_INTERNAL_H

#include <hdf5.h>
#include <stdbool.h>

#include "common/cache/hdf5/contents.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

_Static_assert(sizeof(hid_t) <= sizeof(int64_t), "numbers of HDF5 are kept as int64_t elsewhere");

/* ---- HDF5 itself: one caller at a time, errors as PfError ---- */

/* HDF5 is not thread-safe: every call of it is made between these two, and no work besides. The
 * first lock sets HDF5 up, without links into other files. */
void pf_hdf5_lock(void);
void pf_hdf5_unlock(void);

/* As pf_fail, with ": <what HDF5 said of its first failure since the lock was
 * taken>" appended. */
int pf_hdf5_fail(PfError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether any call has failed since the lock was taken. Asked before what looks absent is
 * taken to be absent. */
bool pf_hdf5_has_failed(void);

/* HDF5 crashes where its own small allocations fail. Fails where memory is so short that
 * it might; without the lock, before something long is begun. */
int pf_hdf5_check_memory(PfError *err);

/* All functions below are called under the lock. */

/* The type of features of a dtype (F16, F32, U8), in the file and in memory.
 * Lent for ever. */
hid_t pf_hdf5_type(PfDtype dtype);
/* Variable-length UTF-8 strings. Lent for ever. */
hid_t pf_hdf5_text_type(void);

/* A group that remembers the order in which its members were made. */
hid_t pf_hdf5_create_group(hid_t file, const char *name);

/* Names of the members of a group in the order in which they were made where it
 * remembers that, else by name: *names is malloc'ed. `what` names file and group
 * in errors. */
int pf_hdf5_members(hid_t group, const char *what, char (**names)[PF_CACHE_NAME_SIZE], int *count,
                    PfError *err);

/* As H5Dread, which trusts what a file says of a dataset more than it should. */
herr_t pf_hdf5_read(hid_t dataset, hid_t memory_type, hid_t memory_space, hid_t file_space,
                    hid_t transfer, void *out);
/* A chunk as it is in the file, and a bit for each of its filters that was left out. */
herr_t pf_hdf5_read_chunk(hid_t dataset, const hsize_t *offset, unsigned *skipped, void *stored,
                          size_t capacity);

#define PF_HDF5_FILTER_VALUES 8
/* Filter `index` of a dataset's properties; its parameters into values, which may be NULL. */
H5Z_filter_t pf_hdf5_filter_at(hid_t properties, int index, unsigned values[PF_HDF5_FILTER_VALUES]);

/* -1 on failure, and HDF5 knows why. */
int pf_hdf5_write_text_attribute(hid_t object, const char *name, const char *text);
int pf_hdf5_write_int_attribute(hid_t object, const char *name, int value);

/* A scalar string attribute of any kind, malloc'ed; NULL where there is none
 * or it is not one. */
char *pf_hdf5_read_text_attribute(hid_t object, const char *name);
/* -1 where there is no such number. */
int pf_hdf5_read_int_attribute(hid_t object, const char *name, int *value);

/* ---- storage: whether a dataset has the bytes that its shape promises ----
 *
 * No fewer, and not many more. HDF5 1.10 does not look: it reads behind what it has loaded, and
 * unpacks whatever comes. */

/* What is selected of it (H5S_ALL: everything), as far as can be told without decompressing. NULL
 * where it is whole, and else what is wrong, in static words. */
const char *pf_hdf5_storage_fault(hid_t dataset, hid_t selection);

/* The open object of that name, or, where it is a dataset in chunks without filters, the same
 * opened anew in its place, without a cache of chunks: HDF5 then reads elements from where a chunk
 * begins, and takes no notice of how large the file says that it is. Negative on failure. */
hid_t pf_hdf5_storage_open_plain(hid_t file, const char *name, hid_t object);

/* What all its elements take, written or not, each four bytes or more; and what those of a chunk
 * take (0 where there are no chunks): INT64_MAX where it is no number. A string of variable length
 * counts as its reference. */
int64_t pf_hdf5_storage_claimed_bytes(hid_t dataset);
int64_t pf_hdf5_storage_chunk_bytes(hid_t dataset);
/* More than any stage of its filters makes of a chunk, if the chunk is what it says. */
size_t pf_hdf5_storage_unpacked_most(hid_t dataset);

/* ---- the file: that it is a cache, and its parts by name ---- */

/* The check for locks of pf_hdf5_preflight once more, right before H5Fopen for reading. Where the
 * file system has no locks, the properties `access` are told to do without: a cache is replaced as
 * a whole by a renamed file, so that readers need none. An environment that asks for locks all the
 * same (TRUE, BEST_EFFORT) goes before properties, and is named in err. */
int pf_hdf5_preflight_locks(const char *path, hid_t access, PfError *err);

/* What to say of a file that H5Fopen has refused: where its superblock tells of a writer that has
 * it open or ended without closing it, err says that, and the result is true. */
bool pf_hdf5_preflight_explain(const char *path, PfError *err);

/* Opens file->path and checks the root attributes format, format_version and, by
 * file->is_sealed, sealed. Where that fails the message says what the file is instead. */
int pf_hdf5_file_open(PfHdf5File *file, PfError *err);

/* The JSON of a root attribute, malloc'ed; "{}" where there is none. */
char *pf_hdf5_file_read_json(const PfHdf5File *file, const char *name, PfError *err);

/* The group or dataset "name" or "group/name", all of it there where it is virtual, in proportion
 * to the file, and nothing of it outside of what pf_hdf5_outside_find allows. One that is not there
 * is no error: *object is negative then. */
int pf_hdf5_file_find(const PfHdf5File *file, const char *name, hid_t *object, PfError *err);

/* First dimension of a dataset; *width: the product of the others. -1 where
 * object is no dataset or has no dimensions. */
int64_t pf_hdf5_file_length(hid_t object, int64_t *width);

/* Whether the dataset has file->row_count rows, of *width numbers each. */
int pf_hdf5_file_check_rows(const PfHdf5File *file, const char *name, hid_t dataset, int64_t *width,
                            PfError *err);

/* Whether what is read of a file altogether, and stays in memory, is in proportion to it. what:
 * "the targets", for the message. */
int pf_hdf5_file_check_sum(const PfHdf5File *file, const char *what, int64_t bytes, PfError *err);

/* ---- what leads out of the file ----
 *
 * A file from a stranger must not make us read what its sender may not. Links into other files HDF5
 * cannot follow, since pf_hdf5_lock has seen to that. */

/* That a dataset's numbers are not in another file by HDF5's external storage, and that everything
 * which a virtual dataset shows is there, since HDF5 makes up what it does not find, and is not
 * virtual itself, since HDF5 1.10 follows circles until the stack ends. Any other object passes;
 * name is for messages. */
int pf_hdf5_outside_check(const PfHdf5File *file, const char *name, hid_t object, PfError *err);

/* The size of the files that a virtual dataset lies in, each once where its parts follow one
 * another; 0 of any other dataset. */
int64_t pf_hdf5_outside_bytes(const PfHdf5File *file, hid_t dataset);

/* ---- parts of the contents ---- */

/* Reads a dataset (N) of strings, variable or fixed in length, into empty texts; `what` names file
 * and dataset in errors. */
int pf_hdf5_texts_read(PfHdf5Texts *texts, hid_t dataset, const char *what, PfError *err);

/* The open object /features/<name>; path is for messages. */
int pf_hdf5_tap_open(hid_t object, const char *name, const char *path, PfHdf5Tap *tap,
                     PfError *err);

/* Opens the member `name` of the group /targets. On failure too, the target is to be freed. */
int pf_hdf5_target_open(const PfHdf5File *file, const char *name, PfHdf5Target *target,
                        PfError *err);
void pf_hdf5_target_free(PfHdf5Target *target);
/* out: (N, width) of a target that is no class. */
int pf_hdf5_target_read(const PfHdf5File *file, const PfHdf5Target *target, float *out,
                        PfError *err);

/* ---- virtual caches ----
 *
 * Their features lie in other caches, the sources, one after the other. HDF5 shows them through
 * virtual datasets; the group /sources says which files they must be. */

/* Whether so many sources are listed in /sources alone: a catalogue, whose /features/<tap> are
 * empty groups that tell shape and dtype of a row. */
bool pf_hdf5_virtual_is_catalogue(int source_count);
/* Such a group. -1 on failure, and HDF5 knows why. */
int pf_hdf5_catalogue_create(hid_t group, const PfCacheTap *tap);
/* The tap that such a group, an open object, stands for: rows are those of contents->sources. */
int pf_hdf5_catalogue_open(hid_t object, const char *name, const PfHdf5Contents *contents,
                           PfHdf5Tap *tap, PfError *err);

/* Reads /sources, where the file has it. */
int pf_hdf5_virtual_read_sources(PfHdf5Contents *contents, PfError *err);
/* The group /sources. -1 on failure, and HDF5 knows why. */
int pf_hdf5_virtual_write_sources(hid_t file, const PfCacheSource *sources, int count);
/* The dataset of a tap: its rows are those of the sources. Negative on failure, and HDF5 knows
 * why. */
hid_t pf_hdf5_virtual_create(hid_t group, const PfCacheTap *tap, const PfCacheSource *sources,
                             int count);

/* ---- what a cache says of its rows besides the features ----
 *
 * Targets, samples, rejected images: kept as columns while rows come in, a few in memory and many
 * in files without a name, and written as datasets at the end. All but writing needs no lock. */

typedef struct PfHdf5Samples PfHdf5Samples;

/* path: of the file that they will be written to, beside which many columns are kept until then.
 * targets and their class names are copied. */
int pf_hdf5_samples_new(const char *path, const PfCacheTarget *targets, int target_count,
                        PfHdf5Samples **out, PfError *err);
void pf_hdf5_samples_free(PfHdf5Samples **samples);

int pf_hdf5_samples_append(PfHdf5Samples *samples, const PfCacheSample *sample, PfError *err);
int pf_hdf5_samples_reject(PfHdf5Samples *samples, const PfCacheReject *reject, PfError *err);

/* Writes the groups /targets, /classes, /samples and /rejected; after that, free them. -1 on
 * failure, and HDF5 knows why, or err where it was not HDF5. */
int pf_hdf5_samples_write(PfHdf5Samples *samples, hid_t file, PfError *err);

#endif

#include "common/cache/hdf5/internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/size_text.h"
#include "common/file/input_file.h"

/* What the numbers of a dataset may take in memory, as 32-bit ones, whatever the file's size, and
 * how many times the file's own size where that is more. Features are compressed to a half or a
 * third, pixels of line drawings to a fiftieth. */
#define FREE_BYTES ((int64_t)160 << 20)
#define MAX_EXPANSION 1024
/* The same of a chunk as it is stored, which is unpacked as a whole. */
#define FREE_CHUNK_BYTES ((int64_t)64 << 20)
#define MAX_CHUNK_EXPANSION 4
#define FREE_ROWS 1000000
/* The same of all that stays in memory while the file is open. */
#define MAX_SUM_EXPANSION 16

/* Says what the file is instead of HDF5: its first bytes, made printable. */
static int fail_not_hdf5(const char *path, PfError *err)
{
    char head[17] = "";
    int fd = pf_input_file_open(AT_FDCWD, path, "", NULL, err);
    if (fd < 0) return -1;
    ssize_t length = read(fd, head, sizeof head - 1);
    if (length < 0) pf_fail_errno(err, "cannot read '%s'", path);
    close(fd);
    if (length < 0) return -1;
    if (!length)
        return pf_fail(err, PF_EXIT_FAILED, "'%s' is not a feature cache: it is empty", path);
    for (ssize_t i = 0; i < length; i++)
        if (!isprint((unsigned char)head[i])) head[i] = '.';
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is not a feature cache: it begins with '%.*s'; expected an HDF5 file "
                   "written by extract",
                   path, (int)length, head);
}

static int fail_open(const char *path, PfError *err)
{
    if (pf_hdf5_preflight_explain(path, err)) return -1;
    return pf_hdf5_fail(err,
                        "'%s' is an HDF5 file that cannot be opened; if it is damaged, make it "
                        "again (extract --force)",
                        path);
}

static int open_id(PfHdf5File *file, PfError *err)
{
    if (access(file->path, R_OK)) return pf_fail_errno(err, "cannot read '%s'", file->path);
    hid_t properties = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG);
    int failed = pf_hdf5_preflight_locks(file->path, properties, err);
    if (!failed && H5Fis_hdf5(file->path) <= 0) failed = fail_not_hdf5(file->path, err);
    /* By its real name: HDF5 looks for the parts of virtual datasets from there alone then. */
    char *real = realpath(file->path, NULL);
    if (!failed) file->id = H5Fopen(real ? real : file->path, H5F_ACC_RDONLY, properties);
    free(real);
    H5Pclose(properties);
    if (!failed && file->id < 0) failed = fail_open(file->path, err);
    return failed;
}

static int check_format(const PfHdf5File *file, PfError *err)
{
    int version;
    char *format = pf_hdf5_read_text_attribute(file->id, "format");
    bool is_ours = format && !strcmp(format, PF_CACHE_FORMAT);
    if (!is_ours)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is HDF5 but not a feature cache: its attribute 'format' is %s%s%s; "
                "expected '" PF_CACHE_FORMAT "'.\nHint: docs/cache-format.md shows how to write "
                "one from Python",
                file->path, format ? "'" : "", format ? format : "missing", format ? "'" : "");
    free(format);
    if (!is_ours) return -1;
    if (pf_hdf5_read_int_attribute(file->id, "format_version", &version))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' has no attribute 'format_version'; expected the number %d", file->path,
                       PF_CACHE_FORMAT_VERSION);
    if (version >= 1 && version <= PF_CACHE_FORMAT_VERSION) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has format_version %d; this program reads up to %d.\nHint: a newer "
                   "permafrost wrote it",
                   file->path, version, PF_CACHE_FORMAT_VERSION);
}

/* Whoever edits a sealed file with HDF5 cuts the trailer off by that. */
static int check_sealed(const PfHdf5File *file, PfError *err)
{
    int sealed;
    if (file->is_sealed || pf_hdf5_read_int_attribute(file->id, "sealed", &sealed) || !sealed)
        return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' was sealed when it was written, and the seal at its end is gone: it was "
                   "cut short, or edited by another program.\nHint: make it again (extract "
                   "--force). If the edit is yours, delete the attribute 'sealed' of '/'",
                   file->path);
}

int pf_hdf5_file_open(PfHdf5File *file, PfError *err)
{
    if (open_id(file, err) || check_format(file, err)) return -1;
    return check_sealed(file, err);
}

char *pf_hdf5_file_read_json(const PfHdf5File *file, const char *name, PfError *err)
{
    char *text = pf_hdf5_read_text_attribute(file->id, name);
    if (!text) return pf_strdup("{}", err);
    if (!pf_json_check_size(text, strlen(text), file->path, name, err)) return text;
    free(text);
    return NULL;
}

int64_t pf_hdf5_file_length(hid_t object, int64_t *width)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Iget_type(object) == H5I_DATASET ? H5Dget_space(object) : H5I_INVALID_HID;
    *width = 1;
    if (space < 0) return -1;
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    H5Sclose(space);
    for (int i = 1; i < rank; i++)
        if (__builtin_mul_overflow(*width, (int64_t)dims[i], width)) return -1;
    return rank < 1 ? -1 : (int64_t)dims[0];
}

/* ---- limits ----
 *
 * What a cache may claim, by the size of its file: HDF5 stores what was never written, or is all
 * the same, in a few bytes, and a file of 17 KB can say that it has a billion rows. */

/* The product of two numbers that a file states, and which may be anything. INT64_MAX where there
 * is none. */
static int64_t multiply(int64_t a, int64_t b)
{
    int64_t product;
    return a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

static int64_t allowed_bytes(int64_t file_bytes, int64_t times, int64_t free_bytes)
{
    return pf_max(multiply(file_bytes, times), free_bytes);
}

static int fail_size(const PfHdf5File *file, const char *name, const char *claims, int64_t found,
                     int64_t allowed, const char *hint, PfError *err)
{
    char found_text[PF_SIZE_TEXT], allowed_text[PF_SIZE_TEXT], file_text[PF_SIZE_TEXT];
    return pf_fail(err, PF_EXIT_FAILED, "'%s': %s %s %s, and a file of %s may have %s. Hint: %s",
                   file->path, name, claims, pf_size_text(found, found_text),
                   pf_size_text(file->size_bytes, file_text), pf_size_text(allowed, allowed_text),
                   hint);
}

static int check_row_count(const PfHdf5File *file, const char *name, hid_t object,
                           int64_t file_bytes, PfError *err)
{
    char file_text[PF_SIZE_TEXT];
    int64_t width, rows = pf_hdf5_file_length(object, &width);
    if (rows <= FREE_ROWS || rows <= file_bytes) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s claims %lld rows, and a file of %s may have %lld: a row takes a byte "
                   "or more",
                   file->path, name, (long long)rows, pf_size_text(file_bytes, file_text),
                   (long long)pf_max(file_bytes, FREE_ROWS));
}

static int check_bytes(const PfHdf5File *file, const char *name, hid_t object, int64_t file_bytes,
                       PfError *err)
{
    char full_name[PF_CACHE_NAME_SIZE + 32];
    int64_t chunk = pf_hdf5_storage_chunk_bytes(object);
    int64_t all = pf_hdf5_storage_claimed_bytes(object);
    int64_t most = allowed_bytes(file_bytes, MAX_EXPANSION, FREE_BYTES);
    int64_t most_of_chunk = allowed_bytes(file_bytes, MAX_CHUNK_EXPANSION, FREE_CHUNK_BYTES);
    snprintf(full_name, sizeof full_name, "/%s", name);
    if (all > most)
        return fail_size(file, full_name, "claims numbers of", all, most,
                         "h5repack -f NONE stores it without compression", err);
    if (chunk > most_of_chunk)
        return fail_size(file, full_name, "claims chunks of", chunk, most_of_chunk,
                         "h5repack -l CHUNK=... stores it in smaller ones", err);
    return 0;
}

/* Checks the shape, the chunks and the number of rows of a dataset, of a virtual one by the sizes
 * of all files that it lies in. What is no dataset passes. */
static int check_limits(const PfHdf5File *file, const char *name, hid_t object, PfError *err)
{
    if (H5Iget_type(object) != H5I_DATASET) return 0;
    int64_t file_bytes = file->size_bytes + pf_hdf5_outside_bytes(file, object);
    return check_row_count(file, name, object, file_bytes, err) ||
                   check_bytes(file, name, object, file_bytes, err)
               ? -1
               : 0;
}

int pf_hdf5_file_check_sum(const PfHdf5File *file, const char *what, int64_t bytes, PfError *err)
{
    int64_t most = allowed_bytes(file->size_bytes, MAX_SUM_EXPANSION, FREE_BYTES);
    if (bytes <= most) return 0;
    return fail_size(file, what, "take", bytes, most, "several may be one under other names", err);
}

/* ---- parts by name ---- */

/* Links into other files are refused by name. Links within the file, and what is not
 * there, pass. */
static int check_link(const PfHdf5File *file, const char *name, PfError *err)
{
    H5L_info_t info;
    if (H5Lexists(file->id, name, H5P_DEFAULT) <= 0 ||
        H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0 || info.type < H5L_TYPE_UD_MIN)
        return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s is a link into another file, which is not followed", file->path,
                   name);
}

/* Why the object that has that name cannot be opened. A soft link may lead to nothing, or by way of
 * another link into another file. */
static int fail_object(const PfHdf5File *file, const char *name, PfError *err)
{
    H5L_info_t info;
    if (H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_SOFT)
        return pf_hdf5_fail(err, "'%s': cannot open /%s", file->path, name);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is a link to something that is not in this file",
                   file->path, name);
}

int pf_hdf5_file_find(const PfHdf5File *file, const char *name, hid_t *object, PfError *err)
{
    char group[PF_CACHE_NAME_SIZE];
    snprintf(group, sizeof group, "%.*s", (int)strcspn(name, "/"), name);
    *object = H5I_INVALID_HID;
    htri_t exists = H5Lexists(file->id, group, H5P_DEFAULT);
    if (check_link(file, group, err)) return -1;
    if (exists > 0) exists = H5Lexists(file->id, name, H5P_DEFAULT);
    if (!exists) return 0;
    if (check_link(file, name, err)) return -1;
    if (exists > 0) *object = H5Oopen(file->id, name, H5P_DEFAULT);
    if (*object >= 0) *object = pf_hdf5_storage_open_plain(file->id, name, *object);
    if (*object < 0) return fail_object(file, name, err);
    if (!pf_hdf5_outside_check(file, name, *object, err) && !check_limits(file, name, *object, err))
        return 0;
    H5Oclose(*object);
    *object = H5I_INVALID_HID;
    return -1;
}

int pf_hdf5_file_check_rows(const PfHdf5File *file, const char *name, hid_t dataset, int64_t *width,
                            PfError *err)
{
    int64_t length = pf_hdf5_file_length(dataset, width);
    if (length == file->row_count) return 0;
    if (length < 0)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is not a dataset of rows", file->path, name);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s has %lld rows, /features/%s has %lld",
                   file->path, name, (long long)length, file->row_source,
                   (long long)file->row_count);
}

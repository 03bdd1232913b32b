#include "feature_cache_file.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "feature_cache_h5.h"
#include "feature_cache_limits.h"
#include "feature_cache_lock.h"
#include "feature_cache_mapping.h"
#include "feature_cache_outside.h"
#include "input_file.h"
#include "json.h"
#include "memory.h"
#include "permafrost/feature_cache.h"

/* Says what the file is instead of HDF5: its first bytes, made printable. */
static int fail_not_hdf5(const char *path, PfError *err)
{
    char head[17] = "";
    int fd = pf_input_open(AT_FDCWD, path, "", NULL, err);
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

/* Where the file ends, as its superblock says; 0 where it has none of the usual kind. */
static uint64_t stated_length(const unsigned char *bytes)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    uint64_t length = 0;
    int version = bytes[8], is_old = version < 2;
    /* Addresses of 8 bytes are not the only ones; HDF5 knows the others. */
    if (memcmp(bytes, signature, sizeof signature) || version > 3 || bytes[is_old ? 13 : 9] != 8)
        return 0;
    memcpy(&length, bytes + (version == 1 ? 44 : is_old ? 40 : 28), sizeof length);
    return length;
}

int pf_cache_file_check_length(const char *path, PfError *err)
{
    unsigned char bytes[64] = {0};
    struct stat status;
    int fd = pf_input_open(AT_FDCWD, path, "", &status, err);
    if (fd < 0) return -1;
    ssize_t read_bytes = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    if (read_bytes != (ssize_t)sizeof bytes) return 0;
    uint64_t stated = stated_length(bytes);
    if (stated <= (uint64_t)status.st_size) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' is damaged: it has %lld bytes, and was %llu long.\nHint: make it again "
                   "(extract --force)",
                   path, (long long)status.st_size, (unsigned long long)stated);
}

static int fail_open(const char *path, PfError *err)
{
    if (pf_cache_lock_explain(path, err)) return -1;
    return pf_h5_fail(err,
                      "'%s' is an HDF5 file that cannot be opened; if it is damaged, make it "
                      "again (extract --force)",
                      path);
}

static int open_id(PfCacheFile *file, PfError *err)
{
    if (access(file->path, R_OK)) return pf_fail_errno(err, "cannot read '%s'", file->path);
    hid_t properties = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(properties, H5F_CLOSE_STRONG);
    int failed = pf_cache_lock_prepare(file->path, properties, err);
    if (!failed && H5Fis_hdf5(file->path) <= 0) failed = fail_not_hdf5(file->path, err);
    /* By its real name: HDF5 looks for the parts of virtual datasets from there alone then. */
    char *real = realpath(file->path, NULL);
    if (!failed) file->id = H5Fopen(real ? real : file->path, H5F_ACC_RDONLY, properties);
    free(real);
    H5Pclose(properties);
    if (!failed && file->id < 0) failed = fail_open(file->path, err);
    return failed;
}

static int check_format(const PfCacheFile *file, PfError *err)
{
    int version;
    char *format = pf_h5_read_text_attribute(file->id, "format");
    int is_ours = format && !strcmp(format, PF_CACHE_FORMAT);
    if (!is_ours)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is HDF5 but not a feature cache: its attribute 'format' is %s%s%s; "
                "expected '" PF_CACHE_FORMAT "'.\nHint: docs/cache-format.md shows how to write "
                "one from Python",
                file->path, format ? "'" : "", format ? format : "missing", format ? "'" : "");
    free(format);
    if (!is_ours) return -1;
    if (pf_h5_read_int_attribute(file->id, "format_version", &version))
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
static int check_sealed(const PfCacheFile *file, PfError *err)
{
    int sealed;
    if (file->seal == PF_SEAL_INTACT || pf_h5_read_int_attribute(file->id, "sealed", &sealed) ||
        !sealed)
        return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' was sealed when it was written, and the seal at its end is gone: it was "
                   "cut short, or edited by another program.\nHint: make it again (extract "
                   "--force). If the edit is yours, delete the attribute 'sealed' of '/'",
                   file->path);
}

int pf_cache_file_open(PfCacheFile *file, PfError *err)
{
    if (open_id(file, err) || check_format(file, err)) return -1;
    return check_sealed(file, err);
}

char *pf_cache_file_read_json(const PfCacheFile *file, const char *name, PfError *err)
{
    char *text = pf_h5_read_text_attribute(file->id, name);
    if (!text) return pf_strdup("{}", err);
    if (!pf_json_check_size(text, strlen(text), file->path, name, err)) return text;
    free(text);
    return NULL;
}

/* A link may lead through one into another file. */
static int fail_object(const PfCacheFile *file, const char *name, PfError *err)
{
    H5L_info_t info;
    if (H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0 || info.type != H5L_TYPE_SOFT)
        return pf_h5_fail(err, "'%s': cannot open /%s", file->path, name);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is a link to something that is not in this file",
                   file->path, name);
}

int pf_cache_file_find(const PfCacheFile *file, const char *name, hid_t *object, PfError *err)
{
    char group[PF_CACHE_NAME_SIZE];
    snprintf(group, sizeof group, "%.*s", (int)strcspn(name, "/"), name);
    *object = H5I_INVALID_HID;
    htri_t exists = H5Lexists(file->id, group, H5P_DEFAULT);
    if (pf_cache_outside_check_link(file, group, err)) return -1;
    if (exists > 0) exists = H5Lexists(file->id, name, H5P_DEFAULT);
    if (!exists) return 0;
    if (pf_cache_outside_check_link(file, name, err)) return -1;
    if (exists > 0) *object = H5Oopen(file->id, name, H5P_DEFAULT);
    if (*object < 0) return fail_object(file, name, err);
    if (!pf_cache_outside_check_storage(file, name, *object, err) &&
        !pf_cache_mapping_check(file, name, *object, err) &&
        !pf_cache_limits_check(file, name, *object, err))
        return 0;
    H5Oclose(*object);
    *object = H5I_INVALID_HID;
    return -1;
}

int64_t pf_cache_file_length(hid_t object, int64_t *width)
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

int pf_cache_file_check_rows(const PfCacheFile *file, const char *name, hid_t dataset,
                             int64_t *width, PfError *err)
{
    int64_t length = pf_cache_file_length(dataset, width);
    if (length == file->row_count) return 0;
    if (length < 0)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is not a dataset of rows", file->path, name);
    return pf_fail(err, PF_EXIT_FAILED, "'%s': /%s has %lld rows, /features/%s has %lld",
                   file->path, name, (long long)length, file->row_source,
                   (long long)file->row_count);
}

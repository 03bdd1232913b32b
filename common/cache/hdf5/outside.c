#include "common/cache/hdf5/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "common/file/path.h"

static char allowed_folder[PATH_MAX]; /* "": none. Set before caches are opened */

int pf_cache_allow_sources(const char *folder, PfError *err)
{
    char real[PATH_MAX];
    if (!realpath(folder, real)) return pf_fail_errno(err, "--sources-from '%s'", folder);
    strcpy(allowed_folder, real);
    return 0;
}

/* ---- where a part of a virtual cache may lie ---- */

static bool is_inside(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length == 1) return true; /* "/" */
    return length && !strncmp(path, folder, length) && path[length] == '/';
}

/* Its folder, links resolved, malloc'ed. */
static char *folder_of(const char *path, PfError *err)
{
    char *real = realpath(path, NULL);
    if (!real) {
        pf_fail_errno(err, "cannot read '%s'", path);
        return NULL;
    }
    char *slash = strrchr(real, '/');
    slash[slash == real] = '\0';
    return real;
}

static int fail_outside(const char *cache, const char *part, const char *folder, PfError *err)
{
    int length = (int)(strrchr(part, '/') - part);
    char *outside = pf_asprintf(err, "%.*s", length ? length : 1, part);
    char *word = outside ? pf_path_shell_word(outside, "DIR", err) : NULL;
    if (word)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is virtual, and a part of it, '%s', lies outside its folder '%s'.\n"
                "Hint: where you trust the file, --sources-from %" PF_SENTENCE " lets it be read",
                cache, part, folder, word);
    free(word);
    free(outside);
    return -1;
}

static int check_place(const char *cache, const char *part, PfError *err)
{
    char *folder = folder_of(cache, err);
    if (!folder) return -1;
    int failed = 0;
    if (!is_inside(part, folder) && !is_inside(part, allowed_folder))
        failed = fail_outside(cache, part, folder, err);
    free(folder);
    return failed;
}

static int check_kind(const char *path, PfError *err)
{
    int fd = pf_input_file_open(AT_FDCWD, path, "", NULL, err);
    if (fd >= 0) close(fd);
    return fd < 0 ? -1 : 0;
}

int pf_hdf5_outside_find(const char *path, const char *name, char **source, PfError *err)
{
    *source = NULL;
    char *given = pf_path_resolve(path, name, err);
    if (!given) return -1;
    char *real = realpath(given, NULL);
    bool is_missing = !real && (errno == ENOENT || errno == ENOTDIR);
    int failed = 0;
    if (real)
        failed = check_place(path, real, err) || check_kind(real, err);
    else if (!is_missing)
        failed =
            pf_fail_errno(err, "'%s' is virtual, and its part '%s' cannot be read", path, given);
    free(real);
    if (!failed && !is_missing)
        *source = given;
    else
        free(given);
    return failed ? -1 : 0;
}

/* ---- external storage ---- */

static int check_storage(const PfHdf5File *file, const char *name, hid_t object, PfError *err)
{
    if (H5Iget_type(object) != H5I_DATASET) return 0;
    hid_t properties = H5Dget_create_plist(object);
    int count = properties < 0 ? -1 : H5Pget_external_count(properties);
    if (properties >= 0) H5Pclose(properties);
    if (count < 0) return pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (!count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the numbers of /%s are in another file (external storage), which is not "
                   "read.\nHint: copy them into this one: h5repack -l CONTI IN.h5 OUT.h5",
                   file->path, name);
}

/* ---- virtual datasets that another program made ---- */

/* More than all files have; as much again is no overflow. */
#define MOST_BYTES (INT64_MAX / 4)
/* How far back a dataset that was checked already is looked for. */
#define MOST_REMEMBERED 1000

/* A dataset that parts of a virtual one lie in, checked. */
typedef struct Source {
    char *file, *dataset;
    hid_t space;
} Source;

typedef struct Sources {
    Source *items;
    size_t count, capacity;
} Sources;

/* A part of a virtual dataset. */
typedef struct Mapping {
    char file[PATH_MAX], dataset[1024];
    hid_t space;       /* what is selected of the source: H5S_ALL, or a part of it */
    hssize_t elements; /* of the virtual dataset that it fills */
} Mapping;

/* Whether a dataset of that space reaches as far as what is selected of it. */
static bool reaches(hid_t space, hid_t selection)
{
    hsize_t dims[H5S_MAX_RANK], first[H5S_MAX_RANK], last[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank != H5Sget_simple_extent_ndims(selection) ||
        H5Sget_select_bounds(selection, first, last) < 0)
        return false;
    for (int i = 0; i < rank; i++)
        if (last[i] != H5S_UNLIMITED && last[i] >= dims[i]) return false;
    return true;
}

static bool is_virtual(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    bool found = properties >= 0 && H5Pget_layout(properties) == H5D_VIRTUAL;
    if (properties >= 0) H5Pclose(properties);
    return found;
}

static bool is_large_enough(hid_t space, const Mapping *mapping)
{
    return H5Sget_select_type(mapping->space) == H5S_SEL_ALL
               ? H5Sget_simple_extent_npoints(space) >= mapping->elements
               : reaches(space, mapping->space);
}

#define LOCKED ((hid_t)-2)

/* H5I_INVALID_HID where HDF5 cannot open it; LOCKED, with err, where it is locked. */
static hid_t open_source(const char *path, PfError *err)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), source = LOCKED;
    if (!pf_hdf5_preflight_locks(path, access, err)) {
        source = H5Fopen(path, H5F_ACC_RDONLY, access);
        if (source < 0) source = H5I_INVALID_HID;
    }
    H5Pclose(access);
    return source;
}

/* *space: of the dataset that the mapping leads to, which is all there. */
static int check_source(const PfHdf5File *file, const char *name, const Mapping *mapping,
                        const char *path, hid_t *space, PfError *err)
{
    hid_t source = strcmp(mapping->file, ".") ? open_source(path, err) : file->id;
    if (source == LOCKED) return -1;
    hid_t dataset = source < 0 ? H5I_INVALID_HID : H5Dopen2(source, mapping->dataset, H5P_DEFAULT);
    bool is_nested = dataset >= 0 && is_virtual(dataset);
    bool is_outside = dataset >= 0 && check_storage(file, name, dataset, err);
    *space = dataset < 0 ? H5I_INVALID_HID : H5Dget_space(dataset);
    bool is_whole =
        *space >= 0 && is_large_enough(*space, mapping) && !pf_hdf5_storage_fault(dataset, H5S_ALL);
    if (dataset >= 0) H5Dclose(dataset);
    if (source >= 0 && source != file->id) H5Fclose(source);
    if (is_whole && !is_nested && !is_outside) return 0;
    if (*space >= 0) H5Sclose(*space);
    if (is_outside) return -1;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s is virtual, and the part of it in '%s' cannot be had: %s", file->path,
                   name, path,
                   source < 0    ? "that is no HDF5 file"
                   : dataset < 0 ? "the dataset is not there"
                   : is_nested   ? "the dataset is virtual itself"
                                 : "the dataset is too small, or damaged");
}

/* Whether the dataset is one of features of a virtual cache of ours: those are not read through it,
 * since its sources are opened one by one, and each is checked by its seal. */
static bool is_read_elsewhere(const PfHdf5File *file, const char *name)
{
    return file->has_sources && !strncmp(name, "features/", 9);
}

static const Source *find_source(const Sources *sources, const Mapping *mapping)
{
    size_t looked_at = 0;
    for (size_t i = sources->count; i > 0 && looked_at < MOST_REMEMBERED; i--, looked_at++) {
        const Source *source = &sources->items[i - 1];
        if (!strcmp(source->file, mapping->file) && !strcmp(source->dataset, mapping->dataset))
            return source;
    }
    return NULL;
}

/* Takes over the space. */
static int remember_source(Sources *sources, const Mapping *mapping, hid_t space, PfError *err)
{
    Source source = {pf_strdup(mapping->file, err), pf_strdup(mapping->dataset, err), space};
    if (source.file && source.dataset &&
        !pf_grow(&sources->items, &sources->capacity, sources->count + 1, sizeof source, err)) {
        sources->items[sources->count++] = source;
        return 0;
    }
    free(source.file);
    free(source.dataset);
    H5Sclose(space);
    return -1;
}

static void free_sources(Sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free(sources->items[i].file);
        free(sources->items[i].dataset);
        H5Sclose(sources->items[i].space);
    }
    free(sources->items);
}

static int check_mapping(const PfHdf5File *file, const char *name, const Mapping *mapping,
                         Sources *sources, PfError *err)
{
    char *path;
    hid_t space;
    const Source *known = find_source(sources, mapping);
    if (known && is_large_enough(known->space, mapping)) return 0;
    if (!strcmp(mapping->file, "."))
        path = pf_strdup(file->path, err);
    else if (pf_hdf5_outside_find(file->path, mapping->file, &path, err))
        return -1;
    int failed = 0;
    if (!is_read_elsewhere(file, name)) {
        if (path)
            failed = check_source(file, name, mapping, path, &space, err) ||
                     remember_source(sources, mapping, space, err);
        else
            failed =
                pf_fail(err, PF_EXIT_FAILED, "'%s': /%s is virtual, and its part '%s' is not there",
                        file->path, name, mapping->file);
    }
    free(path);
    return failed ? -1 : 0;
}

/* In place: HDF5 writes %% for a %. -1 where there is another %, which stands for the number of a
 * file, of as many files as there are. */
static int unescape(char *name)
{
    char *out = name;
    for (; *name; name++) {
        if (*name == '%' && *++name != '%') return -1;
        *out++ = *name;
    }
    *out = '\0';
    return 0;
}

/* Part `index` of a virtual dataset. Unless this fails, the caller closes the mapping's space. */
static int read_mapping(hid_t properties, size_t index, Mapping *mapping)
{
    hid_t filled = H5Pget_virtual_vspace(properties, index);
    if (filled < 0) return -1;
    mapping->elements = H5Sget_select_npoints(filled);
    H5Sclose(filled);
    if (H5Pget_virtual_filename(properties, index, mapping->file, sizeof mapping->file) < 0 ||
        H5Pget_virtual_dsetname(properties, index, mapping->dataset, sizeof mapping->dataset) < 0)
        return -1;
    mapping->space = H5Pget_virtual_srcspace(properties, index);
    return mapping->space < 0 ? -1 : 0;
}

/* That `covered`, the numbers that the parts have, are all of the dataset: HDF5 makes up others. */
static int check_covered(const PfHdf5File *file, const char *name, hid_t dataset, hssize_t covered,
                         PfError *err)
{
    hid_t space = H5Dget_space(dataset);
    hssize_t points = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
    if (space >= 0) H5Sclose(space);
    if (points < 0) return pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (covered >= points || is_read_elsewhere(file, name)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s is virtual and has %lld numbers, but its parts have only %lld of "
                   "them.\nHint: shape it as its parts are, or give it a part for every row",
                   file->path, name, (long long)points, (long long)covered);
}

/* *covered: numbers that the parts have, those of several parts counted for each. */
static int check_mappings(const PfHdf5File *file, const char *name, hid_t properties,
                          Sources *sources, hssize_t *covered, PfError *err)
{
    size_t count = 0;
    *covered = 0;
    if (H5Pget_virtual_count(properties, &count) < 0)
        return pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        Mapping mapping;
        if (read_mapping(properties, i, &mapping))
            return pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
        if (unescape(mapping.file) || unescape(mapping.dataset))
            failed = pf_fail(err, PF_EXIT_FAILED,
                             "'%s': /%s is virtual, and names its parts by a pattern, which is not "
                             "read.\nHint: name them one by one",
                             file->path, name);
        else
            failed = check_mapping(file, name, &mapping, sources, err);
        /* One without an end has as many as there are. */
        bool is_endless = mapping.elements < 0 || mapping.elements > INT64_MAX - *covered;
        *covered = is_endless ? INT64_MAX : *covered + mapping.elements;
        H5Sclose(mapping.space);
    }
    return failed;
}

static int check_virtual(const PfHdf5File *file, const char *name, hid_t object, PfError *err)
{
    if (H5Iget_type(object) != H5I_DATASET || !is_virtual(object)) return 0;
    hid_t properties = H5Dget_create_plist(object);
    if (properties < 0) return pf_hdf5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (file->expect_bytes) file->expect_bytes(pf_hdf5_outside_bytes(file, object));
    Sources sources = {0};
    hssize_t covered;
    int failed = check_mappings(file, name, properties, &sources, &covered, err) ||
                 check_covered(file, name, object, covered, err);
    free_sources(&sources);
    H5Pclose(properties);
    return failed ? -1 : 0;
}

int pf_hdf5_outside_check(const PfHdf5File *file, const char *name, hid_t object, PfError *err)
{
    return check_storage(file, name, object, err) || check_virtual(file, name, object, err) ? -1
                                                                                            : 0;
}

static int64_t file_bytes(const PfHdf5File *file, const char *name)
{
    struct stat status;
    char *path = NULL;
    if (pf_hdf5_outside_find(file->path, name, &path, NULL)) return 0;
    int64_t bytes = path && !stat(path, &status) ? status.st_size : 0;
    free(path);
    return bytes;
}

int64_t pf_hdf5_outside_bytes(const PfHdf5File *file, hid_t dataset)
{
    char name[PATH_MAX], before[PATH_MAX] = ".";
    size_t count = 0;
    int64_t bytes = 0;
    hid_t properties = is_virtual(dataset) ? H5Dget_create_plist(dataset) : H5I_INVALID_HID;
    if (properties < 0 || H5Pget_virtual_count(properties, &count) < 0) count = 0;
    for (size_t i = 0; i < count; i++) {
        if (H5Pget_virtual_filename(properties, i, name, sizeof name) < 0) break;
        if (!strcmp(name, before)) continue;
        strcpy(before, name);
        if (unescape(name)) break;
        bytes += pf_min(file_bytes(file, name), MOST_BYTES - bytes);
    }
    if (properties >= 0) H5Pclose(properties);
    return bytes;
}

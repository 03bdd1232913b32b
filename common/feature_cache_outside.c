#include "feature_cache_outside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feature_cache_h5.h"
#include "input_file.h"
#include "memory.h"
#include "path.h"
#include "permafrost/feature_cache.h"
#include "printable.h"

static char allowed_folder[PATH_MAX]; /* "": none. Set before caches are opened */

int pf_cache_allow_sources(const char *folder, PfError *err)
{
    char real[PATH_MAX];
    if (!realpath(folder, real)) return pf_fail_errno(err, "--sources-from '%s'", folder);
    strcpy(allowed_folder, real);
    return 0;
}

/* ---- links and storage ---- */

int pf_cache_outside_check_link(const PfCacheFile *file, const char *name, PfError *err)
{
    H5L_info_t info;
    if (H5Lexists(file->id, name, H5P_DEFAULT) <= 0 ||
        H5Lget_info(file->id, name, &info, H5P_DEFAULT) < 0 || info.type < H5L_TYPE_UD_MIN)
        return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': /%s is a link into another file, which is not followed", file->path,
                   name);
}

int pf_cache_outside_check_storage(const PfCacheFile *file, const char *name, hid_t object,
                                   PfError *err)
{
    if (H5Iget_type(object) != H5I_DATASET) return 0;
    hid_t properties = H5Dget_create_plist(object);
    int count = properties < 0 ? -1 : H5Pget_external_count(properties);
    if (properties >= 0) H5Pclose(properties);
    if (count < 0) return pf_h5_fail(err, "'%s': cannot read /%s", file->path, name);
    if (!count) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': the numbers of /%s are in another file (external storage), which is not "
                   "read.\nHint: copy them into this one: h5repack -l CONTI IN.h5 OUT.h5",
                   file->path, name);
}

/* ---- sources ---- */

static int is_inside(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length == 1) return 1; /* "/" */
    return length && !strncmp(path, folder, length) && path[length] == '/';
}

/* Its folder, links resolved, malloc'ed. */
static char *folder_of(const PfCacheFile *file, PfError *err)
{
    char *real = realpath(file->path, NULL);
    if (!real) return pf_fail_errno(err, "cannot read '%s'", file->path), NULL;
    char *slash = strrchr(real, '/');
    slash[slash == real] = '\0';
    return real;
}

/* path: of the part, absolute. */
static int fail_outside(const PfCacheFile *file, const char *path, const char *folder, PfError *err)
{
    int length = (int)(strrchr(path, '/') - path);
    char *outside = pf_asprintf(err, "%.*s", length ? length : 1, path);
    char *word = outside ? pf_shell_word(outside, "DIR", err) : NULL;
    if (word)
        pf_fail(err, PF_EXIT_FAILED,
                "'%s' is virtual, and a part of it, '%s', lies outside its folder '%s'.\n"
                "Hint: where you trust the file, --sources-from %" PF_SENTENCE " lets it be read",
                file->path, path, folder, word);
    free(word);
    free(outside);
    return -1;
}

static int check_place(const PfCacheFile *file, const char *path, PfError *err)
{
    char *folder = folder_of(file, err);
    if (!folder) return -1;
    int failed = 0;
    if (!is_inside(path, folder) && !is_inside(path, allowed_folder))
        failed = fail_outside(file, path, folder, err);
    free(folder);
    return failed;
}

static int check_kind(const char *path, PfError *err)
{
    int fd = pf_input_open(AT_FDCWD, path, "", NULL, err);
    if (fd >= 0) close(fd);
    return fd < 0 ? -1 : 0;
}

int pf_cache_outside_find_source(const PfCacheFile *file, const char *name, char **path,
                                 PfError *err)
{
    *path = NULL;
    char *given = pf_resolve_path(file->path, name, err);
    if (!given) return -1;
    char *real = realpath(given, NULL);
    int failed = 0, is_missing = !real && (errno == ENOENT || errno == ENOTDIR);
    if (real)
        failed = check_place(file, real, err) || check_kind(real, err);
    else if (!is_missing)
        failed = pf_fail_errno(err, "'%s' is virtual, and its part '%s' cannot be read", file->path,
                               given);
    free(real);
    if (!failed && !is_missing)
        *path = given;
    else
        free(given);
    return failed ? -1 : 0;
}

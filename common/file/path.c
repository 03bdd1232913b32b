#include "common/file/path.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/printable.h"

/* ---- from one file to another ---- */

/* The folder of a file as an absolute path without links, malloc'ed by realpath. */
static char *folder_of(const char *path, PfError *err)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash ? pf_asprintf(err, "%.*s/", (int)(slash - path), path) : pf_strdup(".", err);
    char *real = folder ? realpath(folder, NULL) : NULL;
    if (folder && !real) pf_fail_errno(err, "cannot look into the folder of '%s'", path);
    free(folder);
    return real;
}

static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* How many bytes of two absolute paths are the same folders. */
static size_t common_length(const char *a, const char *b)
{
    size_t common = 0, i = 0;
    while (a[i] && a[i] == b[i]) {
        i++;
        if ((a[i] == '/' || !a[i]) && (b[i] == '/' || !b[i])) common = i;
    }
    return common;
}

/* "../../" for "/a/b" */
static char *way_up(const char *folders, PfError *err)
{
    size_t count = 0;
    for (const char *c = folders; *c; c++) count += *c == '/' && c[1];
    char *up = pf_calloc(3 * count + 1, 1, err);
    for (size_t i = 0; up && i < count; i++) memcpy(up + 3 * i, "../", 3);
    return up;
}

char *pf_path_absolute(const char *path, PfError *err)
{
    char *folder = folder_of(path, NULL);
    if (!folder) return pf_strdup(path, err);
    const char *slash = strcmp(folder, "/") ? "/" : "";
    char *absolute = pf_asprintf(err, "%s%s%s", folder, slash, name_of(path));
    free(folder);
    return absolute;
}

char *pf_path_relative(const char *from, const char *path, PfError *err)
{
    char *start = folder_of(from, err), *end = start ? folder_of(path, err) : NULL,
         *relative = NULL;
    if (end) {
        size_t common = common_length(start, end);
        char *up = way_up(start + common, err);
        const char *down = end + common + (end[common] == '/');
        if (up) relative = pf_asprintf(err, "%s%s%s%s", up, down, *down ? "/" : "", name_of(path));
        free(up);
    }
    free(end);
    free(start);
    return relative;
}

char *pf_path_resolve(const char *from, const char *path, PfError *err)
{
    if (*path == '/') return pf_strdup(path, err);
    char *real = realpath(from, NULL); /* the file itself may be a link */
    if (!real) {
        pf_fail_errno(err, "cannot read '%s'", from);
        return NULL;
    }
    char *resolved = pf_asprintf(err, "%.*s/%s", (int)(name_of(real) - real) - 1, real, path);
    free(real);
    return resolved;
}

/* ---- one file or two ---- */

bool pf_path_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool pf_path_same(const char *a, const char *b)
{
    struct stat left, right;
    return !stat(a, &left) && !stat(b, &right) && pf_path_same_file(&left, &right);
}

bool pf_path_still_named(int fd, int folder, const char *name)
{
    struct stat opened, named;
    return !fstat(fd, &opened) && !fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) &&
           pf_path_same_file(&opened, &named);
}

/* ---- for a shell ---- */

static bool is_shown_otherwise(const char *text)
{
    uint32_t code;
    for (int length; *text; text += length) {
        length = pf_printable_utf8_character(text, strnlen(text, 4), &code);
        if (!length || pf_printable_needs_escape(code)) return true;
    }
    return false;
}

char *pf_path_shell_word(const char *text, const char *instead, PfError *err)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789_./-+@%:,=";
    if (is_shown_otherwise(text)) return pf_strdup(instead, err);
    if (*text && !text[strspn(text, plain)]) return pf_strdup(text, err);
    char *word = pf_calloc(4 * strlen(text) + 3, 1, err), *to = word;
    if (!word) return NULL;
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *text;
    }
    *to = '\'';
    return word;
}

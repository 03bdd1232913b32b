#include "relative_path.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"

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

char *pf_relative_path(const char *from, const char *path, PfError *err)
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

char *pf_resolve_path(const char *from, const char *path, PfError *err)
{
    if (*path == '/') return pf_strdup(path, err);
    char *real = realpath(from, NULL); /* the file itself may be a link */
    if (!real) return pf_fail_errno(err, "cannot read '%s'", from), NULL;
    char *resolved = pf_asprintf(err, "%.*s/%s", (int)(name_of(real) - real) - 1, real, path);
    free(real);
    return resolved;
}

/* Which archives an operand names. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/file/input_file.h"
#include "extract/archive/internal.h"

/* An operand of braces names so many archives at most. */
#define ARCHIVES_MAX 100000

/* ==== names ==== */

static const char *const endings[] = {".tar",     ".zip",      ".tar.gz", ".tgz",
                                      ".tar.zst", ".tar.zstd", ".tzst",   ".tar.xz",
                                      ".txz",     ".tar.bz2",  ".tbz2"};

size_t pf_archive_stem_length(const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(endings[i]);
        if (length > size && !strcasecmp(name + length - size, endings[i])) return length - size;
    }
    return length;
}

static bool has_ending(const char *name)
{
    return name[pf_archive_stem_length(name)] != '\0';
}

/* ==== lists ==== */

static int add_path(PfArchiveList *list, char *path, PfError *err)
{
    if (!path) return -1;
    if (list->count < ARCHIVES_MAX &&
        !pf_grow(&list->paths, &list->capacity, list->count + 1, sizeof *list->paths, err)) {
        list->paths[list->count++] = path;
        return 0;
    }
    if (list->count >= ARCHIVES_MAX)
        pf_fail(err, PF_EXIT_USAGE, "more than %d archives are named", ARCHIVES_MAX);
    free(path);
    return -1;
}

void pf_archive_list_free(PfArchiveList *list)
{
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (PfArchiveList){0};
}

/* ==== braces ==== */

/* The text between braces, and what is before and behind them. */
typedef struct Braces {
    const char *open, *close;
} Braces;

static bool find_braces(const char *text, Braces *out)
{
    out->open = strchr(text, '{');
    out->close = out->open ? strchr(out->open, '}') : NULL;
    return out->close && (memchr(out->open, ',', (size_t)(out->close - out->open)) ||
                          memmem(out->open, (size_t)(out->close - out->open), "..", 2));
}

static int expand(const char *text, PfArchiveList *out, PfError *err);

static int expand_with(const char *text, const Braces *braces, const char *middle, int length,
                       PfArchiveList *out, PfError *err)
{
    char *path = pf_asprintf(err, "%.*s%.*s%s", (int)(braces->open - text), text, length, middle,
                             braces->close + 1);
    if (!path) return -1;
    int failed = expand(path, out, err);
    free(path);
    return failed;
}

/* "000..099": numbers, and their width where one of them begins with a zero. */
static bool read_range(const Braces *braces, long *first, long *last, int *width)
{
    const char *at = braces->open + 1;
    char *end, *stop;
    if (!isdigit((unsigned char)*at)) return false;
    *first = strtol(at, &end, 10);
    if (strncmp(end, "..", 2) || !isdigit((unsigned char)end[2])) return false;
    *last = strtol(end + 2, &stop, 10);
    int first_width = (int)(end - at), last_width = (int)(stop - end - 2);
    bool is_padded = (*at == '0' && first_width > 1) || (end[2] == '0' && last_width > 1);
    *width = !is_padded ? 0 : first_width > last_width ? first_width : last_width;
    return stop == braces->close && *first < LONG_MAX && *last < LONG_MAX;
}

static int expand_range(const char *text, const Braces *braces, long first, long last, int width,
                        PfArchiveList *out, PfError *err)
{
    char number[64];
    long step = first <= last ? 1 : -1;
    if (width > 32) width = 32;
    for (long i = first;; i += step) {
        int length = snprintf(number, sizeof number, "%0*ld", width, i);
        if (expand_with(text, braces, number, length, out, err)) return -1;
        if (i == last) return 0;
    }
}

/* As a shell does, from left to right; braces are not put into each other. */
static int expand(const char *text, PfArchiveList *out, PfError *err)
{
    Braces braces;
    long first, last;
    int width;
    if (!find_braces(text, &braces)) return add_path(out, pf_strdup(text, err), err);
    if (read_range(&braces, &first, &last, &width))
        return expand_range(text, &braces, first, last, width, out, err);
    for (const char *at = braces.open + 1; at <= braces.close;) {
        const char *comma = memchr(at, ',', (size_t)(braces.close - at));
        const char *end = comma ? comma : braces.close;
        if (expand_with(text, &braces, at, (int)(end - at), out, err)) return -1;
        at = end + 1;
    }
    return 0;
}

static bool has_braces(const char *operand)
{
    Braces braces;
    return find_braces(operand, &braces);
}

/* ==== folders ==== */

/* What usually lies beside archives, and is none of their business: lists of them, checksums, and
 * the caches that were made of them. */
static bool is_beside(const char *name)
{
    static const char *const beside[] = {".txt", ".json", ".md", ".idx",     ".sha256",
                                         ".md5", ".csv",  ".h5", ".journal", ".log"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof beside / sizeof *beside; i++)
        if (!strcasecmp(dot, beside[i])) return true;
    return name[0] == '.' || !strncmp(name, "README", 6);
}

typedef struct FolderLook {
    PfArchiveList *list; /* archives are added to it; NULL: they are not */
    int deeper;          /* levels of folders below, which are looked into as well */
    bool has_archives, has_others, failed;
    PfError *err;
} FolderLook;

static void look_at_folder(FolderLook *look, const char *folder);

static void look_deeper(FolderLook *look, const char *path)
{
    FolderLook inside = {.list = look->list, .deeper = look->deeper - 1, .err = look->err};
    look_at_folder(&inside, path);
    look->has_archives |= inside.has_archives;
    look->has_others |= inside.has_others || !inside.has_archives;
    look->failed |= inside.failed;
}

static void look_at_entry(FolderLook *look, int folder_fd, const char *folder, const char *name)
{
    struct stat status;
    if (name[0] == '.' || fstatat(folder_fd, name, &status, 0)) return;
    bool is_folder = S_ISDIR(status.st_mode) && look->deeper;
    bool is_archive = S_ISREG(status.st_mode) && has_ending(name);
    look->has_archives |= is_archive;
    look->has_others |= !is_archive && !is_folder && !is_beside(name);
    if ((!is_archive || !look->list) && !is_folder) return;
    char *path = pf_asprintf(look->err, "%s/%s", folder, name);
    if (path && is_folder) look_deeper(look, path);
    if (is_archive)
        look->failed = add_path(look->list, path, look->err) != 0;
    else
        free(path);
    look->failed |= !path;
}

/* Finds out whether the folder has archives and nothing else that matters. */
static void look_at_folder(FolderLook *look, const char *folder)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    while (directory && !look->has_others && !look->failed && (entry = readdir(directory)) != NULL)
        look_at_entry(look, dirfd(directory), folder, entry->d_name);
    if (directory) closedir(directory);
}

/* Archives in a folder, or in folders in it, as those of splits. */
static bool holds_archives(const char *folder, PfArchiveList *list, bool *failed, PfError *err)
{
    FolderLook look = {.list = list, .deeper = 1, .err = err};
    look_at_folder(&look, folder);
    *failed = look.failed;
    return look.has_archives && !look.has_others;
}

/* In the order of the numbers in their names: 9 before 10. */
static int compare_paths(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* ==== operands ==== */

/* What is compressed as a whole is told by its name alone: there are other files of that kind. */
static bool is_archive_file(const char *path)
{
    uint8_t head[PF_ARCHIVE_HEAD_BYTES];
    struct stat status;
    int fd = pf_input_file_try(AT_FDCWD, path, &status);
    if (fd < 0) return false;
    ssize_t got = pread(fd, head, sizeof head, 0);
    close(fd);
    PfArchiveForm form = got > 0 ? pf_archive_tell(head, (size_t)got) : PF_ARCHIVE_NONE;
    return has_ending(path) || form == PF_ARCHIVE_TAR || form == PF_ARCHIVE_ZIP;
}

bool pf_archive_is_operand(const char *operand)
{
    struct stat status;
    bool failed = false;
    if (pf_address_is(operand)) return true;
    if (stat(operand, &status)) return errno == ENOENT && has_braces(operand);
    return S_ISDIR(status.st_mode) ? holds_archives(operand, NULL, &failed, NULL)
                                   : is_archive_file(operand);
}

int pf_archive_list_operand(const char *operand, PfArchiveList *out, PfError *err)
{
    struct stat status;
    bool failed = false;
    *out = (PfArchiveList){0};
    if (pf_address_is(operand) || stat(operand, &status))
        failed = expand(operand, out, err);
    else if (!S_ISDIR(status.st_mode))
        failed = add_path(out, pf_strdup(operand, err), err);
    else if (holds_archives(operand, out, &failed, err) && !failed)
        qsort(out->paths, out->count, sizeof *out->paths, compare_paths);
    else if (!failed)
        failed = pf_fail(err, PF_EXIT_FAILED, "folder '%s' has changed", operand);
    if (failed) pf_archive_list_free(out);
    return failed ? -1 : 0;
}

/* So many of those that are not there are named. */
#define NAMED_MAX 5

int pf_archive_check_list(const char *operand, const PfArchiveList *list, PfError *err)
{
    char *text = NULL;
    size_t size = 0, missing = 0;
    struct stat status;
    FILE *stream = open_memstream(&text, &size);
    if (!stream) return pf_fail_errno(err, "out of memory for the names of archives");
    for (size_t i = 0; i < list->count; i++) {
        if (!stat(list->paths[i], &status) || errno != ENOENT) continue;
        if (missing < NAMED_MAX) pf_print(stream, "%s'%s'", missing ? ", " : "", list->paths[i]);
        missing++;
    }
    if (missing > NAMED_MAX) pf_print(stream, " and %zu more", missing - NAMED_MAX);
    int failed = 0;
    if (fclose(stream))
        failed = pf_fail_errno(err, "out of memory for the names of archives");
    else if (missing)
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "%zu of the %zu archives that '%s' names are not there: %" PF_SENTENCE,
                         missing, list->count, operand, text);
    free(text);
    return failed;
}

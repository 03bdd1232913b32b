/* --exclude: images that somebody has looked at and does not want. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/hash_index.h"
#include "common/base/memory.h"
#include "common/file/csv.h"
#include "common/file/input_file.h"
#include "extract/dataset/format.h"

#define COLUMN "path"

/* The paths of a list, each once. */
typedef struct Exclusion {
    PfArena arena;
    PfTextIndex paths;
    uint8_t *found; /* (paths.count) */
} Exclusion;

/* Paths are compared without a "./" before them: `find .` writes it, and so does who has to see to
 * it that a spreadsheet takes no name for a formula. */
static size_t count_dots(const char *path, size_t length)
{
    size_t dots = 0;
    while (length - dots > 2 && !memcmp(path + dots, "./", 2)) dots += 2;
    return dots;
}

static int add_path(Exclusion *exclusion, const char *path, size_t length, PfError *err)
{
    size_t dots = count_dots(path, length);
    path += dots;
    length -= dots;
    if (!length || pf_text_index_find(&exclusion->paths, path, length) >= 0) return 0;
    const char *copy = pf_arena_text(&exclusion->arena, path, length, err);
    return copy ? pf_text_index_add(&exclusion->paths, copy, err) : -1;
}

/* ---- a table with a column of paths ---- */

static int find_column(const char *const *fields, int count)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(fields[i], COLUMN)) return i;
    return -1;
}

/* *is_table: whether the first line names a column `path`; else nothing is read. */
static int read_table(Exclusion *exclusion, const char *list, bool *is_table, PfError *err)
{
    const PfCsvOptions options = {.only_first_line = true};
    PfCsvReader *reader;
    const char *const *fields;
    int count, column = -1;
    if (pf_csv_open(list, &options, &reader, err)) return -1;
    int more = pf_csv_next(reader, &fields, &count, err);
    if (more > 0) column = find_column(fields, count);
    *is_table = column >= 0;
    while (more > 0 && *is_table) {
        more = pf_csv_next(reader, &fields, &count, err);
        if (more > 0 && column < count &&
            add_path(exclusion, fields[column], strlen(fields[column]), err))
            more = -1;
    }
    pf_csv_close(&reader);
    return more < 0 && *is_table ? -1 : 0;
}

/* ---- a path a line ---- */

/* Whether the line begins with UTF-8's byte order mark, as Windows writes it before the first. */
static bool has_mark(const char *line, size_t length)
{
    return length >= 3 && !memcmp(line, "\xef\xbb\xbf", 3);
}

static int read_lines(Exclusion *exclusion, const char *list, PfError *err)
{
    bool is_first = true;
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int failed = 0, fd = pf_input_file_open(AT_FDCWD, list, "list", NULL, err);
    FILE *stream = fd < 0 ? NULL : fdopen(fd, "rb");
    if (!stream) {
        if (fd >= 0) close(fd);
        return fd < 0 ? -1 : pf_fail_errno(err, "cannot read list '%s'", list);
    }
    while (!failed && (length = getline(&line, &capacity, stream)) > 0) {
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r')) length--;
        size_t mark = is_first && has_mark(line, (size_t)length) ? 3 : 0;
        is_first = false;
        failed = add_path(exclusion, line + mark, (size_t)length - mark, err);
    }
    if (!failed && ferror(stream)) failed = pf_fail_errno(err, "cannot read list '%s'", list);
    fclose(stream);
    free(line);
    return failed;
}

/* ---- leaving out ---- */

static int fail_all(const PfDataset *dataset, const char *list, size_t count, PfError *err)
{
    if (dataset->is_own_part)
        return pf_fail(
            err, PF_EXIT_USAGE,
            "--exclude '%s' leaves out all %zu images of this shard of '%s', and a shard "
            "has at least one. Hint: fewer shards, so that each has others, too",
            list, count, dataset->root);
    return pf_fail(err, PF_EXIT_USAGE, "--exclude '%s' leaves out all %zu images of '%s'", list,
                   count, dataset->root);
}

static int leave_out(Exclusion *exclusion, PfDataset *dataset, const char *list, PfError *err)
{
    size_t kept = 0, missing = 0, before = dataset->count;
    size_t *rows = pf_calloc(dataset->count, sizeof *rows, err);
    exclusion->found = pf_calloc(exclusion->paths.count, 1, err);
    int failed = !rows || !exclusion->found;
    for (size_t i = 0; i < dataset->count && !failed; i++) {
        const char *path = dataset->samples[i].path;
        size_t length = strlen(path), dots = count_dots(path, length);
        int64_t number = pf_text_index_find(&exclusion->paths, path + dots, length - dots);
        if (number < 0)
            rows[kept++] = i;
        else
            exclusion->found[number] = 1;
    }
    for (size_t i = 0; i < exclusion->paths.count && !failed; i++) missing += !exclusion->found[i];
    if (!failed && !kept) failed = fail_all(dataset, list, before, err);
    if (!failed && kept < before) failed = pf_dataset_keep_rows(dataset, rows, kept, err);
    if (!failed)
        failed = pf_dataset_remark(dataset, err,
                                   "excluded: %zu of %zu images, by the %zu paths of '%s', of "
                                   "which %zu are not %s",
                                   before - kept, before, exclusion->paths.count, list, missing,
                                   dataset->is_own_part ? "in this shard" : "here");
    free(rows);
    return failed ? -1 : 0;
}

int pf_dataset_exclude(PfDataset *dataset, const char *list, PfError *err)
{
    Exclusion exclusion = {0};
    bool is_table;
    if (!list) return 0;
    int failed = read_table(&exclusion, list, &is_table, err);
    if (!failed && !is_table) failed = read_lines(&exclusion, list, err);
    if (!failed && !exclusion.paths.count)
        failed = pf_fail(err, PF_EXIT_USAGE, "--exclude: '%s' names no path", list);
    if (!failed) failed = leave_out(&exclusion, dataset, list, err);
    pf_text_index_free(&exclusion.paths);
    pf_arena_free(&exclusion.arena);
    free(exclusion.found);
    return failed ? -1 : 0;
}

/* Lists of paths: from standard input or a command line. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/archive/archive.h"
#include "extract/dataset/format.h"

static bool is_dash(const char *operand)
{
    return !strcmp(operand, "-");
}

/* All that the stream holds, malloc'ed, behind what *text has of it already. */
static int read_all(FILE *stream, char **text, size_t *size, PfError *err)
{
    size_t capacity = *size, got;
    do {
        if (pf_grow(text, &capacity, *size + 65536, 1, err)) return -1;
        got = fread(*text + *size, 1, capacity - *size, stream);
        *size += got;
    } while (got);
    return ferror(stream) ? pf_fail_errno(err, "standard input cannot be read") : 0;
}

/* `find -print0` writes NULs, and then a path may hold a line break. */
static int add_lines(PfDataset *dataset, const char *text, size_t size, PfError *err)
{
    int separator = memchr(text, '\0', size) ? '\0' : '\n';
    const char *end = text + size;
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) text += 3; /* byte order mark */
    for (const char *next; text < end; text = next) {
        const char *stop = memchr(text, separator, (size_t)(end - text));
        next = stop ? stop + 1 : end;
        size_t length = (size_t)((stop ? stop : end) - text);
        if (length && separator == '\n' && text[length - 1] == '\r') length--;
        if (!length) continue;
        const char *path = pf_dataset_text(dataset, text, length, err);
        if (!path || pf_dataset_add(dataset, path, -1, PF_SPLIT_TRAIN, err)) return -1;
    }
    return 0;
}

static int start(PfDataset *dataset, const char *kind, PfError *err)
{
    dataset->root = pf_strdup(".", err);
    dataset->root_fd = AT_FDCWD;
    snprintf(dataset->kind, sizeof dataset->kind, "%s", kind);
    return dataset->root ? 0 : -1;
}

/* Standard input is an archive, where its first bytes say so. */
static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    (void)operand;
    FILE *stream = options->list ? options->list : stdin;
    char *text = pf_calloc(PF_ARCHIVE_HEAD_BYTES, 1, err);
    if (!text || start(dataset, "paths from standard input", err)) {
        free(text);
        return -1;
    }
    size_t size = fread(text, 1, PF_ARCHIVE_HEAD_BYTES, stream);
    if (pf_archive_tell((uint8_t *)text, size) != PF_ARCHIVE_NONE) {
        int failed =
            pf_dataset_list_archive_stream(dataset, stream, (uint8_t *)text, size, options, err);
        free(text);
        return failed;
    }
    int status = read_all(stream, &text, &size, err);
    if (!status) status = add_lines(dataset, text, size, err);
    free(text);
    if (status || dataset->count) return status;
    return pf_fail(err, PF_EXIT_FAILED,
                   "standard input: no paths found; expected one a line, or NUL between them");
}

int pf_dataset_list_paths(PfDataset *dataset, const char *const *paths, size_t count, PfError *err)
{
    int status = start(dataset, "paths", err);
    for (size_t i = 0; !status && i < count; i++) {
        const char *path = pf_dataset_text(dataset, paths[i], strlen(paths[i]), err);
        status = path ? pf_dataset_add(dataset, path, -1, PF_SPLIT_TRAIN, err) : -1;
    }
    return status;
}

const PfDatasetFormat pf_dataset_format_paths = {
    .what = "none",
    .probe = is_dash,
    .list = list,
    .read = pf_dataset_read_file,
    .stat = pf_dataset_stat_file,
};

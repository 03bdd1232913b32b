#include "inspect/export/export.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "common/file/csv.h"
#include "inspect/export/parquet.h"

/* Features that are written at a time. */
#define BLOCK_BYTES ((int64_t)32 << 20)
#define MOST_COLUMNS 16
/* Written first: by it the folder is known for an export. */
#define TABLE "rows.csv"

typedef struct Export {
    const char *folder;
    const PfPageData *page;
    const PfRows *rows;
    const PfNeighbours *neighbours;
    PfAtomicFile *file; /* that is being written */
    FILE *stream;
} Export;

static char *path_in(const char *folder, const char *name, PfError *err)
{
    char *path = pf_calloc(strlen(folder) + strlen(name) + 2, 1, err);
    if (path) strcpy(stpcpy(stpcpy(path, folder), "/"), name);
    return path;
}

/* ---- what is there already ---- */

/* All files of an export. */
static const struct {
    const char *name;
    PfContent content;
} files[] = {
    {TABLE, PF_CONTENT_TABLE},
    {"features.npy", PF_CONTENT_NPY},
    {"features.fvecs", PF_CONTENT_FVECS},
    {"labels.npy", PF_CONTENT_NPY},
    {"splits.npy", PF_CONTENT_NPY},
    {"map.npy", PF_CONTENT_NPY},
    {"neighbours.npy", PF_CONTENT_NPY},
    {"similarities.npy", PF_CONTENT_NPY},
    {"rows.parquet", PF_CONTENT_PARQUET},
};
#define FILE_COUNT (sizeof files / sizeof *files)

/* Whether the table of an export is there: of other content it has been refused before. */
static int find_table(const char *folder, bool *is_there, PfError *err)
{
    struct stat status;
    char *path = path_in(folder, TABLE, err);
    if (!path) return -1;
    *is_there = !stat(path, &status) && status.st_size > 0;
    free(path);
    return 0;
}

static int check_array(const char *path, bool has_table, PfError *err)
{
    struct stat status;
    if (has_table || stat(path, &status) || !S_ISREG(status.st_mode) || !status.st_size) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--export: '%s' is there already, and no " TABLE " lies beside it as --export "
                   "writes it: the file may be somebody else's.\n"
                   "Hint: choose another folder, or remove that file first",
                   path);
}

static int check_file(const char *folder, int file, const PfOutput *others, int count, PfError *err)
{
    bool has_table = true;
    char *path = path_in(folder, files[file].name, err);
    if (!path) return -1;
    PfOutput pair[2] = {{"--export", path, files[file].content}};
    int failed = pf_output_check_content(&pair[0], err);
    for (int i = 0; i < count && !failed; i++) {
        pair[1] = others[i];
        failed = pf_output_check_distinct(pair, 2, err);
    }
    if (!failed && (pair[0].content == PF_CONTENT_NPY || pair[0].content == PF_CONTENT_FVECS))
        failed = find_table(folder, &has_table, err) || check_array(path, has_table, err);
    free(path);
    return failed ? -1 : 0;
}

int pf_export_check(const char *folder, const PfOutput *others, int count, PfError *err)
{
    struct stat status;
    if (mkdir(folder, 0777) &&
        (errno != EEXIST || stat(folder, &status) || !S_ISDIR(status.st_mode)))
        return pf_fail_errno(err, "--export: the folder '%s' cannot be made", folder);
    for (size_t file = 0; file < FILE_COUNT; file++)
        if (check_file(folder, (int)file, others, count, err)) return -1;
    return 0;
}

/* ---- writing ---- */

static int begin(Export *export, const char *name, PfError *err)
{
    char *path = path_in(export->folder, name, err);
    if (!path) return -1;
    int failed = pf_atomic_file_begin(path, &export->file, err);
    free(path);
    if (!failed) export->stream = pf_atomic_file_stream(export->file);
    return failed;
}

static int end(Export *export, int failed, PfError *err)
{
    if (!failed) return pf_atomic_file_commit(&export->file, err);
    pf_atomic_file_abandon(&export->file);
    return -1;
}

/* ---- NumPy ---- */

/* Version 1.0 of numpy.lib.format: the data begin at a multiple of 64. columns 0: one axis. */
static void put_npy_header(FILE *stream, const char *type, int64_t rows, int64_t columns)
{
    char shape[48], header[128];
    if (columns)
        snprintf(shape, sizeof shape, "(%lld, %lld)", (long long)rows, (long long)columns);
    else
        snprintf(shape, sizeof shape, "(%lld,)", (long long)rows);
    int length = snprintf(header, sizeof header - 11,
                          "{'descr': '%s', 'fortran_order': False, 'shape': %s, }", type, shape);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    fwrite("\x93NUMPY\1\0", 1, 8, stream);
    fputc(padded & 255, stream);
    fputc(padded >> 8, stream);
    fwrite(header, 1, (size_t)length, stream);
    for (int i = length; i < padded - 1; i++) fputc(' ', stream);
    fputc('\n', stream);
}

/* An array that this export does not have would be that of an earlier one, of other rows. */
static int remove_earlier(const Export *export, const char *name, PfError *err)
{
    struct stat status;
    char *path = path_in(export->folder, name, err);
    if (!path) return -1;
    bool is_there = !stat(path, &status) && S_ISREG(status.st_mode);
    int failed =
        is_there && unlink(path) && errno != ENOENT
            ? pf_fail_errno(err, "--export: '%s' of an earlier export cannot be removed", path)
            : 0;
    free(path);
    return failed;
}

static int write_npy(Export *export, const char *name, const char *type, int64_t columns,
                     const void *values, size_t size, PfError *err)
{
    if (!values) return remove_earlier(export, name, err);
    if (begin(export, name, err)) return -1;
    put_npy_header(export->stream, type, export->rows->count, columns);
    fwrite(values, size, (size_t)(export->rows->count * pf_max(1, columns)), export->stream);
    return end(export, 0, err);
}

/* ---- features ---- */

static int64_t block_rows(const PfRows *rows)
{
    return pf_max(1, pf_min(rows->count, BLOCK_BYTES / (rows->features * 4)));
}

/* .fvecs: each row is its length as int32, then its numbers. */
static int write_features(Export *export, const char *name, bool is_fvecs, PfError *err)
{
    const PfRows *rows = export->rows;
    int64_t block = block_rows(rows);
    int32_t length = (int32_t)rows->features;
    float *x = pf_alloc_aligned((size_t)(block * rows->features), sizeof *x, err);
    if (!x || begin(export, name, err)) {
        free(x);
        return -1;
    }
    int failed = 0;
    if (!is_fvecs) put_npy_header(export->stream, "<f4", rows->count, rows->features);
    for (int64_t first = 0; first < rows->count && !failed; first += block) {
        int64_t count = pf_min(block, rows->count - first);
        failed = pf_rows_check_interrupt(rows, err) || pf_rows_block(rows, first, count, x, err);
        for (int64_t i = 0; i < count && !failed; i++) {
            if (is_fvecs) fwrite(&length, sizeof length, 1, export->stream);
            fwrite(x + i * rows->features, sizeof *x, (size_t)rows->features, export->stream);
        }
    }
    free(x);
    return end(export, failed, err);
}

/* ---- tables ---- */

static const char *label_of(const PfRows *rows, int64_t row)
{
    return rows->labels && rows->labels[row] >= 0 ? rows->classes[rows->labels[row]] : "";
}

static int write_csv(Export *export, PfError *err)
{
    const PfPageData *page = export->page;
    if (begin(export, TABLE, err)) return -1;
    PfCsv csv = {.stream = export->stream};
    fputs("row,path,split,label,x,y\n", export->stream);
    for (int64_t i = 0; i < export->rows->count; i++) {
        pf_print(export->stream, "%lld,", (long long)i);
        pf_csv_write_field(&csv, page->paths && !page->is_anonymous ? page->paths[i] : "");
        pf_print(export->stream, ",%s,", pf_split_names[export->rows->splits[i]]);
        pf_csv_write_field(&csv, label_of(export->rows, i));
        for (int axis = 0; axis < 2; axis++)
            if (page->map && !isnan(page->map[2 * i + axis]))
                pf_print(export->stream, ",%.9g", (double)page->map[2 * i + axis]);
            else
                fputs(",", export->stream);
        fputs("\n", export->stream);
    }
    return end(export, 0, err);
}

/* A group of rows, column by column. */
typedef struct Group {
    PfParquetColumn columns[MOST_COLUMNS];
    int column_count;
    int32_t *numbers;
    char **texts;        /* (3, rows) path, split, label; each owned */
    float *positions;    /* (2, rows) */
    int32_t *neighbours; /* (rows, k) */
    float *x;            /* (rows, features) */
    int64_t capacity;
} Group;

static int group_new(Group *group, const Export *export, PfError *err)
{
    const PfRows *rows = export->rows;
    int k = export->neighbours ? export->neighbours->k : 0;
    size_t n = (size_t)(group->capacity = block_rows(rows));
    group->numbers = pf_calloc(n, sizeof *group->numbers, err);
    group->texts = pf_calloc(3 * n, sizeof *group->texts, err);
    group->positions = pf_calloc(2 * n, sizeof *group->positions, err);
    group->neighbours = pf_calloc(n * (size_t)k + 1, sizeof *group->neighbours, err);
    group->x = pf_alloc_aligned(n * (size_t)rows->features, sizeof *group->x, err);
    if (!group->numbers || !group->texts || !group->positions || !group->neighbours || !group->x)
        return -1;
    static const char *const names[] = {"path", "split", "label"}, *const axes[] = {"x", "y"};
    PfParquetColumn *column = group->columns;
    *column++ = (PfParquetColumn){.name = "row", .kind = PF_PARQUET_INT, .ints = group->numbers};
    for (int t = 0; t < 3; t++)
        *column++ = (PfParquetColumn){.name = names[t],
                                      .kind = PF_PARQUET_TEXT,
                                      .texts = (const char *const *)group->texts + (size_t)t * n};
    for (int a = 0; a < 2 && export->page->map; a++)
        *column++ = (PfParquetColumn){
            .name = axes[a], .kind = PF_PARQUET_FLOAT, .floats = group->positions + (size_t)a * n};
    if (k)
        *column++ = (PfParquetColumn){
            .name = "neighbours", .kind = PF_PARQUET_LIST, .width = k, .ints = group->neighbours};
    *column++ = (PfParquetColumn){
        .name = "features", .kind = PF_PARQUET_VECTOR, .width = rows->features, .floats = group->x};
    group->column_count = (int)(column - group->columns);
    return 0;
}

static void group_clear(Group *group)
{
    for (int64_t i = 0; group->texts && i < 3 * group->capacity; i++) {
        free(group->texts[i]);
        group->texts[i] = NULL;
    }
}

static void group_free(Group *group)
{
    group_clear(group);
    free(group->numbers);
    free(group->texts);
    free(group->positions);
    free(group->neighbours);
    free(group->x);
}

/* malloc'ed: the text with \\xNN for each byte that is no UTF-8; all else stays, as in JSON. */
static char *utf8_of(const char *text, PfError *err)
{
    char *out = pf_calloc(4 * strlen(text) + 1, 1, err), *to = out;
    uint32_t code;
    while (out && *text) {
        int length = pf_printable_utf8_character(text, strnlen(text, 4), &code);
        if (length)
            to = mempcpy(to, text, (size_t)length);
        else
            to += sprintf(to, "\\x%02x", (unsigned)(uint8_t)*text);
        text += length ? length : 1;
    }
    return out;
}

/* Texts are UTF-8 whatever names hold. */
static int group_fill(Group *group, const Export *export, int64_t first, int64_t count,
                      PfError *err)
{
    const PfPageData *page = export->page;
    group_clear(group);
    for (int64_t i = 0; i < count; i++) {
        int64_t row = first + i;
        const char *texts[] = {page->paths && !page->is_anonymous ? page->paths[row] : "",
                               pf_split_names[export->rows->splits[row]],
                               label_of(export->rows, row)};
        group->numbers[i] = (int32_t)row;
        for (int t = 0; t < 3; t++)
            if (!(group->texts[t * group->capacity + i] = utf8_of(texts[t], err))) return -1;
        for (int axis = 0; axis < 2 && page->map; axis++)
            group->positions[axis * group->capacity + i] = page->map[2 * row + axis];
        for (int n = 0; export->neighbours && n < export->neighbours->k; n++)
            group->neighbours[i * export->neighbours->k + n] =
                export->neighbours->index[row * export->neighbours->k + n];
    }
    return pf_rows_block(export->rows, first, count, group->x, err);
}

static int write_parquet(Export *export, PfError *err)
{
    Group group = {0};
    PfParquet *parquet = NULL;
    int failed = group_new(&group, export, err);
    if (!failed) failed = begin(export, "rows.parquet", err);
    if (!failed) {
        failed = pf_parquet_begin(export->stream, group.columns, group.column_count, &parquet, err);
        for (int64_t first = 0; first < export->rows->count && !failed; first += group.capacity) {
            int64_t count = pf_min(group.capacity, export->rows->count - first);
            failed = pf_rows_check_interrupt(export->rows, err) ||
                     group_fill(&group, export, first, count, err) ||
                     pf_parquet_add(parquet, group.columns, count, err);
        }
        if (pf_parquet_finish(&parquet, failed ? NULL : err)) failed = -1;
        failed = end(export, failed, err);
    }
    group_free(&group);
    return failed;
}

int pf_export_write(const char *folder, const PfPageData *page, const PfRows *rows,
                    const PfNeighbours *neighbours, PfError *err)
{
    Export export = {folder, page, rows, neighbours, NULL, NULL};
    int64_t k = neighbours ? neighbours->k : 0;
    return write_csv(&export, err) || write_features(&export, "features.npy", false, err) ||
                   write_features(&export, "features.fvecs", true, err) ||
                   write_npy(&export, "labels.npy", "<i4", 0, rows->labels, 4, err) ||
                   write_npy(&export, "splits.npy", "|u1", 0, rows->splits, 1, err) ||
                   write_npy(&export, "map.npy", "<f4", 2, page->map, 4, err) ||
                   write_npy(&export, "neighbours.npy", "<i4", k, k ? neighbours->index : NULL, 4,
                             err) ||
                   write_npy(&export, "similarities.npy", "<f4", k,
                             k ? neighbours->similarity : NULL, 4, err) ||
                   write_parquet(&export, err)
               ? -1
               : 0;
}

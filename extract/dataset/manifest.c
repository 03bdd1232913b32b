/* Manifests, from end to end: a CSV file with a column of image paths and any number of target
 * columns. */
#include "extract/dataset/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/cache/split.h"

static bool is_manifest(const char *operand)
{
    struct stat status;
    const char *dot = strrchr(operand, '.');
    static const char *const endings[] = {".csv", ".tsv", ".txt", ".lst"};
    bool is_one = false;
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        is_one |= !strcasecmp(dot, endings[i]);
    return is_one && !stat(operand, &status) && !S_ISDIR(status.st_mode);
}

static int find_group_column(PfManifest *manifest, PfError *err)
{
    const char *name = manifest->options->group_column;
    manifest->group_column = -1;
    return name ? pf_manifest_find_column(manifest, name, &manifest->group_column, err) : 0;
}

/* ---- rows ---- */

typedef int (*RowFunction)(PfManifest *manifest, const char *const *fields, PfError *err);

/* Calls the function for every row, and returns their number, or -1. */
static int64_t pass(PfManifest *manifest, RowFunction function, PfError *err)
{
    const char *const *fields;
    int64_t rows = 0;
    int status = pf_manifest_go_to_first_row(manifest, err) ? -1 : 1;
    while (status > 0 && (status = pf_manifest_next(manifest, &fields, err)) > 0) {
        if (function(manifest, fields, err)) return -1;
        rows++;
    }
    return status < 0 ? -1 : rows;
}

/* Rows are gone through twice: how fields are written is known only once all have been seen. */
static int remark_blank_lines(const PfManifest *manifest, PfError *err)
{
    if (!manifest->blank_lines) return 0;
    return pf_dataset_remark(manifest->dataset, err, "lines without any entry, left out: %lld",
                             (long long)manifest->blank_lines);
}

static int observe_rows(PfManifest *manifest, PfError *err)
{
    if (pf_manifest_check_names(manifest, err)) return -1;
    manifest->row_count = pass(manifest, pf_manifest_look, err);
    if (manifest->row_count < 0 || remark_blank_lines(manifest, err)) return -1;
    if (manifest->row_count)
        return pf_manifest_settle_forms(manifest, err) ||
                       pass(manifest, pf_manifest_observe, err) < 0
                   ? -1
                   : 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has a header and nothing below it; expected a line for each image",
                   manifest->path);
}

static int add_row(PfManifest *manifest, PfTextIndex *paths, int64_t row, const char *const *fields,
                   PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    char spelled[PF_MANIFEST_PATH_SIZE];
    const char *field = pf_manifest_path(manifest, fields[manifest->path_column], spelled);
    PfSplit split;
    if (!*field)
        return pf_manifest_fail(manifest, manifest->path_column, field, "the path of an image",
                                err);
    if (pf_manifest_read_split(manifest, fields, &split, err)) return -1;
    int64_t known = pf_text_index_find(paths, field, strlen(field));
    const char *path =
        known >= 0 ? paths->texts[known] : pf_dataset_text(dataset, field, strlen(field), err);
    if (!path || (known < 0 && pf_text_index_add(paths, path, err))) return -1;
    if (manifest->group_column >= 0) {
        const char *group = fields[manifest->group_column];
        dataset->groups[row] = pf_manifest_is_missing(manifest, group) ? 0 : pf_split_group(group);
    }
    return pf_dataset_add(dataset, path, -1, split, err) ||
                   pf_manifest_fill_row(manifest, row, fields, err)
               ? -1
               : 0;
}

static int add_rows(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    PfTextIndex paths = {0};
    int status = pf_manifest_allocate(manifest, err);
    if (!status && manifest->group_column >= 0) {
        size_t rows = (size_t)manifest->row_count;
        manifest->dataset->groups = pf_calloc(rows, sizeof *manifest->dataset->groups, err);
        if (!manifest->dataset->groups) status = -1;
    }
    for (int64_t row = 0; !status && row < manifest->row_count; row++)
        status = pf_manifest_next(manifest, &fields, err) < 1 ||
                 add_row(manifest, &paths, row, fields, err);
    pf_text_index_free(&paths);
    return status ? -1 : 0;
}

/* ---- the format ---- */

static int open_csv(PfManifest *manifest, PfError *err)
{
    const PfDatasetOptions *options = manifest->options;
    PfCsvOptions csv = {options->table.encoding, options->as_before};
    if (pf_csv_open(manifest->path, &csv, &manifest->csv, err)) return -1;
    return pf_csv_was_utf16(manifest->csv)
               ? pf_dataset_remark(manifest->dataset, err, "encoding: UTF-16, as its mark says")
               : 0;
}

static int read_manifest(PfManifest *manifest, PfError *err)
{
    if (open_csv(manifest, err) || pf_manifest_read_header(manifest, err) ||
        pf_manifest_find_paths(manifest, err) || pf_manifest_check_header(manifest, err) ||
        pf_manifest_remark_paths(manifest, err) || pf_manifest_find_split(manifest, err) ||
        find_group_column(manifest, err) || pf_manifest_choose_targets(manifest, err) ||
        observe_rows(manifest, err) || pf_manifest_settle_kinds(manifest, err) ||
        pf_manifest_go_to_first_row(manifest, err) || add_rows(manifest, err))
        return -1;
    return pf_manifest_finish_targets(manifest, err) || pf_manifest_check_paths(manifest, err) ? -1
                                                                                               : 0;
}

static int list(PfDataset *dataset, const char *operand, const PfDatasetOptions *options,
                PfError *err)
{
    PfManifest manifest = {.path = operand, .options = options, .dataset = dataset};
    snprintf(dataset->kind, sizeof dataset->kind, "manifest");
    int status = read_manifest(&manifest, err);
    pf_manifest_free_targets(&manifest);
    pf_arena_free(&manifest.texts);
    pf_csv_close(&manifest.csv);
    free(manifest.sampled);
    free(manifest.columns);
    free(manifest.forms);
    return status;
}

const PfDatasetFormat pf_dataset_format_manifest = {
    .what = "none",
    .is_manifest = true,
    .probe = is_manifest,
    .list = list,
    .read = pf_dataset_read_file,
    .stat = pf_dataset_stat_file,
};

/* Manifests: a CSV file with a column of image paths and any number of target columns. */
#include "dataset_manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "memory.h"
#include "options.h"
#include "split.h"

#define SPLIT_COLUMN "split"

static int is_manifest(const char *operand)
{
    struct stat status;
    const char *dot = strrchr(operand, '.');
    return dot && (!strcasecmp(dot, ".csv") || !strcasecmp(dot, ".tsv")) &&
           !stat(operand, &status) && !S_ISDIR(status.st_mode);
}

/* ---- lines ---- */

int pf_manifest_fail(const PfManifest *manifest, int column, const char *found,
                     const char *expected, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "'%s' line %lld, column '%s': found '%.200s'; expected %s",
                   manifest->path, (long long)pf_csv_line(manifest->csv), manifest->columns[column],
                   found, expected);
}

/* Spreadsheets leave empty fields at the ends of lines. */
static int is_same_length(const PfManifest *manifest, const char *const *fields, int count)
{
    for (int i = manifest->column_count; i < count; i++)
        if (*fields[i]) return 0;
    return count >= manifest->column_count;
}

int pf_manifest_next(PfManifest *manifest, const char *const **fields, PfError *err)
{
    int count, status = pf_csv_next(manifest->csv, fields, &count, err);
    if (status < 1 || is_same_length(manifest, *fields, count)) return status;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' line %lld has %d fields; the header has %d. Hint: a field with a comma in "
                   "it stands in quotes",
                   manifest->path, (long long)pf_csv_line(manifest->csv), count,
                   manifest->column_count);
}

/* ---- the header ---- */

static int read_header(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int count, status = pf_csv_next(manifest->csv, &fields, &count, err);
    if (status < 0) return -1;
    if (!status)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is empty; expected a line of column names, and a line for each image",
                       manifest->path);
    manifest->columns = pf_calloc((size_t)count, sizeof *manifest->columns, err);
    if (!manifest->columns) return -1;
    for (int i = 0; i < count; i++) {
        manifest->columns[i] =
            pf_dataset_text(manifest->dataset, fields[i], strlen(fields[i]), err);
        if (!manifest->columns[i]) return -1;
    }
    manifest->column_count = count;
    return 0;
}

static int fail_unknown_column(const PfManifest *manifest, const char *name, PfError *err)
{
    const char *nearest = pf_nearest_word(name, manifest->columns, (size_t)manifest->column_count);
    char names[1000] = "";
    for (int i = 0; i < manifest->column_count; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s'%s'", i ? ", " : "", manifest->columns[i]);
    }
    return pf_fail(err, PF_EXIT_USAGE, "'%s' has no column '%s'%s%s%s; there are %s",
                   manifest->path, name, nearest ? ", did you mean '" : "", nearest ? nearest : "",
                   nearest ? "'?" : "", names);
}

int pf_manifest_find_column(const PfManifest *manifest, const char *name, int *column, PfError *err)
{
    int found = 0;
    for (int i = manifest->column_count - 1; i >= 0; i--)
        if (!strcmp(manifest->columns[i], name)) {
            *column = i;
            found++;
        }
    if (!found) return fail_unknown_column(manifest, name, err);
    if (found == 1) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s' has %d columns of the name '%s'", manifest->path,
                   found, name);
}

static int is_target(const PfManifest *manifest, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < manifest->options->target_count; i++) {
        const char *target = manifest->options->targets[i];
        if (!strncmp(target, name, length) && strchr(":=", target[length])) return 1;
    }
    return 0;
}

static void find_split_column(PfManifest *manifest)
{
    manifest->split_column = -1;
    for (int i = 0; i < manifest->column_count; i++)
        if (!strcasecmp(manifest->columns[i], SPLIT_COLUMN) && i != manifest->path_column &&
            !is_target(manifest, manifest->columns[i]))
            manifest->split_column = i;
}

static int find_group_column(PfManifest *manifest, PfError *err)
{
    const char *name = manifest->options->group_column;
    manifest->group_column = -1;
    return name ? pf_manifest_find_column(manifest, name, &manifest->group_column, err) : 0;
}

/* ---- rows ---- */

static int observe_rows(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int status;
    while ((status = pf_manifest_next(manifest, &fields, err)) > 0) {
        if (pf_manifest_observe(manifest, fields, err)) return -1;
        manifest->row_count++;
    }
    if (status < 0 || manifest->row_count) return status;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has a header and nothing below it; expected a line for each image",
                   manifest->path);
}

static int read_split(const PfManifest *manifest, const char *field, PfSplit *split, PfError *err)
{
    static const struct {
        const char *name;
        PfSplit split;
    } names[] = {
        {"train", PF_SPLIT_TRAIN}, {"training", PF_SPLIT_TRAIN}, {"val", PF_SPLIT_VAL},
        {"valid", PF_SPLIT_VAL},   {"validation", PF_SPLIT_VAL}, {"dev", PF_SPLIT_VAL},
        {"test", PF_SPLIT_TEST},   {"testing", PF_SPLIT_TEST},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(field, names[i].name)) {
            *split = names[i].split;
            return 0;
        }
    return pf_manifest_fail(manifest, manifest->split_column, field,
                            "train, val or test. Hint: where this column is no split, "
                            "--target split takes it as a target, and another name leaves it out",
                            err);
}

static int add_row(PfManifest *manifest, PfTextIndex *paths, int64_t row, const char *const *fields,
                   PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    const char *field = fields[manifest->path_column];
    PfSplit split = PF_SPLIT_TRAIN;
    if (!*field)
        return pf_manifest_fail(manifest, manifest->path_column, field, "the path of an image",
                                err);
    if (manifest->split_column >= 0 &&
        read_split(manifest, fields[manifest->split_column], &split, err))
        return -1;
    int64_t known = pf_text_index_find(paths, field, strlen(field));
    const char *path =
        known >= 0 ? paths->texts[known] : pf_dataset_text(dataset, field, strlen(field), err);
    if (!path) return -1;
    if (manifest->group_column >= 0) {
        const char *group = fields[manifest->group_column];
        dataset->groups[row] = pf_manifest_is_missing(group) ? 0 : pf_split_group(group);
    }
    if (known >= 0 ? pf_dataset_note(dataset, PF_NOTE_REPEATED_PATH, "", path, err)
                   : pf_text_index_add(paths, path, err))
        return -1;
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

/* Behind the header. */
static int go_to_first_row(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int count;
    pf_csv_rewind(manifest->csv);
    return pf_csv_next(manifest->csv, &fields, &count, err) < 0 ? -1 : 0;
}

static int read_manifest(PfManifest *manifest, PfError *err)
{
    if (pf_csv_open(manifest->path, &manifest->csv, err) || read_header(manifest, err) ||
        pf_manifest_find_paths(manifest, err))
        return -1;
    find_split_column(manifest);
    if (find_group_column(manifest, err)) return -1;
    if (pf_manifest_choose_targets(manifest, err) || go_to_first_row(manifest, err) ||
        observe_rows(manifest, err) || pf_manifest_settle_kinds(manifest, err) ||
        go_to_first_row(manifest, err) || add_rows(manifest, err))
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
    pf_text_store_free(&manifest.texts);
    pf_csv_close(&manifest.csv);
    free(manifest.columns);
    return status;
}

const PfDatasetFormat pf_dataset_format_manifest = {is_manifest, list, pf_dataset_read_file,
                                                    pf_dataset_stat_file};

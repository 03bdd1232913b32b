/* The columns' names: those of the first line, or made up where that is an image's. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "dataset_manifest.h"
#include "memory.h"
#include "options.h"

/* ---- lines ---- */

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
                   "'%s' line %lld has %d fields; the %s has %d. Hint: a field with a comma in it, "
                   "or whatever else parts fields here, stands in quotes",
                   manifest->path, (long long)pf_csv_line(manifest->csv), count,
                   manifest->has_header ? "header" : "first line", manifest->column_count);
}

int pf_manifest_go_to_first_row(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int count;
    pf_csv_rewind(manifest->csv);
    if (!manifest->has_header) return 0;
    return pf_csv_next(manifest->csv, &fields, &count, err) < 0 ? -1 : 0;
}

/* ---- names ---- */

static int take_names(PfManifest *manifest, const char *const *fields, PfError *err)
{
    for (int i = 0; i < manifest->column_count; i++) {
        manifest->columns[i] =
            pf_dataset_text(manifest->dataset, fields[i], strlen(fields[i]), err);
        if (!manifest->columns[i]) return -1;
    }
    return 0;
}

static int make_names(PfManifest *manifest, PfError *err)
{
    manifest->has_header = 0;
    for (int i = 0; i < manifest->column_count; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "column%d", i + 1);
        manifest->columns[i] = pf_dataset_text(manifest->dataset, name, (size_t)length, err);
        if (!manifest->columns[i]) return -1;
    }
    return 0;
}

/* Lists of paths have none. */
static int is_list(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".txt") || !strcasecmp(dot, ".lst"));
}

/* `image` is what the first line has instead of a name. */
static int do_without_header(PfManifest *manifest, const char *image, PfError *err)
{
    const char *more = manifest->column_count > 2   ? ", column2..."
                       : manifest->column_count > 1 ? ", column2"
                                                    : "";
    if (is_list(manifest->path)
            ? pf_dataset_remark(manifest->dataset, err, "no header: columns are called column1%s",
                                more)
            : pf_dataset_warn(manifest->dataset, err,
                              "'%s' line 1 names no columns: '%s' is an image. It is read as one, "
                              "and the columns are called column1%s (--no-header says so)",
                              manifest->path, image, more))
        return -1;
    return make_names(manifest, err);
}

/* A column of that name where the first line has an image's. */
static int find_image(const PfManifest *manifest)
{
    for (int i = 0; i < manifest->column_count; i++)
        if (pf_dataset_is_image_name(manifest->columns[i])) return i;
    return -1;
}

int pf_manifest_read_header(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int count, status = pf_csv_next(manifest->csv, &fields, &count, err);
    if (status < 0) return -1;
    if (!status)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is empty; expected a line of column names, and a line for each image",
                       manifest->path);
    manifest->columns = pf_calloc((size_t)count, sizeof *manifest->columns, err);
    manifest->forms = pf_calloc((size_t)count, sizeof *manifest->forms, err);
    if (!manifest->columns || !manifest->forms) return -1;
    manifest->column_count = count;
    manifest->has_header = 1;
    if (manifest->options->table.no_header) return make_names(manifest, err);
    if (take_names(manifest, fields, err)) return -1;
    int image = manifest->options->as_before ? -1 : find_image(manifest);
    return image < 0 ? 0 : do_without_header(manifest, manifest->columns[image], err);
}

int pf_manifest_check_header(PfManifest *manifest, PfError *err)
{
    char path[PF_MANIFEST_PATH_SIZE];
    struct stat status;
    const char *name = manifest->columns[manifest->path_column];
    if (!manifest->has_header || manifest->options->as_before || manifest->options->path_column ||
        pf_manifest_is_usual_path(name))
        return 0;
    const char *found = pf_manifest_spell(manifest, manifest->dataset->root_fd, name, path, NULL);
    if (!found || fstatat(manifest->dataset->root_fd, found, &status, 0) ||
        !S_ISREG(status.st_mode))
        return 0;
    return do_without_header(manifest, name, err);
}

/* ---- finding columns ---- */

int pf_manifest_has_column(const PfManifest *manifest, const char *name)
{
    for (int i = 0; i < manifest->column_count; i++)
        if (!strcmp(manifest->columns[i], name)) return 1;
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

/* A manifest as a table: its lines, its columns' names (those of the first line, or made up where
 * that is an image's), and how the paths in it are spelled here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/file/path.h"
#include "common/file/text_encoding.h"
#include "extract/dataset/manifest.h"

/* ==== lines and columns ==== */

/* ---- lines ---- */

/* Spreadsheets leave empty fields at the ends of lines. */
static bool is_same_length(const PfManifest *manifest, const char *const *fields, int count)
{
    for (int i = manifest->column_count; i < count; i++)
        if (*fields[i]) return false;
    return count >= manifest->column_count;
}

/* Spreadsheets write the lines below a table as well, where a cell of them was touched once. */
static bool is_blank(const char *const *fields, int count)
{
    for (int i = 0; i < count; i++)
        if (*fields[i]) return false;
    return true;
}

int pf_manifest_next(PfManifest *manifest, const char *const **fields, PfError *err)
{
    int count, status;
    while ((status = pf_csv_next(manifest->csv, fields, &count, err)) > 0 &&
           is_blank(*fields, count))
        manifest->blank_lines++;
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
    manifest->blank_lines = 0;
    if (!manifest->has_header) return 0;
    return pf_csv_next(manifest->csv, &fields, &count, err) < 0 ? -1 : 0;
}

/* ---- faults ---- */

int pf_manifest_fail(const PfManifest *manifest, int column, const char *found,
                     const char *expected, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "'%s' line %lld, column '%s': found '%.200s'; expected %s",
                   manifest->path, (long long)pf_csv_line(manifest->csv), manifest->columns[column],
                   found, expected);
}

int pf_manifest_fail_at(const PfManifest *manifest, int column, const PfFoundField *found,
                        const char *expected, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED, "'%s' line %lld, column '%s': found '%s'; expected %s",
                   manifest->path, (long long)found->line, manifest->columns[column], found->text,
                   expected);
}

void pf_manifest_note(PfFoundField *found, const PfManifest *manifest, int column,
                      const char *field)
{
    if (found->count++) return;
    found->line = pf_csv_line(manifest->csv);
    found->column = column;
    snprintf(found->text, sizeof found->text, "%s", field);
}

/* ---- texts that are UTF-8 ---- */

/* The text read as Windows-1252, in UTF-8, malloc'ed; NULL where it cannot be. */
static char *read_as_windows(const char *text)
{
    char *out;
    size_t size, bad;
    PfError err = {0};
    return pf_text_encoding_to_utf8("WINDOWS-1252", text, strlen(text), &out, &size, &bad, &err)
               ? NULL
               : out;
}

static int fail_not_utf8(const PfManifest *manifest, int64_t line, const char *text, PfError *err)
{
    char *guess = read_as_windows(text);
    size_t at = pf_text_encoding_utf8_length(text, strlen(text));
    pf_fail(err, PF_EXIT_FAILED,
            "'%s' line %lld: byte 0x%02x behind '%.*s' is not UTF-8%s%s%s.\nHint: --encoding "
            "windows-1252 (or latin1, or whatever it was saved in)",
            manifest->path, (long long)line, (unsigned)(unsigned char)text[at],
            at > 100 ? 100 : (int)at, text, guess ? "; Windows-1252 would make it '" : "",
            guess ? guess : "", guess ? "'" : "");
    free(guess);
    return -1;
}

int pf_manifest_check_text(const PfManifest *manifest, int64_t line, const char *text, PfError *err)
{
    size_t length = strlen(text);
    if (manifest->options->as_before || pf_text_encoding_utf8_length(text, length) == length)
        return 0;
    return fail_not_utf8(manifest, line, text, err);
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
    manifest->has_header = false;
    for (int i = 0; i < manifest->column_count; i++) {
        char name[32];
        int length = snprintf(name, sizeof name, "column%d", i + 1);
        manifest->columns[i] = pf_dataset_text(manifest->dataset, name, (size_t)length, err);
        if (!manifest->columns[i]) return -1;
    }
    return 0;
}

/* Files of these endings are usually lists of paths, which have no header. */
static bool is_list(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcasecmp(dot, ".txt") || !strcasecmp(dot, ".lst"));
}

int pf_manifest_do_without_header(PfManifest *manifest, const char *image, PfError *err)
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

/* The first column that is called like an image, or -1. */
static int find_image(const PfManifest *manifest)
{
    for (int i = 0; i < manifest->column_count; i++)
        if (pf_dataset_is_image_name(manifest->columns[i])) return i;
    return -1;
}

/* Work and memory depend on the columns: no table of real numbers has as many. */
#define MOST_COLUMNS 65536

static int check_width(const PfManifest *manifest, int count, PfError *err)
{
    if (count <= MOST_COLUMNS) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' has %d columns in its first line; expected %d at most. Hint: is every "
                   "image on a line of its own? Long rows of numbers that are not needed as "
                   "targets have to be left out of the file",
                   manifest->path, count, MOST_COLUMNS);
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
    if (check_width(manifest, count, err)) return -1;
    manifest->columns = pf_calloc((size_t)count, sizeof *manifest->columns, err);
    manifest->forms = pf_calloc((size_t)count, sizeof *manifest->forms, err);
    if (!manifest->columns || !manifest->forms) return -1;
    manifest->column_count = count;
    manifest->has_header = true;
    if (manifest->options->table.no_header) return make_names(manifest, err);
    if (take_names(manifest, fields, err)) return -1;
    int image = manifest->options->as_before ? -1 : find_image(manifest);
    return image < 0 ? 0 : pf_manifest_do_without_header(manifest, manifest->columns[image], err);
}

/* ---- finding columns ---- */

bool pf_manifest_has_column(const PfManifest *manifest, const char *name)
{
    for (int i = 0; i < manifest->column_count; i++)
        if (!strcmp(manifest->columns[i], name)) return true;
    return false;
}

static int fail_unknown_column(const PfManifest *manifest, const char *name, PfError *err)
{
    const char *nearest =
        pf_options_nearest_word(name, manifest->columns, (size_t)manifest->column_count);
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

/* ==== paths as they were written on another machine ==== */

/* Endings that are tried, in this order, where a path does not end like an image. */
static const char *const endings[] = {".jpg", ".jpeg", ".png",  ".JPG",  ".JPEG", ".PNG", ".bmp",
                                      ".ppm", ".pgm",  ".webp", ".tiff", ".tif",  ".gif"};

const char *pf_manifest_path(const PfManifest *manifest, const char *field,
                             char buffer[PF_MANIFEST_PATH_SIZE])
{
    const char *suffix = manifest->options->table.suffix;
    size_t length = strlen(field), added = suffix ? strlen(suffix) : 0;
    if (!added || !length || (length > added && !strcasecmp(field + length - added, suffix)) ||
        length + added >= PF_MANIFEST_PATH_SIZE)
        return field;
    memcpy(buffer, field, length);
    memcpy(buffer + length, suffix, added + 1);
    return buffer;
}

/* Whether the path is a file's. Folders do not count: a column of splits, with "train" and "val",
 * must not be taken for one of paths because folders are called so. */
static bool find_file(int folder, const char *path, struct stat *status)
{
    return *path && !fstatat(folder, path, status, 0) && !S_ISDIR(status->st_mode);
}

static bool is_there(int folder, const char *path)
{
    struct stat status;
    return find_file(folder, path, &status);
}

/* Adds an ending to the path in buffer with which there is such a file; false where there is none.
 * A file that has two of them, as where 7.jpg is 7.JPG, is one. */
static bool add_ending(int folder, char *buffer, const char **second)
{
    struct stat known, status;
    size_t length = strlen(buffer);
    const char *first = NULL;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (length + strlen(endings[i]) >= PF_MANIFEST_PATH_SIZE) return false;
        strcpy(buffer + length, endings[i]);
        if (!find_file(folder, buffer, &status)) continue;
        if (first && pf_path_same_file(&known, &status)) continue;
        if (first) {
            if (second) *second = endings[i];
            break;
        }
        first = endings[i];
        known = status;
        if (!second) break;
    }
    strcpy(buffer + length, first ? first : "");
    return first != NULL;
}

const char *pf_manifest_spell(const PfManifest *manifest, int folder, const char *field,
                              char buffer[PF_MANIFEST_PATH_SIZE], const char **second)
{
    char suffixed[PF_MANIFEST_PATH_SIZE];
    const char *path = pf_manifest_path(manifest, field, suffixed);
    if (second) *second = NULL;
    bool is_long = strlen(path) >= PF_MANIFEST_PATH_SIZE;
    if (is_long) return is_there(folder, path) ? path : NULL;
    strcpy(buffer, path);
    if (is_there(folder, buffer)) return buffer;
    if (manifest->options->as_before) return NULL;
    for (char *at = buffer; (at = strchr(at, '\\'));) *at = '/';
    size_t dropped = manifest->dropped ? strlen(manifest->dropped) : 0;
    if (dropped && !strncmp(buffer, manifest->dropped, dropped))
        memmove(buffer, buffer + dropped, strlen(buffer) - dropped + 1);
    if (is_there(folder, buffer)) return buffer;
    if (!manifest->adds_endings || !*buffer || pf_dataset_is_image_name(buffer)) return NULL;
    return add_ending(folder, buffer, second) ? buffer : NULL;
}

/* Which column of a manifest names the images, and from which folder. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/address.h"
#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/file/text_encoding.h"
#include "common/thread/parallel.h"
#include "extract/dataset/manifest.h"

/* How many lines of a column are tried. */
#define SAMPLED 32
/* In so many lines they are looked for: paths are in all of them. */
#define SAMPLED_LINES 1000
#define BLOCK_PATHS 256

/* What a column of paths is usually called, the likeliest name first. */
static const char *const usual_names[] = {
    "path",      "filepath", "file_path", "image_path", "img_path", "filename",
    "file_name", "file",     "image",     "img",        "images",   "image_file",
};
#define USUAL_NAMES (sizeof usual_names / sizeof *usual_names)

/* What a column of names without endings is usually called. */
static const char *const usual_ids[] = {
    "image_id", "img_id", "image_name", "img_name", "file_id", "name", "id", "index", "key",
};
#define USUAL_IDS (sizeof usual_ids / sizeof *usual_ids)

/* So many folders at the beginnings of paths are left out at most, to find the files. */
#define MAX_DROPPED 16

/* A column's first fields that are not empty. */
typedef struct PfSampledColumn {
    const char *fields[SAMPLED];
    int count;
} Sampled;

/* ---- columns ---- */

/* *is_done: whether no column lacks a field any more. */
static int sample_row(PfManifest *manifest, const char *const *fields, bool *is_done, PfError *err)
{
    *is_done = true;
    for (int i = 0; i < manifest->column_count; i++) {
        Sampled *column = &manifest->sampled[i];
        if (column->count == SAMPLED) continue;
        if (*fields[i]) {
            const char *copy = pf_arena_text(&manifest->texts, fields[i], strlen(fields[i]), err);
            if (!copy) return -1;
            column->fields[column->count++] = copy;
        }
        *is_done &= column->count == SAMPLED;
    }
    return 0;
}

/* All columns at once: one by one they would take as many passes over the lines. */
static int sample_columns(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int status = 1;
    bool is_done = false;
    if (manifest->sampled) return 0;
    manifest->sampled = pf_calloc((size_t)manifest->column_count, sizeof *manifest->sampled, err);
    if (!manifest->sampled || pf_manifest_go_to_first_row(manifest, err)) return -1;
    for (int line = 0; line < SAMPLED_LINES && !is_done && status > 0; line++) {
        status = pf_manifest_next(manifest, &fields, err);
        if (status > 0 && sample_row(manifest, fields, &is_done, err)) return -1;
    }
    return status < 0 ? -1 : 0;
}

static bool is_usual_path(const char *name)
{
    for (size_t i = 0; i < USUAL_NAMES; i++)
        if (!strcasecmp(name, usual_names[i])) return true;
    for (size_t i = 0; i < USUAL_IDS; i++)
        if (!strcasecmp(name, usual_ids[i])) return true;
    return false;
}

/* Columns in the order in which they are tried: usual names, then from left to right. */
static int place_of_column(const PfManifest *manifest, int column)
{
    for (size_t i = 0; i < USUAL_NAMES; i++)
        if (!strcasecmp(manifest->columns[column], usual_names[i])) return (int)i;
    return (int)USUAL_NAMES + column;
}

/* The column that is tried after the one at *place, which becomes its place; -1: there is none. */
static int next_column(const PfManifest *manifest, int *place)
{
    const int names = (int)USUAL_NAMES;
    for (int name = *place + 1; name < names; name++)
        for (int i = 0; i < manifest->column_count; i++)
            if (!strcasecmp(manifest->columns[i], usual_names[name])) {
                *place = name;
                return i;
            }
    for (int i = *place < names ? 0 : *place + 1 - names; i < manifest->column_count; i++)
        if (place_of_column(manifest, i) == names + i) {
            *place = names + i;
            return i;
        }
    return -1;
}

/* ---- folders ---- */

static bool exists(int folder, const char *path)
{
    return *path && !faccessat(folder, path, F_OK, 0);
}

/* Whether at least half of the first paths are there. */
static bool are_there(const PfManifest *manifest, const char *root, const Sampled *sampled)
{
    char path[PF_MANIFEST_PATH_SIZE];
    int found = 0, folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < sampled->count && folder >= 0; i++)
        found += pf_manifest_spell(manifest, folder, sampled->fields[i], path, NULL) != NULL;
    if (folder >= 0) close(folder);
    return found > 0 && 2 * found >= sampled->count;
}

static int may_be_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_REG; /* others may be, or link to one */
}

/* The folder, or else one that lies in it, malloc'ed; NULL where the paths are in none. */
static char *find_root(const PfManifest *manifest, const char *folder, const Sampled *sampled,
                       PfError *err)
{
    struct dirent **entries;
    char *root = NULL;
    if (are_there(manifest, folder, sampled)) return pf_strdup(folder, err);
    int count = scandir(folder, &entries, may_be_folder, alphasort);
    for (int i = 0; i < count; i++) {
        char *inner = root ? NULL : pf_asprintf(err, "%s/%s", folder, entries[i]->d_name);
        if (inner && are_there(manifest, inner, sampled))
            root = inner;
        else
            free(inner);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    return root;
}

/* What paths are relative to unless they are found elsewhere, malloc'ed. */
static char *home_folder(const PfManifest *manifest, PfError *err)
{
    const char *slash = strrchr(manifest->path, '/');
    if (manifest->options->image_root) return pf_strdup(manifest->options->image_root, err);
    if (!slash) return pf_strdup(".", err);
    return pf_asprintf(err, "%.*s", (int)(slash - manifest->path) + (slash == manifest->path),
                       manifest->path);
}

/* ---- both ---- */

/* *root stays NULL where the column's paths are in no folder. */
static int find_sampled(PfManifest *manifest, const Sampled *sampled, const char *home, char **root,
                        PfError *err)
{
    if (!manifest->options->image_root)
        *root = find_root(manifest, home, sampled, err);
    else if (are_there(manifest, home, sampled))
        *root = pf_strdup(home, err);
    return 0;
}

static int try_column(PfManifest *manifest, int column, const char *home, char **root, PfError *err)
{
    return find_sampled(manifest, &manifest->sampled[column], home, root, err);
}

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

/* Length of the path's first `count` folders, with the separator behind them; -1: it has fewer. */
static int measure_folders(const char *path, int count)
{
    int length = 0;
    for (; count > 0; count--) {
        while (path[length] && !is_separator(path[length])) length++;
        if (!path[length++]) return -1;
    }
    return length;
}

static bool have_folders(const Sampled *sampled, int count)
{
    for (int i = 0; i < sampled->count; i++)
        if (measure_folders(sampled->fields[i], count) < 0) return false;
    return sampled->count > 0;
}

static bool is_same_beginning(const char *a, const char *b, int length)
{
    for (int i = 0; i < length; i++)
        if (a[i] != b[i] && !(is_separator(a[i]) && is_separator(b[i]))) return false;
    return true;
}

/* The first `count` folders, which all of the paths must have in common: others hold other images.
 * *folders: with "/" between and behind them, NULL where they have not. */
static int find_common_folders(PfManifest *manifest, const Sampled *sampled, int count,
                               const char **folders, PfError *err)
{
    *folders = NULL;
    if (!have_folders(sampled, count)) return 0;
    const int length = measure_folders(sampled->fields[0], count);
    for (int i = 1; i < sampled->count; i++)
        if (measure_folders(sampled->fields[i], count) != length ||
            !is_same_beginning(sampled->fields[i], sampled->fields[0], length))
            return 0;
    char text[PF_MANIFEST_PATH_SIZE];
    if (length >= (int)sizeof text) return 0;
    for (int i = 0; i < length; i++)
        text[i] = is_separator(sampled->fields[0][i]) ? '/' : sampled->fields[0][i];
    *folders = pf_arena_text(&manifest->texts, text, (size_t)length, err);
    return *folders ? 0 : -1;
}

/* As try_column, but other spellings of the paths are tried, too: with endings where the column may
 * well be one of names, and without folders that are not here. */
static int try_spellings(PfManifest *manifest, int column, const char *home, char **root,
                         PfError *err)
{
    const Sampled *sampled = &manifest->sampled[column];
    manifest->adds_endings = manifest->options->path_column || !manifest->has_header ||
                             is_usual_path(manifest->columns[column]) || have_folders(sampled, 1);
    for (int count = 0; count < MAX_DROPPED; count++) {
        manifest->dropped = NULL;
        if (count && find_common_folders(manifest, sampled, count, &manifest->dropped, err))
            return -1;
        if ((count && !manifest->dropped) || !sampled->count) break;
        if (find_sampled(manifest, sampled, home, root, err)) return -1;
        if (*root) return 0;
    }
    manifest->dropped = NULL;
    manifest->adds_endings = false;
    return 0;
}

typedef int (*TryFunction)(PfManifest *manifest, int column, const char *home, char **root,
                           PfError *err);

/* A column whose paths are there; path_column stays -1 where there is none. */
static int search_columns(PfManifest *manifest, TryFunction try, const char *home, char **root,
                          PfError *err)
{
    int place = -1, column;
    while (!*root && (column = next_column(manifest, &place)) >= 0) {
        if (try(manifest, column, home, root, err)) return -1;
        if (*root) manifest->path_column = column;
    }
    return 0;
}

/* Names of files may be of any bytes; names that are not found may be so for their encoding. */
static int check_encoding(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    int status = pf_manifest_go_to_first_row(manifest, err) ? -1 : 1;
    while (status > 0 && (status = pf_manifest_next(manifest, &fields, err)) > 0)
        for (int i = 0; i < manifest->column_count; i++)
            if (pf_manifest_check_text(manifest, pf_csv_line(manifest->csv), fields[i], err))
                return -1;
    return status;
}

static int fail_address(const PfManifest *manifest, const char *address, PfError *err)
{
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s' names addresses, such as '%s': what a list names is not fetched. Hint: "
        "fetch the images, and list their paths; or put them into archives (.tar), whose "
        "address extract takes in the place of a dataset",
        manifest->path, address);
}

/* An address that a column has in its first lines, or NULL. */
static const char *find_address(const PfManifest *manifest)
{
    for (int column = 0; column < manifest->column_count; column++)
        for (int i = 0; i < manifest->sampled[column].count; i++)
            if (pf_address_is(manifest->sampled[column].fields[i]))
                return manifest->sampled[column].fields[i];
    return NULL;
}

static int fail_no_paths(PfManifest *manifest, const char *home, PfError *err)
{
    if (check_encoding(manifest, err)) return -1;
    const char *address = find_address(manifest);
    if (address) return fail_address(manifest, address, err);
    return pf_fail(
        err, PF_EXIT_FAILED,
        "'%s': no column's first entries name files in '%s' or in a folder in it.\n"
        "Hint: --path-column NAME says which column it is, --root DIR what its paths "
        "are relative to, --suffix .jpg which ending they lack, --no-header that the first "
        "line is an image",
        manifest->path, home);
}

static int try_named_column(PfManifest *manifest, const char *home, char **root, PfError *err)
{
    int column;
    if (pf_manifest_find_column(manifest, manifest->options->path_column, &column, err) ||
        sample_columns(manifest, err) || try_column(manifest, column, home, root, err))
        return -1;
    manifest->path_column = column;
    if (*root || manifest->options->as_before) return 0;
    return try_spellings(manifest, column, home, root, err);
}

static int find_column_and_root(PfManifest *manifest, const char *home, char **root, PfError *err)
{
    int place = -1;
    manifest->path_column = -1;
    if (manifest->options->path_column) return try_named_column(manifest, home, root, err);
    if (sample_columns(manifest, err) || search_columns(manifest, try_column, home, root, err))
        return -1;
    if (!*root && !manifest->options->as_before &&
        search_columns(manifest, try_spellings, home, root, err))
        return -1;
    if (*root) return 0;
    manifest->path_column = next_column(manifest, &place);
    return place < (int)USUAL_NAMES ? 0 : fail_no_paths(manifest, home, err);
}

int pf_manifest_remark_paths(const PfManifest *manifest, PfError *err)
{
    const char *root = manifest->dataset->root;
    char *home = home_folder(manifest, err);
    if (!home) return -1;
    bool is_elsewhere = strcmp(root, home) != 0;
    free(home);
    return pf_dataset_remark(manifest->dataset, err, "paths: column '%s'%s%s%s",
                             manifest->columns[manifest->path_column],
                             is_elsewhere ? ", in the folder '" : "", is_elsewhere ? root : "",
                             is_elsewhere ? "'" : "");
}

int pf_manifest_find_paths(PfManifest *manifest, PfError *err)
{
    char *root = NULL, *home = home_folder(manifest, err);
    int status = -1;
    if (home && !find_column_and_root(manifest, home, &root, err))
        status = pf_dataset_set_root(manifest->dataset, root ? root : home, err);
    free(root);
    free(home);
    return status;
}

/* ---- a first line that is a row ---- */

int pf_manifest_check_header(PfManifest *manifest, PfError *err)
{
    char path[PF_MANIFEST_PATH_SIZE];
    struct stat status;
    const char *name = manifest->columns[manifest->path_column];
    if (!manifest->has_header || manifest->options->as_before || manifest->options->path_column ||
        is_usual_path(name))
        return 0;
    const char *found = pf_manifest_spell(manifest, manifest->dataset->root_fd, name, path, NULL);
    if (!found || fstatat(manifest->dataset->root_fd, found, &status, 0) ||
        !S_ISREG(status.st_mode))
        return 0;
    return pf_manifest_do_without_header(manifest, name, err);
}

/* ---- all paths ---- */

/* What is known of a path once it has been looked for. */
typedef struct Found {
    char *other;        /* another spelling, malloc'ed; NULL: none is needed, or none is there */
    const char *second; /* an ending that there is a file of too */
    bool is_absent;
} Found;

typedef struct Check {
    const PfManifest *manifest;
    size_t first, end; /* the rows that are looked for */
    Found *found;      /* (end - first) of them */
} Check;

static void check_path(const PfManifest *manifest, const char *path, Found *found)
{
    char buffer[PF_MANIFEST_PATH_SIZE];
    if (exists(manifest->dataset->root_fd, path)) return;
    const char *other =
        pf_manifest_spell(manifest, manifest->dataset->root_fd, path, buffer, &found->second);
    found->other = other ? strdup(other) : NULL;
    found->is_absent = !found->other;
}

static void check_block(void *context, int64_t block)
{
    const Check *check = context;
    const PfDataset *dataset = check->manifest->dataset;
    size_t first = check->first + (size_t)block * BLOCK_PATHS;
    size_t end = pf_min_size(first + BLOCK_PATHS, check->end);
    for (size_t i = first; i < end; i++)
        check_path(check->manifest, dataset->samples[i].path, &check->found[i - check->first]);
}

static int fail_two_files(const PfManifest *manifest, const char *path, const Found *found,
                          PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s', column '%s': '%s' may be '%s' or the file that ends in '%s'. Hint: "
                   "--suffix says which ending is meant",
                   manifest->path, manifest->columns[manifest->path_column], path, found->other,
                   found->second);
}

/* The line is looked for: names of images are not kept with their lines. */
static int fail_not_utf8(PfManifest *manifest, const char *path, PfError *err)
{
    size_t length = strlen(path);
    if (manifest->options->as_before || pf_text_encoding_utf8_length(path, length) == length)
        return 0;
    return check_encoding(manifest, err);
}

/* Counts paths that are not there at all, and those that are there in another spelling. */
static int take_found(PfManifest *manifest, const Check *check, size_t *absent, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    size_t respelled = 0;
    const Found *first = NULL;
    const char *first_path = NULL;
    for (size_t i = check->first; i < check->end; i++) {
        const Found *found = &check->found[i - check->first];
        const char *path = dataset->samples[i].path;
        if (found->second) return fail_two_files(manifest, path, found, err);
        *absent += (size_t)found->is_absent;
        if (found->is_absent && fail_not_utf8(manifest, path, err)) return -1;
        if (found->is_absent && pf_dataset_note(dataset, PF_NOTE_ABSENT_IMAGE, "", path, err))
            return -1;
        if (!found->other || respelled++) continue;
        first = found;
        first_path = path;
    }
    if (!respelled) return 0;
    return pf_dataset_remark(dataset, err,
                             "paths: %zu of %zu are there in another spelling only, '%s' as '%s'",
                             respelled, check->end - check->first, first_path, first->other);
}

static int respell(PfDataset *dataset, const Check *check, PfError *err)
{
    for (size_t i = check->first; i < check->end; i++) {
        const char *other = check->found[i - check->first].other;
        if (!other) continue;
        dataset->samples[i].path = pf_dataset_text(dataset, other, strlen(other), err);
        if (!dataset->samples[i].path) return -1;
    }
    return 0;
}

/* Looks for the files of rows [first, end). */
static int check_rows(PfManifest *manifest, size_t first, size_t end, size_t *absent, PfError *err)
{
    const size_t count = end - first;
    Check check = {manifest, first, end, pf_calloc(count, sizeof *check.found, err)};
    *absent = 0;
    if (!check.found) return -1;
    pf_parallel_for((int64_t)((count + BLOCK_PATHS - 1) / BLOCK_PATHS), 0, check_block, &check);
    int status =
        take_found(manifest, &check, absent, err) || respell(manifest->dataset, &check, err);
    for (size_t i = 0; i < count; i++) free(check.found[i].other);
    free(check.found);
    return status ? -1 : 0;
}

/* A shard looks for its own files alone, unless its rows or their sides depend on how the paths of
 * the others are spelled. */
static void find_own_rows(const PfManifest *manifest, size_t *first, size_t *end)
{
    const PfDatasetOptions *options = manifest->options;
    const int64_t count = (int64_t)manifest->dataset->count;
    int64_t own_first = 0, own_size = count;
    if (!options->exclude && !options->sample && !options->split_by_path &&
        options->shard.count <= count)
        pf_dataset_shard_range(options->shard, count, &own_first, &own_size);
    *first = (size_t)own_first;
    *end = (size_t)(own_first + own_size);
}

static int note_repeated(PfDataset *dataset, PfError *err)
{
    PfTextIndex paths = {0};
    int failed = 0;
    for (size_t i = 0; i < dataset->count && !failed; i++) {
        const char *path = dataset->samples[i].path;
        failed = pf_text_index_find(&paths, path, strlen(path)) >= 0
                     ? pf_dataset_note(dataset, PF_NOTE_REPEATED_PATH, "", path, err)
                     : pf_text_index_add(&paths, path, err);
    }
    pf_text_index_free(&paths);
    return failed;
}

static int fail_none_there(const PfManifest *manifest, PfError *err)
{
    const PfDataset *dataset = manifest->dataset;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': none of its %zu images is there; the first is '%s' in '%s' (column "
                   "'%s').\nHint: --root DIR says what the paths are relative to, --path-column "
                   "NAME which column they are in, --suffix .jpg which ending they lack",
                   manifest->path, dataset->count, dataset->samples[0].path, dataset->root,
                   manifest->columns[manifest->path_column]);
}

static bool any_is_there(const PfManifest *manifest, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        Found found = {0};
        check_path(manifest, manifest->dataset->samples[i].path, &found);
        free(found.other);
        if (!found.is_absent) return true;
    }
    return false;
}

int pf_manifest_check_paths(PfManifest *manifest, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    size_t first, end, absent;
    find_own_rows(manifest, &first, &end);
    for (size_t i = 0; i < dataset->count; i++)
        if (pf_address_is(dataset->samples[i].path))
            return fail_address(manifest, dataset->samples[i].path, err);
    /* What shards have in common are paths as the manifest has them. */
    if (end - first < dataset->count && pf_dataset_listing_digest(dataset, dataset->listing, err))
        return -1;
    manifest->adds_endings = true;
    if (check_rows(manifest, first, end, &absent, err) || note_repeated(dataset, err)) return -1;
    if (absent < end - first || any_is_there(manifest, 0, first) ||
        any_is_there(manifest, end, dataset->count))
        return 0;
    return fail_none_there(manifest, err);
}

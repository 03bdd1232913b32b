/* Which column of a manifest names the images, and from which folder. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dataset_manifest.h"
#include "memory.h"
#include "parallel.h"

/* Lines that are tried. */
#define SAMPLED 32
#define BLOCK_PATHS 256

/* Names of the column, the likeliest first. */
static const char *const usual_names[] = {
    "path",      "filepath", "file_path", "image_path", "img_path", "filename",
    "file_name", "file",     "image",     "img",        "images",   "image_file",
};
#define USUAL_NAMES (sizeof usual_names / sizeof *usual_names)

/* The first lines' fields: (count, column_count). */
typedef struct Sampled {
    const char *fields[SAMPLED];
    int count;
} Sampled;

/* ---- columns ---- */

static int sample_column(PfManifest *manifest, int column, Sampled *sampled, PfError *err)
{
    const char *const *fields;
    int count, status = 1;
    sampled->count = 0;
    pf_csv_rewind(manifest->csv);
    if (pf_csv_next(manifest->csv, &fields, &count, err) < 0) return -1;
    while (sampled->count < SAMPLED && (status = pf_manifest_next(manifest, &fields, err)) > 0) {
        const char *field = fields[column];
        if (!*field) continue;
        sampled->fields[sampled->count] =
            pf_text_store_add(&manifest->texts, field, strlen(field), err);
        if (!sampled->fields[sampled->count++]) return -1;
    }
    return status < 0 ? -1 : 0;
}

/* Columns in the order in which they are tried: usual names, then from left to right. */
static int place_of_column(const PfManifest *manifest, int column)
{
    for (size_t i = 0; i < USUAL_NAMES; i++)
        if (!strcasecmp(manifest->columns[column], usual_names[i])) return (int)i;
    return (int)USUAL_NAMES + column;
}

/* The one that comes after `place`, or -1. */
static int next_column(const PfManifest *manifest, int *place)
{
    int next = -1, next_place = 0;
    for (int i = 0; i < manifest->column_count; i++) {
        int here = place_of_column(manifest, i);
        if (here <= *place || (next >= 0 && here >= next_place)) continue;
        next = i;
        next_place = here;
    }
    *place = next_place;
    return next;
}

/* ---- folders ---- */

static int exists(int folder, const char *path)
{
    return *path && !faccessat(folder, path, F_OK, 0);
}

/* Whether at least half of the first paths are there. */
static int are_there(const char *root, const Sampled *sampled)
{
    int found = 0, folder = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < sampled->count && folder >= 0; i++)
        found += exists(folder, sampled->fields[i]);
    if (folder >= 0) close(folder);
    return found > 0 && 2 * found >= sampled->count;
}

static int may_be_folder(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && entry->d_type != DT_REG; /* others may be, or link to one */
}

/* The folder, or else one that lies in it, malloc'ed; NULL where the paths are in none. */
static char *find_root(const char *folder, const Sampled *sampled, PfError *err)
{
    struct dirent **entries;
    char *root = NULL;
    if (are_there(folder, sampled)) return pf_strdup(folder, err);
    int count = scandir(folder, &entries, may_be_folder, alphasort);
    for (int i = 0; i < count; i++) {
        char *inner = root ? NULL : pf_asprintf(err, "%s/%s", folder, entries[i]->d_name);
        if (inner && are_there(inner, sampled))
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
static int try_column(PfManifest *manifest, int column, const char *home, char **root, PfError *err)
{
    Sampled sampled;
    if (sample_column(manifest, column, &sampled, err)) return -1;
    if (!manifest->options->image_root)
        *root = find_root(home, &sampled, err);
    else if (are_there(home, &sampled))
        *root = pf_strdup(home, err);
    return 0;
}

/* A column whose paths are there; path_column stays -1 where there is none. */
static int search_columns(PfManifest *manifest, const char *home, char **root, PfError *err)
{
    int place = -1, column;
    while (!*root && (column = next_column(manifest, &place)) >= 0) {
        if (try_column(manifest, column, home, root, err)) return -1;
        if (*root) manifest->path_column = column;
    }
    return 0;
}

static int fail_no_paths(const PfManifest *manifest, const char *home, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': no column's first entries name files in '%s' or in a folder in it.\n"
                   "Hint: --path-column NAME says which column it is, --root DIR what its paths "
                   "are relative to",
                   manifest->path, home);
}

static int find_column_and_root(PfManifest *manifest, const char *home, char **root, PfError *err)
{
    const char *name = manifest->options->path_column;
    int place = -1;
    manifest->path_column = -1;
    if (name)
        return pf_manifest_find_column(manifest, name, &manifest->path_column, err) ||
               try_column(manifest, manifest->path_column, home, root, err);
    if (search_columns(manifest, home, root, err)) return -1;
    if (*root) return 0;
    manifest->path_column = next_column(manifest, &place);
    return place < (int)USUAL_NAMES ? 0 : fail_no_paths(manifest, home, err);
}

static int say_paths(PfManifest *manifest, const char *home, PfError *err)
{
    const char *root = manifest->dataset->root;
    int is_elsewhere = strcmp(root, home) != 0;
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
        status = pf_dataset_set_root(manifest->dataset, root ? root : home, err) ||
                         say_paths(manifest, home, err)
                     ? -1
                     : 0;
    free(root);
    free(home);
    return status;
}

/* ---- all paths ---- */

typedef struct Check {
    const PfDataset *dataset;
    uint8_t *absent; /* (count) */
} Check;

static void check_block(void *context, int64_t block)
{
    const Check *check = context;
    size_t first = (size_t)block * BLOCK_PATHS, end = first + BLOCK_PATHS;
    if (end > check->dataset->count) end = check->dataset->count;
    for (size_t i = first; i < end; i++)
        check->absent[i] = !exists(check->dataset->root_fd, check->dataset->samples[i].path);
}

static int note_absent(PfDataset *dataset, const uint8_t *absent, size_t *count, PfError *err)
{
    for (size_t i = 0; i < dataset->count; i++) {
        if (!absent[i]) continue;
        ++*count;
        if (pf_dataset_note(dataset, PF_NOTE_ABSENT_IMAGE, "", dataset->samples[i].path, err))
            return -1;
    }
    return 0;
}

int pf_manifest_check_paths(PfManifest *manifest, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    Check check = {dataset, pf_calloc(dataset->count, 1, err)};
    size_t absent = 0;
    if (!check.absent) return -1;
    pf_parallel_for((int64_t)((dataset->count + BLOCK_PATHS - 1) / BLOCK_PATHS), 0, check_block,
                    &check);
    int status = note_absent(dataset, check.absent, &absent, err);
    free(check.absent);
    if (status || absent < dataset->count) return status;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': none of its %zu images is there; the first is '%s' in '%s' (column "
                   "'%s').\nHint: --root DIR says what the paths are relative to, --path-column "
                   "NAME which column they are in",
                   manifest->path, dataset->count, dataset->samples[0].path, dataset->root,
                   manifest->columns[manifest->path_column]);
}

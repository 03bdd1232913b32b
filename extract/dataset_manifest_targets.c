/* Which targets are read from which columns: --target NAME[:KIND][=COLUMNS]. */
#include <stdlib.h>
#include <string.h>

#include "dataset_manifest.h"
#include "memory.h"
#include "options.h"

/* ---- names ---- */

static int check_name(const PfManifest *manifest, const char *name, PfError *err)
{
    if (*name && strcmp(name, ".") && !strchr(name, '/') && strlen(name) < PF_CACHE_NAME_SIZE) {
        for (int t = 0; t < manifest->target_count; t++)
            if (!strcmp(manifest->targets[t].name, name))
                return pf_fail(err, PF_EXIT_USAGE, "two targets are called '%s'%s", name,
                               manifest->options->target_count
                                   ? ""
                                   : ": two columns are. Hint: rename one in the first line, or "
                                     "say with --target which columns are targets");
        return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s': a target cannot be called '%s': a name has 1 to %d bytes and no '/' in "
                   "it. Hint: --target NAME=COLUMN takes a column under another name",
                   manifest->path, name, PF_CACHE_NAME_SIZE - 1);
}

static PfManifestTarget *add_target(PfManifest *manifest, const char *name, PfError *err)
{
    if (check_name(manifest, name, err) ||
        pf_grow(&manifest->targets, &manifest->target_capacity, (size_t)manifest->target_count + 1,
                sizeof *manifest->targets, err))
        return NULL;
    PfManifestTarget *target = &manifest->targets[manifest->target_count++];
    *target = (PfManifestTarget){0};
    strcpy(target->name, name);
    return target;
}

/* ---- columns ---- */

static int add_columns(PfManifestTarget *target, int first, int last, PfError *err)
{
    size_t capacity = (size_t)target->column_count;
    size_t count = (size_t)(last - first) + 1;
    if (pf_grow(&target->columns, &capacity, (size_t)target->column_count + count,
                sizeof *target->columns, err))
        return -1;
    for (int i = first; i <= last; i++) target->columns[target->column_count++] = i;
    return 0;
}

/* "c1..c136" */
static int add_range(const PfManifest *manifest, PfManifestTarget *target, char *item, char *dots,
                     PfError *err)
{
    int first, last;
    *dots = '\0';
    if (pf_manifest_find_column(manifest, item, &first, err) ||
        pf_manifest_find_column(manifest, dots + 2, &last, err))
        return -1;
    if (first > last)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--target %s: column '%s' comes after '%s' in '%s'; a range goes from left "
                       "to right",
                       target->name, item, dots + 2, manifest->path);
    return add_columns(target, first, last, err);
}

static int add_item(const PfManifest *manifest, PfManifestTarget *target, char *item, PfError *err)
{
    int column;
    char *dots = pf_manifest_has_column(manifest, item) ? NULL : strstr(item, "..");
    if (dots) return add_range(manifest, target, item, dots, err);
    if (pf_manifest_find_column(manifest, item, &column, err)) return -1;
    return add_columns(target, column, column, err);
}

static int parse_columns(const PfManifest *manifest, PfManifestTarget *target, const char *text,
                         PfError *err)
{
    char **items;
    int column, count, failed = 0;
    if (pf_manifest_has_column(manifest, text)) {
        if (pf_manifest_find_column(manifest, text, &column, err)) return -1;
        return add_columns(target, column, column, err);
    }
    if (pf_split_list(text, &items, &count, err)) return -1;
    for (int i = 0; i < count && !failed; i++) failed = add_item(manifest, target, items[i], err);
    pf_list_free(&items, &count);
    return failed;
}

/* ---- options ---- */

/* Cuts ":KIND" off, if name is not as a whole a column's. */
static int parse_kind(const PfManifest *manifest, char *name, int *has_kind, PfTargetKind *kind,
                      PfError *err)
{
    char *colon = pf_manifest_has_column(manifest, name) ? NULL : strrchr(name, ':');
    *has_kind = colon != NULL;
    if (!colon) return 0;
    *colon = '\0';
    if (!pf_target_kind_from_name(colon + 1, kind)) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--target %s: there is no kind '%s'; expected class, regression, multilabel or "
                   "keypoints",
                   name, colon + 1);
}

static int parse_target(PfManifest *manifest, char *text, PfError *err)
{
    char *equals = strchr(text, '=');
    int has_kind;
    PfTargetKind kind = PF_TARGET_CLASS;
    if (equals) *equals = '\0';
    if (parse_kind(manifest, text, &has_kind, &kind, err)) return -1;
    PfManifestTarget *target = add_target(manifest, text, err);
    if (!target) return -1;
    target->has_kind = has_kind;
    target->kind = kind;
    return parse_columns(manifest, target, equals ? equals + 1 : text, err);
}

static int check_columns(const PfManifestTarget *target, PfError *err)
{
    if (target->column_count > 1 && target->has_kind && target->kind == PF_TARGET_CLASS)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--target %s:class has %d columns; a class is in one. Hint: several columns "
                       "of 0 and 1 are :multilabel",
                       target->name, target->column_count);
    if (target->column_count % 2 && target->has_kind && target->kind == PF_TARGET_KEYPOINTS)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--target %s:keypoints has %d column%s; points are x and y in turn",
                       target->name, target->column_count, target->column_count > 1 ? "s" : "");
    if (target->column_count > 1 && !target->has_kind)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--target %s has %d columns and no kind; write %s:regression, "
                       "%s:multilabel or %s:keypoints",
                       target->name, target->column_count, target->name, target->name,
                       target->name);
    return 0;
}

static int add_option(PfManifest *manifest, const char *option, PfError *err)
{
    char *text = pf_strdup(option, err);
    int failed = !text || parse_target(manifest, text, err);
    free(text);
    if (failed) return -1;
    return check_columns(&manifest->targets[manifest->target_count - 1], err);
}

/* ---- all other columns ---- */

static int is_index(const PfManifest *manifest, int column)
{
    return !*manifest->columns[column]; /* pandas writes its row numbers so */
}

static int add_other_columns(PfManifest *manifest, PfError *err)
{
    for (int i = 0; i < manifest->column_count; i++) {
        if (i == manifest->path_column || i == manifest->split_column ||
            i == manifest->group_column || is_index(manifest, i))
            continue;
        PfManifestTarget *target = add_target(manifest, manifest->columns[i], err);
        if (!target || add_columns(target, i, i, err)) return -1;
    }
    return 0;
}

int pf_manifest_choose_targets(PfManifest *manifest, PfError *err)
{
    const PfDatasetOptions *options = manifest->options;
    for (int i = 0; i < options->target_count; i++)
        if (add_option(manifest, options->targets[i], err)) return -1;
    return options->target_count ? 0 : add_other_columns(manifest, err);
}

void pf_manifest_free_targets(PfManifest *manifest)
{
    for (int t = 0; t < manifest->target_count; t++) {
        pf_text_index_free(&manifest->targets[t].content.values);
        pf_text_index_free(&manifest->targets[t].names);
        pf_text_index_free(&manifest->targets[t].labels.fields);
        pf_text_index_free(&manifest->targets[t].labels.words);
        free(manifest->targets[t].columns);
    }
    free(manifest->targets);
}

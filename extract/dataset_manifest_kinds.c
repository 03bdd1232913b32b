/* What the columns of a manifest hold, and which kinds of target that makes them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataset_manifest.h"

/* Whole numbers are classes up to so many different ones, on average found twice. */
#define MAX_NUMBERED_CLASSES 20
/* Texts that nobody asked for are names of classes up to so many different ones... */
#define MAX_COUNTED 100000
/* ...and from so many rows on only where half of them are equal to another. */
#define MIN_ROWS_FOR_REPEATS 100

/* ---- fields ---- */

int pf_manifest_is_missing(const char *field)
{
    static const char *const words[] = {"", "nan", "na", "n/a", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcasecmp(field, words[i])) return 1;
    return 0;
}

int pf_manifest_number(const char *field, double *value)
{
    char *end;
    size_t length = strlen(field);
    if (!length || length > 63 || strspn(field, "0123456789+-.eE") != length) return -1;
    *value = strtod(field, &end);
    return *end || !isfinite(*value) ? -1 : 0;
}

int pf_manifest_flag(const char *field, double *value)
{
    if (!strcasecmp(field, "true") || !strcasecmp(field, "false")) {
        *value = !strcasecmp(field, "true");
        return 0;
    }
    return pf_manifest_number(field, value) || (*value != 0 && *value != 1) ? -1 : 0;
}

size_t pf_manifest_next_name(const char **next, const char **name)
{
    for (;;) {
        *name = *next + strspn(*next, " \t;|");
        size_t length = strcspn(*name, ";|");
        *next = *name + length;
        while (length && strchr(" \t", (*name)[length - 1])) length--;
        if (length || !**next) return length;
    }
}

/* ---- looking at rows ---- */

static int add_text(PfManifest *manifest, PfTextIndex *index, const char *text, size_t length,
                    PfError *err)
{
    if (pf_text_index_find(index, text, length) >= 0) return 0;
    const char *copy = pf_text_store_add(&manifest->texts, text, length, err);
    return copy ? pf_text_index_add(index, copy, err) : -1;
}

static int add_names(PfManifest *manifest, PfTextIndex *names, const char *field, PfError *err)
{
    const char *name;
    for (size_t length; (length = pf_manifest_next_name(&field, &name));)
        if (add_text(manifest, names, name, length, err)) return -1;
    return 0;
}

static int count_value(PfManifest *manifest, PfColumnContent *content, const char *field,
                       PfError *err)
{
    if (content->is_settled || content->is_full) return 0;
    if (!content->not_numbers && content->values.count > MAX_NUMBERED_CLASSES) {
        content->is_settled = 1;
        return 0;
    }
    content->is_full = content->values.count > MAX_COUNTED;
    return add_text(manifest, &content->values, field, strlen(field), err);
}

/* Text below a column of numbers leaves is_settled and not_numbers both set. */
static int observe_field(PfManifest *manifest, PfManifestTarget *target, const char *field,
                         PfError *err)
{
    PfColumnContent *content = &target->content;
    double value;
    if (pf_manifest_is_missing(field)) return 0;
    content->present++;
    if (pf_manifest_flag(field, &value)) content->not_flags = 1;
    if (pf_manifest_number(field, &value))
        content->not_numbers = content->not_whole = 1;
    else if (value != floor(value))
        content->not_whole = 1;
    if (!target->has_kind) return count_value(manifest, content, field, err);
    if (target->kind == PF_TARGET_MULTILABEL)
        return add_names(manifest, &target->names, field, err);
    return 0;
}

int pf_manifest_observe(PfManifest *manifest, const char *const *fields, PfError *err)
{
    for (int t = 0; t < manifest->target_count; t++) {
        PfManifestTarget *target = &manifest->targets[t];
        if (target->column_count == 1 &&
            observe_field(manifest, target, fields[target->columns[0]], err))
            return -1;
    }
    return 0;
}

/* ---- kinds ---- */

static PfTargetKind kind_of(const PfColumnContent *content)
{
    if (content->is_settled) return PF_TARGET_REGRESSION;
    if (content->not_numbers) return PF_TARGET_CLASS;
    return !content->not_whole && content->values.count <= MAX_NUMBERED_CLASSES &&
                   2 * (int64_t)content->values.count <= content->present
               ? PF_TARGET_CLASS
               : PF_TARGET_REGRESSION;
}

/* Why a column that nobody asked for is no target; NULL where it is one. */
static const char *why_useless(const PfColumnContent *content)
{
    if (!content->present) return "it is empty";
    if (content->is_settled || !content->not_numbers) return NULL;
    int repeats = 2 * (int64_t)content->values.count <= content->present;
    if (content->is_full || (!repeats && content->present >= MIN_ROWS_FOR_REPEATS))
        return "most of its texts differ";
    return NULL;
}

static void drop_target(PfManifest *manifest, int t)
{
    pf_text_index_free(&manifest->targets[t].content.values);
    pf_text_index_free(&manifest->targets[t].names);
    free(manifest->targets[t].columns);
    manifest->target_count--;
    memmove(manifest->targets + t, manifest->targets + t + 1,
            (size_t)(manifest->target_count - t) * sizeof *manifest->targets);
}

static int drop_useless(PfManifest *manifest, PfError *err)
{
    for (int t = manifest->target_count - 1; t >= 0; t--) {
        const PfManifestTarget *target = &manifest->targets[t];
        const char *why = why_useless(&target->content);
        if (!why) continue;
        if (pf_dataset_remark(manifest->dataset, err,
                              "column '%s' is left out: %s (--target %s takes it)", target->name,
                              why, target->name))
            return -1;
        drop_target(manifest, t);
    }
    return 0;
}

static int check_content(const PfManifest *manifest, const PfManifestTarget *target, PfError *err)
{
    if (target->column_count > 1 || target->content.present) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': column '%s' of --target %s is empty", manifest->path,
                   manifest->columns[target->columns[0]], target->name);
}

/* ---- names ---- */

static int add_column_names(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    for (int i = 0; i < target->column_count; i++) {
        const char *name = manifest->columns[target->columns[i]];
        if (pf_text_index_add(&target->names, name, err)) return -1;
    }
    return 0;
}

/* The length of "left" in "left_x", "left.x", "x_left" or "x left"; *stem: where it begins. 0
 * where the name does not end or begin like that. */
static size_t stem_of(const char *name, char axis, const char **stem)
{
    static const char between[] = "_.- ";
    size_t length = strlen(name);
    if (length < 3) return 0;
    *stem = name;
    if ((name[length - 1] | 32) == axis && strchr(between, name[length - 2])) return length - 2;
    *stem = name + 2;
    return (name[0] | 32) == axis && strchr(between, name[1]) ? length - 2 : 0;
}

/* Points have names where every pair of columns has one. */
static int add_point_names(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    for (int i = 0; i < target->column_count; i += 2) {
        const char *x, *y;
        size_t length = stem_of(manifest->columns[target->columns[i]], 'x', &x);
        if (!length || stem_of(manifest->columns[target->columns[i + 1]], 'y', &y) != length ||
            memcmp(x, y, length)) {
            pf_text_index_free(&target->names);
            return 0;
        }
        const char *name = pf_text_store_add(&manifest->texts, x, length, err);
        if (!name || pf_text_index_add(&target->names, name, err)) return -1;
    }
    return 0;
}

static int settle_labels(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    target->is_list = target->column_count == 1 && target->content.not_flags;
    if (target->is_list && !target->names.count)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': column '%s' of --target %s names no labels",
                       manifest->path, manifest->columns[target->columns[0]], target->name);
    if (target->is_list) return pf_text_index_sort(&target->names, strcmp, NULL, err);
    pf_text_index_free(&target->names);
    return add_column_names(manifest, target, err);
}

static int settle_names(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    target->width = target->column_count;
    switch (target->kind) {
    case PF_TARGET_CLASS: target->width = 0; return 0; /* names come with the rows */
    case PF_TARGET_REGRESSION: return 0;
    case PF_TARGET_KEYPOINTS: return add_point_names(manifest, target, err);
    case PF_TARGET_MULTILABEL: break;
    }
    if (settle_labels(manifest, target, err)) return -1;
    target->width = (int)target->names.count;
    return 0;
}

/* ---- the targets ---- */

static int settle(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    if (check_content(manifest, target, err)) return -1;
    if (!target->has_kind) target->kind = kind_of(&target->content);
    pf_text_index_free(&target->content.values);
    return settle_names(manifest, target, err);
}

static void place_targets(PfManifest *manifest)
{
    int indices = 0, values = 0;
    for (int t = 0; t < manifest->target_count; t++) {
        PfManifestTarget *target = &manifest->targets[t];
        if (target->kind == PF_TARGET_CLASS) {
            target->offset = indices++;
        } else {
            target->offset = values;
            values += target->width;
        }
    }
    manifest->dataset->indices_per_row = indices;
    manifest->dataset->values_per_row = values;
}

int pf_manifest_settle_kinds(PfManifest *manifest, PfError *err)
{
    if (!manifest->options->target_count && drop_useless(manifest, err)) return -1;
    for (int t = 0; t < manifest->target_count; t++)
        if (settle(manifest, &manifest->targets[t], err)) return -1;
    place_targets(manifest);
    return 0;
}

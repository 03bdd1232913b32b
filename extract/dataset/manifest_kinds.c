/* What the columns of a manifest hold, and which kinds of target that makes them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/integers.h"
#include "extract/dataset/manifest.h"

/* Whole numbers are classes up to so many different ones, on average found twice. */
#define MAX_NUMBERED_CLASSES 20
/* A column of texts that --target does not name is a target up to so many different texts. */
#define MAX_COUNTED 100000
/* From so many rows on it is one only where texts occur twice on average. */
#define MIN_ROWS_FOR_REPEATS 100

/* A column of so many numbers for each text is one of numbers, with faults. */
#define NUMBERS_FOR_A_FAULT 9

/* ---- looking at rows ---- */

static int add_names(PfManifest *manifest, PfManifestTarget *target, const char *field,
                     PfError *err)
{
    const char *name;
    for (size_t length; (length = pf_manifest_next_name(&target->labels, &field, &name));)
        if (pf_manifest_add_text(manifest, &target->names, name, length, err)) return -1;
    return 0;
}

/* Whether the column is one of numbers. The first versions went by the rows until then. */
static bool may_settle(const PfManifest *manifest, const PfManifestTarget *target)
{
    return manifest->options->as_before
               ? !target->content.not_numbers
               : pf_manifest_is_numeric(&manifest->forms[target->columns[0]]);
}

static int count_value(PfManifest *manifest, PfManifestTarget *target, const char *field,
                       bool is_number, PfError *err)
{
    PfColumnContent *content = &target->content;
    if (content->is_settled || content->is_full) return 0;
    if (may_settle(manifest, target) && content->values.count > MAX_NUMBERED_CLASSES) {
        content->is_settled = true;
        return 0;
    }
    size_t before = content->values.count;
    content->is_full = before > MAX_COUNTED;
    if (pf_manifest_add_text(manifest, &content->values, field, strlen(field), err)) return -1;
    content->different_numbers += is_number && content->values.count > before;
    return 0;
}

/* With options->as_before a text below a column of numbers leaves both is_settled and not_numbers
 * set, as it did in the first versions. */
static int observe_field(PfManifest *manifest, PfManifestTarget *target, const char *field,
                         PfError *err)
{
    PfColumnContent *content = &target->content;
    double value = 0;
    if (pf_manifest_is_missing(manifest, field)) return 0;
    bool is_number = !pf_manifest_number(field, &value);
    if (!is_number && !target->has_kind && pf_manifest_is_odd_one(manifest, target, field))
        return 0;
    content->present++;
    if (!is_number)
        content->not_numbers = content->not_whole = true;
    else if (value != floor(value))
        content->not_whole = true;
    if (!target->has_kind) return count_value(manifest, target, field, is_number, err);
    if (target->kind == PF_TARGET_MULTILABEL) return add_names(manifest, target, field, err);
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

static PfTargetKind kind_by_content(const PfColumnContent *content)
{
    if (content->is_settled) return PF_TARGET_REGRESSION;
    if (content->not_numbers) return PF_TARGET_CLASS;
    return !content->not_whole && content->values.count <= MAX_NUMBERED_CLASSES &&
                   2 * (int64_t)content->values.count <= content->present
               ? PF_TARGET_CLASS
               : PF_TARGET_REGRESSION;
}

static int fail_faults(const PfManifest *manifest, int column, PfError *err)
{
    char expected[200];
    const PfNumberForm *form = &manifest->forms[column];
    const PfFoundField *found = form->texts.count ? &form->texts : &form->infinite;
    if (pf_manifest_is_beyond(found->text))
        return pf_manifest_fail_at(manifest, column, found, PF_MANIFEST_IN_FLOAT, err);
    snprintf(expected, sizeof expected,
             "a number, as in %lld other lines, or nothing where it is not known. Hint: --target "
             "NAME:class takes texts as names of classes",
             (long long)form->numbers);
    return pf_manifest_fail_at(manifest, column, found, expected, err);
}

/* Warns of a column of texts that look like numbers, or stand among numbers, and hardly repeat. */
static int warn_of_numbers(PfManifest *manifest, const PfManifestTarget *target, PfError *err)
{
    const PfColumnContent *content = &target->content;
    const PfNumberForm *form = &manifest->forms[target->columns[0]];
    int64_t like_numbers = form->numbers + form->infinite.count + form->digit_first.count;
    bool is_exact = form->dressed > 0;
    for (int i = 0; i < 5; i++) is_exact |= form->marked[i].count > 0;
    if (manifest->options->as_before || 2 * like_numbers <= content->present ||
        (!is_exact && 2 * (int64_t)content->values.count <= content->present))
        return 0;
    return pf_dataset_warn(manifest->dataset, err,
                           "column '%s' looks like numbers in %lld of %lld lines, but '%s' (line "
                           "%lld) is none: its texts become %zu classes. --target %s:class says so",
                           target->name, (long long)like_numbers, (long long)content->present,
                           form->texts.text, (long long)form->texts.line, content->values.count,
                           target->name);
}

/* Chooses the kind of a target for which --target gives none. */
static int choose_kind(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    const PfColumnContent *content = &target->content;
    int column = target->columns[0];
    const PfNumberForm *form = &manifest->forms[column];
    target->kind = kind_by_content(content);
    if (manifest->options->as_before) return 0;
    int64_t texts = form->texts.count;
    if (!texts && form->infinite.count) return fail_faults(manifest, column, err);
    if (pf_manifest_is_numeric(form)) {
        if (form->dressed || content->is_settled) target->kind = PF_TARGET_REGRESSION;
        return 0;
    }
    if (content->different_numbers > MAX_NUMBERED_CLASSES &&
        form->numbers >= NUMBERS_FOR_A_FAULT * texts)
        return fail_faults(manifest, column, err);
    target->kind = PF_TARGET_CLASS;
    if (form->odd.count &&
        pf_dataset_warn(manifest->dataset, err,
                        "column '%s': '%s' is a class of its own, in %lld lines; an empty field is "
                        "one that is not known. --target %s:class says so",
                        target->name, form->odd.text, (long long)form->odd.count, target->name))
        return -1;
    return texts ? warn_of_numbers(manifest, target, err) : 0;
}

/* Why a column that nobody asked for is no target; NULL where it is one. */
static const char *why_useless(const PfManifest *manifest, const PfManifestTarget *target)
{
    const PfColumnContent *content = &target->content;
    const PfNumberForm *form = &manifest->forms[target->columns[0]];
    if (!content->present) return "it is empty";
    if (content->is_settled || !content->not_numbers) return NULL;
    if (!manifest->options->as_before &&
        (!form->texts.count || (content->different_numbers > MAX_NUMBERED_CLASSES &&
                                form->numbers >= NUMBERS_FOR_A_FAULT * form->texts.count)))
        return NULL;
    bool repeats = 2 * (int64_t)content->values.count <= content->present;
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
        const char *why = why_useless(manifest, target);
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
        const char *name = pf_arena_text(&manifest->texts, x, length, err);
        if (!name || pf_text_index_add(&target->names, name, err)) return -1;
    }
    return 0;
}

static int settle_labels(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    target->is_list = target->column_count == 1 && target->labels.not_flags;
    if (target->is_list && !target->names.count)
        return pf_fail(err, PF_EXIT_FAILED, "'%s': column '%s' of --target %s names no labels",
                       manifest->path, manifest->columns[target->columns[0]], target->name);
    if (target->is_list && pf_manifest_are_places(target))
        return pf_manifest_fail_at(manifest, target->columns[0], &target->labels.bracketed,
                                   "names of labels. Hint: lists of 0 and 1 say labels by their "
                                   "place; write a column for each label",
                                   err);
    if (target->is_list) return pf_text_index_sort(&target->names, strcmp, NULL, err);
    pf_text_index_free(&target->names);
    return add_column_names(manifest, target, err);
}

static int settle_names(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    target->width = target->column_count;
    for (int i = 0; i < target->column_count; i++)
        if ((target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS) &&
            pf_manifest_settle_number(manifest, target->columns[i], err))
            return -1;
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
    if (!target->has_kind && choose_kind(manifest, target, err)) return -1;
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

/* ---- lists of labels ---- */

/* Of labels in one column each line gets a number for every label of the column: far more than the
 * file's bytes, where texts are taken for labels. */
#define MOST_LIST_BYTES ((int64_t)1 << 30)
#define MOST_BYTES_A_BYTE 256 /* of the file, where that is more */

static int fail_many_labels(const PfManifest *manifest, const PfManifestTarget *target,
                            int64_t most_bytes, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s': column '%s' of --target %s has %d different labels: with one number for "
                   "each in %lld lines, %lld MB; expected %lld MB at most. Hint: --separator says "
                   "what parts labels; --target %s:class takes a field as one class",
                   manifest->path, manifest->columns[target->columns[0]], target->name,
                   target->width, (long long)manifest->row_count,
                   (long long)(manifest->row_count * target->width * (int64_t)sizeof(float) >> 20),
                   (long long)(most_bytes >> 20), target->name);
}

/* All of them together, as memory is. */
static int check_labels(const PfManifest *manifest, PfError *err)
{
    struct stat status;
    int64_t width = 0, most_bytes = MOST_LIST_BYTES;
    const PfManifestTarget *widest = NULL;
    for (int t = 0; t < manifest->target_count; t++) {
        const PfManifestTarget *target = &manifest->targets[t];
        if (target->kind != PF_TARGET_MULTILABEL || !target->is_list) continue;
        width += target->width;
        if (!widest || target->width > widest->width) widest = target;
    }
    if (!stat(manifest->path, &status))
        most_bytes = pf_max(most_bytes, (int64_t)status.st_size * MOST_BYTES_A_BYTE);
    if (width <= most_bytes / (int64_t)sizeof(float) / manifest->row_count) return 0;
    return fail_many_labels(manifest, widest, most_bytes, err);
}

int pf_manifest_settle_kinds(PfManifest *manifest, PfError *err)
{
    if (!manifest->options->target_count && drop_useless(manifest, err)) return -1;
    for (int t = 0; t < manifest->target_count; t++)
        if (settle(manifest, &manifest->targets[t], err)) return -1;
    if (check_labels(manifest, err)) return -1;
    place_targets(manifest);
    return 0;
}

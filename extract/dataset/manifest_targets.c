/* A manifest's targets: which are read from which columns, and at last their values. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "extract/dataset/manifest.h"

/* ==== --target NAME[:KIND][=COLUMNS], or NAME[:KIND],NAME[:KIND],... ==== */

/* ---- names ---- */

static int check_name(const PfManifest *manifest, const char *name, PfError *err)
{
    if (*name && strcmp(name, ".") && !strchr(name, '/') && strlen(name) < PF_CACHE_NAME_SIZE) {
        if (pf_text_index_find(&manifest->target_names, name, strlen(name)) < 0) return 0;
        return pf_fail(err, PF_EXIT_USAGE, "two targets are called '%s'%s", name,
                       manifest->options->target_count
                           ? ""
                           : ": two columns are. Hint: rename one in the first line, or "
                             "say with --target which columns are targets");
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s': a target cannot be called '%s': a name has 1 to %d bytes and no '/' in "
                   "it. Hint: --target NAME=COLUMN takes a column under another name",
                   manifest->path, name, PF_CACHE_NAME_SIZE - 1);
}

static PfManifestTarget *add_target(PfManifest *manifest, const char *name, PfError *err)
{
    if (check_name(manifest, name, err) ||
        pf_manifest_add_text(manifest, &manifest->target_names, name, strlen(name), err) ||
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
    if (pf_options_split_list(text, &items, &count, err)) return -1;
    for (int i = 0; i < count && !failed; i++) failed = add_item(manifest, target, items[i], err);
    pf_options_free_list(&items, &count);
    return failed;
}

/* ---- options ---- */

/* Cuts ":KIND" off, if name is not as a whole a column's. */
static int parse_kind(const PfManifest *manifest, char *name, bool *has_kind, PfTargetKind *kind,
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
    bool has_kind;
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

static int add_option(PfManifest *manifest, char *option, PfError *err)
{
    if (parse_target(manifest, option, err)) return -1;
    return check_columns(&manifest->targets[manifest->target_count - 1], err);
}

/* "a,b:regression" are two targets, unless a column has a comma in its name; commas behind a "="
 * part columns of one. */
static bool is_list(const PfManifest *manifest, const char *text)
{
    char name[PF_CACHE_NAME_SIZE];
    const char *colon = strrchr(text, ':');
    if (!strchr(text, ',') || strchr(text, '=') || pf_manifest_has_column(manifest, text))
        return false;
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - text) : 0, text);
    return !strchr(name, ',') || !pf_manifest_has_column(manifest, name);
}

static int add_options(PfManifest *manifest, const char *text, PfError *err)
{
    char *single = NULL, **items = &single;
    int count = 1, failed = 0;
    const bool is_several = is_list(manifest, text);
    if (is_several && pf_options_split_list(text, &items, &count, err)) return -1;
    if (!is_several && !(single = pf_strdup(text, err))) return -1;
    for (int i = 0; i < count && !failed; i++) failed = add_option(manifest, items[i], err);
    if (is_several) pf_options_free_list(&items, &count);
    free(single);
    return failed;
}

/* ---- all other columns ---- */

static bool is_index(const PfManifest *manifest, int column)
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
        if (add_options(manifest, options->targets[i], err)) return -1;
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
    pf_text_index_free(&manifest->target_names);
}

/* ==== values, row by row ==== */

/* So many targets are told of one by one, and the others only counted. */
#define MAX_TOLD 20

int pf_manifest_allocate(PfManifest *manifest, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    size_t rows = (size_t)manifest->row_count;
    dataset->class_indices =
        pf_calloc(rows * (size_t)dataset->indices_per_row, sizeof *dataset->class_indices, err);
    dataset->values =
        pf_calloc(rows * (size_t)dataset->values_per_row, sizeof *dataset->values, err);
    return dataset->class_indices && dataset->values ? 0 : -1;
}

/* ---- classes ---- */

/* The length of a class's name in a field. Where a row has no number, pandas writes the others' "3"
 * as "3.0". */
static size_t name_length(const PfManifestTarget *target, const char *field)
{
    return target->content.not_whole || strpbrk(field, "eE") ? strlen(field) : strcspn(field, ".");
}

static int fill_class(PfManifest *manifest, PfManifestTarget *target, const char *field,
                      int32_t *index, PfError *err)
{
    *index = -1;
    if (pf_manifest_is_missing(manifest, field) ||
        (!target->has_kind && pf_manifest_is_odd_one(manifest, target, field)))
        return 0;
    size_t length = name_length(target, field);
    int64_t known = pf_text_index_find(&target->names, field, length);
    if (known < 0) {
        const char *name = pf_dataset_text(manifest->dataset, field, length, err);
        known = (int64_t)target->names.count;
        if (!name || pf_text_index_add(&target->names, name, err)) return -1;
    }
    *index = (int32_t)known;
    return 0;
}

/* ---- numbers ---- */

static int fail_field(const PfManifest *manifest, const PfManifestTarget *target, int column,
                      const char *field, PfError *err)
{
    if (target->kind == PF_TARGET_MULTILABEL)
        return pf_manifest_fail(manifest, column, field,
                                "0 or 1, or nothing where it is not known. Hint: one column alone "
                                "may also hold labels' names, with ';' between them",
                                err);
    if (target->kind == PF_TARGET_KEYPOINTS)
        return pf_manifest_fail(manifest, column, field,
                                "a number of pixels, or nothing where it is not known", err);
    return pf_manifest_fail(manifest, column, field,
                            "a number, or nothing where it is not known. Hint: --target NAME:class "
                            "takes texts as names of classes",
                            err);
}

static int fill_field(const PfManifest *manifest, const PfManifestTarget *target, int column,
                      const char *field, float *out, PfError *err)
{
    double value = NAN;
    *out = NAN;
    if (pf_manifest_is_missing(manifest, field)) return 0;
    int failed = target->kind == PF_TARGET_MULTILABEL
                     ? pf_manifest_flag(manifest, field, &value)
                     : pf_manifest_column_number(manifest, column, field, &value);
    *out = (float)value;
    if (!failed && !isinf(*out)) return 0;
    if (isinf(*out) || pf_manifest_is_beyond(field))
        return pf_manifest_fail(manifest, column, field, PF_MANIFEST_IN_FLOAT, err);
    return fail_field(manifest, target, column, field, err);
}

static int fill_columns(const PfManifest *manifest, const PfManifestTarget *target,
                        const char *const *fields, float *out, PfError *err)
{
    for (int i = 0; i < target->column_count; i++) {
        int column = target->columns[i];
        if (fill_field(manifest, target, column, fields[column], &out[i], err)) return -1;
    }
    return 0;
}

static void fill_list(const PfManifest *manifest, const PfManifestTarget *target, const char *field,
                      float *out)
{
    const char *name;
    bool known = !pf_manifest_is_missing(manifest, field);
    for (int i = 0; i < target->width; i++) out[i] = known ? 0 : NAN;
    for (size_t length; known && (length = pf_manifest_next_name(&target->labels, &field, &name));)
        out[pf_text_index_find(&target->names, name, length)] = 1;
}

/* ---- rows ---- */

static int fill_target(PfManifest *manifest, PfManifestTarget *target, int64_t row,
                       const char *const *fields, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    const char *field = fields[target->columns[0]];
    if (target->kind == PF_TARGET_CLASS) {
        int32_t *indices = dataset->class_indices + row * dataset->indices_per_row;
        return fill_class(manifest, target, field, &indices[target->offset], err);
    }
    float *out = dataset->values + row * dataset->values_per_row + target->offset;
    if (!target->is_list) return fill_columns(manifest, target, fields, out, err);
    fill_list(manifest, target, field, out);
    return 0;
}

int pf_manifest_fill_row(PfManifest *manifest, int64_t row, const char *const *fields, PfError *err)
{
    for (int t = 0; t < manifest->target_count; t++)
        if (fill_target(manifest, &manifest->targets[t], row, fields, err)) return -1;
    return 0;
}

/* ---- the end ---- */

static int compare_numbers(const char *a, const char *b)
{
    double x = strtod(a, NULL), y = strtod(b, NULL);
    return x < y ? -1 : x > y ? 1 : strcmp(a, b);
}

static int sort_classes(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    int32_t *new_numbers = pf_calloc(target->names.count, sizeof *new_numbers, err);
    int failed =
        !new_numbers ||
        pf_text_index_sort(&target->names, target->content.not_whole ? strcmp : compare_numbers,
                           new_numbers, err);
    for (int64_t row = 0; !failed && row < manifest->row_count; row++) {
        int32_t *index = &dataset->class_indices[row * dataset->indices_per_row + target->offset];
        if (*index >= 0) *index = new_numbers[*index];
        if (!target->offset) dataset->samples[row].class_index = *index;
    }
    free(new_numbers);
    return failed ? -1 : 0;
}

/* The names move to where the dataset's texts are. */
static int copy_names(PfManifest *manifest, const PfManifestTarget *target, PfCacheTarget *out,
                      const char ***list, PfError *err)
{
    if (!target->names.count) return 0;
    *list = pf_calloc(target->names.count, sizeof **list, err);
    if (!*list) return -1;
    for (size_t i = 0; i < target->names.count; i++) {
        const char *name = target->names.texts[i];
        (*list)[i] = pf_dataset_text(manifest->dataset, name, strlen(name), err);
        if (!(*list)[i]) return -1;
    }
    out->classes = *list;
    out->class_count = (int)target->names.count;
    return 0;
}

static void describe(const PfManifestTarget *target, char *what, size_t size)
{
    if (target->kind == PF_TARGET_CLASS)
        snprintf(what, size, "%zu classes", target->names.count);
    else if (target->kind == PF_TARGET_MULTILABEL)
        snprintf(what, size, "%d labels", target->width);
    else if (target->kind == PF_TARGET_KEYPOINTS)
        snprintf(what, size, "%d points", target->width / 2);
    else
        snprintf(what, size, "%d number%s", target->width, target->width > 1 ? "s" : "");
}

/* "; missing in 3 lines, of them 2 'None'", and how numbers or lists were read. */
static void describe_fields(const PfManifest *manifest, const PfManifestTarget *target, char *text,
                            size_t size)
{
    const PfNumberForm *form = &manifest->forms[target->columns[0]];
    bool is_list = target->kind == PF_TARGET_MULTILABEL && target->is_list;
    bool is_numbers = target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS;
    char number[100] = "";
    const PfFoundField *word = form->missing.count ? &form->missing : &form->odd;
    int64_t odd = pf_manifest_is_numeric(form) ? form->odd.count : 0;
    int64_t words = form->missing.count + odd, missing = form->blank + words;
    *text = '\0';
    if (manifest->options->as_before || target->column_count > 1) return;
    if (is_numbers) pf_manifest_number_text(manifest, target->columns[0], number, sizeof number);
    int used =
        snprintf(text, size, "%s%s", number, is_list ? pf_manifest_list_text(&target->labels) : "");
    if (missing && words)
        snprintf(text + used, size - (size_t)used, "; missing in %lld lines, %lld of them '%s'%s",
                 (long long)missing, (long long)words, word->text,
                 word->count < words || form->has_other_words ? " or the like" : "");
    else if (missing)
        snprintf(text + used, size - (size_t)used, "; missing in %lld lines", (long long)missing);
}

static int remark_target(PfManifest *manifest, const PfManifestTarget *target, PfError *err)
{
    char what[64], fields[240];
    describe(target, what, sizeof what);
    describe_fields(manifest, target, fields, sizeof fields);
    const char *last = manifest->columns[target->columns[target->column_count - 1]];
    int several = target->column_count > 1;
    return pf_dataset_remark(manifest->dataset, err, "target %s: %s, %s, column%s '%s'%s%s%s%s",
                             target->name, pf_target_kind_name(target->kind), what,
                             several ? "s" : "", manifest->columns[target->columns[0]],
                             several ? " to '" : "", several ? last : "", several ? "'" : "",
                             fields);
}

static int hand_over(PfManifest *manifest, int t, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    PfManifestTarget *target = &manifest->targets[t];
    PfCacheTarget *out = &dataset->targets[t];
    bool is_class = target->kind == PF_TARGET_CLASS;
    if (is_class && sort_classes(manifest, target, err)) return -1;
    *out = (PfCacheTarget){.kind = target->kind, .width = is_class ? 1 : target->width};
    memcpy(out->name, target->name, sizeof out->name);
    if (copy_names(manifest, target, out, &dataset->target_names[t], err)) return -1;
    return t < MAX_TOLD ? remark_target(manifest, target, err) : 0;
}

int pf_manifest_finish_targets(PfManifest *manifest, PfError *err)
{
    PfDataset *dataset = manifest->dataset;
    size_t count = (size_t)manifest->target_count;
    dataset->targets = pf_calloc(count, sizeof *dataset->targets, err);
    dataset->target_names = pf_calloc(count, sizeof *dataset->target_names, err);
    if (!dataset->targets || !dataset->target_names) return -1;
    dataset->target_count = manifest->target_count;
    for (int t = 0; t < manifest->target_count; t++)
        if (hand_over(manifest, t, err)) return -1;
    if (manifest->target_count <= MAX_TOLD) return 0;
    return pf_dataset_remark(dataset, err,
                             "... and %d more targets. Several columns are one target with "
                             "--target NAME:regression=FIRST..LAST, or :keypoints, or :multilabel",
                             manifest->target_count - MAX_TOLD);
}

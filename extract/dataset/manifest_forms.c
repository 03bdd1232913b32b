/* The first look at a manifest's rows: what all fields of a column say together of how they are
 * written. Numbers have a file of their own. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "extract/dataset/manifest.h"

/* ==== labels: 0 and 1 in columns of their own, or names in one column ==== */

int pf_manifest_add_text(PfManifest *manifest, PfTextIndex *index, const char *text, size_t length,
                         PfError *err)
{
    if (pf_text_index_find(index, text, length) >= 0) return 0;
    const char *copy = pf_arena_text(&manifest->texts, text, length, err);
    return copy ? pf_text_index_add(index, copy, err) : -1;
}

/* ---- 0 and 1 ---- */

int pf_manifest_flag(const PfManifest *manifest, const char *field, double *value)
{
    static const char *const words[] = {"false", "true", "no", "yes"};
    int count = manifest->options->as_before ? 2 : 4;
    for (int i = 0; i < count; i++)
        if (!strcasecmp(field, words[i])) {
            *value = i & 1;
            return 0;
        }
    if (pf_manifest_number(field, value)) return -1;
    if (*value == -1 && !manifest->options->as_before) {
        *value = 0;
        return 0;
    }
    return *value != 0 && *value != 1 ? -1 : 0;
}

static void note_sign(const PfManifest *manifest, PfLabelForm *form, int column, const char *field)
{
    double value;
    if (pf_manifest_number(field, &value)) return;
    if (value == -1) pf_manifest_note(&form->minus, manifest, column, field);
    if (value == 0) pf_manifest_note(&form->zero, manifest, column, field);
}

/* ---- names ---- */

static bool has_brackets(const char *field)
{
    static const char open[] = "[({", close[] = "])}";
    const char *at = *field ? strchr(open, *field) : NULL;
    return at && field[1] && field[strlen(field) - 1] == close[at - open];
}

static int add_words(PfManifest *manifest, PfLabelForm *form, const char *field, PfError *err)
{
    if (pf_manifest_add_text(manifest, &form->fields, field, strlen(field), err)) return -1;
    for (const char *word = field; *(word += strspn(word, " \t"));) {
        size_t length = strcspn(word, " \t");
        if (pf_manifest_add_text(manifest, &form->words, word, length, err)) return -1;
        word += length;
    }
    return 0;
}

static int look_at_labels(PfManifest *manifest, PfManifestTarget *target, int column,
                          const char *field, PfError *err)
{
    PfLabelForm *form = &target->labels;
    double value;
    note_sign(manifest, form, column, field);
    if (target->column_count > 1) return 0;
    if (pf_manifest_flag(manifest, field, &value)) form->not_flags = true;
    if (manifest->options->as_before) return 0;
    pf_manifest_note(has_brackets(field) ? &form->bracketed : &form->bare, manifest, column, field);
    if (strpbrk(field, ";|")) pf_manifest_note(&form->barred, manifest, column, field);
    if (strchr(field, ',')) pf_manifest_note(&form->commas, manifest, column, field);
    if (strpbrk(field, " \t")) pf_manifest_note(&form->spaces, manifest, column, field);
    return add_words(manifest, form, field, err);
}

static int warn_whole(PfManifest *manifest, const PfManifestTarget *target,
                      const PfFoundField *found, const char *mark, const char *word, PfError *err)
{
    return pf_dataset_warn(manifest->dataset, err,
                           "target %s: '%s' (line %lld) has %s in its labels' names; "
                           "--separator %s would part them there",
                           target->name, found->text, (long long)found->line, mark, word);
}

/* Chooses what parts names, where --separator does not say, by all fields of the column. */
static int choose_separator(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    PfLabelForm *form = &target->labels;
    form->separators = ";|";
    if (form->is_bracketed) {
        form->separators = form->commas.count ? "," : " \t";
        return 0;
    }
    if (form->barred.count)
        return form->commas.count
                   ? warn_whole(manifest, target, &form->commas, "commas", "comma", err)
                   : 0;
    if (form->commas.count) {
        form->separators = ",";
        return 0;
    }
    if (!form->spaces.count) return 0;
    if (form->words.count < form->fields.count) {
        form->separators = " \t";
        return 0;
    }
    return warn_whole(manifest, target, &form->spaces, "spaces", "space", err);
}

static int settle_names(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    PfLabelForm *form = &target->labels;
    form->separators = ";|";
    if (manifest->options->as_before || !form->not_flags) return 0;
    if (form->bracketed.count && form->bare.count)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s', column '%s': found '%s' (line %lld) and '%s' (line %lld); expected "
                       "all lists of labels in brackets, or none",
                       manifest->path, manifest->columns[target->columns[0]], form->bracketed.text,
                       (long long)form->bracketed.line, form->bare.text,
                       (long long)form->bare.line);
    form->is_bracketed = form->bracketed.count > 0;
    if (!manifest->options->table.separator) return choose_separator(manifest, target, err);
    form->separators = manifest->options->table.separator;
    return 0;
}

/* Chooses what parts labels' names. */
static int settle_labels(PfManifest *manifest, PfManifestTarget *target, PfError *err)
{
    PfLabelForm *form = &target->labels;
    bool is_flags = target->column_count > 1 || !form->not_flags;
    if (is_flags && form->minus.count && form->zero.count && !manifest->options->as_before)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s', target %s: found '%s' (line %lld, column '%s') and '%s' (line %lld, "
                       "column '%s'); expected 1 and 0, or 1 and -1. Hint: an empty field is a "
                       "label that nobody knows",
                       manifest->path, target->name, form->minus.text, (long long)form->minus.line,
                       manifest->columns[form->minus.column], form->zero.text,
                       (long long)form->zero.line, manifest->columns[form->zero.column]);
    int failed = settle_names(manifest, target, err);
    pf_text_index_free(&form->fields);
    pf_text_index_free(&form->words);
    return failed;
}

/* Between brackets names may stand in quotes. */
static size_t quoted_name(const char **next, const char **name)
{
    char quote = *(*name)++;
    size_t length = strcspn(*name, (const char[]){quote, '\0'});
    *next = *name + length + ((*name)[length] == quote);
    return length;
}

static size_t plain_name(const PfLabelForm *form, const char **next, const char **name)
{
    size_t length = strcspn(*name, form->separators);
    size_t closed = form->is_bracketed ? strcspn(*name, "])}") : length;
    if (closed < length) length = closed;
    *next = *name + length;
    while (length && strchr(" \t", (*name)[length - 1])) length--;
    return length;
}

static bool is_between(const PfLabelForm *form, char c)
{
    return c == ' ' || c == '\t' || strchr(form->separators, c) ||
           (form->is_bracketed && strchr("[](){}", c));
}

size_t pf_manifest_next_name(const PfLabelForm *form, const char **next, const char **name)
{
    for (size_t length;;) {
        for (*name = *next; **name && is_between(form, **name);) ++*name;
        length = form->is_bracketed && (**name == '\'' || **name == '"')
                     ? quoted_name(next, name)
                     : plain_name(form, next, name);
        if (length || !**next) return length;
    }
}

/* Whether the names are those of [0, 1, 0]: labels by their place in the list. */
bool pf_manifest_are_places(const PfManifestTarget *target)
{
    if (!target->labels.is_bracketed) return false;
    for (size_t i = 0; i < target->names.count; i++)
        if (strcmp(target->names.texts[i], "0") && strcmp(target->names.texts[i], "1"))
            return false;
    return target->names.count > 1;
}

const char *pf_manifest_list_text(const PfLabelForm *form)
{
    if (form->is_bracketed) return ", lists in brackets";
    switch (*form->separators) {
    case ',': return ", with commas between them";
    case ' ': return ", with spaces between them";
    default: return "";
    }
}

/* ==== any field ==== */

/* ---- missing fields ---- */

static bool is_among(const char *field, const char *const *words, size_t count,
                     int (*compare)(const char *a, const char *b))
{
    for (size_t i = 0; i < count; i++)
        if (!compare(field, words[i])) return true;
    return false;
}

bool pf_manifest_is_missing(const PfManifest *manifest, const char *field)
{
    static const char *const words[] = {"", "nan", "na", "n/a", "null"};
    /* The rest of what pandas takes for missing, in these very letters. */
    static const char *const exact[] = {"None", "<NA>",   "#N/A",    "#N/A N/A", "#NA",     "-NaN",
                                        "-nan", "1.#IND", "-1.#IND", "1.#QNAN",  "-1.#QNAN"};
    if (is_among(field, words, sizeof words / sizeof *words, strcasecmp)) return true;
    return !manifest->options->as_before &&
           is_among(field, exact, sizeof exact / sizeof *exact, strcmp);
}

/* ---- names of targets ---- */

static int check_names(const PfManifest *manifest, const PfManifestTarget *target, PfError *err)
{
    for (int i = 0; i < target->column_count; i++)
        if (pf_manifest_check_text(manifest, 1, manifest->columns[target->columns[i]], err))
            return -1;
    return pf_manifest_check_text(manifest, 1, target->name, err);
}

int pf_manifest_check_names(const PfManifest *manifest, PfError *err)
{
    for (int t = 0; t < manifest->target_count; t++)
        if (check_names(manifest, &manifest->targets[t], err)) return -1;
    return 0;
}

/* ---- looking ---- */

static bool is_of_numbers(const PfManifestTarget *target)
{
    return (!target->has_kind && target->column_count == 1) ||
           (target->has_kind &&
            (target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS));
}

/* Counts a missing field once, however many targets have the column. */
static void note_missing(const PfManifest *manifest, const PfManifestTarget *target, int column,
                         const char *field)
{
    PfNumberForm *form = &manifest->forms[column];
    if (!form->owner) form->owner = target;
    if (form->owner != target) return;
    form->blank += !*field;
    if (!*field) return;
    pf_manifest_note(&form->missing, manifest, column, field);
    form->has_other_words |= strcmp(form->missing.text, field) != 0;
}

static int look_at_field(PfManifest *manifest, PfManifestTarget *target, int column,
                         const char *field, PfError *err)
{
    if (pf_manifest_is_missing(manifest, field)) {
        note_missing(manifest, target, column, field);
        return 0;
    }
    if (pf_manifest_check_text(manifest, pf_csv_line(manifest->csv), field, err)) return -1;
    if (is_of_numbers(target)) pf_manifest_note_number(manifest, column, field);
    return target->has_kind && target->kind == PF_TARGET_MULTILABEL
               ? look_at_labels(manifest, target, column, field, err)
               : 0;
}

int pf_manifest_look(PfManifest *manifest, const char *const *fields, PfError *err)
{
    for (int t = 0; t < manifest->target_count; t++) {
        PfManifestTarget *target = &manifest->targets[t];
        for (int i = 0; i < target->column_count; i++) {
            int column = target->columns[i];
            if (look_at_field(manifest, target, column, fields[column], err)) return -1;
        }
    }
    return 0;
}

int pf_manifest_settle_forms(PfManifest *manifest, PfError *err)
{
    int lists = 0;
    for (int t = 0; t < manifest->target_count; t++) {
        PfManifestTarget *target = &manifest->targets[t];
        if (!target->has_kind || target->kind != PF_TARGET_MULTILABEL) continue;
        if (settle_labels(manifest, target, err)) return -1;
        lists += target->labels.not_flags;
    }
    if (lists || !manifest->options->table.separator) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--separator parts labels' names in one column, and '%s' has no such target. "
                   "Hint: --target NAME:multilabel",
                   manifest->path);
}

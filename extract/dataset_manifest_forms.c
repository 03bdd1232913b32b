/* The first look at a manifest's rows: what all fields of a column say of how they are written. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dataset_manifest.h"
#include "text_encoding.h"

/* ---- missing fields ---- */

static int is_among(const char *field, const char *const *words, size_t count,
                    int (*compare)(const char *a, const char *b))
{
    for (size_t i = 0; i < count; i++)
        if (!compare(field, words[i])) return 1;
    return 0;
}

int pf_manifest_is_missing(const PfManifest *manifest, const char *field)
{
    static const char *const words[] = {"", "nan", "na", "n/a", "null"};
    /* The rest of what pandas takes for missing, as it stands there. */
    static const char *const exact[] = {"None", "<NA>",   "#N/A",    "#N/A N/A", "#NA",     "-NaN",
                                        "-nan", "1.#IND", "-1.#IND", "1.#QNAN",  "-1.#QNAN"};
    if (is_among(field, words, sizeof words / sizeof *words, strcasecmp)) return 1;
    return !manifest->options->as_before &&
           is_among(field, exact, sizeof exact / sizeof *exact, strcmp);
}

/* ---- texts that are UTF-8 ---- */

/* As Windows-1252 has it, malloc'ed; NULL: it has not. */
static char *read_as_windows(const char *text)
{
    char *out;
    size_t size, bad;
    PfError err = {0};
    return pf_text_to_utf8("WINDOWS-1252", text, strlen(text), &out, &size, &bad, &err) ? NULL
                                                                                        : out;
}

static int fail_not_utf8(const PfManifest *manifest, int64_t line, const char *text, PfError *err)
{
    char *guess = read_as_windows(text);
    size_t at = pf_utf8_length(text, strlen(text));
    pf_fail(err, PF_EXIT_FAILED,
            "'%s' line %lld: byte 0x%02x behind '%.*s' is not UTF-8%s%s%s.\nHint: --encoding "
            "windows-1252 (or latin1, or whatever it was saved in)",
            manifest->path, (long long)line, (unsigned)(unsigned char)text[at],
            at > 100 ? 100 : (int)at, text, guess ? "; Windows-1252 would make it '" : "",
            guess ? guess : "", guess ? "'" : "");
    free(guess);
    return -1;
}

static int check_text(const PfManifest *manifest, int64_t line, const char *text, PfError *err)
{
    size_t length = strlen(text);
    if (manifest->options->as_before || pf_utf8_length(text, length) == length) return 0;
    return fail_not_utf8(manifest, line, text, err);
}

static int check_names(const PfManifest *manifest, const PfManifestTarget *target, PfError *err)
{
    for (int i = 0; i < target->column_count; i++)
        if (check_text(manifest, 1, manifest->columns[target->columns[i]], err)) return -1;
    return check_text(manifest, 1, target->name, err);
}

int pf_manifest_check_names(const PfManifest *manifest, PfError *err)
{
    for (int t = 0; t < manifest->target_count; t++)
        if (check_names(manifest, &manifest->targets[t], err)) return -1;
    return 0;
}

/* ---- looking ---- */

static int is_of_numbers(const PfManifestTarget *target)
{
    return (!target->has_kind && target->column_count == 1) ||
           (target->has_kind &&
            (target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS));
}

/* Once, however many targets have the column. */
static void note_missing(const PfManifest *manifest, const PfManifestTarget *target, int column,
                         const char *field)
{
    PfNumberForm *form = &manifest->forms[column];
    if (!form->owner) form->owner = target;
    if (form->owner != target) return;
    form->blank += !*field;
    if (*field) pf_manifest_note(&form->missing, manifest, column, field);
}

static int look_at_field(PfManifest *manifest, PfManifestTarget *target, int column,
                         const char *field, PfError *err)
{
    if (pf_manifest_is_missing(manifest, field)) {
        note_missing(manifest, target, column, field);
        return 0;
    }
    if (check_text(manifest, pf_csv_line(manifest->csv), field, err)) return -1;
    if (is_of_numbers(target)) pf_manifest_note_number(manifest, column, field);
    return target->has_kind && target->kind == PF_TARGET_MULTILABEL
               ? pf_manifest_look_at_labels(manifest, target, column, field, err)
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
        if (pf_manifest_settle_labels(manifest, target, err)) return -1;
        lists += target->labels.not_flags;
    }
    if (lists || !manifest->options->table.separator) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--separator parts labels' names in one column, and '%s' has no such target. "
                   "Hint: --target NAME:multilabel",
                   manifest->path);
}

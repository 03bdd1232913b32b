/* Which column of a manifest is the split. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/memory.h"
#include "common/cache/split.h"
#include "extract/dataset/manifest.h"

/* Columns that may be the split, if what they hold fits, and what "true" means in them. */
static const struct {
    const char *name;
    bool is_asked; /* it is the split only where --split-column says so */
    bool has_flags;
    PfSplit split; /* of the lines with 1; with 0: train, or val where this is train */
} usual_names[] = {
    {"is_valid", false, true, PF_SPLIT_VAL},     {"is_val", false, true, PF_SPLIT_VAL},
    {"is_test", false, true, PF_SPLIT_TEST},     {"is_train", false, true, PF_SPLIT_TRAIN},
    {"set", false, false, PF_SPLIT_TRAIN},       {"subset", false, false, PF_SPLIT_TRAIN},
    {"partition", false, false, PF_SPLIT_TRAIN}, {"fold", false, false, PF_SPLIT_TRAIN},
    {"phase", false, false, PF_SPLIT_TRAIN},     {"valid", true, true, PF_SPLIT_VAL},
    {"val", true, true, PF_SPLIT_VAL},           {"validation", true, true, PF_SPLIT_VAL},
    {"test", true, true, PF_SPLIT_TEST},         {"train", true, true, PF_SPLIT_TRAIN},
};
#define USUAL_NAMES ((int)(sizeof usual_names / sizeof *usual_names))

/* Each is a pass over all lines: tables with more columns of these names are none of people's. */
#define MOST_TRIED 100

/* What a column holds. */
typedef struct Content {
    int64_t words[PF_SPLIT_COUNT], flags;
    PfFoundField others; /* neither a split's name nor empty */
    PfFoundField not_flags;
} Content;

static int usual_name(const char *name)
{
    for (int i = 0; i < USUAL_NAMES; i++)
        if (!strcasecmp(name, usual_names[i].name)) return i;
    return -1;
}

static int split_of_word(const char *field, PfSplit *split)
{
    static const struct {
        const char *name;
        PfSplit split;
    } names[] = {
        {"train", PF_SPLIT_TRAIN}, {"training", PF_SPLIT_TRAIN}, {"val", PF_SPLIT_VAL},
        {"valid", PF_SPLIT_VAL},   {"validation", PF_SPLIT_VAL}, {"dev", PF_SPLIT_VAL},
        {"test", PF_SPLIT_TEST},   {"testing", PF_SPLIT_TEST},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcasecmp(field, names[i].name)) {
            *split = names[i].split;
            return 0;
        }
    return -1;
}

static bool is_flag(const PfManifest *manifest, const char *field)
{
    double value;
    return strcmp(field, "-1") && !pf_manifest_flag(manifest, field, &value);
}

/* ---- looking ---- */

static int look_at_column(PfManifest *manifest, int column, Content *content, PfError *err)
{
    const char *const *fields;
    PfSplit split;
    int status;
    *content = (Content){0};
    if (pf_manifest_go_to_first_row(manifest, err)) return -1;
    while ((status = pf_manifest_next(manifest, &fields, err)) > 0) {
        const char *field = fields[column];
        bool is_word = !split_of_word(field, &split), has_flag = is_flag(manifest, field);
        if (!*field) continue;
        if (is_word) content->words[split]++;
        content->flags += has_flag;
        if (!is_word) pf_manifest_note(&content->others, manifest, column, field);
        if (!has_flag) pf_manifest_note(&content->not_flags, manifest, column, field);
    }
    return status;
}

/* Whether what the column holds makes it the split. Fields that do not fit are then errors. */
static bool is_split(const Content *content, int usual, PfSplitRule *rule)
{
    const int64_t *words = content->words;
    int64_t held_out = words[PF_SPLIT_VAL] + words[PF_SPLIT_TEST];
    if (words[PF_SPLIT_TRAIN] + held_out &&
        (!content->others.count || (words[PF_SPLIT_TRAIN] && held_out))) {
        rule->kind = PF_SPLIT_BY_WORDS;
        return true;
    }
    if (usual < 0 || !usual_names[usual].has_flags || !content->flags ||
        content->not_flags.count > content->flags)
        return false;
    rule->kind = PF_SPLIT_BY_FLAGS;
    rule->of_true = usual_names[usual].split;
    return true;
}

/* ---- --split-column ---- */

static int take_values(PfManifest *manifest, char *values, PfSplitRule *rule, PfError *err)
{
    char *comma = strchr(values, ',');
    rule->kind = PF_SPLIT_BY_VALUES;
    if (comma) *comma = '\0';
    rule->val = pf_dataset_text(manifest->dataset, values, strlen(values), err);
    rule->test = comma ? pf_dataset_text(manifest->dataset, comma + 1, strlen(comma + 1), err) : "";
    if (!rule->val || !rule->test) return -1;
    if (*values && (!comma || comma[1])) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--split-column %s: expected COLUMN, or COLUMN=VALUE with the value of val's "
                   "lines, or COLUMN=VALUE,VALUE with that of test's too",
                   manifest->options->table.split_column);
}

/* A number may be written otherwise in the table: where a row has none, pandas writes 0 as 0.0. */
static bool is_value(const char *field, const char *value)
{
    double number, wanted;
    if (!*value) return false;
    return !strcmp(field, value) || (!pf_manifest_number(field, &number) &&
                                     !pf_manifest_number(value, &wanted) && number == wanted);
}

static PfSplit split_of_value(const PfSplitRule *rule, const char *field)
{
    return is_value(field, rule->val)    ? PF_SPLIT_VAL
           : is_value(field, rule->test) ? PF_SPLIT_TEST
                                         : PF_SPLIT_TRAIN;
}

static int fail_no_line(const PfManifest *manifest, PfSplit split, const PfFoundField *found,
                        PfError *err)
{
    const PfSplitRule *rule = &manifest->split_rule;
    const char *value = split == PF_SPLIT_VAL ? rule->val : rule->test;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--split-column %s: no line of '%s' is %s: none has '%s' in the column '%s'%s. "
                   "Line %lld has '%s'. Hint: COLUMN=VALUE,VALUE has the value of val's lines and "
                   "that of test's, as the table writes them",
                   manifest->options->table.split_column, manifest->path, pf_split_names[split],
                   value, manifest->columns[manifest->split_column],
                   split == PF_SPLIT_TEST && is_value(value, rule->val) ? " that is not val's" : "",
                   (long long)found->line, found->text);
}

/* Whether there are lines of each value: else a typing error would make a split empty. */
static int check_values(PfManifest *manifest, PfError *err)
{
    const char *const *fields;
    const PfSplitRule *rule = &manifest->split_rule;
    int64_t counts[PF_SPLIT_COUNT] = {0};
    PfFoundField others = {0}, any = {0};
    int status, column = manifest->split_column;
    if (pf_manifest_go_to_first_row(manifest, err)) return -1;
    while ((status = pf_manifest_next(manifest, &fields, err)) > 0) {
        PfSplit split = split_of_value(rule, fields[column]);
        counts[split]++;
        if (split == PF_SPLIT_TRAIN) pf_manifest_note(&others, manifest, column, fields[column]);
        pf_manifest_note(&any, manifest, column, fields[column]);
    }
    if (status < 0 || !any.count) return status;
    const PfFoundField *found = others.count ? &others : &any;
    if (!counts[PF_SPLIT_VAL]) return fail_no_line(manifest, PF_SPLIT_VAL, found, err);
    if (!*rule->test || counts[PF_SPLIT_TEST]) return 0;
    return fail_no_line(manifest, PF_SPLIT_TEST, found, err);
}

static int take_named_column(PfManifest *manifest, char *name, PfError *err)
{
    Content content;
    char *equals = pf_manifest_has_column(manifest, name) ? NULL : strchr(name, '=');
    if (equals) *equals = '\0';
    if (pf_manifest_find_column(manifest, name, &manifest->split_column, err)) return -1;
    if (equals)
        return take_values(manifest, equals + 1, &manifest->split_rule, err) ||
                       check_values(manifest, err)
                   ? -1
                   : 0;
    if (look_at_column(manifest, manifest->split_column, &content, err)) return -1;
    if (is_split(&content, usual_name(name), &manifest->split_rule)) return 0;
    return pf_manifest_fail_at(manifest, manifest->split_column, &content.others,
                               "train, val or test. Hint: --split-column COLUMN=VALUE says which "
                               "value is val's, COLUMN=VALUE,VALUE also which is test's",
                               err);
}

/* ---- without it ---- */

/* Whether the option --target takes the column by its name: "split:class", "split=COLUMNS", or
 * among several, "age,split:class,sex". */
static bool is_named_by(const char *option, const char *name)
{
    const size_t length = strlen(name);
    if (!strncmp(option, name, length) && strchr(":=", option[length])) return true;
    for (const char *item = option; item && !strchr(option, '=');) {
        if (!strncmp(item, name, length) && strchr(":,", item[length])) return true;
        item = strchr(item, ',');
        if (item) item++;
    }
    return false;
}

static bool is_target(const PfManifest *manifest, const char *name)
{
    for (int i = 0; i < manifest->options->target_count; i++)
        if (is_named_by(manifest->options->targets[i], name)) return true;
    return false;
}

static bool may_be_split(const PfManifest *manifest, int column)
{
    return column != manifest->path_column && !is_target(manifest, manifest->columns[column]);
}

static int warn_no_split(PfManifest *manifest, int column, const Content *content, PfError *err)
{
    const char *name = manifest->columns[column];
    const PfFoundField *found = content->others.count ? &content->others : &content->not_flags;
    if (manifest->options->target_count) return 0;
    return pf_dataset_warn(
        manifest->dataset, err,
        "column '%s' is not taken for the split, with '%s' (line %lld) in it: "
        "--split-column %s=%s validates on such lines, --target %s takes it as a target",
        name, found->text, (long long)found->line, name, found->text, name);
}

static int fail_two_splits(const PfManifest *manifest, int column, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s': columns '%s' and '%s' both look like the split. Hint: --split-column "
                   "NAME says which it is, --split-column none that there is none",
                   manifest->path, manifest->columns[manifest->split_column],
                   manifest->columns[column]);
}

static int try_usual_column(PfManifest *manifest, int column, int usual, PfError *err)
{
    Content content;
    PfSplitRule rule = {0};
    if (look_at_column(manifest, column, &content, err)) return -1;
    bool is_one = is_split(&content, usual, &rule);
    if (usual_names[usual].is_asked)
        return is_one && !manifest->options->target_count
                   ? pf_dataset_warn(manifest->dataset, err,
                                     "column '%s' is taken as a target; --split-column %s takes it "
                                     "for the split",
                                     manifest->columns[column], manifest->columns[column])
                   : 0;
    if (!is_one) return content.others.count ? warn_no_split(manifest, column, &content, err) : 0;
    if (manifest->split_column >= 0) return fail_two_splits(manifest, column, err);
    manifest->split_column = column;
    manifest->split_rule = rule;
    return 0;
}

/* The first versions took the last column of that name. */
static int search_plain_name(PfManifest *manifest, PfError *err)
{
    for (int i = 0; i < manifest->column_count; i++) {
        if (strcasecmp(manifest->columns[i], "split") || !may_be_split(manifest, i)) continue;
        if (manifest->split_column >= 0 && !manifest->options->as_before)
            return fail_two_splits(manifest, i, err);
        manifest->split_column = i;
    }
    return 0;
}

static int search_column(PfManifest *manifest, PfError *err)
{
    if (search_plain_name(manifest, err)) return -1;
    if (manifest->split_column >= 0 || manifest->options->as_before) return 0;
    int tried = 0;
    for (int i = 0; i < manifest->column_count && tried < MOST_TRIED; i++) {
        int usual = usual_name(manifest->columns[i]);
        if (usual < 0 || !may_be_split(manifest, i)) continue;
        tried++;
        if (try_usual_column(manifest, i, usual, err)) return -1;
    }
    return 0;
}

/* ---- both ---- */

static int remark_split(PfManifest *manifest, PfError *err)
{
    const char *const *names = pf_split_names;
    const PfSplitRule *rule = &manifest->split_rule;
    const char *column = manifest->columns[manifest->split_column];
    if (rule->kind == PF_SPLIT_BY_VALUES)
        return pf_dataset_remark(manifest->dataset, err,
                                 "split: column '%s', '%s' is val%s%s%s, all others are train",
                                 column, rule->val, *rule->test ? ", '" : "", rule->test,
                                 *rule->test ? "' is test" : "");
    if (rule->kind == PF_SPLIT_BY_FLAGS)
        return pf_dataset_remark(
            manifest->dataset, err, "split: column '%s', true is %s, false is %s", column,
            names[rule->of_true], rule->of_true == PF_SPLIT_TRAIN ? "val" : "train");
    return pf_dataset_remark(manifest->dataset, err, "split: column '%s'", column);
}

int pf_manifest_find_split(PfManifest *manifest, PfError *err)
{
    const char *option = manifest->options->table.split_column;
    manifest->split_column = -1;
    if (option && !strcasecmp(option, "none")) return 0;
    char *name = pf_strdup(option ? option : "", err);
    int failed =
        !name || (option ? take_named_column(manifest, name, err) : search_column(manifest, err));
    free(name);
    if (failed) return -1;
    return manifest->split_column < 0 || manifest->options->as_before ? 0
                                                                      : remark_split(manifest, err);
}

int pf_manifest_read_split(const PfManifest *manifest, const char *const *fields, PfSplit *split,
                           PfError *err)
{
    const PfSplitRule *rule = &manifest->split_rule;
    double value;
    *split = PF_SPLIT_TRAIN;
    if (manifest->split_column < 0) return 0;
    const char *field = fields[manifest->split_column];
    if (rule->kind == PF_SPLIT_BY_VALUES) {
        *split = split_of_value(rule, field);
        return 0;
    }
    if (rule->kind == PF_SPLIT_BY_WORDS) {
        if (!split_of_word(field, split)) return 0;
        return pf_manifest_fail(
            manifest, manifest->split_column, field,
            "train, val or test. Hint: where this column is no split, --split-column none says so, "
            "--split-column NAME=VALUE which value is val's, and --target split takes it as a "
            "target",
            err);
    }
    if (!is_flag(manifest, field) || pf_manifest_flag(manifest, field, &value))
        return pf_manifest_fail(manifest, manifest->split_column, field,
                                "0 or 1, true or false. Hint: --split-column none where this "
                                "column is no split",
                                err);
    *split = value != 0                        ? rule->of_true
             : rule->of_true == PF_SPLIT_TRAIN ? PF_SPLIT_VAL
                                               : PF_SPLIT_TRAIN;
    return 0;
}

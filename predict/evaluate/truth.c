#include "predict/evaluate/truth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/memory.h"

static bool holds_classes(PfTargetKind kind)
{
    return kind == PF_TARGET_CLASS;
}

static bool has_names(PfTargetKind kind)
{
    return kind == PF_TARGET_CLASS || kind == PF_TARGET_MULTILABEL;
}

/* ---- which target of the data is which of the model's ---- */

/* "'age', 'gender'" */
static void list_names(const PfCacheTarget *targets, int count, char *text, size_t size)
{
    *text = '\0';
    for (int i = 0; i < count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s'%s'", i ? ", " : "", targets[i].name);
    }
}

static const PfCacheTarget *find_named(const PfCacheTarget *targets, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(targets[i].name, name)) return &targets[i];
    return NULL;
}

static bool is_models(const PfScorer *scorer, const char *name)
{
    for (int t = 0; t < scorer->target_count; t++)
        if (!strcmp(scorer->targets[t].name, name)) return true;
    return false;
}

/* The data's only one of the kind, where the model too has only one. What is called as another
 * target of the model is that. */
static const PfCacheTarget *find_only(const PfScorer *scorer, PfTargetKind kind,
                                      const PfCacheTarget *targets, int count)
{
    const PfCacheTarget *found = NULL;
    int own = 0, others = 0;
    for (int t = 0; t < scorer->target_count; t++) own += scorer->targets[t].kind == kind;
    for (int i = 0; i < count; i++) {
        if (targets[i].kind != kind) continue;
        others++;
        if (!is_models(scorer, targets[i].name)) found = &targets[i];
    }
    return own == 1 && others == 1 ? found : NULL;
}

PfCacheTarget *pf_truth_list_targets(const PfCache *cache, PfError *err)
{
    int count = pf_cache_target_count(cache);
    PfCacheTarget *targets = pf_calloc((size_t)count + 1, sizeof *targets, err);
    for (int i = 0; targets && i < count; i++) targets[i] = *pf_cache_target(cache, i);
    return targets;
}

const PfCacheTarget *pf_truth_source(const PfScorer *scorer, int index,
                                     const PfCacheTarget *targets, int count)
{
    const PfScorerTarget *own = &scorer->targets[index];
    const PfCacheTarget *named = find_named(targets, count, own->name);
    return named ? named : find_only(scorer, own->kind, targets, count);
}

static int check_kind(const PfScorerTarget *target, const PfCacheTarget *source, const char *name,
                      PfError *err)
{
    if (target->kind != source->kind)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s': target '%s' is of kind %s, and the model's is of kind %s", name,
                       source->name, pf_target_kind_name(source->kind),
                       pf_target_kind_name(target->kind));
    if (!has_names(target->kind) && target->outputs != source->width)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s': target '%s' has %d numbers a row, and the model's has %d", name,
                       source->name, source->width, target->outputs);
    return 0;
}

/* A class of the model by its name. */
typedef struct NamedClass {
    const char *name;
    int index;
} NamedClass;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const NamedClass *)a)->name, ((const NamedClass *)b)->name);
}

static int map_classes(const PfScorerTarget *target, PfTruthTarget *truth, PfError *err)
{
    const PfCacheTarget *source = truth->source;
    if (!has_names(target->kind)) return 0;
    size_t count = (size_t)target->outputs;
    NamedClass *sorted = pf_calloc(count, sizeof *sorted, err);
    truth->model_index =
        pf_calloc((size_t)source->class_count + 1, sizeof *truth->model_index, err);
    int failed = !sorted || !truth->model_index;
    for (size_t c = 0; c < count && !failed; c++)
        sorted[c] = (NamedClass){target->classes[c], (int)c};
    if (!failed) qsort(sorted, count, sizeof *sorted, compare_names);
    for (int c = 0; c < source->class_count && !failed; c++) {
        NamedClass wanted = {.name = source->classes[c]};
        const NamedClass *found = bsearch(&wanted, sorted, count, sizeof *sorted, compare_names);
        truth->model_index[c] = found ? found->index : -1;
        truth->unknown_classes += !found;
    }
    free(sorted);
    return failed ? -1 : 0;
}

/* Where its numbers lie in a row of the data. */
static void place(PfTruthTarget *truth, const PfCacheTarget *targets)
{
    for (const PfCacheTarget *before = targets; before < truth->source; before++) {
        if (holds_classes(before->kind))
            truth->class_place++;
        else
            truth->first_value += before->width;
    }
}

static void say_unknown(const PfTruthTarget *truth)
{
    char names[256] = "";
    int told = 0;
    for (int c = 0; c < truth->source->class_count; c++) {
        size_t used = strlen(names);
        if (truth->model_index[c] >= 0 || told == 5) continue;
        told++;
        snprintf(names + used, sizeof names - used, "%s'%.32s'", *names ? ", " : "",
                 truth->source->classes[c]);
    }
    pf_warn("target '%s': %d of %d %s in the data are not known to the model: %s%s",
            truth->source->name, truth->unknown_classes, truth->source->class_count,
            holds_classes(truth->source->kind) ? "classes" : "labels", names,
            truth->unknown_classes > told ? ", ..." : "");
}

static int match(PfTruth *truth, int index, const PfCacheTarget *targets, int count,
                 const char *name, PfError *err)
{
    const PfScorerTarget *target = &truth->scorer->targets[index];
    PfTruthTarget *own = &truth->targets[index];
    own->source = pf_truth_source(truth->scorer, index, targets, count);
    if (!own->source) return 0;
    if (strcmp(own->source->name, target->name) != 0)
        pf_say("the model's target '%s' is compared with '%s', the only %s target of the data",
               target->name, own->source->name, pf_target_kind_name(target->kind));
    if (check_kind(target, own->source, name, err) || map_classes(target, own, err)) return -1;
    place(own, targets);
    if (own->unknown_classes) say_unknown(own);
    return 0;
}

/* Numbers of the data under names of their own may be what the model predicts under one: " Hint:
 * --target p:keypoints=x,y ...", to be freed. */
static char *hint_text(const PfTruth *truth, const PfCacheTarget *targets, int count, PfError *err)
{
    const PfScorerTarget *own = &truth->scorer->targets[0];
    char columns[256] = "";
    int numbers = 0;
    for (int i = 0; i < count; i++) {
        size_t used = strlen(columns);
        /* A few whole numbers look like classes, and so do class folders. */
        bool may_be_numbers = targets[i].kind == PF_TARGET_REGRESSION ||
                              (own->outputs > 1 && targets[i].kind == PF_TARGET_CLASS);
        if (!may_be_numbers || targets[i].width != 1) continue;
        snprintf(columns + used, sizeof columns - used, "%s%s", numbers++ ? "," : "",
                 targets[i].name);
    }
    if (!count || has_names(own->kind))
        return pf_strdup("labels come from class folders, from the columns of a manifest or from "
                         "a cache",
                         err);
    return pf_asprintf(err, "of a manifest, --target %s:%s=%s says which columns hold '%s'%s",
                       own->name, pf_target_kind_name(own->kind),
                       numbers == own->outputs ? columns
                       : own->outputs > 1      ? "COLUMN,..."
                                               : "COLUMN",
                       own->name, numbers == own->outputs ? "" : ", in the model's order");
}

static int fail_unmatched(const PfTruth *truth, const PfCacheTarget *targets, int count,
                          const char *name, PfError *err)
{
    char found[400];
    char *hint = hint_text(truth, targets, count, err);
    if (!hint) return -1;
    list_names(targets, count, found, sizeof found);
    pf_fail(err, PF_EXIT_USAGE, "--evaluate: '%s' has %s%s; the model predicts '%s'. Hint: %s",
            name, count ? "other targets: " : "no labels", found, truth->scorer->targets[0].name,
            hint);
    free(hint);
    return -1;
}

static int check_found(const PfTruth *truth, const PfCacheTarget *targets, int count,
                       const char *name, PfError *err)
{
    int matched = 0;
    for (int t = 0; t < truth->scorer->target_count; t++)
        matched += truth->targets[t].source != NULL;
    if (!matched) return fail_unmatched(truth, targets, count, name, err);
    for (int t = 0; t < truth->scorer->target_count; t++)
        if (!truth->targets[t].source)
            pf_warn("'%s' has no target '%s', which the model predicts: that is not evaluated",
                    name, truth->scorer->targets[t].name);
    return 0;
}

int pf_truth_new(const PfScorer *scorer, const PfCacheTarget *targets, int count, const char *name,
                 PfTruth **out, PfError *err)
{
    PfTruth *truth = pf_calloc(1, sizeof *truth, err);
    if (!truth) return -1;
    truth->scorer = scorer;
    truth->targets = pf_calloc((size_t)scorer->target_count, sizeof *truth->targets, err);
    int failed = !truth->targets;
    for (int i = 0; i < count; i++) {
        truth->class_count += holds_classes(targets[i].kind);
        truth->value_count += holds_classes(targets[i].kind) ? 0 : targets[i].width;
    }
    for (int t = 0; t < scorer->target_count && !failed; t++)
        failed = match(truth, t, targets, count, name, err);
    if (!failed) failed = check_found(truth, targets, count, name, err);
    if (failed)
        pf_truth_free(&truth);
    else
        *out = truth;
    return failed ? -1 : 0;
}

void pf_truth_free(PfTruth **truth)
{
    if (!*truth) return;
    for (int t = 0; (*truth)->targets && t < (*truth)->scorer->target_count; t++)
        free((*truth)->targets[t].model_index);
    free((*truth)->targets);
    free(*truth);
    *truth = NULL;
}

/* ---- a row ---- */

static int32_t class_of_data(const PfTruthTarget *truth, const PfTruthRow *row)
{
    int32_t class = truth->source ? row->class_indices[truth->class_place] : -1;
    return class >= 0 && class < truth->source->class_count ? class : -1;
}

int32_t pf_truth_class(const PfTruth *truth, int target, const PfTruthRow *row)
{
    const PfTruthTarget *own = &truth->targets[target];
    int32_t class = class_of_data(own, row);
    if (class < 0) return PF_TRUTH_MISSING;
    return own->model_index[class] < 0 ? PF_TRUTH_UNKNOWN : own->model_index[class];
}

const char *pf_truth_class_name(const PfTruth *truth, int target, const PfTruthRow *row)
{
    const PfTruthTarget *own = &truth->targets[target];
    int32_t class = class_of_data(own, row);
    return class < 0 ? NULL : own->source->classes[class];
}

bool pf_truth_values(const PfTruth *truth, int target, const PfTruthRow *row, float *out)
{
    const PfTruthTarget *own = &truth->targets[target];
    int outputs = truth->scorer->targets[target].outputs;
    bool any = false;
    for (int c = 0; c < outputs; c++) out[c] = NAN;
    if (!own->source) return false;
    const float *values = row->values + own->first_value;
    for (int c = 0; c < own->source->width; c++) {
        int column = own->model_index ? own->model_index[c] : c;
        if (column < 0) continue;
        out[column] = values[c];
        any |= !isnan(values[c]);
    }
    return any;
}

/* ---- of a cache ---- */

static int read_target(PfCache *cache, int index, PfTruthTable *table, int *class_place,
                       int *first_value, PfError *err)
{
    const PfCacheTarget *target = pf_cache_target(cache, index);
    bool classes = holds_classes(target->kind);
    int width = classes ? 1 : target->width;
    size_t count = (size_t)table->rows * (size_t)width;
    int32_t *labels = classes ? pf_calloc(count, sizeof *labels, err) : NULL;
    float *values = classes ? NULL : pf_calloc(count, sizeof *values, err);
    int failed = classes ? !labels || pf_cache_read_classes(cache, index, labels, err)
                         : !values || pf_cache_read_values(cache, index, values, err);
    for (int64_t i = 0; i < table->rows && !failed; i++) {
        if (classes)
            table->class_indices[i * table->class_count + *class_place] = labels[i];
        else
            memcpy(table->values + i * table->value_count + *first_value, values + i * width,
                   (size_t)width * sizeof *values);
    }
    *class_place += classes;
    *first_value += classes ? 0 : width;
    free(labels);
    free(values);
    return failed ? -1 : 0;
}

int pf_truth_table_read(PfCache *cache, PfTruthTable *out, PfError *err)
{
    int class_place = 0, first_value = 0, count = pf_cache_target_count(cache);
    *out = (PfTruthTable){.rows = pf_cache_row_count(cache)};
    for (int i = 0; i < count; i++) {
        const PfCacheTarget *target = pf_cache_target(cache, i);
        out->class_count += holds_classes(target->kind);
        out->value_count += holds_classes(target->kind) ? 0 : target->width;
    }
    out->class_indices = pf_calloc((size_t)out->rows * (size_t)out->class_count + 1,
                                   sizeof *out->class_indices, err);
    out->values =
        pf_calloc((size_t)out->rows * (size_t)out->value_count + 1, sizeof *out->values, err);
    int failed = !out->class_indices || !out->values;
    for (int i = 0; i < count && !failed; i++)
        failed = read_target(cache, i, out, &class_place, &first_value, err);
    return failed ? -1 : 0;
}

void pf_truth_table_free(PfTruthTable *table)
{
    free(table->class_indices);
    free(table->values);
    *table = (PfTruthTable){0};
}

PfTruthRow pf_truth_table_row(const PfTruthTable *table, int64_t row)
{
    return (PfTruthRow){.class_indices = table->class_indices + row * table->class_count,
                        .values = table->values + row * table->value_count};
}

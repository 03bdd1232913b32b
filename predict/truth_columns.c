#include "predict/truth_columns.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cache/split.h"

static bool is_points(const PfScorerTarget *target)
{
    return target->kind == PF_TARGET_KEYPOINTS;
}

static bool is_numbers(const PfScorerTarget *target)
{
    return target->kind == PF_TARGET_REGRESSION || is_points(target);
}

/* ---- CSV ---- */

static void head_target(const PfCsv *csv, const PfScorer *scorer, const PfScorerTarget *target)
{
    bool only = scorer->target_count == 1;
    const char *name = only ? "" : target->name, *true_ = only ? "true" : "_true";
    int columns = is_numbers(target) ? target->outputs : 1;
    for (int c = 0; c < columns; c++) {
        char ending[48];
        if (is_points(target))
            snprintf(ending, sizeof ending, "%s_%c%d", true_, c % 2 ? 'y' : 'x', c / 2);
        else if (columns > 1)
            snprintf(ending, sizeof ending, "%s_%d", true_, c);
        else
            snprintf(ending, sizeof ending, "%s", true_);
        fputc(',', csv->stream);
        pf_csv_write_column(csv, name, ending);
    }
}

void pf_truth_columns_head(const PfCsv *csv, const PfScorer *scorer)
{
    for (int t = 0; t < scorer->target_count; t++) head_target(csv, scorer, &scorer->targets[t]);
    fputs(",split", csv->stream);
}

/* "indoor;people", to be freed; NULL where memory is short. */
static char *labels_text(const PfScorerTarget *target, const float *values)
{
    char *text = NULL;
    size_t size;
    int found = 0;
    FILE *stream = open_memstream(&text, &size);
    for (int c = 0; stream && c < target->outputs; c++)
        if (values[c] > 0.5f) fprintf(stream, "%s%s", found++ ? ";" : "", target->classes[c]);
    if (stream) fclose(stream);
    return text;
}

static void write_target(const PfCsv *csv, const PfTruth *truth, int index, const PfTruthRow *row,
                         float *values)
{
    const PfScorerTarget *target = &truth->scorer->targets[index];
    if (target->kind == PF_TARGET_CLASS) {
        const char *name = pf_truth_class_name(truth, index, row);
        fputc(',', csv->stream);
        pf_csv_write_field(csv, name ? name : "");
        return;
    }
    pf_truth_values(truth, index, row, values);
    if (target->kind == PF_TARGET_MULTILABEL) {
        char *text = labels_text(target, values);
        fputc(',', csv->stream);
        pf_csv_write_field(csv, text ? text : "");
        free(text);
        return;
    }
    for (int c = 0; c < target->outputs; c++)
        fprintf(csv->stream, isfinite(values[c]) ? ",%.7g" : ",", (double)values[c]);
}

static const char *split_name(const PfLabelledSet *set, int64_t row)
{
    int part = pf_labelled_set_part(set, row);
    return part == PF_EVALUATOR_ALL ? NULL : pf_split_names[part];
}

void pf_truth_columns_write(const PfCsv *csv, const PfLabelledSet *set, int64_t row, float *values)
{
    PfTruthRow own = pf_labelled_set_row(set, row);
    const char *split = split_name(set, row);
    for (int t = 0; t < set->truth->scorer->target_count; t++)
        write_target(csv, set->truth, t, &own, values);
    fprintf(csv->stream, ",%s", split ? split : "");
}

/* ---- JSON ---- */

static cJSON *text_json(const char *text)
{
    return text ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static cJSON *labels_json(const PfScorerTarget *target, const float *values)
{
    cJSON *list = cJSON_CreateArray();
    for (int c = 0; c < target->outputs; c++)
        if (values[c] > 0.5f) cJSON_AddItemToArray(list, cJSON_CreateString(target->classes[c]));
    return list;
}

/* A number, a list of them, or a list of points; as predictions have them. */
static cJSON *numbers_json(const PfScorerTarget *target, const float *values)
{
    if (!is_points(target) && target->outputs == 1) return cJSON_CreateNumber((double)values[0]);
    cJSON *list = cJSON_CreateArray();
    for (int c = 0; c < target->outputs; c += is_points(target) ? 2 : 1) {
        const double pair[2] = {(double)values[c], is_points(target) ? (double)values[c + 1] : 0};
        cJSON_AddItemToArray(list, is_points(target) ? cJSON_CreateDoubleArray(pair, 2)
                                                     : cJSON_CreateNumber(pair[0]));
    }
    return list;
}

static cJSON *target_json(const PfTruth *truth, int index, const PfTruthRow *row, float *values)
{
    const PfScorerTarget *target = &truth->scorer->targets[index];
    if (target->kind == PF_TARGET_CLASS) return text_json(pf_truth_class_name(truth, index, row));
    if (!pf_truth_values(truth, index, row, values)) return cJSON_CreateNull();
    return target->kind == PF_TARGET_MULTILABEL ? labels_json(target, values)
                                                : numbers_json(target, values);
}

/* Labels of the data of which the row does not say whether they are there, while it says so of
 * others; NULL where there are none. */
static cJSON *unknown_json(const PfTruth *truth, int index, const PfTruthRow *row, float *values)
{
    const PfScorerTarget *target = &truth->scorer->targets[index];
    cJSON *list = NULL;
    if (target->kind != PF_TARGET_MULTILABEL || !pf_truth_values(truth, index, row, values))
        return NULL;
    const PfTruthTarget *own = &truth->targets[index];
    for (int c = 0; c < own->source->width; c++) {
        int label = own->model_index[c];
        if (label < 0 || !isnan(values[label])) continue;
        if (!list) list = cJSON_CreateArray();
        cJSON_AddItemToArray(list, cJSON_CreateString(target->classes[label]));
    }
    return list;
}

/* "unknown": a list as "true" is, or an object of them, of targets that have any. */
static void add_unknown(cJSON *json, const PfTruth *truth, const PfTruthRow *row, float *values)
{
    bool only = truth->scorer->target_count == 1;
    cJSON *all = only ? json : NULL;
    for (int t = 0; t < truth->scorer->target_count; t++) {
        cJSON *list = unknown_json(truth, t, row, values);
        if (!list) continue;
        if (!all) all = cJSON_AddObjectToObject(json, "unknown");
        cJSON_AddItemToObject(all, only ? "unknown" : truth->scorer->targets[t].name, list);
    }
}

cJSON *pf_truth_columns_json(const PfLabelledSet *set, int64_t row, float *values)
{
    const PfTruth *truth = set->truth;
    PfTruthRow own = pf_labelled_set_row(set, row);
    cJSON *json = cJSON_CreateObject(), *all = json;
    bool only = truth->scorer->target_count == 1;
    if (!only) all = cJSON_AddObjectToObject(json, "true");
    for (int t = 0; t < truth->scorer->target_count; t++)
        cJSON_AddItemToObject(all, only ? "true" : truth->scorer->targets[t].name,
                              target_json(truth, t, &own, values));
    add_unknown(json, truth, &own, values);
    cJSON_AddItemToObject(json, "split", text_json(split_name(set, row)));
    return json;
}

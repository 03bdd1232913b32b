#include "predict/evaluate/evaluator.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/cache/split.h"
#include "train/features/target_kind.h"

const char *pf_evaluator_part_name(int part)
{
    return part == PF_EVALUATOR_ALL ? "all" : pf_split_names[part];
}

static PfEvaluatorScore *score_at(const PfEvaluator *evaluator, int part, int target)
{
    return &evaluator->scores[part * evaluator->scorer->target_count + target];
}

const PfEvaluatorScore *pf_evaluator_score(const PfEvaluator *evaluator, int part, int target)
{
    return score_at(evaluator, part, target);
}

int pf_evaluator_new(const PfTruth *truth, int threads, PfEvaluator **out, PfError *err)
{
    const PfScorer *scorer = truth->scorer;
    PfEvaluator *evaluator = pf_calloc(1, sizeof *evaluator, err);
    if (!evaluator) return -1;
    *evaluator = (PfEvaluator){.scorer = scorer, .truth = truth, .threads = threads};
    evaluator->scores = pf_calloc((size_t)(PF_EVALUATOR_PARTS * scorer->target_count),
                                  sizeof *evaluator->scores, err);
    evaluator->values = pf_calloc((size_t)scorer->outputs, sizeof *evaluator->values, err);
    if (!evaluator->scores || !evaluator->values) {
        pf_evaluator_free(&evaluator);
        return -1;
    }
    for (int part = 0; part < PF_EVALUATOR_PARTS; part++)
        for (int t = 0; t < scorer->target_count; t++)
            score_at(evaluator, part, t)->metrics =
                pf_target_traits(scorer->targets[t].kind)->metrics;
    *out = evaluator;
    return 0;
}

static void stop_meter(PfEvaluatorScore *score)
{
    if (score->meter) score->metrics->stop(score->meter);
    score->meter = NULL;
}

void pf_evaluator_free(PfEvaluator **evaluator)
{
    if (!*evaluator) return;
    int count = PF_EVALUATOR_PARTS * (*evaluator)->scorer->target_count;
    for (int i = 0; (*evaluator)->scores && i < count; i++) {
        PfEvaluatorScore *score = &(*evaluator)->scores[i];
        stop_meter(score);
        if (score->values) score->metrics->clear(score->values);
        free(score->values);
    }
    free((*evaluator)->scores);
    free((*evaluator)->values);
    free(*evaluator);
    *evaluator = NULL;
}

void pf_evaluator_set_threshold(PfEvaluator *evaluator, double probability)
{
    evaluator->label_threshold = (float)log(probability / (1 - probability));
}

/* ---- rows ---- */

/* AUC takes most of the time, and says nothing of rows that were trained on. */
static int start_meter(const PfEvaluator *evaluator, int part, int width, PfEvaluatorScore *score,
                       PfError *err)
{
    const PfMetrics *metrics = score->metrics;
    bool with_auc = part != PF_SPLIT_TRAIN;
    if (metrics->start(width, evaluator->threads, with_auc, &score->meter, err)) return -1;
    if (metrics->set_threshold) metrics->set_threshold(score->meter, evaluator->label_threshold);
    return 0;
}

static int add_rows(PfEvaluator *evaluator, int part, int target, const PfMeterRows *rows,
                    PfError *err)
{
    PfEvaluatorScore *score = score_at(evaluator, part, target);
    if (!score->meter && start_meter(evaluator, part, (int)rows->width, score, err)) return -1;
    score->rows++;
    return score->metrics->add(score->meter, rows, err);
}

int pf_evaluator_add(PfEvaluator *evaluator, int part, const PfTruthRow *row, const float *logits,
                     const float *outputs, PfError *err)
{
    for (int t = 0; t < evaluator->scorer->target_count; t++) {
        const PfScorerTarget *target = &evaluator->scorer->targets[t];
        PfEvaluatorScore *score = score_at(evaluator, part, t);
        if (!evaluator->truth->targets[t].source) continue; /* a warning has said so */
        PfMeterRows rows = {
            .n = 1,
            .outputs = (target->classes ? logits : outputs) + target->first,
            .stride = target->outputs,
            .width = target->outputs,
        };
        int32_t label = PF_TRUTH_MISSING;
        bool known;
        if (target->kind == PF_TARGET_CLASS) {
            label = pf_truth_class(evaluator->truth, t, row);
            rows.labels = &label;
            known = label >= 0;
        } else {
            known = pf_truth_values(evaluator->truth, t, row, evaluator->values);
            rows.values = evaluator->values;
        }
        if (label == PF_TRUTH_UNKNOWN) score->unknown++;
        if (!known && label != PF_TRUTH_UNKNOWN) score->unlabelled++;
        if (known && add_rows(evaluator, part, t, &rows, err)) return -1;
    }
    return 0;
}

int pf_evaluator_finish(PfEvaluator *evaluator, PfError *err)
{
    int64_t rows = 0, unknown = 0, unlabelled = 0;
    int count = PF_EVALUATOR_PARTS * evaluator->scorer->target_count;
    for (int i = 0; i < count; i++) {
        PfEvaluatorScore *score = &evaluator->scores[i];
        rows += score->rows;
        unknown += score->unknown;
        unlabelled += score->unlabelled;
        if (!score->rows) continue;
        score->values = pf_calloc(1, score->metrics->size, err);
        if (!score->values || score->metrics->finish(score->meter, score->values, err)) return -1;
        stop_meter(score);
    }
    if (rows) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--evaluate: no row has a label that the model knows (%lld without a label, "
                   "%lld of classes that the model does not know)",
                   (long long)unlabelled, (long long)unknown);
}

/* ---- for people ---- */

/* "  accuracy                 0.9400 [0.876, 0.972]"; of rows that were trained on an interval says
 * nothing. */
static void print_field(const PfMetricField *field, const void *values, bool with_interval)
{
    double value = pf_field_value(field, values);
    PfInterval interval = pf_field_interval(field, values);
    bool large = fabs(value) >= 1e6;
    char shown[32], ends[64] = "";
    if (!field->title || isnan(value)) return;
    snprintf(shown, sizeof shown, large ? "%.4g" : "%.4f", value);
    if (with_interval && !isnan(interval.low))
        snprintf(ends, sizeof ends, large ? "  [%.3g, %.3g]" : "  [%.3f, %.3f]", interval.low,
                 interval.high);
    pf_say("  %-22s %10s%s", field->title, shown, ends);
}

static void print_score(const PfEvaluator *evaluator, int part, int target)
{
    const PfEvaluatorScore *score = score_at(evaluator, part, target);
    const PfScorerTarget *own = &evaluator->scorer->targets[target];
    bool is_train = part == PF_SPLIT_TRAIN;
    char left_out[128] = "";
    int used = 0;
    if (score->unlabelled)
        used = snprintf(left_out, sizeof left_out, ", %lld without a label",
                        (long long)score->unlabelled);
    if (score->unknown)
        snprintf(left_out + used, sizeof left_out - (size_t)used,
                 ", %lld of classes that the model does not know", (long long)score->unknown);
    if (!score->rows && !*left_out) return;
    pf_say("%s of '%s': %lld rows%s%s", pf_evaluator_part_name(part), own->name,
           (long long)score->rows, left_out, score->rows && !is_train ? "  [95 % interval]" : "");
    if (!score->rows) return;
    const void *fields_of = (const char *)score->values + score->metrics->fields_at;
    for (const PfMetricField *field = score->metrics->fields; field->key; field++)
        print_field(field, fields_of, !is_train);
}

void pf_evaluator_print(const PfEvaluator *evaluator)
{
    for (int t = 0; t < evaluator->scorer->target_count; t++) {
        int detailed = -1;
        for (int part = 0; part < PF_EVALUATOR_PARTS; part++) {
            print_score(evaluator, part, t);
            if (score_at(evaluator, part, t)->rows) detailed = part;
        }
        if (detailed < 0) continue;
        const PfEvaluatorScore *score = score_at(evaluator, detailed, t);
        score->metrics->print(score->values,
                              (const char *const *)evaluator->scorer->targets[t].classes,
                              pf_evaluator_part_name(detailed));
    }
}

/* ---- JSON ---- */

static cJSON *score_json(const PfEvaluatorScore *score, const PfScorerTarget *target)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddNumberToObject(json, "rows", (double)score->rows);
    cJSON_AddNumberToObject(json, "unlabelled", (double)score->unlabelled);
    if (target->kind == PF_TARGET_CLASS)
        cJSON_AddNumberToObject(json, "unknown_class", (double)score->unknown);
    if (!score->rows) return json;
    const void *fields_of = (const char *)score->values + score->metrics->fields_at;
    pf_metrics_add_fields(json, score->metrics->fields, fields_of, true);
    score->metrics->add_json(score->values, (const char *const *)target->classes, json);
    return json;
}

static bool has_rows(const PfEvaluatorScore *score)
{
    return score->rows || score->unlabelled || score->unknown;
}

cJSON *pf_evaluator_json(const PfEvaluator *evaluator)
{
    const PfScorer *scorer = evaluator->scorer;
    cJSON *json = cJSON_CreateObject();
    for (int part = 0; part < PF_EVALUATOR_PARTS; part++) {
        const char *name = pf_evaluator_part_name(part);
        cJSON *split = NULL;
        for (int t = 0; t < scorer->target_count; t++) {
            const PfEvaluatorScore *score = score_at(evaluator, part, t);
            if (!has_rows(score) || !evaluator->truth->targets[t].source) continue;
            cJSON *own = score_json(score, &scorer->targets[t]);
            if (scorer->target_count > 1 && !split) split = cJSON_AddObjectToObject(json, name);
            cJSON_AddItemToObject(split ? split : json, split ? scorer->targets[t].name : name,
                                  own);
        }
    }
    return json;
}

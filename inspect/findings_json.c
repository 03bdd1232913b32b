#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/process.h"
#include "common/base/result_stamp.h"
#include "common/cache/split.h"
#include "common/file/atomic_file.h"
#include "inspect/findings_file.h"
#include "inspect/words.h"

/* Of more classes the joint is left out: it has a number for each pair of them. */
#define MOST_JOINT_CLASSES 1024

typedef struct Json {
    const PfInspectOptions *options;
    const PfRows *rows;
} Json;

static void add_number(cJSON *object, const char *key, double value)
{
    cJSON_AddNumberToObject(object, key, value);
}

static void add_interval(cJSON *object, const PfInterval *interval)
{
    const double ends[] = {interval->low, interval->high};
    cJSON_AddItemToObject(object, "interval", cJSON_CreateDoubleArray(ends, 2));
}

static void add_class(const Json *json, cJSON *object, const char *key, int32_t class)
{
    if (class >= 0)
        cJSON_AddStringToObject(object, key, json->rows->classes[class]);
    else
        cJSON_AddNullToObject(object, key);
}

static cJSON *text_of_row(const Json *json, int64_t row)
{
    char name[PF_ROW_NAME_SIZE];
    return cJSON_CreateString(pf_words_name(json->options, json->rows, row, name));
}

/* An object of a list that begins with the image. */
static cJSON *add_row(const Json *json, cJSON *list, int64_t row)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToArray(list, object);
    cJSON_AddItemToObject(object, "path", text_of_row(json, row));
    add_number(object, "row", (double)row);
    cJSON_AddStringToObject(object, "split", pf_split_names[json->rows->splits[row]]);
    return object;
}

static void add_rows(const Json *json, cJSON *object, const char *key, const int32_t *rows,
                     int64_t count)
{
    cJSON *list = cJSON_AddArrayToObject(object, key);
    for (int64_t i = 0; i < count; i++) cJSON_AddItemToArray(list, text_of_row(json, rows[i]));
}

/* The member for a finding: NULL where nobody asked, or it only says why it was not looked for. */
static cJSON *add_finding(cJSON *root, const char *key, const PfFindingStatus *status)
{
    if (!status->done && !*status->reason) return NULL;
    cJSON *object = cJSON_AddObjectToObject(root, key);
    cJSON_AddBoolToObject(object, "done", status->done);
    if (status->done) return object;
    cJSON_AddStringToObject(object, "reason", status->reason);
    return NULL;
}

/* ---- the findings ---- */

static void add_neighbours(cJSON *root, const PfNeighbourLists *found)
{
    const PfNeighboursWay *way = &found->way;
    cJSON *object = add_finding(root, "neighbours", &found->status);
    if (!object) return;
    cJSON_AddStringToObject(object, "by", way->by_cells ? "cells" : "all pairs");
    if (way->by_cells) {
        add_number(object, "cells", way->cells);
        add_number(object, "probes", way->probes);
        add_number(object, "share_of_pairs", way->compared);
        add_number(object, "sampled", way->sampled);
    }
    cJSON *lists = cJSON_AddArrayToObject(object, "lists");
    for (int list = 0; list < found->count; list++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(lists, item);
        cJSON_AddStringToObject(item, "among", found->of_train_rows[list] ? "train" : "all");
        add_number(item, "k", found->k[list]);
        add_number(item, "recall", way->by_cells ? way->recall[list] : 1);
        add_number(item, "recall_nearest", way->by_cells ? way->recall_nearest[list] : 1);
    }
}

static void add_duplicates(const Json *json, cJSON *root, const PfDuplicates *found)
{
    cJSON *object = add_finding(root, "duplicates", &found->status);
    if (!object) return;
    add_number(object, "threshold", found->threshold);
    cJSON_AddStringToObject(object, "threshold_by", found->threshold_given ? "option" : "data");
    add_number(object, "typical_similarity", found->typical);
    add_number(object, "dimension", found->dimension);
    add_number(object, "pixels_compared", (double)found->hashed_rows);
    if (found->hashed_rows) add_number(object, "pixel_bits", found->hash_bits);
    cJSON *groups = cJSON_AddArrayToObject(object, "groups");
    for (int64_t g = 0; g < found->group_count; g++) {
        const PfDuplicateGroup *from = &found->groups[g];
        const int32_t *members = found->members + from->first;
        cJSON *group = cJSON_CreateObject();
        cJSON_AddItemToArray(groups, group);
        add_rows(json, group, "paths", members, from->count);
        cJSON *rows = cJSON_AddArrayToObject(group, "rows");
        cJSON *splits = cJSON_AddArrayToObject(group, "splits");
        for (int64_t m = 0; m < from->count; m++) {
            cJSON_AddItemToArray(rows, cJSON_CreateNumber(members[m]));
            cJSON_AddItemToArray(
                splits, cJSON_CreateString(pf_split_names[json->rows->splits[members[m]]]));
        }
        add_number(group, "similarity", (double)from->similarity);
        cJSON_AddBoolToObject(group, "exact", from->is_exact);
        cJSON_AddBoolToObject(group, "by_pixels", from->by_pixels);
        cJSON_AddBoolToObject(group, "crosses_splits", from->crosses_splits);
        cJSON_AddBoolToObject(group, "two_labels", from->has_two_labels);
    }
}

static void add_joint(cJSON *object, const PfLabelErrors *found)
{
    cJSON *joint = cJSON_AddArrayToObject(object, "joint");
    for (int c = 0; c < found->classes; c++)
        cJSON_AddItemToArray(
            joint,
            cJSON_CreateDoubleArray(found->joint + (int64_t)c * found->classes, found->classes));
}

static void add_label_errors(const Json *json, cJSON *root, const PfLabelErrors *found)
{
    cJSON *object = add_finding(root, "labels", &found->status);
    if (!object) return;
    add_number(object, "folds", found->folds);
    add_number(object, "rows", (double)found->rows);
    add_number(object, "accuracy", found->accuracy);
    add_number(object, "noise", found->noise);
    if (found->classes <= MOST_JOINT_CLASSES) add_joint(object, found);
    cJSON *errors = cJSON_AddArrayToObject(root, "label_errors");
    for (int64_t i = 0; i < found->count; i++) {
        const PfLabelError *error = &found->errors[i];
        cJSON *item = add_row(json, errors, error->row);
        add_class(json, item, "given", error->given);
        add_class(json, item, "suggested", error->suggested);
        add_number(item, "self_confidence", (double)error->self_confidence);
        add_number(item, "suggested_probability", (double)error->suggested_probability);
        add_class(json, item, "neighbours", error->knn_label);
        add_number(item, "neighbours_agree", (double)error->knn_agreement);
    }
}

static void add_outliers(const Json *json, cJSON *root, const PfOutliers *found)
{
    cJSON *object = add_finding(root, "outliers", &found->status);
    if (!object) return;
    add_number(object, "neighbour", found->k);
    add_number(object, "threshold", found->threshold);
    add_number(object, "typical_distance", found->typical);
    cJSON *list = cJSON_AddArrayToObject(object, "images");
    for (int64_t i = 0; i < found->count; i++)
        add_number(add_row(json, list, found->outliers[i].row), "distance",
                   (double)found->outliers[i].distance);
}

static void add_classes(const Json *json, cJSON *root, const PfClassFindings *found)
{
    cJSON *object = add_finding(root, "classes", &found->status);
    if (!object) return;
    cJSON *list = cJSON_AddArrayToObject(object, "classes");
    for (int32_t c = 0; c < found->classes; c++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        add_class(json, item, "name", c);
        for (int s = 0; s < PF_SPLIT_COUNT; s++)
            add_number(item, pf_split_names[s], (double)found->counts[c * PF_SPLIT_COUNT + s]);
    }
    add_number(object, "unlabelled", (double)found->unlabelled);
    if (!found->has_overlap) return;
    add_number(object, "neighbours", found->k);
    cJSON *pairs = cJSON_AddArrayToObject(object, "overlap");
    for (int64_t p = 0; p < found->pair_count; p++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(pairs, item);
        add_class(json, item, "of", found->pairs[p].of);
        add_class(json, item, "taken_for", found->pairs[p].taken_for);
        add_number(item, "share", found->pairs[p].share);
    }
}

static void add_features(const Json *json, cJSON *root, const PfFeatureFindings *found)
{
    cJSON *object = add_finding(root, "features", &found->status);
    if (!object) return;
    cJSON *constant = cJSON_AddArrayToObject(object, "constant");
    for (int64_t i = 0; i < found->constant_count; i++)
        cJSON_AddItemToArray(constant, cJSON_CreateNumber(found->constant[i]));
    add_rows(json, object, "not_finite", found->broken, found->broken_count);
    add_rows(json, object, "zero", found->zero, found->zero_count);
}

static void add_knn(cJSON *root, const char *key, const PfKnnScores *found)
{
    cJSON *object = add_finding(root, key, &found->status);
    if (!object) return;
    add_number(object, "temperature", found->temperature);
    cJSON *list = cJSON_AddArrayToObject(object, "scores");
    for (int s = 0; s < found->count; s++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        add_number(item, "k", found->scores[s].k);
        add_number(item, "rows", (double)found->scores[s].count);
        add_number(item, "accuracy", found->scores[s].accuracy);
        add_interval(item, &found->scores[s].interval);
    }
}

static void add_few_shot(cJSON *root, const PfFewShot *found)
{
    cJSON *object = add_finding(root, "few_shot", &found->status);
    if (!object) return;
    add_number(object, "seeds", found->seeds);
    add_number(object, "test_rows", (double)found->test_rows);
    cJSON *list = cJSON_AddArrayToObject(object, "points");
    for (int p = 0; p < found->count; p++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(list, item);
        add_number(item, "images", found->points[p].shots);
        add_number(item, "accuracy", found->points[p].mean);
        add_number(item, "lowest", found->points[p].low);
        add_number(item, "highest", found->points[p].high);
        add_number(item, "deviation", found->points[p].deviation);
    }
}

static void add_odd(const Json *json, cJSON *root, const PfOddImages *found)
{
    static const char *const names[PF_PIXEL_STATISTICS] = {"width", "height", "mean", "deviation",
                                                           "laplacian_variance"};
    cJSON *object = add_finding(root, "pixels", &found->status);
    if (!object) return;
    cJSON_AddStringToObject(object, "by", found->from_cache ? "cache" : "images");
    add_number(object, "unreadable", (double)found->unreadable);
    cJSON *list = cJSON_AddArrayToObject(object, "images");
    for (int64_t i = 0; i < found->count; i++) {
        cJSON *item = add_row(json, list, found->images[i].row);
        cJSON *oddities = cJSON_AddArrayToObject(item, "odd");
        for (int o = 0; o < PF_ODDITY_COUNT; o++)
            if (found->images[i].oddities & 1u << o)
                cJSON_AddItemToArray(oddities, cJSON_CreateString(pf_oddity_names[o]));
        for (int s = 0; s < PF_PIXEL_STATISTICS; s++)
            add_number(item, names[s], (double)found->images[i].statistics[s]);
    }
}

static void add_next(const Json *json, cJSON *root, const PfNextLabels *found)
{
    cJSON *object = add_finding(root, "label_next", &found->status);
    if (!object) return;
    add_number(object, "unlabelled", (double)found->unlabelled);
    cJSON *list = cJSON_AddArrayToObject(object, "images");
    for (int64_t i = 0; i < found->count; i++) {
        cJSON *item = add_row(json, list, found->rows[i].row);
        add_number(item, "uncertainty", (double)found->rows[i].uncertainty);
        add_number(item, "distance", (double)found->rows[i].distance);
    }
}

static void add_models(const Json *json, cJSON *root, const PfModelComparison *found)
{
    cJSON *object = add_finding(root, "models", &found->status);
    if (!object) return;
    cJSON_AddStringToObject(object, "split", found->split);
    cJSON_AddBoolToObject(object, "may_be_learned", found->may_be_learned);
    add_number(object, "rows", (double)found->rows);
    cJSON *models = cJSON_AddArrayToObject(object, "models");
    for (int m = 0; m < found->model_count; m++) {
        const PfComparedModel *model = &found->models[m];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(models, item);
        char number[32];
        snprintf(number, sizeof number, "model %d", m + 1);
        cJSON_AddStringToObject(item, "path", json->options->anonymous ? number : model->path);
        add_number(item, "accuracy", model->accuracy);
        add_interval(item, &model->interval);
        add_number(item, "macro_recall", model->macro_recall);
        add_number(item, "log_loss", model->log_loss);
    }
    cJSON *pairs = cJSON_AddArrayToObject(object, "pairs");
    for (int p = 0; p < found->pair_count; p++) {
        const PfComparedPair *pair = &found->pairs[p];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddItemToArray(pairs, item);
        add_number(item, "a", pair->a);
        add_number(item, "b", pair->b);
        add_number(item, "only_a_right", (double)pair->only_a);
        add_number(item, "only_b_right", (double)pair->only_b);
        add_number(item, "difference", pair->difference);
        add_interval(item, &pair->interval);
        add_number(item, "mcnemar_p", pair->p);
    }
}

static void add_near(const Json *json, cJSON *root, const PfNearImages *found)
{
    cJSON *object = add_finding(root, "near", &found->status);
    if (!object) return;
    cJSON_AddStringToObject(object, "image", json->options->anonymous ? "" : found->image);
    cJSON *list = cJSON_AddArrayToObject(object, "images");
    for (int64_t i = 0; i < found->count; i++) {
        cJSON *item = add_row(json, list, found->images[i].row);
        add_number(item, "similarity", (double)found->images[i].similarity);
        if (json->rows->labels)
            add_class(json, item, "label", json->rows->labels[found->images[i].row]);
    }
}

/* A hundredth of a point on a page of 1,000 is less than this. */
static double shortened(float value)
{
    return round(1e3 * (double)value) / 1e3;
}

static void add_map(const Json *json, cJSON *root, const PfMap *map)
{
    PfFindingStatus status = {.done = map->positions != NULL};
    snprintf(status.reason, sizeof status.reason, "%s", map->reason);
    cJSON *object = add_finding(root, "map", &status);
    if (!object) return;
    cJSON_AddStringToObject(object, "method", "t-SNE");
    add_number(object, "placed", (double)map->placed);
    add_number(object, "trustworthiness", map->trustworthiness);
    add_number(object, "neighbours", PF_MAP_TRUSTED_NEIGHBOURS);
    cJSON *positions = cJSON_AddArrayToObject(object, "positions");
    for (int64_t i = 0; i < json->rows->count; i++) {
        const float *at = map->positions + 2 * i;
        const double place[2] = {shortened(at[0]), shortened(at[1])};
        cJSON_AddItemToArray(positions,
                             isnan(at[0]) ? cJSON_CreateNull() : cJSON_CreateDoubleArray(place, 2));
    }
}

static cJSON *make(const Json *json, const PfFindings *findings, const PfMap *map)
{
    const PfRows *rows = json->rows;
    cJSON *root = cJSON_CreateObject();
    /* A command names paths. */
    pf_result_stamp_add(root, json->options->anonymous ? 0 : json->options->argc,
                        json->options->argv, NULL);
    cJSON_AddStringToObject(root, "cache",
                            json->options->anonymous ? "" : pf_cache_path(rows->cache));
    cJSON_AddStringToObject(root, "program", "inspect (permafrost) " PF_VERSION);
    cJSON_AddBoolToObject(root, "anonymous", json->options->anonymous);
    add_number(root, "rows", (double)rows->count);
    cJSON_AddStringToObject(root, "tap", pf_cache_tap(rows->cache, rows->tap)->name);
    add_number(root, "feature_count", (double)rows->features);
    if (rows->target) cJSON_AddStringToObject(root, "target", rows->target);
    add_neighbours(root, &findings->neighbours);
    add_near(json, root, &findings->near);
    add_features(json, root, &findings->features);
    add_classes(json, root, &findings->classes);
    add_duplicates(json, root, &findings->duplicates);
    add_label_errors(json, root, &findings->labels);
    add_outliers(json, root, &findings->outliers);
    add_odd(json, root, &findings->odd);
    add_knn(root, "knn", &findings->knn);
    add_knn(root, "knn_held_out", &findings->knn_held_out);
    add_few_shot(root, &findings->few_shot);
    add_next(json, root, &findings->next);
    add_models(json, root, &findings->models);
    if (json->options->map) add_map(json, root, map);
    return root;
}

int pf_findings_write_json(const PfInspectOptions *options, const PfRows *rows,
                           const PfFindings *findings, const PfMap *map, PfError *err)
{
    Json json = {options, rows};
    pf_json_begin();
    char *compact = pf_json_finish(make(&json, findings, map), "the findings", err);
    char *text = compact ? pf_asprintf(err, "%s\n", compact) : NULL;
    free(compact);
    if (!text) return -1;
    int failed = strcmp(options->json, "-")
                     ? pf_atomic_file_write(options->json, text, strlen(text), err)
                     : pf_process_write_output(text, err);
    free(text);
    return failed;
}

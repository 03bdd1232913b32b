#include "predict/model/scorer.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "train/head/head_tensors.h"
#include "train/kernels/loss.h"
#include "train/kernels/vector_math.h"

static int read_kind(const PfModel *model, const cJSON *json, PfTargetKind *kind, PfError *err)
{
    const char *name = pf_json_member_text(json, "kind");
    if (name && !pf_target_kind_from_name(name, kind)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s': a target is of kind '%s', which this program does not know",
                   pf_model_path(model), name ? name : "nothing");
}

static int read_target(PfScorer *scorer, const PfModel *model, const cJSON *json, PfError *err)
{
    PfScorerTarget *target = &scorer->targets[scorer->target_count++];
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(json, "classes"), *name;
    *target = (PfScorerTarget){
        .name = pf_json_member_text(json, "name") ? pf_json_member_text(json, "name") : "target",
        .outputs = (int)pf_model_tensor(model, pf_json_member_text(json, "weight"))->shape.dims[0],
        .first = scorer->outputs,
    };
    scorer->outputs += target->outputs;
    if (read_kind(model, json, &target->kind, err)) return -1;
    if (!cJSON_GetArraySize(classes)) {
        if (target->kind != PF_TARGET_CLASS && target->kind != PF_TARGET_MULTILABEL) return 0;
        return pf_fail(err, PF_EXIT_FAILED, "model '%s' does not name the classes of target '%s'",
                       pf_model_path(model), target->name);
    }
    target->classes = pf_calloc((size_t)target->outputs, sizeof *target->classes, err);
    if (!target->classes) return -1;
    int c = 0;
    cJSON_ArrayForEach(name, classes) target->classes[c++] = name->valuestring;
    return 0;
}

static int read_targets(PfScorer *scorer, const PfModel *model, PfError *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "targets");
    const cJSON *json;
    scorer->targets = pf_calloc((size_t)cJSON_GetArraySize(list), sizeof *scorer->targets, err);
    if (!scorer->targets) return -1;
    cJSON_ArrayForEach(json, list)
    {
        if (read_target(scorer, model, json, err)) return -1;
    }
    return 0;
}

int pf_scorer_new(const PfModel *model, PfScorer **out, PfError *err)
{
    const cJSON *metadata = pf_model_metadata(model);
    const char *normalize =
        pf_json_member_text(cJSON_GetObjectItemCaseSensitive(metadata, "config"), "normalize");
    PfScorer *scorer = pf_calloc(1, sizeof *scorer, err);
    if (!scorer) return -1;
    scorer->tap = pf_json_member_text(metadata, "tap");
    scorer->unit_length = normalize && !strcmp(normalize, "l2");
    if (read_targets(scorer, model, err) || pf_head_tensors_read(model, &scorer->network, err)) {
        pf_scorer_free(&scorer);
        return -1;
    }
    scorer->features = scorer->network->features;
    *out = scorer;
    return 0;
}

void pf_scorer_free(PfScorer **scorer)
{
    if (!*scorer) return;
    for (int t = 0; (*scorer)->targets && t < (*scorer)->target_count; t++)
        free((*scorer)->targets[t].classes);
    free((*scorer)->targets);
    pf_head_pass_free(&(*scorer)->pass);
    pf_head_network_free(&(*scorer)->network);
    free((*scorer)->class_text);
    free((*scorer)->rows);
    free((*scorer)->logits);
    free((*scorer)->room);
    pf_novelty_free(&(*scorer)->novelty);
    free(*scorer);
    *scorer = NULL;
}

static int reserve(PfScorer *scorer, int64_t count, PfError *err)
{
    if (count <= scorer->capacity) return 0;
    free(scorer->rows);
    free(scorer->logits);
    scorer->logits = NULL;
    pf_head_pass_free(&scorer->pass);
    scorer->capacity = 0;
    scorer->rows = pf_alloc_aligned((size_t)(count * scorer->features), sizeof(float), err);
    if (!scorer->rows || pf_head_pass_new(scorer->network, count, 0, &scorer->pass, err)) return -1;
    if (scorer->keeps_logits)
        scorer->logits = pf_alloc_aligned((size_t)(count * scorer->outputs), sizeof(float), err);
    if (scorer->keeps_logits && !scorer->logits) return -1;
    scorer->capacity = count;
    return 0;
}

static void scale_to_unit_length(float *row, int64_t features)
{
    double squares = pf_sum_of_squares(row, features);
    float scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (int64_t i = 0; i < features; i++) row[i] *= scale;
}

static void finish_target(const PfScorer *scorer, const PfScorerTarget *target, float *outputs,
                          int64_t count)
{
    float *columns = outputs + target->first;
    PfSoftmaxBatch batch = {
        .rows = count, .heads = 1, .classes = target->outputs, .stride = scorer->outputs};
    if (target->kind == PF_TARGET_CLASS) pf_softmax_probabilities(&batch, columns);
    for (int64_t i = 0; target->kind == PF_TARGET_MULTILABEL && i < count; i++)
        pf_sigmoid(columns + i * scorer->outputs, target->outputs, columns + i * scorer->outputs);
}

int pf_scorer_score(PfScorer *scorer, int64_t count, const void *features, PfDtype dtype,
                    const float **outputs, PfError *err)
{
    if (reserve(scorer, count, err)) return -1;
    pf_f32_from_dtype_array(scorer->rows, features, dtype, (size_t)(count * scorer->features));
    for (int64_t i = 0; i < count && scorer->unit_length; i++)
        scale_to_unit_length(scorer->rows + i * scorer->features, scorer->features);
    float *scores = pf_head_forward(scorer->network, scorer->pass, scorer->rows, count, NULL);
    if (scorer->keeps_logits)
        memcpy(scorer->logits, scores, (size_t)(count * scorer->outputs) * sizeof *scores);
    for (int t = 0; t < scorer->target_count; t++)
        finish_target(scorer, &scorer->targets[t], scores, count);
    *outputs = scores;
    return 0;
}

/* A square of a float is no infinity in doubles. */
bool pf_scorer_is_finite(const PfScorer *scorer, int64_t index)
{
    const float *row = scorer->rows + index * scorer->features;
    return isfinite(pf_sum_of_squares(row, scorer->features));
}

int pf_scorer_want_novelty(PfScorer *scorer, const PfModel *model, PfError *err)
{
    if (pf_novelty_read(model, scorer->features, &scorer->novelty, err)) return -1;
    scorer->room = pf_calloc((size_t)scorer->features, sizeof *scorer->room, err);
    return scorer->room ? 0 : -1;
}

double pf_scorer_novelty(const PfScorer *scorer, int64_t index)
{
    if (!scorer->novelty) return NAN;
    return pf_novelty_percentile(scorer->novelty, scorer->rows + index * scorer->features,
                                 scorer->room);
}

void pf_scorer_to_image(const PfScorer *scorer, const PfCropFrame *frame, const float *outputs,
                        float *out)
{
    memcpy(out, outputs, (size_t)scorer->outputs * sizeof *out);
    for (int t = 0; t < scorer->target_count; t++) {
        const PfScorerTarget *target = &scorer->targets[t];
        if (target->kind == PF_TARGET_KEYPOINTS)
            pf_crop_geometry_points_to_image(frame, out + target->first, target->outputs / 2);
    }
}

/* Of equal ones the first comes first. */
static bool is_behind(const float *probabilities, int one, int other)
{
    return probabilities[one] < probabilities[other] ||
           (probabilities[one] == probabilities[other] && one > other);
}

/* heap: (count), each in front of none of those below it but `place`, which is free: index goes
 * there, or down to where it belongs. */
static void sift_down(const float *probabilities, int *heap, int place, int count, int index)
{
    for (int child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && is_behind(probabilities, heap[child + 1], heap[child])) child++;
        if (!is_behind(probabilities, heap[child], index)) break;
        heap[place] = heap[child];
    }
    heap[place] = index;
}

void pf_scorer_top(const float *probabilities, int count, int k, int *indices)
{
    for (int i = 0; i < k; i++) indices[i] = i;
    for (int i = k / 2; i-- > 0;) sift_down(probabilities, indices, i, k, indices[i]);
    for (int i = k; i < count; i++)
        if (is_behind(probabilities, indices[0], i)) sift_down(probabilities, indices, 0, k, i);
    for (int last = k - 1; last > 0; last--) {
        int index = indices[last];
        indices[last] = indices[0];
        sift_down(probabilities, indices, 0, last, index);
    }
}

#include "scorer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"
#include "memory.h"

static const cJSON *first_target(const PfModel *model)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "targets"),
                              0);
}

static int read_classes(PfScorer *scorer, const cJSON *target, PfError *err)
{
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(target, "classes"), *name;
    scorer->classes = pf_calloc((size_t)cJSON_GetArraySize(classes), sizeof *scorer->classes, err);
    if (!scorer->classes) return -1;
    cJSON_ArrayForEach(name, classes) scorer->classes[scorer->class_count++] = name->valuestring;
    return 0;
}

static int read_head(PfScorer *scorer, const PfModel *model, const cJSON *target, PfError *err)
{
    const char *names[2] = {
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(target, "weight")),
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(target, "bias")),
    };
    const PfTensorView *weight = pf_model_tensor(model, names[0]);
    const PfTensorView *bias = pf_model_tensor(model, names[1]);
    scorer->features = weight->shape.dims[1];
    pf_head_setup();
    if (pf_head_new(scorer->features, scorer->class_count, 0, &scorer->head, err)) return -1;
    pf_f32_from_dtype_array(scorer->head->weight, weight->data, weight->dtype,
                            (size_t)pf_shape_count(&weight->shape));
    pf_f32_from_dtype_array(scorer->head->bias, bias->data, bias->dtype,
                            (size_t)pf_shape_count(&bias->shape));
    return 0;
}

int pf_scorer_new(const PfModel *model, PfScorer **out, PfError *err)
{
    const cJSON *metadata = pf_model_metadata(model), *target = first_target(model);
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(metadata, "config");
    const char *normalize =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(config, "normalize"));
    PfScorer *scorer = pf_calloc(1, sizeof *scorer, err);
    if (!scorer) return -1;
    scorer->tap = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, "tap"));
    scorer->unit_length = normalize && !strcmp(normalize, "l2");
    if (read_classes(scorer, target, err) || read_head(scorer, model, target, err)) {
        pf_scorer_free(&scorer);
        return -1;
    }
    *out = scorer;
    return 0;
}

void pf_scorer_free(PfScorer **scorer)
{
    if (!*scorer) return;
    pf_head_free(&(*scorer)->head);
    free((*scorer)->classes);
    free((*scorer)->rows);
    free((*scorer)->logits);
    free(*scorer);
    *scorer = NULL;
}

static int reserve(PfScorer *scorer, int64_t count, PfError *err)
{
    if (count <= scorer->capacity) return 0;
    free(scorer->rows);
    free(scorer->logits);
    scorer->capacity = 0;
    scorer->rows = pf_alloc_aligned((size_t)(count * scorer->features), sizeof(float), err);
    scorer->logits = pf_alloc_aligned((size_t)(count * scorer->class_count), sizeof(float), err);
    if (!scorer->rows || !scorer->logits) return -1;
    scorer->capacity = count;
    return 0;
}

static void scale_to_unit_length(float *row, int64_t features)
{
    double squares = 0;
    for (int64_t i = 0; i < features; i++) squares += (double)row[i] * row[i];
    float scale = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (int64_t i = 0; i < features; i++) row[i] *= scale;
}

/* logits -> probabilities, in place. */
static void softmax(float *logits, int count)
{
    float largest = logits[0];
    double sum = 0;
    for (int i = 1; i < count; i++)
        if (logits[i] > largest) largest = logits[i];
    for (int i = 0; i < count; i++) sum += logits[i] = expf(logits[i] - largest);
    for (int i = 0; i < count; i++) logits[i] = (float)(logits[i] / sum);
}

int pf_scorer_score(PfScorer *scorer, int64_t count, const void *features, PfDtype dtype,
                    const float **probabilities, PfError *err)
{
    if (reserve(scorer, count, err)) return -1;
    pf_f32_from_dtype_array(scorer->rows, features, dtype, (size_t)(count * scorer->features));
    for (int64_t i = 0; i < count && scorer->unit_length; i++)
        scale_to_unit_length(scorer->rows + i * scorer->features, scorer->features);
    pf_head_forward(scorer->head, scorer->rows, count, scorer->logits);
    for (int64_t i = 0; i < count; i++)
        softmax(scorer->logits + i * scorer->class_count, scorer->class_count);
    *probabilities = scorer->logits;
    return 0;
}

void pf_scorer_top(const PfScorer *scorer, const float *probabilities, int k, int *indices)
{
    for (int found = 0; found < k; found++) {
        int best = -1;
        for (int c = 0; c < scorer->class_count; c++) {
            int taken = 0;
            for (int i = 0; i < found; i++) taken |= indices[i] == c;
            if (!taken && (best < 0 || probabilities[c] > probabilities[best])) best = c;
        }
        indices[found] = best;
    }
}

#include "common/model/model_file.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/weights/weights.h"

#define DIGEST_KEY "digest"

/* ---- the digest ---- */

static int compare_tensors(const void *a, const void *b)
{
    return strcmp((*(const PfNamedTensor *const *)a)->name,
                  (*(const PfNamedTensor *const *)b)->name);
}

/* Text and its end, so that no two lists of texts are alike. */
static void add_text(PfSha256 *sha256, const char *text)
{
    pf_sha256_add(sha256, text, strlen(text) + 1);
}

static void add_tensor(PfSha256 *sha256, const PfNamedTensor *tensor)
{
    char shape[PF_SHAPE_TEXT_SIZE];
    const PfTensorView *view = &tensor->view;
    add_text(sha256, tensor->name);
    add_text(sha256, pf_dtype_name(view->dtype));
    add_text(sha256, pf_shape_text(&view->shape, shape));
    pf_sha256_add(sha256, view->data,
                  (size_t)pf_shape_count(&view->shape) * pf_dtype_size(view->dtype));
}

/* Of the tensors by name, whatever their order in the file, and of the metadata's text. */
static int digest_of(const PfNamedTensor *tensors, size_t count, const char *json,
                     char text[PF_SHA256_TEXT_SIZE], PfError *err)
{
    const PfNamedTensor **sorted = pf_calloc(count + 1, sizeof *sorted, err);
    PfSha256 *sha256 = pf_sha256_new(err);
    int failed = !sorted || !sha256;
    for (size_t i = 0; i < count && !failed; i++) sorted[i] = &tensors[i];
    if (!failed) {
        qsort(sorted, count, sizeof *sorted, compare_tensors);
        for (size_t i = 0; i < count; i++) add_tensor(sha256, sorted[i]);
        add_text(sha256, json);
        pf_sha256_text(sha256, text);
    }
    free(sha256);
    free(sorted);
    return failed ? -1 : 0;
}

/* ---- writing ---- */

/* The metadata with its digest as text, to be freed. */
static char *sealed_text(const PfNamedTensor *tensors, size_t count, const cJSON *metadata,
                         PfError *err)
{
    char digest[PF_SHA256_TEXT_SIZE], *text = NULL, *json = pf_json_text(metadata);
    cJSON *sealed = cJSON_Duplicate(metadata, 1);
    if (json && sealed && !digest_of(tensors, count, json, digest, err) &&
        cJSON_AddStringToObject(sealed, DIGEST_KEY, digest))
        text = pf_json_text(sealed);
    cJSON_Delete(sealed);
    cJSON_free(json);
    return text;
}

int pf_model_write(const char *path, const PfNamedTensor *tensors, size_t tensor_count,
                   const cJSON *metadata, PfError *err)
{
    char *json = sealed_text(tensors, tensor_count, metadata, err);
    if (!json) return pf_fail(err, PF_EXIT_FAILED, "out of memory for the metadata of '%s'", path);
    const char *keys[] = {"format", PF_MODEL_METADATA_KEY}, *values[] = {"pt", json};
    int failed = pf_safetensors_write(path, tensors, tensor_count, keys, values, 2, err);
    cJSON_free(json);
    return failed;
}

/* ---- reading ---- */

struct PfModel {
    PfWeights *weights;
    cJSON *metadata;
    int64_t named_numbers; /* of the tensors that targets and layers name, counted each time */
    int64_t outputs;       /* of all targets */
};

/* Product of tap_shape (1 for a single number); 0 where it is not a list of positive numbers, or
 * more than any row has. */
static int64_t count_features(const cJSON *tap_shape)
{
    const cJSON *dim;
    int64_t count = cJSON_IsArray(tap_shape);
    cJSON_ArrayForEach(dim, tap_shape)
    {
        if (!cJSON_IsNumber(dim) || !(dim->valuedouble >= 1 && dim->valuedouble <= INT_MAX) ||
            __builtin_mul_overflow(count, (int64_t)dim->valuedouble, &count) || count > INT_MAX)
            return 0;
    }
    return count;
}

/* The tensor that a target names under `key`, in the rank it must have. */
static int find_named(PfModel *model, const cJSON *target, const char *key, int rank,
                      const PfTensorView **view, PfError *err)
{
    const char *path = pf_weights_source(model->weights);
    const char *name = pf_json_member_text(target, key);
    if (!name)
        return pf_fail(err, PF_EXIT_FAILED, "model '%s': a target does not name its %s", path, key);
    *view = pf_weights_find_tensor(model->weights, name);
    if (!*view)
        return pf_fail(err, PF_EXIT_FAILED, "model '%s': its tensor '%.200s' is missing", path,
                       name);
    char shape[PF_SHAPE_TEXT_SIZE];
    if ((*view)->shape.rank != rank || (*view)->dtype > PF_DTYPE_F64)
        return pf_fail(err, PF_EXIT_FAILED,
                       "model '%s': tensor '%.200s' is %s %s, expected %d axes of a floating point "
                       "type",
                       path, name, pf_dtype_name((*view)->dtype),
                       pf_shape_text(&(*view)->shape, shape), rank);
    for (int i = 0; i < rank; i++)
        if ((*view)->shape.dims[i] < 1 || (*view)->shape.dims[i] > INT_MAX)
            return pf_fail(err, PF_EXIT_FAILED,
                           "model '%s': tensor '%.200s' is %s; each side must be from 1 to %d",
                           path, name, pf_shape_text(&(*view)->shape, shape), INT_MAX);
    model->named_numbers += pf_shape_count(&(*view)->shape);
    return 0;
}

/* A head is read number by number: thousands of targets that share one tensor would take more
 * memory than the file has bytes. */
static int check_sharing(const PfModel *model, PfError *err)
{
    size_t count;
    int64_t numbers = 0;
    const PfNamedTensor *tensors = pf_weights_tensors(model->weights, &count);
    for (size_t i = 0; i < count; i++) numbers += pf_shape_count(&tensors[i].view.shape);
    if (model->named_numbers <= numbers) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s': its targets and layers need %lld numbers, and the file holds %lld: "
                   "they share tensors, which train never writes",
                   pf_weights_source(model->weights), (long long)model->named_numbers,
                   (long long)numbers);
}

/* Strings, one or more; a target without them is a regression. */
static int check_classes(const PfModel *model, const cJSON *classes, PfError *err)
{
    const cJSON *name;
    int are_strings = cJSON_GetArraySize(classes) > 0;
    cJSON_ArrayForEach(name, classes)
    {
        if (!cJSON_IsString(name)) are_strings = 0;
    }
    if (are_strings || !cJSON_IsArray(classes)) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "model '%s': its classes are not a list of names",
                   pf_weights_source(model->weights));
}

/* weight (outputs, features), bias (outputs); a class target has an output per
 * class. */
static int check_target(PfModel *model, const cJSON *target, int64_t features, PfError *err)
{
    const PfTensorView *weight, *bias;
    if (find_named(model, target, "weight", 2, &weight, err) ||
        find_named(model, target, "bias", 1, &bias, err))
        return -1;
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(target, "classes");
    if (check_classes(model, classes, err)) return -1;
    int64_t outputs = cJSON_IsArray(classes) ? cJSON_GetArraySize(classes) : weight->shape.dims[0];
    PfShape expected = {2, {outputs, features}};
    model->outputs += outputs;
    char expected_text[PF_SHAPE_TEXT_SIZE], found[PF_SHAPE_TEXT_SIZE];
    if (!pf_shape_equal(&weight->shape, &expected) || bias->shape.dims[0] != outputs)
        return pf_fail(
            err, PF_EXIT_FAILED,
            "model '%s': its weight is %s with %lld biases, but its classes and features "
            "are %s",
            pf_weights_source(model->weights), pf_shape_text(&weight->shape, found),
            (long long)bias->shape.dims[0], pf_shape_text(&expected, expected_text));
    return 0;
}

static const char *norm_of(const cJSON *layer)
{
    const char *norm = pf_json_member_text(layer, "norm");
    return norm ? norm : "none";
}

static const char *activation_of(const cJSON *layer)
{
    const char *activation = pf_json_member_text(layer, "activation");
    return activation ? activation : "relu";
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(word, *words)) words++;
    return *words != NULL;
}

/* Kinds that are known, the same in all layers: heads are computed so. */
static int check_kinds(const PfModel *model, const cJSON *layer, const cJSON *first, PfError *err)
{
    static const char *const norms[] = {"none", "batch", "layer", NULL};
    static const char *const activations[] = {"relu", "gelu", NULL};
    const char *norm = norm_of(layer), *activation = activation_of(layer);
    if (!is_one_of(norm, norms) || !is_one_of(activation, activations))
        return pf_fail(err, PF_EXIT_FAILED,
                       "model '%s': a hidden layer has the norm '%.40s' and the activation "
                       "'%.40s'; this program knows none, batch and layer, and relu and gelu. "
                       "Hint: use the program that made it",
                       pf_weights_source(model->weights), norm, activation);
    if (!strcmp(norm, norm_of(first)) && !strcmp(activation, activation_of(first))) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s': its hidden layers are not alike: one has the norm '%s' and the "
                   "activation '%s', another '%s' and '%s'",
                   pf_weights_source(model->weights), norm_of(first), activation_of(first), norm,
                   activation);
}

/* Strings of a layer's normalisation name vectors of its width. */
static int check_norm(PfModel *model, const cJSON *layer, int64_t width, PfError *err)
{
    static const char *const keys[] = {"scale", "shift", "mean", "variance"};
    const char *norm = norm_of(layer);
    int count = !strcmp(norm, "none") ? 0 : !strcmp(norm, "batch") ? 4 : 2;
    for (int i = 0; i < count; i++) {
        const PfTensorView *view;
        if (find_named(model, layer, keys[i], 1, &view, err)) return -1;
        if (view->shape.dims[0] != width)
            return pf_fail(err, PF_EXIT_FAILED,
                           "model '%s': the %s of a layer of width %lld has %lld numbers",
                           pf_weights_source(model->weights), keys[i], (long long)width,
                           (long long)view->shape.dims[0]);
    }
    return 0;
}

/* *features: what the first layer takes, then what the last one gives. */
static int check_layers(PfModel *model, int64_t *features, PfError *err)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(model->metadata, "layers"), *layer;
    cJSON_ArrayForEach(layer, layers)
    {
        const PfTensorView *weight, *bias;
        if (check_kinds(model, layer, layers->child, err) ||
            find_named(model, layer, "weight", 2, &weight, err) ||
            find_named(model, layer, "bias", 1, &bias, err))
            return -1;
        if (weight->shape.dims[1] != *features || weight->shape.dims[0] != bias->shape.dims[0])
            return pf_fail(err, PF_EXIT_FAILED,
                           "model '%s': a hidden layer's weight is %lld x %lld with %lld biases, "
                           "but %lld numbers go in",
                           pf_weights_source(model->weights), (long long)weight->shape.dims[0],
                           (long long)weight->shape.dims[1], (long long)bias->shape.dims[0],
                           (long long)*features);
        *features = weight->shape.dims[0];
        if (check_norm(model, layer, *features, err)) return -1;
    }
    return 0;
}

static int check_metadata(PfModel *model, PfError *err)
{
    const char *path = pf_weights_source(model->weights);
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(model->metadata, "version");
    const cJSON *targets = cJSON_GetObjectItemCaseSensitive(model->metadata, "targets"), *target;
    if (!cJSON_IsNumber(version))
        return pf_fail(err, PF_EXIT_FAILED, "model '%s': its metadata is damaged", path);
    if (version->valuedouble != PF_MODEL_VERSION &&
        version->valuedouble != PF_MODEL_VERSION_FINETUNED)
        return pf_fail(
            err, PF_EXIT_FAILED,
            "model '%s' is of version %g; this program reads versions up to %d. Hint: use the "
            "program that made it, or train again",
            path, version->valuedouble, PF_MODEL_VERSION_FINETUNED);
    if (!cJSON_IsArray(targets) || !cJSON_GetArraySize(targets))
        return pf_fail(err, PF_EXIT_FAILED, "model '%s' predicts no target", path);
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(model->metadata, "tap")))
        return pf_fail(err, PF_EXIT_FAILED, "model '%s' does not name its tap", path);
    int64_t features =
        count_features(cJSON_GetObjectItemCaseSensitive(model->metadata, "tap_shape"));
    if (!features) return pf_fail(err, PF_EXIT_FAILED, "model '%s' has no valid tap_shape", path);
    if (check_layers(model, &features, err)) return -1;
    cJSON_ArrayForEach(target, targets)
    {
        if (check_target(model, target, features, err)) return -1;
    }
    if (model->outputs > INT_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "model '%s' has %lld outputs, and may have %d", path,
                       (long long)model->outputs, INT_MAX);
    return check_sharing(model, err);
}

/* Of models of before, which noted no digest, nothing is known beyond what was checked. */
static int check_digest(const PfModel *model, PfError *err)
{
    size_t count;
    const PfNamedTensor *tensors = pf_weights_tensors(model->weights, &count);
    const char *noted = pf_json_member_text(model->metadata, DIGEST_KEY);
    char digest[PF_SHA256_TEXT_SIZE];
    if (!noted) return 0;
    cJSON *rest = cJSON_Duplicate(model->metadata, 1);
    cJSON_DeleteItemFromObjectCaseSensitive(rest, DIGEST_KEY);
    char *json = pf_json_text(rest);
    int failed = json ? digest_of(tensors, count, json, digest, err)
                      : pf_fail(err, PF_EXIT_FAILED, "out of memory");
    if (!failed && strcmp(digest, noted))
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "model '%s' is damaged, or was changed after it was written: its tensors "
                         "and metadata have the SHA-256 %s, and it says %.64s",
                         pf_model_path(model), digest, noted);
    cJSON_free(json);
    cJSON_Delete(rest);
    return failed;
}

static int read_model(PfModel *model, const char *path, PfError *err)
{
    if (access(path, F_OK)) /* "model", where weights would say "weights" */
        return pf_fail(err, PF_EXIT_FAILED, "cannot open model '%s': %s", path, strerror(errno));
    if (pf_weights_open(path, &model->weights, err)) return -1;
    const char *json = pf_weights_metadata(model->weights, PF_MODEL_METADATA_KEY);
    if (!json)
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' is not a model that train wrote: a %s file without '%s' metadata",
                       path, pf_weights_format(model->weights), PF_MODEL_METADATA_KEY);
    if (pf_json_check_size(json, strlen(json), path, "metadata", err)) return -1;
    model->metadata = pf_json_read(json);
    return check_metadata(model, err) || pf_weights_check_finite(model->weights, "model", err) ||
                   check_digest(model, err)
               ? -1
               : 0;
}

int pf_model_new(const char *name, const PfNamedTensor *tensors, size_t tensor_count,
                 cJSON *metadata, PfModel **out, PfError *err)
{
    *out = pf_calloc(1, sizeof **out, err);
    if (!*out) {
        cJSON_Delete(metadata);
        return -1;
    }
    (*out)->metadata = metadata;
    if (!pf_weights_copy(name, tensors, tensor_count, &(*out)->weights, err) &&
        !check_metadata(*out, err) && !pf_weights_check_finite((*out)->weights, "model", err))
        return 0;
    pf_model_close(out);
    return -1;
}

int pf_model_open(const char *path, PfModel **out, PfError *err)
{
    *out = pf_calloc(1, sizeof **out, err);
    if (!*out) return -1;
    if (!read_model(*out, path, err)) return 0;
    pf_model_close(out);
    return -1;
}

void pf_model_close(PfModel **model)
{
    if (!*model) return;
    pf_weights_close(&(*model)->weights);
    cJSON_Delete((*model)->metadata);
    free(*model);
    *model = NULL;
}

const char *pf_model_path(const PfModel *model)
{
    return pf_weights_source(model->weights);
}

const cJSON *pf_model_metadata(const PfModel *model)
{
    return model->metadata;
}

const PfTensorView *pf_model_tensor(const PfModel *model, const char *name)
{
    return pf_weights_find_tensor(model->weights, name);
}

const PfNamedTensor *pf_model_tensors(const PfModel *model, size_t *count)
{
    return pf_weights_tensors(model->weights, count);
}

bool pf_model_has_digest(const PfModel *model)
{
    return pf_json_member_text(model->metadata, DIGEST_KEY) != NULL;
}

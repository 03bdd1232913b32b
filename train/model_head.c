#include "model_head.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

static const cJSON *list(const PfModel *model, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), key);
}

static const char *text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static const PfTensorView *tensor(const PfModel *model, const cJSON *object, const char *key)
{
    return pf_model_tensor(model, text(object, key));
}

/* ---- the shape ---- */

static PfHeadNorm norm_of(const cJSON *layer)
{
    const char *name = text(layer, "norm");
    if (!name || !strcmp(name, "none")) return PF_HEAD_NORM_NONE;
    return !strcmp(name, "batch") ? PF_HEAD_NORM_BATCH : PF_HEAD_NORM_LAYER;
}

static void read_spec(const PfModel *model, PfHeadSpec *spec)
{
    const cJSON *layer;
    *spec = (PfHeadSpec){0};
    cJSON_ArrayForEach(layer, list(model, "layers"))
    {
        const char *activation = text(layer, "activation");
        spec->hidden[spec->hidden_count++] = (int)tensor(model, layer, "weight")->shape.dims[0];
        spec->activation = activation && !strcmp(activation, "gelu") ? PF_GELU : PF_RELU;
        spec->norm = norm_of(layer);
    }
}

static int64_t count_outputs(const PfModel *model)
{
    const cJSON *target;
    int64_t outputs = 0;
    cJSON_ArrayForEach(target, list(model, "targets")) outputs +=
        tensor(model, target, "weight")->shape.dims[0];
    return outputs;
}

static int64_t count_features(const PfModel *model)
{
    const cJSON *first = cJSON_GetArrayItem(list(model, "layers"), 0);
    if (!first) first = cJSON_GetArrayItem(list(model, "targets"), 0);
    return tensor(model, first, "weight")->shape.dims[1];
}

/* ---- the values ---- */

static float *as_floats(const PfTensorView *view, PfError *err)
{
    size_t count = (size_t)pf_shape_count(&view->shape);
    float *values = pf_alloc_aligned(count, sizeof *values, err);
    if (values) pf_f32_from_dtype_array(values, view->data, view->dtype, count);
    return values;
}

/* A row of a layer's parameters: `width` numbers. The model was checked when it was opened, layer
 * by layer; here they must also be of one kind. */
static int read_row(const PfModel *model, const cJSON *object, const char *key, int64_t width,
                    float *row, PfError *err)
{
    const char *name = text(object, key);
    const PfTensorView *view = name ? pf_model_tensor(model, name) : NULL;
    if (!view || view->shape.rank != 1 || view->shape.dims[0] != width)
        return pf_fail(err, PF_EXIT_FAILED,
                       "model '%s': its hidden layers are not normalised alike: one has no %s",
                       pf_model_path(model), key);
    float *values = as_floats(view, err);
    if (!values) return -1;
    memcpy(row, values, (size_t)pf_shape_count(&view->shape) * sizeof *row);
    free(values);
    return 0;
}

/* weight (outputs, inputs) and bias of a Linear into columns [first, first + outputs). */
static int read_linear(const PfModel *model, const cJSON *object, PfHeadLayer *layer, int64_t first,
                       PfError *err)
{
    const PfTensorView *view = tensor(model, object, "weight");
    float *weight = as_floats(view, err);
    if (!weight) return -1;
    for (int64_t c = 0; c < view->shape.dims[0]; c++)
        for (int64_t i = 0; i < layer->inputs; i++)
            layer->parameters[i * layer->columns + first + c] = weight[c * layer->inputs + i];
    free(weight);
    return read_row(model, object, "bias", view->shape.dims[0],
                    layer->parameters + layer->inputs * layer->columns + first, err);
}

static int read_norm(const PfModel *model, const cJSON *object, PfHeadLayer *layer, PfError *err)
{
    float *scale = layer->parameters + (layer->inputs + 1) * layer->columns;
    if (layer->rows == layer->inputs + 1) return 0;
    if (read_row(model, object, "scale", layer->width, scale, err) ||
        read_row(model, object, "shift", layer->width, scale + layer->columns, err))
        return -1;
    if (!layer->running) return 0;
    if (read_row(model, object, "mean", layer->width, layer->running, err)) return -1;
    return read_row(model, object, "variance", layer->width, layer->running + layer->columns, err);
}

static int read_values(const PfModel *model, PfHeadNetwork *network, PfError *err)
{
    const cJSON *object;
    PfHeadLayer *layer = network->layers;
    int64_t first = 0;
    cJSON_ArrayForEach(object, list(model, "layers"))
    {
        if (read_linear(model, object, layer, 0, err) || read_norm(model, object, layer, err))
            return -1;
        layer++;
    }
    cJSON_ArrayForEach(object, list(model, "targets"))
    {
        if (read_linear(model, object, layer, first, err)) return -1;
        first += tensor(model, object, "weight")->shape.dims[0];
    }
    return 0;
}

int pf_model_head_read(const PfModel *model, PfHeadNetwork **out, PfError *err)
{
    PfHeadSpec spec;
    const uint64_t seed = 0;
    if (cJSON_GetArraySize(list(model, "layers")) > PF_MAX_HIDDEN)
        return pf_fail(err, PF_EXIT_FAILED, "model '%s' has more than %d hidden layers",
                       pf_model_path(model), PF_MAX_HIDDEN);
    read_spec(model, &spec);
    if (pf_head_network_new(&spec, count_features(model), count_outputs(model), 1, &seed, out, err))
        return -1;
    if (!read_values(model, *out, err)) return 0;
    pf_head_network_free(out);
    return -1;
}

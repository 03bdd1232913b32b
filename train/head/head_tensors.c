#include "train/head/head_tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

#define NAME_SIZE 320 /* "heads." and a target's 63 bytes, each as "\xNN" */

/* ---- tensors ---- */

/* A tensor of zeros of that name; *data is what to fill. */
static int add_tensor(PfHeadTensors *tensors, const char *name, PfShape shape, float **data,
                      PfError *err)
{
    if (pf_grow(&tensors->items, &tensors->capacity, tensors->count + 1, sizeof *tensors->items,
                err))
        return -1;
    PfNamedTensor *tensor = &tensors->items[tensors->count];
    *data = pf_calloc((size_t)pf_shape_count(&shape), sizeof **data, err);
    char *own_name = *data ? pf_strdup(name, err) : NULL;
    if (!own_name) {
        free(*data);
        return -1;
    }
    *tensor = (PfNamedTensor){own_name, {PF_DTYPE_F32, shape, *data}};
    tensors->count++;
    return 0;
}

void pf_head_tensors_free(PfHeadTensors *tensors)
{
    for (size_t i = 0; i < tensors->count; i++) {
        free((void *)(uintptr_t)tensors->items[i].name);
        free((void *)(uintptr_t)tensors->items[i].view.data);
    }
    free(tensors->items);
    cJSON_Delete(tensors->layers);
    cJSON_Delete(tensors->targets);
    *tensors = (PfHeadTensors){0};
}

/* Columns [first, first + outputs) of a layer as a Linear: weight (outputs, inputs) and bias. */
typedef struct Linear {
    float *weight, *bias;
    int64_t inputs, outputs;
} Linear;

static int add_linear(PfHeadTensors *tensors, const char *name, const PfHeadLayer *layer,
                      int64_t first, int64_t outputs, cJSON *json, Linear *linear, PfError *err)
{
    char text[NAME_SIZE];
    *linear = (Linear){.inputs = layer->inputs, .outputs = outputs};
    snprintf(text, sizeof text, "%s.weight", name);
    cJSON_AddStringToObject(json, "weight", text);
    if (add_tensor(tensors, text, (PfShape){2, {outputs, layer->inputs}}, &linear->weight, err))
        return -1;
    snprintf(text, sizeof text, "%s.bias", name);
    cJSON_AddStringToObject(json, "bias", text);
    if (add_tensor(tensors, text, (PfShape){1, {outputs}}, &linear->bias, err)) return -1;
    for (int64_t c = 0; c < outputs; c++) {
        const float *column = layer->parameters + first + c;
        for (int64_t i = 0; i < layer->inputs; i++)
            linear->weight[c * layer->inputs + i] = column[i * layer->columns];
        linear->bias[c] = column[layer->inputs * layer->columns];
    }
    return 0;
}

/* W ((x - mean) * scale) + b  =  (W * scale) x + (b - (W * scale) mean) */
static void fold_features(Linear *linear, const float *mean, const float *scale)
{
    for (int64_t c = 0; c < linear->outputs; c++) {
        float *weight = linear->weight + c * linear->inputs;
        double shift = 0;
        for (int64_t j = 0; j < linear->inputs; j++) {
            weight[j] *= scale[j];
            shift += (double)weight[j] * (double)mean[j];
        }
        linear->bias[c] = (float)((double)linear->bias[c] - shift);
    }
}

/* (W x + b) * scale + center */
static void fold_target(Linear *linear, const PfTask *task)
{
    for (int64_t c = 0; c < linear->outputs && task->scale; c++) {
        for (int64_t j = 0; j < linear->inputs; j++)
            linear->weight[c * linear->inputs + j] *= task->scale[c];
        linear->bias[c] = linear->bias[c] * task->scale[c] + task->center[c];
    }
}

/* ---- hidden layers ---- */

static int add_row(PfHeadTensors *tensors, const char *module, int place, const char *part,
                   const float *values, int64_t width, cJSON *json, const char *key, PfError *err)
{
    char name[NAME_SIZE];
    float *data;
    snprintf(name, sizeof name, "%s.%d.%s", module, place, part);
    cJSON_AddStringToObject(json, key, name);
    if (add_tensor(tensors, name, (PfShape){1, {width}}, &data, err)) return -1;
    for (int64_t c = 0; c < width; c++) data[c] = values[c];
    return 0;
}

static int add_norm(PfHeadTensors *tensors, const char *module, int place, const PfHeadLayer *layer,
                    cJSON *json, PfError *err)
{
    const float *scale = layer->parameters + (layer->inputs + 1) * layer->columns;
    if (add_row(tensors, module, place, "weight", scale, layer->width, json, "scale", err) ||
        add_row(tensors, module, place, "bias", scale + layer->columns, layer->width, json, "shift",
                err))
        return -1;
    if (!layer->running) return 0;
    if (add_row(tensors, module, place, "running_mean", layer->running, layer->width, json, "mean",
                err) ||
        add_row(tensors, module, place, "running_var", layer->running + layer->columns,
                layer->width, json, "variance", err))
        return -1;
    return 0;
}

/* *place: where in the Sequential the layer begins, then where the next one does. */
static int add_hidden(PfHeadTensors *tensors, const PfHeadNetwork *network, int index,
                      const char *module, int *place, Linear *linear, PfError *err)
{
    const PfHeadSpec *spec = &network->spec;
    const PfHeadLayer *layer = &network->layers[index];
    char name[NAME_SIZE];
    cJSON *json = cJSON_CreateObject();
    cJSON_AddItemToArray(tensors->layers, json);
    cJSON_AddStringToObject(json, "norm", pf_head_norm_names[spec->norm]);
    cJSON_AddStringToObject(json, "activation", pf_activation_names[spec->activation]);
    snprintf(name, sizeof name, "%s.%d", module, (*place)++);
    if (add_linear(tensors, name, layer, 0, layer->width, json, linear, err)) return -1;
    if (spec->norm != PF_HEAD_NORM_NONE && add_norm(tensors, module, (*place)++, layer, json, err))
        return -1;
    *place += 1 + (spec->dropout > 0); /* activation and dropout have no tensors */
    return 0;
}

/* ---- targets ---- */

static cJSON *target_json(const PfTask *task)
{
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", task->name);
    cJSON_AddStringToObject(json, "kind", pf_target_kind_name(task->kind));
    if (task->classes)
        cJSON_AddItemToObject(json, "classes",
                              cJSON_CreateStringArray(task->classes, task->outputs));
    return json;
}

static void name_target(char name[NAME_SIZE], const PfHeadNetwork *network, const PfTask *task,
                        int task_count, PfHeadNames names, int place)
{
    if (task_count > 1) /* readers refuse control characters */
        pf_format(name, NAME_SIZE, "%s.%s", names.last, task->name);
    else if (network->layer_count > 1)
        snprintf(name, NAME_SIZE, "%s.%d", names.module, place);
    else
        snprintf(name, NAME_SIZE, "%s", names.module);
}

static int add_targets(PfHeadTensors *tensors, const PfHeadNetwork *network, const PfTask *tasks,
                       int task_count, PfHeadNames names, int place, const float *mean,
                       const float *scale, PfError *err)
{
    const PfHeadLayer *layer = &network->layers[network->layer_count - 1];
    int64_t first = 0;
    for (int t = 0; t < task_count; first += tasks[t++].outputs) {
        char name[NAME_SIZE];
        Linear linear;
        cJSON *json = target_json(&tasks[t]);
        cJSON_AddItemToArray(tensors->targets, json);
        name_target(name, network, &tasks[t], task_count, names, place);
        if (add_linear(tensors, name, layer, first, tasks[t].outputs, json, &linear, err))
            return -1;
        if (mean && network->layer_count == 1) fold_features(&linear, mean, scale);
        fold_target(&linear, &tasks[t]);
    }
    return 0;
}

int pf_head_tensors_new(const PfHeadNetwork *network, const PfTask *tasks, int task_count,
                        PfHeadNames names, const float *mean, const float *scale,
                        PfHeadTensors *out, PfError *err)
{
    int place = 0, failed = 0;
    *out = (PfHeadTensors){.layers = cJSON_CreateArray(), .targets = cJSON_CreateArray()};
    for (int l = 0; l < network->layer_count - 1 && !failed; l++) {
        Linear linear;
        failed = add_hidden(out, network, l, names.module, &place, &linear, err);
        if (!failed && !l && mean) fold_features(&linear, mean, scale);
    }
    if (!failed)
        failed = add_targets(out, network, tasks, task_count, names, place, mean, scale, err);
    if (failed) pf_head_tensors_free(out);
    return failed ? -1 : 0;
}

/* ---- back to a network: its shape ---- */

static const cJSON *list(const PfModel *model, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), key);
}

static const PfTensorView *tensor(const PfModel *model, const cJSON *object, const char *key)
{
    return pf_model_tensor(model, pf_json_member_text(object, key));
}

static PfHeadNorm norm_of(const cJSON *layer)
{
    const char *name = pf_json_member_text(layer, "norm");
    if (!name || !strcmp(name, "none")) return PF_HEAD_NORM_NONE;
    return !strcmp(name, "batch") ? PF_HEAD_NORM_BATCH : PF_HEAD_NORM_LAYER;
}

static void read_spec(const PfModel *model, PfHeadSpec *spec)
{
    const cJSON *layer;
    *spec = (PfHeadSpec){0};
    cJSON_ArrayForEach(layer, list(model, "layers"))
    {
        const char *activation = pf_json_member_text(layer, "activation");
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

/* ---- back to a network: its values ---- */

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
    const char *name = pf_json_member_text(object, key);
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

int pf_head_tensors_read(const PfModel *model, PfHeadNetwork **out, PfError *err)
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

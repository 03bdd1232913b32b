/* A model's head as plain tensors, for all formats. */
#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "predict/export/export.h"
#include "train/head/head_layer.h"

/* A tensor whose values are the caller's to fill; NULL where memory is short. */
static float *add_tensor(PfExportHead *head, const char *module, int number, const char *part,
                         PfShape shape, PfError *err)
{
    if (pf_grow(&head->tensors, &head->capacity, head->count + 1, sizeof *head->tensors, err))
        return NULL;
    float *values = pf_alloc_aligned((size_t)pf_shape_count(&shape), sizeof *values, err);
    char *name = values ? pf_asprintf(err, "%s%d.%s", module, number, part) : NULL;
    if (!name) {
        free(values);
        return NULL;
    }
    head->tensors[head->count++] = (PfNamedTensor){name, {PF_DTYPE_F32, shape, values}};
    return values;
}

/* Columns [first, first + outputs) of a layer as torch's Linear. */
static int add_linear(PfExportHead *head, const char *module, int number, const PfHeadLayer *layer,
                      int64_t first, int64_t outputs, float **weight, float **bias, PfError *err)
{
    *weight =
        add_tensor(head, module, number, "weight", (PfShape){2, {outputs, layer->inputs}}, err);
    *bias = add_tensor(head, module, number, "bias", (PfShape){1, {outputs}}, err);
    if (!*weight || !*bias) return -1;
    for (int64_t c = 0; c < outputs; c++) {
        const float *column = layer->parameters + first + c;
        for (int64_t i = 0; i < layer->inputs; i++)
            (*weight)[c * layer->inputs + i] = column[i * layer->columns];
        (*bias)[c] = column[layer->inputs * layer->columns];
    }
    return 0;
}

/* ((W x + b) - mean) / deviation * scale + shift is a Linear again. */
static void fold_batch_norm(const PfHeadLayer *layer, float *weight, float *bias)
{
    const float *scale = layer->parameters + (layer->inputs + 1) * layer->columns;
    const float *shift = scale + layer->columns, *variance = layer->running + layer->columns;
    for (int64_t c = 0; c < layer->width; c++) {
        double factor = (double)scale[c] / sqrt((double)variance[c] + (double)PF_NORM_EPSILON);
        for (int64_t i = 0; i < layer->inputs; i++)
            weight[c * layer->inputs + i] = (float)((double)weight[c * layer->inputs + i] * factor);
        bias[c] =
            (float)(((double)bias[c] - (double)layer->running[c]) * factor + (double)shift[c]);
    }
}

static int add_layer_norm(PfExportHead *head, int number, const PfHeadLayer *layer, PfError *err)
{
    const float *scale = layer->parameters + (layer->inputs + 1) * layer->columns;
    PfShape shape = {1, {layer->width}};
    float *weight = add_tensor(head, "norm", number, "weight", shape, err);
    float *bias = add_tensor(head, "norm", number, "bias", shape, err);
    if (!weight || !bias) return -1;
    for (int64_t c = 0; c < layer->width; c++) {
        weight[c] = scale[c];
        bias[c] = scale[layer->columns + c];
    }
    return 0;
}

static int add_hidden(PfExportHead *head, int number, PfError *err)
{
    const PfHeadNetwork *network = head->scorer->network;
    const PfHeadLayer *layer = &network->layers[number];
    float *weight, *bias;
    if (add_linear(head, "hidden", number, layer, 0, layer->width, &weight, &bias, err)) return -1;
    if (network->spec.norm == PF_HEAD_NORM_BATCH) fold_batch_norm(layer, weight, bias);
    return network->spec.norm == PF_HEAD_NORM_LAYER ? add_layer_norm(head, number, layer, err) : 0;
}

static int add_layers(PfExportHead *head, PfError *err)
{
    const PfScorer *scorer = head->scorer;
    const PfHeadNetwork *network = scorer->network;
    float *weight, *bias;
    for (int i = 0; i < network->spec.hidden_count; i++)
        if (add_hidden(head, i, err)) return -1;
    for (int t = 0; t < scorer->target_count; t++)
        if (add_linear(head, "target", t, &network->layers[network->layer_count - 1],
                       scorer->targets[t].first, scorer->targets[t].outputs, &weight, &bias, err))
            return -1;
    return 0;
}

int pf_export_head_new(const PfScorer *scorer, PfExportHead *out, PfError *err)
{
    *out = (PfExportHead){.scorer = scorer};
    if (!add_layers(out, err)) return 0;
    pf_export_head_free(out);
    return -1;
}

void pf_export_head_free(PfExportHead *head)
{
    for (size_t i = 0; i < head->count; i++) {
        free((void *)(uintptr_t)head->tensors[i].name);
        free((void *)(uintptr_t)head->tensors[i].view.data);
    }
    free(head->tensors);
    *head = (PfExportHead){0};
}

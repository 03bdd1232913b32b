#include "train/head/head_network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/random.h"
#include "train/kernels/gemm.h"

/* Stream of the initial parameters in pf_random_seeded, plus the layer. */
#define INIT_STREAM 0x68656164u
/* Stream of the dropout masks, plus the layer. */
#define DROPOUT_STREAM ((uint64_t)0x64726f70 << 32)

/* What a layer keeps from forward to backward, and its gradients. */
typedef struct LayerPass {
    float *linear;     /* (capacity, columns) the product; normalised where the layer is */
    float *active;     /* (capacity, columns) what the next layer takes; the last layer has none */
    float *derivative; /* (capacity, columns) gradient of active; of the last layer that is linear
                          itself */
    float *mask;       /* (capacity, width) 0 or 1 / (1 - dropout); NULL without dropout */
    float *deviation;  /* of normalised layers: 1 / standard deviation */
    float *gradient;   /* (rows, columns) of the parameters */
} LayerPass;

struct PfHeadPass {
    int64_t capacity, n;
    const float *x;
    bool training;
    int layer_count;
    LayerPass layers[PF_MAX_HIDDEN + 1];
};

static bool is_last(const PfHeadNetwork *network, int layer)
{
    return layer == network->layer_count - 1;
}

/* ---- parameters ---- */

/* Row by row over a head's columns of W^T, in the order in which torch's
 * Linear(width, inputs) has them: weight row by row, then bias. */
static void draw_head(PfHeadLayer *layer, int head, uint64_t seed, int index)
{
    float *columns = layer->parameters + head * layer->width;
    double bound = 1.0 / sqrt((double)layer->inputs);
    PfRandom random = pf_random_seeded(seed, INIT_STREAM + (uint64_t)index);
    for (int64_t c = 0; c < layer->width; c++)
        for (int64_t i = 0; i < layer->inputs; i++)
            columns[i * layer->columns + c] =
                (float)(bound * (2.0 * pf_random_uniform(&random) - 1.0));
    for (int64_t c = 0; c < layer->width; c++)
        columns[layer->inputs * layer->columns + c] =
            (float)(bound * (2.0 * pf_random_uniform(&random) - 1.0));
}

static void fill(float *values, int64_t count, float value)
{
    for (int64_t i = 0; i < count; i++) values[i] = value;
}

static int new_layer(PfHeadNetwork *network, int index, int64_t inputs, int64_t width, PfError *err)
{
    PfHeadLayer *layer = &network->layers[index];
    bool normalised = network->spec.norm != PF_HEAD_NORM_NONE && !is_last(network, index);
    *layer = (PfHeadLayer){
        .inputs = inputs,
        .width = width,
        .columns = network->heads * width,
        .rows = inputs + (normalised ? 3 : 1),
    };
    layer->parameters =
        pf_alloc_aligned((size_t)(layer->rows * layer->columns), sizeof(float), err);
    if (!layer->parameters) return -1;
    if (!normalised) return 0;
    fill(layer->parameters + (inputs + 1) * layer->columns, layer->columns, 1);
    fill(layer->parameters + (inputs + 2) * layer->columns, layer->columns, 0);
    if (network->spec.norm != PF_HEAD_NORM_BATCH) return 0;
    layer->running = pf_alloc_aligned((size_t)(2 * layer->columns), sizeof(float), err);
    if (!layer->running) return -1;
    fill(layer->running, layer->columns, 0);
    fill(layer->running + layer->columns, layer->columns, 1);
    return 0;
}

static int new_network(const PfHeadSpec *spec, int64_t features, int64_t outputs, int heads,
                       PfHeadNetwork **out, PfError *err)
{
    PfHeadNetwork *network = pf_calloc(1, sizeof *network, err);
    if (!network) return -1;
    network->spec = *spec;
    network->features = features;
    network->outputs = outputs;
    network->heads = heads;
    network->layer_count = spec->hidden_count + 1;
    int64_t inputs = features;
    for (int l = 0; l < network->layer_count; l++) {
        int64_t width = is_last(network, l) ? outputs : spec->hidden[l];
        if (new_layer(network, l, inputs, width, err)) {
            pf_head_network_free(&network);
            return -1;
        }
        inputs = width;
    }
    *out = network;
    return 0;
}

int pf_head_network_new(const PfHeadSpec *spec, int64_t features, int64_t outputs, int heads,
                        const uint64_t *seeds, PfHeadNetwork **out, PfError *err)
{
    if (new_network(spec, features, outputs, heads, out, err)) return -1;
    for (int l = 0; l < (*out)->layer_count; l++)
        for (int h = 0; h < heads; h++) draw_head(&(*out)->layers[l], h, seeds[h], l);
    return 0;
}

int pf_head_network_new_like(const PfHeadNetwork *network, int heads, PfHeadNetwork **out,
                             PfError *err)
{
    return new_network(&network->spec, network->features, network->outputs, heads, out, err);
}

void pf_head_network_free(PfHeadNetwork **network)
{
    if (!*network) return;
    for (int l = 0; l < (*network)->layer_count; l++) {
        free((*network)->layers[l].parameters);
        free((*network)->layers[l].running);
    }
    free(*network);
    *network = NULL;
}

static void copy_columns(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                         int64_t rows, int64_t width)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)width * sizeof *to);
}

void pf_head_network_copy_head(PfHeadNetwork *network, int to, const PfHeadNetwork *source,
                               int from)
{
    for (int l = 0; l < network->layer_count; l++) {
        PfHeadLayer *into = &network->layers[l];
        const PfHeadLayer *layer = &source->layers[l];
        copy_columns(into->parameters + to * into->width, into->columns,
                     layer->parameters + from * layer->width, layer->columns, layer->rows,
                     layer->width);
        if (layer->running)
            copy_columns(into->running + to * into->width, into->columns,
                         layer->running + from * layer->width, layer->columns, 2, layer->width);
    }
}

void pf_head_network_fold(PfHeadNetwork *network, const float *mean, const float *scale)
{
    PfHeadLayer *layer = &network->layers[0];
    float *bias = layer->parameters + layer->inputs * layer->columns;
    for (int64_t c = 0; c < layer->columns; c++) {
        double shift = 0;
        for (int64_t i = 0; i < layer->inputs; i++) {
            float *weight = &layer->parameters[i * layer->columns + c];
            *weight *= scale[i];
            shift += (double)mean[i] * (double)*weight;
        }
        bias[c] = (float)((double)bias[c] - shift);
    }
}

int pf_head_network_checkpoint(PfHeadNetwork *network, const char *prefix, PfCheckpoint *checkpoint,
                               PfError *err)
{
    for (int l = 0; l < network->layer_count; l++) {
        PfHeadLayer *layer = &network->layers[l];
        size_t row = (size_t)layer->columns * sizeof(float);
        char name[64];
        snprintf(name, sizeof name, "%s.%d.parameters", prefix, l);
        if (pf_checkpoint_add_weights(checkpoint, name, layer->parameters,
                                      (size_t)(layer->rows * layer->columns), err))
            return -1;
        snprintf(name, sizeof name, "%s.%d.running", prefix, l);
        if (layer->running && pf_checkpoint_add(checkpoint, name, layer->running, 2 * row, err))
            return -1;
    }
    return 0;
}

/* ---- room for passes ---- */

static float *new_floats(int64_t count, PfError *err)
{
    return pf_alloc_aligned((size_t)count, sizeof(float), err);
}

static int new_layer_pass(const PfHeadNetwork *network, int index, int64_t capacity,
                          bool with_gradients, LayerPass *pass, PfError *err)
{
    const PfHeadLayer *layer = &network->layers[index];
    int64_t count = capacity * layer->columns;
    bool hidden = !is_last(network, index), normalised = layer->rows > layer->inputs + 1;
    if (!(pass->linear = new_floats(count, err))) return -1;
    if (hidden && !(pass->active = new_floats(count, err))) return -1;
    if (!with_gradients) return 0;
    if (hidden && !(pass->derivative = new_floats(count, err))) return -1;
    if (hidden && network->spec.dropout > 0 &&
        !(pass->mask = new_floats(capacity * layer->width, err)))
        return -1;
    /* One for each column, or for each row of each head. */
    if (normalised &&
        !(pass->deviation = new_floats(layer->columns + capacity * network->heads, err)))
        return -1;
    pass->gradient = new_floats(layer->rows * layer->columns, err);
    return pass->gradient ? 0 : -1;
}

int pf_head_pass_new(const PfHeadNetwork *network, int64_t capacity, bool with_gradients,
                     PfHeadPass **out, PfError *err)
{
    PfHeadPass *pass = pf_calloc(1, sizeof *pass, err);
    if (!pass) return -1;
    pass->capacity = capacity;
    pass->layer_count = network->layer_count;
    for (int l = 0; l < network->layer_count; l++)
        if (new_layer_pass(network, l, capacity, with_gradients, &pass->layers[l], err)) {
            pf_head_pass_free(&pass);
            return -1;
        }
    *out = pass;
    return 0;
}

void pf_head_pass_free(PfHeadPass **pass)
{
    if (!*pass) return;
    for (int l = 0; l < (*pass)->layer_count; l++) {
        LayerPass *layer = &(*pass)->layers[l];
        free(layer->linear);
        free(layer->active);
        free(layer->derivative);
        free(layer->mask);
        free(layer->deviation);
        free(layer->gradient);
    }
    free(*pass);
    *pass = NULL;
}

float *pf_head_gradient(PfHeadPass *pass, int layer)
{
    return pass->layers[layer].gradient;
}

/* ---- forward ---- */

/* linear = bias + input W: the first layer's input is shared by all heads, of the
 * others each head has its own. */
static void multiply(const PfHeadNetwork *network, int index, const float *input, int64_t n,
                     float *linear, PfThreadPool *pool)
{
    const PfHeadLayer *layer = &network->layers[index];
    const float *bias = layer->parameters + layer->inputs * layer->columns;
    for (int64_t i = 0; i < n; i++)
        memcpy(linear + i * layer->columns, bias, (size_t)layer->columns * sizeof *linear);
    if (!index) {
        pf_gemm_nn(&(PfGemm){.m = n,
                             .n = layer->columns,
                             .k = layer->inputs,
                             .a = input,
                             .lda = layer->inputs,
                             .b = layer->parameters,
                             .ldb = layer->columns,
                             .c = linear,
                             .ldc = layer->columns,
                             .accumulate = true},
                   pool);
        return;
    }
    int64_t stride = network->heads * layer->inputs;
    for (int h = 0; h < network->heads; h++)
        pf_gemm_nn(&(PfGemm){.m = n,
                             .n = layer->width,
                             .k = layer->inputs,
                             .a = input + h * layer->inputs,
                             .lda = stride,
                             .b = layer->parameters + h * layer->width,
                             .ldb = layer->columns,
                             .c = linear + h * layer->width,
                             .ldc = layer->columns,
                             .accumulate = true},
                   pool);
}

/* A dropped value is 0, a kept one 1 / (1 - p); every head has the same ones. */
static void draw_mask(const PfHeadNetwork *network, int index, LayerPass *pass, int64_t n,
                      uint64_t seed)
{
    double dropout = network->spec.dropout;
    float kept = (float)(1 / (1 - dropout));
    PfRandom random = pf_random_seeded(seed, DROPOUT_STREAM | (uint64_t)index);
    for (int64_t i = 0; i < n * network->layers[index].width; i++)
        pass->mask[i] = pf_random_uniform(&random) < dropout ? 0 : kept;
}

static void hidden_forward(PfHeadNetwork *network, int index, PfHeadPass *pass)
{
    PfHeadLayer *layer = &network->layers[index];
    LayerPass *p = &pass->layers[index];
    int64_t n = pass->n;
    const float *scale = layer->parameters + (layer->inputs + 1) * layer->columns;
    if (network->spec.norm == PF_HEAD_NORM_BATCH)
        pf_batch_norm_forward(p->linear, n, layer->columns, layer->running,
                              pass->training ? p->deviation : NULL);
    else if (network->spec.norm == PF_HEAD_NORM_LAYER)
        pf_layer_norm_forward(p->linear, n, network->heads, layer->width, p->deviation);
    if (network->spec.norm != PF_HEAD_NORM_NONE)
        pf_scale_and_shift(p->linear, n, layer->columns, scale, p->active);
    else
        memcpy(p->active, p->linear, (size_t)(n * layer->columns) * sizeof *p->active);
    pf_activate(network->spec.activation, p->active, n * layer->columns);
    if (pass->training && p->mask)
        pf_apply_mask(p->active, n, network->heads, layer->width, p->mask);
}

static float *run(PfHeadNetwork *network, PfHeadPass *pass, const float *x, int64_t n,
                  PfThreadPool *pool)
{
    const float *input = x;
    pass->n = n;
    pass->x = x;
    for (int l = 0;; l++) {
        multiply(network, l, input, n, pass->layers[l].linear, pool);
        if (is_last(network, l)) return pass->layers[l].linear;
        hidden_forward(network, l, pass);
        input = pass->layers[l].active;
    }
}

float *pf_head_forward(PfHeadNetwork *network, PfHeadPass *pass, const float *x, int64_t n,
                       PfThreadPool *pool)
{
    pass->training = false;
    return run(network, pass, x, n, pool);
}

float *pf_head_forward_training(PfHeadNetwork *network, PfHeadPass *pass, const float *x, int64_t n,
                                uint64_t dropout_seed, PfThreadPool *pool)
{
    pass->training = true;
    for (int l = 0; l < network->layer_count; l++)
        if (pass->layers[l].mask) draw_mask(network, l, &pass->layers[l], n, dropout_seed);
    return run(network, pass, x, n, pool);
}

/* ---- backward ---- */

/* Gradient of active -> of linear, in place; of scale and shift on the way. */
static void hidden_backward(const PfHeadNetwork *network, int index, PfHeadPass *pass)
{
    const PfHeadLayer *layer = &network->layers[index];
    LayerPass *p = &pass->layers[index];
    int64_t n = pass->n, columns = layer->columns;
    float *scale_gradient = p->gradient + (layer->inputs + 1) * columns;
    const float *scale = layer->parameters + (layer->inputs + 1) * columns;
    bool normalised = network->spec.norm != PF_HEAD_NORM_NONE;
    if (p->mask) pf_apply_mask(p->derivative, n, network->heads, layer->width, p->mask);
    /* active becomes the activation's input again: its output is not needed any more. */
    if (normalised)
        pf_scale_and_shift(p->linear, n, columns, scale, p->active);
    else
        memcpy(p->active, p->linear, (size_t)(n * columns) * sizeof *p->active);
    pf_activate_backward(network->spec.activation, p->active, n * columns, p->derivative);
    if (!normalised) return;
    pf_scale_and_shift_backward(p->linear, n, columns, scale, p->derivative, scale_gradient);
    if (network->spec.norm == PF_HEAD_NORM_BATCH)
        pf_batch_norm_backward(p->linear, n, columns, p->deviation, p->derivative);
    else
        pf_layer_norm_backward(p->linear, n, network->heads, layer->width, p->deviation,
                               p->derivative);
}

/* derivative: of the layer's product. Fills the gradient of weights and bias. */
static void weight_backward(const PfHeadNetwork *network, int index, const float *input,
                            const float *derivative, LayerPass *p, int64_t n, PfThreadPool *pool)
{
    const PfHeadLayer *layer = &network->layers[index];
    int64_t columns = layer->columns,
            stride = index ? network->heads * layer->inputs : layer->inputs;
    float *bias = p->gradient + layer->inputs * columns;
    memset(bias, 0, (size_t)columns * sizeof *bias);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++) bias[c] += derivative[i * columns + c];
    if (!index) {
        pf_gemm_tn(&(PfGemm){.m = layer->inputs,
                             .n = columns,
                             .k = n,
                             .a = input,
                             .lda = stride,
                             .b = derivative,
                             .ldb = columns,
                             .c = p->gradient,
                             .ldc = columns},
                   pool);
        return;
    }
    for (int h = 0; h < network->heads; h++)
        pf_gemm_tn(&(PfGemm){.m = layer->inputs,
                             .n = layer->width,
                             .k = n,
                             .a = input + h * layer->inputs,
                             .lda = stride,
                             .b = derivative + h * layer->width,
                             .ldb = columns,
                             .c = p->gradient + h * layer->width,
                             .ldc = columns},
                   pool);
}

/* The gradient of the layer's input: (n, heads * inputs). */
static void input_backward(const PfHeadNetwork *network, int index, const float *derivative,
                           float *out, int64_t n, PfThreadPool *pool)
{
    const PfHeadLayer *layer = &network->layers[index];
    int64_t stride = network->heads * layer->inputs;
    for (int h = 0; h < network->heads; h++)
        pf_gemm_nt(&(PfGemm){.m = n,
                             .n = layer->inputs,
                             .k = layer->width,
                             .a = derivative + h * layer->width,
                             .lda = layer->columns,
                             .b = layer->parameters + h * layer->width,
                             .ldb = layer->columns,
                             .c = out + h * layer->inputs,
                             .ldc = stride},
                   pool);
}

void pf_head_backward(const PfHeadNetwork *network, PfHeadPass *pass, PfThreadPool *pool)
{
    for (int l = network->layer_count - 1; l >= 0; l--) {
        LayerPass *p = &pass->layers[l];
        const float *derivative = is_last(network, l) ? p->linear : p->derivative;
        const float *input = l ? pass->layers[l - 1].active : pass->x;
        weight_backward(network, l, input, derivative, p, pass->n, pool);
        if (!l) return;
        input_backward(network, l, derivative, pass->layers[l - 1].derivative, pass->n, pool);
        hidden_backward(network, l - 1, pass);
    }
}

void pf_head_input_gradient(const PfHeadNetwork *network, const PfHeadPass *pass, float *out,
                            PfThreadPool *pool)
{
    const LayerPass *first = &pass->layers[0];
    const float *derivative = is_last(network, 0) ? first->linear : first->derivative;
    input_backward(network, 0, derivative, out, pass->n, pool);
}

#include "train/fit/head_optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "train/kernels/optimizer.h"

/* Rows of a matrix that one task of the pool takes. */
#define TASK_ROWS 64

/* State of one layer's matrix. */
typedef struct LayerState {
    float *mean, *square; /* (rows, columns); square: Adam and AdamW only */
} LayerState;

struct PfHeadOptimizer {
    int heads, layer_count;
    PfHeadSetting *settings; /* (heads) */
    PfThreadPool *pool;
    int64_t step;
    LayerState layers[PF_MAX_HIDDEN + 1];
    PfStepColumns columns; /* of the layer that steps; its arrays are owned */
};

static int new_layer_state(PfHeadOptimizer *optimizer, int index, const PfHeadLayer *layer,
                           PfError *err)
{
    size_t count = (size_t)(layer->rows * layer->columns);
    LayerState *state = &optimizer->layers[index];
    state->mean = pf_calloc(count, sizeof(float), err);
    if (optimizer->columns.config.kind != PF_SGD)
        state->square = pf_calloc(count, sizeof(float), err);
    return state->mean && (state->square || optimizer->columns.config.kind == PF_SGD) ? 0 : -1;
}

static int new_columns(PfHeadOptimizer *optimizer, int64_t columns, PfError *err)
{
    size_t count = (size_t)columns;
    optimizer->columns.rate = pf_calloc(count, sizeof(float), err);
    optimizer->columns.decay = pf_calloc(count, sizeof(float), err);
    optimizer->columns.shrink = pf_calloc(count, sizeof(float), err);
    optimizer->columns.momentum = pf_calloc(count, sizeof(float), err);
    const PfStepColumns *made = &optimizer->columns;
    return made->rate && made->decay && made->shrink && made->momentum ? 0 : -1;
}

static int fill(PfHeadOptimizer *optimizer, const PfHeadNetwork *network,
                const PfHeadBatchConfig *config, PfError *err)
{
    size_t size = (size_t)config->head_count * sizeof *optimizer->settings;
    int64_t columns = 0;
    optimizer->settings = pf_calloc(1, size, err);
    if (!optimizer->settings) return -1;
    memcpy(optimizer->settings, config->settings, size);
    for (int l = 0; l < network->layer_count; l++) {
        if (network->layers[l].columns > columns) columns = network->layers[l].columns;
        if (new_layer_state(optimizer, l, &network->layers[l], err)) return -1;
    }
    return new_columns(optimizer, columns, err);
}

int pf_head_optimizer_new(const PfHeadNetwork *network, const PfHeadBatchConfig *config,
                          PfHeadOptimizer **out, PfError *err)
{
    PfHeadOptimizer *optimizer = pf_calloc(1, sizeof *optimizer, err);
    if (!optimizer) return -1;
    optimizer->columns.config = pf_optimizer_config(config->optimizer);
    optimizer->columns.nesterov = config->nesterov;
    optimizer->heads = config->head_count;
    optimizer->layer_count = network->layer_count;
    optimizer->pool = config->pool;
    if (fill(optimizer, network, config, err)) {
        pf_head_optimizer_free(&optimizer);
        return -1;
    }
    *out = optimizer;
    return 0;
}

void pf_head_optimizer_free(PfHeadOptimizer **optimizer)
{
    if (!*optimizer) return;
    for (int l = 0; l < (*optimizer)->layer_count; l++) {
        free((*optimizer)->layers[l].mean);
        free((*optimizer)->layers[l].square);
    }
    free((*optimizer)->settings);
    free((*optimizer)->columns.rate);
    free((*optimizer)->columns.decay);
    free((*optimizer)->columns.shrink);
    free((*optimizer)->columns.momentum);
    free(*optimizer);
    *optimizer = NULL;
}

/* ---- clipping ---- */

static double squared_length(const PfHeadNetwork *network, PfHeadPass *pass, int head)
{
    double squares = 0;
    for (int l = 0; l < network->layer_count; l++) {
        const PfHeadLayer *layer = &network->layers[l];
        const float *gradient = pf_head_gradient(pass, l) + head * layer->width;
        for (int64_t i = 0; i < layer->rows; i++)
            for (int64_t c = 0; c < layer->width; c++) {
                double g = (double)gradient[i * layer->columns + c];
                squares += g * g;
            }
    }
    return squares;
}

double pf_head_optimizer_clip(const PfHeadOptimizer *optimizer, const PfHeadNetwork *network,
                              PfHeadPass *pass, int head, double other_squares)
{
    double longest = optimizer->settings[head].clip_norm;
    if (!(longest > 0)) return 1;
    double factor = longest / (sqrt(squared_length(network, pass, head) + other_squares) + 1e-6);
    if (!(factor < 1)) return 1;
    for (int l = 0; l < network->layer_count; l++) {
        const PfHeadLayer *layer = &network->layers[l];
        float *gradient = pf_head_gradient(pass, l) + head * layer->width;
        for (int64_t i = 0; i < layer->rows; i++)
            for (int64_t c = 0; c < layer->width; c++)
                gradient[i * layer->columns + c] *= (float)factor;
    }
    return factor;
}

/* ---- steps ---- */

static void set_columns(PfHeadOptimizer *optimizer, int64_t width, const double *rates)
{
    for (int h = 0; h < optimizer->heads; h++) {
        const PfHeadSetting *setting = &optimizer->settings[h];
        pf_step_columns_set(&optimizer->columns, optimizer->step, h * width, (h + 1) * width,
                            rates[h], setting->weight_decay, setting->momentum);
    }
}

typedef struct LayerStep {
    const PfHeadOptimizer *optimizer;
    PfStepBlock block; /* of the whole matrix */
} LayerStep;

static void step_rows(void *context, int64_t index)
{
    const LayerStep *step = context;
    const PfHeadOptimizer *optimizer = step->optimizer;
    PfStepBlock block = step->block;
    int64_t first = index * TASK_ROWS, offset = first * block.stride;
    block.rows = block.rows - first < TASK_ROWS ? block.rows - first : TASK_ROWS;
    block.parameters += offset;
    block.gradient += first * block.gradient_stride;
    block.mean += offset;
    if (block.square) block.square += offset;
    pf_step_columns_take(&optimizer->columns, optimizer->step, &block);
}

void pf_head_optimizer_step(PfHeadOptimizer *optimizer, PfHeadNetwork *network, PfHeadPass *pass,
                            const double *rates)
{
    optimizer->step++;
    for (int l = 0; l < network->layer_count; l++) {
        PfHeadLayer *layer = &network->layers[l];
        LayerStep step = {optimizer,
                          {.rows = layer->rows,
                           .columns = layer->columns,
                           .stride = layer->columns,
                           .parameters = layer->parameters,
                           .mean = optimizer->layers[l].mean,
                           .square = optimizer->layers[l].square,
                           .gradient = pf_head_gradient(pass, l),
                           .gradient_stride = layer->columns}};
        set_columns(optimizer, layer->width, rates);
        pf_thread_pool_for(optimizer->pool, (layer->rows + TASK_ROWS - 1) / TASK_ROWS, step_rows,
                           &step);
    }
}

int pf_head_optimizer_checkpoint(PfHeadOptimizer *optimizer, const PfHeadNetwork *network,
                                 PfCheckpoint *checkpoint, PfError *err)
{
    for (int l = 0; l < network->layer_count; l++) {
        const LayerState *state = &optimizer->layers[l];
        size_t bytes =
            (size_t)(network->layers[l].rows * network->layers[l].columns) * sizeof(float);
        char name[64];
        snprintf(name, sizeof name, "optimizer.%d.mean", l);
        if (pf_checkpoint_add(checkpoint, name, state->mean, bytes, err)) return -1;
        snprintf(name, sizeof name, "optimizer.%d.square", l);
        if (state->square && pf_checkpoint_add(checkpoint, name, state->square, bytes, err))
            return -1;
    }
    return pf_checkpoint_add(checkpoint, "optimizer.step", &optimizer->step, sizeof optimizer->step,
                             err);
}

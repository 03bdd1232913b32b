#include "train/finetune/finetune.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/model/model_file.h"
#include "train/kernels/optimizer.h"

/* ---- the optimiser: what head_optimizer.h does to a head, done to tensors of a network ---- */

/* A tensor is stepped as a matrix of rows of so many numbers and a shorter last row. */
#define COLUMNS 1024
/* Rows that one task of the pool takes. */
#define TASK_ROWS 64

typedef struct TensorState {
    const PfSuffixTensor *tensor;
    int64_t count;
    float *mean, *square; /* (count) NULL of buffers; square: Adam and AdamW only */
} TensorState;

typedef struct SuffixOptimizer {
    PfSuffixOptimizerConfig config;
    TensorState *states; /* (count) */
    size_t count;
    int64_t step;
} SuffixOptimizer;

static int new_state(SuffixOptimizer *optimizer, const PfSuffixTensor *tensor, TensorState *state,
                     PfError *err)
{
    *state = (TensorState){.tensor = tensor, .count = pf_shape_count(&tensor->shape)};
    if (!tensor->gradient) return 0;
    state->mean = pf_calloc((size_t)state->count, sizeof(float), err);
    if (optimizer->config.kind != PF_SGD)
        state->square = pf_calloc((size_t)state->count, sizeof(float), err);
    return state->mean && (state->square || optimizer->config.kind == PF_SGD) ? 0 : -1;
}

static void suffix_optimizer_free(SuffixOptimizer **optimizer)
{
    if (!*optimizer) return;
    for (size_t i = 0; i < (*optimizer)->count; i++) {
        free((*optimizer)->states[i].mean);
        free((*optimizer)->states[i].square);
    }
    free((*optimizer)->states);
    free(*optimizer);
    *optimizer = NULL;
}

/* Of the tensors that have gradients. tensors: lent until free. */
static int suffix_optimizer_new(const PfSuffixTensor *tensors, size_t count,
                                const PfSuffixOptimizerConfig *config, SuffixOptimizer **out,
                                PfError *err)
{
    SuffixOptimizer *optimizer = pf_calloc(1, sizeof *optimizer, err);
    if (!optimizer) return -1;
    optimizer->config = *config;
    optimizer->states = pf_calloc(count ? count : 1, sizeof *optimizer->states, err);
    int failed = !optimizer->states;
    for (; optimizer->count < count && !failed; optimizer->count++)
        failed = new_state(optimizer, &tensors[optimizer->count],
                           &optimizer->states[optimizer->count], err);
    if (failed) {
        suffix_optimizer_free(&optimizer);
        return -1;
    }
    *out = optimizer;
    return 0;
}

/* Of all gradients together, the same for any number of threads. */
static double suffix_optimizer_squared_length(const SuffixOptimizer *optimizer)
{
    double squares = 0;
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        for (int64_t j = 0; state->mean && j < state->count; j++)
            squares += (double)state->tensor->gradient[j] * (double)state->tensor->gradient[j];
    }
    return squares;
}

typedef struct TensorStep {
    const PfStepColumns *columns;
    int64_t step;
    const TensorState *state;
    float clip;
} TensorStep;

/* Whole rows, then the rest of the tensor, if it falls into this task. */
static void step_rows(void *context, int64_t index)
{
    const TensorStep *step = context;
    const TensorState *state = step->state;
    int64_t first = index * TASK_ROWS * COLUMNS;
    int64_t count =
        state->count - first < TASK_ROWS * COLUMNS ? state->count - first : TASK_ROWS * COLUMNS;
    float *gradient = state->tensor->gradient + first;
    for (int64_t i = 0; step->clip < 1 && i < count; i++) gradient[i] *= step->clip;
    PfStepBlock block = {.rows = count / COLUMNS,
                         .columns = COLUMNS,
                         .stride = COLUMNS,
                         .parameters = state->tensor->values + first,
                         .mean = state->mean + first,
                         .square = state->square ? state->square + first : NULL,
                         .gradient = gradient,
                         .gradient_stride = COLUMNS};
    if (block.rows) pf_step_columns_take(step->columns, step->step, &block);
    int64_t done = block.rows * COLUMNS;
    if (done == count) return;
    block.rows = 1;
    block.columns = count - done;
    block.parameters += done;
    block.mean += done;
    if (block.square) block.square += done;
    block.gradient += done;
    pf_step_columns_take(step->columns, step->step, &block);
}

/* Gradients are multiplied by clip first; the rate is the configuration's times progress. */
static void suffix_optimizer_step(SuffixOptimizer *optimizer, double clip, double progress)
{
    const PfSuffixOptimizerConfig *config = &optimizer->config;
    float arrays[4][COLUMNS];
    PfStepColumns columns = {pf_optimizer_config(config->kind),
                             config->nesterov,
                             arrays[0],
                             arrays[1],
                             arrays[2],
                             arrays[3]};
    double rate = config->learning_rate * progress;
    optimizer->step++;
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        TensorStep step = {&columns, optimizer->step, state, (float)clip};
        int64_t tasks = (state->count + TASK_ROWS * COLUMNS - 1) / (TASK_ROWS * COLUMNS);
        if (!state->mean) continue;
        pf_step_columns_set(&columns, optimizer->step, 0, COLUMNS, rate,
                            state->tensor->decays ? config->weight_decay : 0, config->momentum);
        pf_thread_pool_for(tasks > 1 ? config->pool : NULL, tasks, step_rows, &step);
    }
}

/* Registers the running means and squares and the count of steps. */
static int suffix_optimizer_checkpoint(SuffixOptimizer *optimizer, PfCheckpoint *checkpoint,
                                       PfError *err)
{
    for (size_t i = 0; i < optimizer->count; i++) {
        const TensorState *state = &optimizer->states[i];
        size_t bytes = (size_t)state->count * sizeof(float);
        char name[sizeof state->tensor->name + 16];
        snprintf(name, sizeof name, "mean.%s", state->tensor->name);
        if (state->mean && pf_checkpoint_add(checkpoint, name, state->mean, bytes, err)) return -1;
        snprintf(name, sizeof name, "square.%s", state->tensor->name);
        if (state->square && pf_checkpoint_add(checkpoint, name, state->square, bytes, err))
            return -1;
    }
    return pf_checkpoint_add(checkpoint, "suffix.step", &optimizer->step, sizeof optimizer->step,
                             err);
}

/* ---- the network ---- */

struct PfFinetune {
    PfFinetuneNetwork network;
    const PfSuffixPlugin *plugin; /* of the network */
    const PfSuffixTensor *tensors;
    size_t tensor_count;
    size_t number_count;   /* of all tensors together */
    float *initial, *kept; /* (number_count) tensor after tensor */
    SuffixOptimizer *optimizer;
    PfSuffixSeconds seconds;
    PfTrunk trunk;
    PfRankGroup *group; /* of options; NULL: alone */
    PfBatchPart part;   /* of the last batch, what was computed here */
};

/* ---- all values at once ---- */

static void save_values(const PfFinetune *finetune, float *to)
{
    for (size_t i = 0; i < finetune->tensor_count; i++) {
        const PfSuffixTensor *tensor = &finetune->tensors[i];
        size_t count = (size_t)pf_shape_count(&tensor->shape);
        memcpy(to, tensor->values, count * sizeof *to);
        to += count;
    }
}

static int restore_values(PfFinetune *finetune, const float *from, PfError *err)
{
    for (size_t i = 0; i < finetune->tensor_count; i++) {
        const PfSuffixTensor *tensor = &finetune->tensors[i];
        size_t count = (size_t)pf_shape_count(&tensor->shape);
        memcpy(tensor->values, from, count * sizeof *from);
        from += count;
    }
    return finetune->plugin->commit(finetune->network.suffix, err);
}

/* ---- the trunk ---- */

static int backward(void *context, const float *derivative, double *squares, PfError *err)
{
    PfFinetune *finetune = context;
    double started = pf_clock_seconds();
    const float *mine = derivative + finetune->part.first * pf_finetune_features(finetune);
    if (finetune->plugin->backward(finetune->network.suffix, mine, err)) return -1;
    if (squares) *squares = suffix_optimizer_squared_length(finetune->optimizer);
    finetune->seconds.backward += pf_clock_seconds() - started;
    return 0;
}

static int step(void *context, const PfTrunkStep *trunk_step, PfError *err)
{
    PfFinetune *finetune = context;
    double started = pf_clock_seconds();
    suffix_optimizer_step(finetune->optimizer, trunk_step->clip, trunk_step->progress);
    int failed = finetune->plugin->commit(finetune->network.suffix, err);
    finetune->seconds.step += pf_clock_seconds() - started;
    return failed;
}

static int keep(void *context, PfError *err)
{
    PfFinetune *finetune = context;
    (void)err;
    save_values(finetune, finetune->kept);
    return 0;
}

static int checkpoint(void *context, PfCheckpoint *state, PfError *err)
{
    PfFinetune *finetune = context;
    for (size_t i = 0; i < finetune->tensor_count; i++) {
        const PfSuffixTensor *tensor = &finetune->tensors[i];
        size_t count = (size_t)pf_shape_count(&tensor->shape);
        char name[sizeof tensor->name + 16];
        snprintf(name, sizeof name, "value.%s", tensor->name);
        if (pf_checkpoint_add_weights(state, name, tensor->values, count, err)) return -1;
    }
    return pf_checkpoint_add_weights(state, "kept", finetune->kept, finetune->number_count, err) ||
                   suffix_optimizer_checkpoint(finetune->optimizer, state, err)
               ? -1
               : 0;
}

static int resumed(void *context, PfError *err)
{
    PfFinetune *finetune = context;
    return finetune->plugin->commit(finetune->network.suffix, err);
}

/* ---- from open to close ---- */

static int set_up(PfFinetune *finetune, PfError *err)
{
    finetune->plugin = finetune->network.plugin->suffix;
    finetune->tensors =
        finetune->plugin->tensors(finetune->network.suffix, &finetune->tensor_count);
    for (size_t i = 0; i < finetune->tensor_count; i++)
        finetune->number_count += (size_t)pf_shape_count(&finetune->tensors[i].shape);
    finetune->initial = pf_calloc(finetune->number_count, sizeof(float), err);
    finetune->kept = pf_calloc(finetune->number_count, sizeof(float), err);
    if (!finetune->initial || !finetune->kept) return -1;
    save_values(finetune, finetune->initial);
    save_values(finetune, finetune->kept);
    finetune->trunk = (PfTrunk){finetune, backward, step, keep, checkpoint, resumed};
    return 0;
}

static int check_origin(const PfFinetune *finetune, const PfModel *model, const PfCache *cache,
                        PfError *err)
{
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "backbone");
    if (cJSON_Compare(backbone, finetune->network.backbone, 1)) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "--init: model '%s' belongs to another network than the features of '%s'",
                   pf_model_path(model), pf_cache_path(cache));
}

static const PfSuffixTensor *find_tensor(const PfFinetune *finetune, const PfTensorView *view,
                                         const char *name)
{
    for (size_t i = 0; i < finetune->tensor_count; i++) {
        const PfSuffixTensor *tensor = &finetune->tensors[i];
        if (!strcmp(tensor->name, name) && view && pf_shape_equal(&view->shape, &tensor->shape))
            return tensor;
    }
    return NULL;
}

/* That nothing of the network which the model has learned is left out. */
static int check_tensors(const PfFinetune *finetune, const PfModel *model, const char *node,
                         PfError *err)
{
    const cJSON *tuned = cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "finetune");
    const char *own = pf_json_member_text(tuned, "node");
    const cJSON *name = NULL;
    cJSON_ArrayForEach(name, cJSON_GetObjectItemCaseSensitive(tuned, "tensors"))
    {
        const char *text = cJSON_GetStringValue(name);
        if (text && !find_tensor(finetune, pf_model_tensor(model, text), text))
            return pf_fail(err, PF_EXIT_FAILED,
                           "--init: model '%s' has learned '%s', which is before '%s': its head "
                           "would get features of a network that has not.\nHint: --finetune %s",
                           pf_model_path(model), text, node, own ? own : "NODE");
    }
    return 0;
}

/* The suffix begins with the tensors that the model has of it. */
static int begin_as(PfFinetune *finetune, const PfCache *cache, const PfFinetuneOptions *options,
                    PfError *err)
{
    PfModel *model;
    if (pf_model_open(options->init, &model, err)) return -1;
    int failed = check_origin(finetune, model, cache, err) ||
                 check_tensors(finetune, model, options->node, err);
    for (size_t i = 0; i < finetune->tensor_count && !failed; i++) {
        const PfSuffixTensor *tensor = &finetune->tensors[i];
        const PfTensorView *view = pf_model_tensor(model, tensor->name);
        if (view && pf_shape_equal(&view->shape, &tensor->shape))
            pf_f32_from_dtype_array(tensor->values, view->data, view->dtype,
                                    (size_t)pf_shape_count(&tensor->shape));
    }
    pf_model_close(&model);
    if (failed || finetune->plugin->commit(finetune->network.suffix, err)) return -1;
    save_values(finetune, finetune->initial);
    return 0;
}

int pf_finetune_open(const PfCache *cache, const PfFinetuneOptions *options, PfFinetune **out,
                     PfError *err)
{
    PfFinetune *finetune = pf_calloc(1, sizeof *finetune, err);
    if (!finetune) return -1;
    finetune->group = options->ranks;
    if (pf_finetune_network_open(cache, options, &finetune->network, err) ||
        set_up(finetune, err) || (options->init && begin_as(finetune, cache, options, err))) {
        pf_finetune_close(&finetune);
        return -1;
    }
    *out = finetune;
    return 0;
}

void pf_finetune_close(PfFinetune **finetune)
{
    if (!*finetune) return;
    suffix_optimizer_free(&(*finetune)->optimizer);
    pf_finetune_network_close(&(*finetune)->network);
    free((*finetune)->initial);
    free((*finetune)->kept);
    free(*finetune);
    *finetune = NULL;
}

int pf_finetune_begin(PfFinetune *finetune, const PfSuffixOptimizerConfig *config,
                      const PfTrunk **trunk, PfError *err)
{
    suffix_optimizer_free(&finetune->optimizer);
    if (suffix_optimizer_new(finetune->tensors, finetune->tensor_count, config,
                             &finetune->optimizer, err))
        return -1;
    *trunk = &finetune->trunk;
    return restore_values(finetune, finetune->initial, err);
}

int pf_finetune_end(PfFinetune *finetune, PfError *err)
{
    return restore_values(finetune, finetune->kept, err);
}

/* ---- what it is ---- */

const PfFinetuneNetwork *pf_finetune_network(const PfFinetune *finetune)
{
    return &finetune->network;
}

const PfSuffixTensor *pf_finetune_tensors(const PfFinetune *finetune, size_t *count)
{
    *count = finetune->tensor_count;
    return finetune->tensors;
}

const PfSuffixSeconds *pf_finetune_seconds(const PfFinetune *finetune)
{
    return &finetune->seconds;
}

const PfShape *pf_finetune_shape(const PfFinetune *finetune)
{
    return finetune->plugin->output_shape(finetune->network.suffix);
}

int64_t pf_finetune_features(const PfFinetune *finetune)
{
    return pf_shape_count(pf_finetune_shape(finetune));
}

int pf_finetune_loader(PfFinetune *finetune, PfBatchLoader *rows, PfBatchLoader *out, PfError *err)
{
    PfSuffixLoaderConfig config = {.plugin = finetune->plugin,
                                   .suffix = finetune->network.suffix,
                                   .rows = rows,
                                   .seconds = &finetune->seconds,
                                   .group = finetune->group,
                                   .part = &finetune->part};
    return pf_suffix_loader_new(&config, out, err);
}

/* ---- several ranks ---- */

int pf_finetune_compare_ranks(PfFinetune *finetune, PfError *err)
{
    if (!finetune->group) return 0;
    float *values = pf_calloc(finetune->number_count, sizeof *values, err);
    if (!values) return -1;
    save_values(finetune, values);
    int failed = pf_rank_group_compare(finetune->group, PF_EXIT_FAILED, "weights", values,
                                       finetune->number_count * sizeof *values, err);
    free(values);
    return failed;
}

void pf_finetune_go_alone(PfFinetune *finetune)
{
    finetune->group = NULL;
}

#include "finetune.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "json.h"
#include "memory.h"
#include "model_file.h"

struct PfFinetune {
    PfFinetuneNetwork network;
    const PfSuffixPlugin *plugin; /* of the network */
    const PfSuffixTensor *tensors;
    size_t tensor_count;
    size_t number_count;   /* of all tensors together */
    float *initial, *kept; /* (number_count) tensor after tensor */
    PfSuffixOptimizer *optimizer;
    PfSuffixSeconds seconds;
    PfTrunk trunk;
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
    double started = pf_seconds();
    if (finetune->plugin->backward(finetune->network.suffix, derivative, err)) return -1;
    if (squares) *squares = pf_suffix_optimizer_squared_length(finetune->optimizer);
    finetune->seconds.backward += pf_seconds() - started;
    return 0;
}

static int step(void *context, const PfTrunkStep *trunk_step, PfError *err)
{
    PfFinetune *finetune = context;
    double started = pf_seconds();
    pf_suffix_optimizer_step(finetune->optimizer, trunk_step->clip, trunk_step->progress);
    int failed = finetune->plugin->commit(finetune->network.suffix, err);
    finetune->seconds.step += pf_seconds() - started;
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
                   pf_suffix_optimizer_checkpoint(finetune->optimizer, state, err)
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

static int check_origin(const PfModel *model, const PfCache *cache, PfError *err)
{
    cJSON *identity =
        pf_json_parse_or_empty(pf_cache_identity(cache), pf_cache_path(cache), "identity", err);
    if (!identity) return -1;
    int same = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), "backbone"),
                             cJSON_GetObjectItemCaseSensitive(identity, "backbone"), 1);
    cJSON_Delete(identity);
    if (same) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "--init: model '%s' belongs to another network than the features of '%s'",
                   pf_model_path(model), pf_cache_path(cache));
}

/* The suffix begins with the tensors that the model has of it. */
static int begin_as(PfFinetune *finetune, const PfCache *cache, const char *path, PfError *err)
{
    PfModel *model;
    if (pf_model_open(path, &model, err)) return -1;
    int failed = check_origin(model, cache, err);
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
    if (pf_finetune_network_open(cache, options, &finetune->network, err) ||
        set_up(finetune, err) || (options->init && begin_as(finetune, cache, options->init, err))) {
        pf_finetune_close(&finetune);
        return -1;
    }
    *out = finetune;
    return 0;
}

void pf_finetune_close(PfFinetune **finetune)
{
    if (!*finetune) return;
    pf_suffix_optimizer_free(&(*finetune)->optimizer);
    pf_finetune_network_close(&(*finetune)->network);
    free((*finetune)->initial);
    free((*finetune)->kept);
    free(*finetune);
    *finetune = NULL;
}

int pf_finetune_begin(PfFinetune *finetune, const PfSuffixOptimizerConfig *config,
                      const PfTrunk **trunk, PfError *err)
{
    pf_suffix_optimizer_free(&finetune->optimizer);
    if (pf_suffix_optimizer_new(finetune->tensors, finetune->tensor_count, config,
                                &finetune->optimizer, err))
        return -1;
    *trunk = &finetune->trunk;
    return restore_values(finetune, finetune->initial, err);
}

int pf_finetune_end(PfFinetune *finetune, PfError *err)
{
    return restore_values(finetune, finetune->kept, err);
}

/* ---- views ---- */

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

int pf_finetune_feeder(PfFinetune *finetune, PfRowFeeder *rows, PfRowFeeder *out, PfError *err)
{
    return pf_suffix_feeder(finetune->plugin, finetune->network.suffix, rows, &finetune->seconds,
                            out, err);
}

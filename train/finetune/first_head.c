#include "train/finetune/first_head.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "train/fit/experiment.h"
#include "train/head/head_tensors.h"

/* ---- trained alone ---- */

#define FEATURE_BATCH 64

/* Features of the rows, as the loader makes them, to where the table has those rows. */
static int collect(const PfTrainingData *data, const int32_t *rows, int64_t count,
                   PfFeatureTable *table, PfError *err)
{
    PfBatchLoader *loader = data->loader;
    PfRowBatch batch;
    if (!count) return 0;
    if (loader->start(loader->context, rows, count, NULL, FEATURE_BATCH, err)) return -1;
    for (;;) {
        if (loader->next(loader->context, &batch, err)) return -1;
        if (!batch.n) return 0;
        for (int64_t i = 0; i < batch.n; i++)
            memcpy(table->x + batch.rows[i] * data->features, batch.x + i * data->features,
                   (size_t)data->features * sizeof *table->x);
    }
}

/* The list that the normalisation is measured on. */
static int copy_train_rows(const PfTrainingData *data, PfFeatureTable *table, PfError *err)
{
    size_t size = (size_t)data->train_count * sizeof *data->train_rows;
    int32_t *rows = pf_calloc(1, size, err);
    if (!rows) return -1;
    memcpy(rows, data->train_rows, size);
    table->split_rows[PF_SPLIT_TRAIN] = rows;
    table->split_counts[PF_SPLIT_TRAIN] = data->train_count;
    return 0;
}

static int train(const PfTrainingData *data, const PfHeadBatchConfig *config, PfFeatureTable *table,
                 const PfHeadBatchObserver *observer, PfHeadNetwork **out, PfError *err)
{
    PfExperiment experiment = pf_experiment_default();
    PfBatchLoader loader = {0};
    PfHeadBatchResult result;
    if (pf_experiment_finish(&experiment, err) ||
        pf_batch_loader_of_memory(table, config->pool, &loader, err))
        return -1;
    PfTrainingData alone = *data;
    alone.loader = &loader;
    PfHeadBatchConfig own = *config;
    own.optimizer = experiment.optimizer;
    own.settings = &experiment.setting;
    own.epochs = pf_experiment_epochs(&experiment, data->train_count);
    own.batch = experiment.batch;
    own.patience = 0;
    own.start = NULL;
    own.trunk = NULL;
    own.checkpoint = NULL;
    int failed = pf_head_trainer_run(&alone, &own, observer, &result, err);
    if (!failed) {
        *out = result.network;
        result.network = NULL;
        pf_head_batch_result_free(&result);
    }
    pf_batch_loader_free(&loader);
    return failed ? -1 : 0;
}

int pf_first_head_trained(const PfTrainingData *data, const PfHeadBatchConfig *config,
                          int64_t table_rows, const PfHeadBatchObserver *observer,
                          PfHeadNetwork **out, PfError *err)
{
    PfFeatureTable *table = NULL;
    float *mean = pf_calloc(2 * (size_t)data->features, sizeof *mean, err);
    if (!mean) return -1;
    float *scale = mean + data->features;
    int threads = pf_thread_pool_size(config->pool);
    int failed = pf_feature_table_new(table_rows, 1, data->features, 0, &table, err) ||
                 collect(data, data->train_rows, data->train_count, table, err) ||
                 collect(data, data->val_rows, data->val_count, table, err) ||
                 copy_train_rows(data, table, err) ||
                 pf_normalize(table, PF_NORMALIZE_STANDARDIZE, threads, mean, scale, err) ||
                 train(data, config, table, observer, out, err);
    if (!failed) pf_head_network_fold(*out, mean, scale);
    pf_feature_table_free(&table);
    free(mean);
    return failed ? -1 : 0;
}

/* ---- of a model ---- */

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool same_classes(const cJSON *classes, const PfTask *task)
{
    if (!task->classes || !cJSON_IsArray(classes)) return !task->classes == !cJSON_IsArray(classes);
    if (cJSON_GetArraySize(classes) != task->outputs) return false;
    const cJSON *name = classes->child;
    for (int c = 0; c < task->outputs; c++, name = name->next)
        if (strcmp(name->valuestring, task->classes[c])) return false;
    return true;
}

static int check_targets(const PfModel *model, const PfTask *tasks, int task_count, PfError *err)
{
    const cJSON *targets = member(pf_model_metadata(model), "targets");
    const cJSON *target = targets->child;
    int same = cJSON_GetArraySize(targets) == task_count;
    for (int t = 0; same && t < task_count; t++, target = target->next) {
        const char *name = cJSON_GetStringValue(member(target, "name"));
        const PfTensorView *weight =
            pf_model_tensor(model, cJSON_GetStringValue(member(target, "weight")));
        same = name && !strcmp(name, tasks[t].name) && weight &&
               weight->shape.dims[0] == tasks[t].outputs &&
               same_classes(member(target, "classes"), &tasks[t]);
    }
    if (same) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--init: the head of '%s' is for other targets, or other classes, than are "
                   "learned here ('%s'%s)",
                   pf_model_path(model), tasks[0].name, task_count > 1 ? ", ..." : "");
}

static bool same_shape(const PfHeadSpec *a, const PfHeadSpec *b)
{
    return a->hidden_count == b->hidden_count &&
           !memcmp(a->hidden, b->hidden, (size_t)a->hidden_count * sizeof *a->hidden) &&
           (!a->hidden_count || (a->activation == b->activation && a->norm == b->norm));
}

static int check_network(const PfModel *model, const PfHeadNetwork *network, const PfHeadSpec *spec,
                         int64_t features, PfError *err)
{
    char found[PF_HEAD_SPEC_TEXT_SIZE], wanted[PF_HEAD_SPEC_TEXT_SIZE];
    const char *normalize =
        cJSON_GetStringValue(member(member(pf_model_metadata(model), "config"), "normalize"));
    if (normalize && !strcmp(normalize, "l2"))
        return pf_fail(
            err, PF_EXIT_FAILED,
            "--init: the head of '%s' takes rows of length 1, which the network does not "
            "give",
            pf_model_path(model));
    if (network->features == features && same_shape(&network->spec, spec)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--init: the head of '%s' is %s on %lld features, here it is %s on %lld: say so "
                   "with --head, --activation, --head-norm and --tap",
                   pf_model_path(model), pf_head_spec_text(&network->spec, found),
                   (long long)network->features, pf_head_spec_text(spec, wanted),
                   (long long)features);
}

/* From the target's own units to those of its spread. */
static void to_learned_units(PfHeadNetwork *network, const PfTask *tasks, int task_count)
{
    PfHeadLayer *layer = &network->layers[network->layer_count - 1];
    int64_t first = 0;
    for (int t = 0; t < task_count; first += tasks[t++].outputs)
        for (int c = 0; tasks[t].scale && c < tasks[t].outputs; c++) {
            float *column = layer->parameters + first + c;
            column[layer->inputs * layer->columns] -= tasks[t].center[c];
            for (int64_t i = 0; i <= layer->inputs; i++)
                column[i * layer->columns] /= tasks[t].scale[c];
        }
}

int pf_first_head_of_model(const char *model_path, const PfHeadSpec *spec, const PfTask *tasks,
                           int task_count, int64_t features, PfHeadNetwork **out, PfError *err)
{
    PfModel *model;
    if (pf_model_open(model_path, &model, err)) return -1;
    *out = NULL;
    int failed = check_targets(model, tasks, task_count, err) ||
                 pf_head_tensors_read(model, out, err) ||
                 check_network(model, *out, spec, features, err);
    if (!failed) {
        (*out)->spec = *spec; /* its dropout */
        to_learned_units(*out, tasks, task_count);
    } else {
        pf_head_network_free(out);
    }
    pf_model_close(&model);
    return failed ? -1 : 0;
}

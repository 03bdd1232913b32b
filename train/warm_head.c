#include "warm_head.h"

#include <stdlib.h>
#include <string.h>

#include "experiment.h"
#include "memory.h"

#define FEATURE_BATCH 64

/* Features of the rows, as the feeder makes them, to where the table has those rows. */
static int collect(const PfTrainingData *data, const int32_t *rows, int64_t count,
                   PfFeatureTable *table, PfError *err)
{
    PfRowFeeder *feeder = data->feeder;
    PfRowBatch batch;
    if (!count) return 0;
    if (feeder->start(feeder->context, rows, count, NULL, FEATURE_BATCH, err)) return -1;
    for (;;) {
        if (feeder->next(feeder->context, &batch, err)) return -1;
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

static int train(const PfTrainingData *data, const PfGroupConfig *config, PfFeatureTable *table,
                 const PfGroupObserver *observer, PfHeadNetwork **out, PfError *err)
{
    PfExperiment experiment = pf_experiment_default();
    PfRowFeeder feeder = {0};
    PfGroupResult result;
    if (pf_experiment_finish(&experiment, err) ||
        pf_memory_feeder(table, config->pool, &feeder, err))
        return -1;
    PfTrainingData alone = *data;
    alone.feeder = &feeder;
    PfGroupConfig own = *config;
    own.optimizer = experiment.optimizer;
    own.settings = &experiment.setting;
    own.epochs = pf_default_epochs(&experiment, data->train_count);
    own.batch = experiment.batch;
    own.patience = 0;
    own.start = NULL;
    own.trunk = NULL;
    own.checkpoint = NULL;
    int failed = pf_train_group(&alone, &own, observer, &result, err);
    if (!failed) {
        *out = result.network;
        result.network = NULL;
        pf_group_result_free(&result);
    }
    pf_row_feeder_free(&feeder);
    return failed ? -1 : 0;
}

int pf_warm_head(const PfTrainingData *data, const PfGroupConfig *config, int64_t table_rows,
                 const PfGroupObserver *observer, PfHeadNetwork **out, PfError *err)
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

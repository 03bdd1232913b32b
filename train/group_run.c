#include "group_run.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convex_head.h"
#include "first_head.h"
#include "memory.h"
#include "row_choice.h"
#include "stream_feeder.h"

int pf_head_feeder_new(const PfFeatureTable *table, PfFinetune *finetune, PfThreadPool *pool,
                       PfHeadFeeder *out, PfError *err)
{
    *out = (PfHeadFeeder){.features = table->features};
    PfRowFeeder *rows = finetune ? &out->rows : &out->feeder;
    if (pf_row_feeder_new(table, pool, rows, err)) return -1;
    if (!finetune) return 0;
    out->features = pf_finetune_features(finetune);
    return pf_finetune_feeder(finetune, rows, &out->feeder, err);
}

void pf_head_feeder_free(PfHeadFeeder *feeder)
{
    pf_row_feeder_free(&feeder->feeder);
    pf_row_feeder_free(&feeder->rows);
}

/* What a group learns from, and what of that is its own. */
typedef struct GroupData {
    PfTrainingData data;
    PfHeadFeeder feeder;
    PfTask *tasks;
    PfTrainRows train;
} GroupData;

static void free_data(GroupData *group)
{
    pf_head_feeder_free(&group->feeder);
    free(group->train.chosen);
    free(group->tasks);
}

int pf_train_rows(const PfFeatureTable *table, const PfExperiment *experiment, int64_t seed,
                  PfTrainRows *out, PfError *err)
{
    const PfTask *by = pf_feature_table_class_task(table);
    *out = (PfTrainRows){.rows = table->split_rows[PF_SPLIT_TRAIN],
                         .count = table->split_counts[PF_SPLIT_TRAIN]};
    if (!experiment->per_class) return 0;
    if (pf_rows_per_class(by ? by : &table->tasks[0], out->rows, out->count, experiment->per_class,
                          (uint64_t)seed, &out->chosen, &out->count, err))
        return -1;
    out->rows = out->chosen;
    return 0;
}

static int open_data(const PfGroupRun *run, const PfExperiment *first, int64_t seed,
                     GroupData *group, PfError *err)
{
    const PfFeatureTable *table = run->table;
    *group = (GroupData){0};
    group->tasks = pf_calloc((size_t)table->task_count, sizeof *group->tasks, err);
    if (!group->tasks || pf_train_rows(table, first, seed, &group->train, err) ||
        pf_head_feeder_new(table, run->finetune, run->pool, &group->feeder, err))
        return -1;
    memcpy(group->tasks, table->tasks, (size_t)table->task_count * sizeof *group->tasks);
    for (int t = 0; t < table->task_count && !first->balanced_loss; t++)
        group->tasks[t].class_weights = NULL; /* lent: the table keeps them */
    group->data = (PfTrainingData){
        .feeder = &group->feeder.feeder,
        .features = group->feeder.features,
        .tasks = group->tasks,
        .task_count = table->task_count,
        .train_rows = group->train.rows,
        .train_count = group->train.count,
        .val_rows = table->split_rows[PF_SPLIT_VAL],
        .val_count = table->split_counts[PF_SPLIT_VAL],
    };
    return 0;
}

static PfGroupConfig group_config(const PfGroupRun *run, const PfExperiment *first,
                                  const PfTrainingData *data)
{
    return (PfGroupConfig){
        .spec = first->spec,
        .optimizer = first->optimizer,
        .nesterov = first->nesterov,
        .epochs = first->epochs ? first->epochs : pf_default_epochs(first, data->train_count),
        .batch = first->batch,
        .balance = first->sampling == PF_SAMPLING_BALANCED ? pf_feature_table_class_task(run->table)
                                                           : NULL,
        .patience = first->patience,
        .pool = run->pool,
        .checkpoint = run->checkpoint,
        .resume = run->options->resume,
    };
}

/* A head that goes on from a checkpoint need not be warmed. */
static bool needs_warm_head(const PfGroupRun *run)
{
    bool goes_on = run->checkpoint && run->options->resume &&
                   !access(pf_checkpoint_path(run->checkpoint), F_OK);
    return run->options->warm_head && !goes_on;
}

/* *start: where the head begins; NULL: anywhere. */
static int find_start(const PfGroupRun *run, const PfTrainingData *data,
                      const PfGroupConfig *config, PfHeadNetwork **start, PfError *err)
{
    const char *init = run->options->finetune.init;
    if (init)
        return pf_init_head(init, &config->spec, data->tasks, data->task_count, data->features,
                            start, err);
    return needs_warm_head(run) ? pf_warm_head(data, config, run->table->rows, NULL, start, err)
                                : 0;
}

static int train_with_suffix(const PfGroupRun *run, const PfExperiment *first,
                             const PfTrainingData *data, PfGroupConfig *config, PfGroupResult *out,
                             PfError *err)
{
    PfHeadNetwork *start = NULL;
    PfSuffixOptimizerConfig suffix = {.kind = first->optimizer,
                                      .nesterov = first->nesterov,
                                      .learning_rate = first->backbone_rate,
                                      .weight_decay = first->setting.weight_decay,
                                      .momentum = first->setting.momentum,
                                      .pool = run->pool};
    if (pf_finetune_begin(run->finetune, &suffix, &config->trunk, err)) return -1;
    if (find_start(run, data, config, &start, err)) return -1;
    config->start = start;
    int failed = pf_train_group(data, config, run->observer, out, err);
    pf_head_network_free(&start);
    if (failed) return -1;
    if (!pf_finetune_end(run->finetune, err)) return 0;
    pf_group_result_free(out);
    return -1;
}

int pf_group_run(const PfGroupRun *run, const PfExperiment *first, const PfHeadSetting *settings,
                 int count, int64_t seed, PfGroupResult *out, PfError *err)
{
    GroupData group;
    int failed = open_data(run, first, seed, &group, err);
    PfGroupConfig config = group_config(run, first, &group.data);
    config.settings = settings;
    config.head_count = count;
    config.seed = (uint64_t)seed;
    if (!failed && run->finetune)
        failed = train_with_suffix(run, first, &group.data, &config, out, err);
    else if (!failed && first->optimizer == PF_LBFGS)
        failed = pf_convex_check(group.tasks, group.data.task_count, &first->spec, err) ||
                 pf_train_convex(&group.data, &config, run->observer, out, err);
    else if (!failed)
        failed = pf_train_group(&group.data, &config, run->observer, out, err);
    free_data(&group);
    return failed ? -1 : 0;
}

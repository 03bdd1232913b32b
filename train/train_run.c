#include "train/train_run.h"

#include "common/cache/views.h"
#include "train/features/target_kind.h"

const char *const pf_split_names[PF_SPLIT_COUNT] = {"train", "val", "test"};

const PfCacheTap *pf_train_run_tap(const PfTrainRun *run)
{
    return pf_cache_tap(run->cache, run->sweep->taps[run->sweep->tap]);
}

const char *pf_train_run_head_tap(const PfTrainRun *run, PfShape *shape)
{
    const PfCacheTap *tap = pf_train_run_tap(run);
    const PfFinetune *finetune = run->sweep->finetune;
    *shape = finetune ? *pf_finetune_shape(finetune)
                      : pf_cache_views_shape(&tap->shape, run->sweep->table->views);
    return finetune ? pf_finetune_network(finetune)->output : tap->name;
}

const PfHeadHistory *pf_train_run_history(const PfTrainRun *run)
{
    return &run->sweep->result.histories[0];
}

const PfHeadEpoch *pf_train_run_best(const PfTrainRun *run)
{
    const PfHeadHistory *history = pf_train_run_history(run);
    return &history->epochs[history->best_epoch - 1];
}

const char *pf_train_run_score_name(const PfFeatureTable *table)
{
    return table->task_count == 1 ? pf_target_traits(table->tasks[0].kind)->score_name : "score";
}

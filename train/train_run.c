#include "train_run.h"

#include <stdio.h>

#include "cached_views.h"
#include "target_kind.h"

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
                      : pf_view_shape(&tap->shape, run->sweep->table->views);
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

const char *pf_score_name(const PfFeatureTable *table)
{
    return table->task_count == 1 ? pf_target_traits(table->tasks[0].kind)->score_name : "score";
}

const char *pf_optimizer_name(PfOptimizerKind kind)
{
    static const char *const names[] = {"adam", "adamw", "sgd", "lbfgs"};
    return names[kind];
}

const char *pf_normalize_name(PfNormalize kind)
{
    static const char *const names[] = {"none", "standardize", "l2"};
    return names[kind];
}

const char *pf_activation_name(PfActivation activation)
{
    return activation == PF_GELU ? "gelu" : "relu";
}

const char *pf_head_norm_name(PfHeadNorm norm)
{
    static const char *const names[] = {"none", "batch", "layer"};
    return names[norm];
}

const char *pf_schedule_text(const PfSchedule *schedule, char text[PF_SCHEDULE_TEXT_SIZE])
{
    switch (schedule->kind) {
    case PF_SCHEDULE_CONSTANT: snprintf(text, PF_SCHEDULE_TEXT_SIZE, "constant"); break;
    case PF_SCHEDULE_COSINE: snprintf(text, PF_SCHEDULE_TEXT_SIZE, "cosine"); break;
    case PF_SCHEDULE_STEP:
        snprintf(text, PF_SCHEDULE_TEXT_SIZE, "step:%d,%g", schedule->step_epochs, schedule->gamma);
        break;
    }
    return text;
}

#include "train_run.h"

#include <stdio.h>

const char *const pf_split_names[PF_SPLIT_COUNT] = {"train", "val", "test"};

const char *pf_optimizer_name(PfOptimizerKind kind)
{
    static const char *const names[] = {"adam", "adamw", "sgd"};
    return names[kind];
}

const char *pf_normalize_name(PfNormalize kind)
{
    static const char *const names[] = {"none", "standardize", "l2"};
    return names[kind];
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

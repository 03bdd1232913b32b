#include "train/sweep/search_plan.h"

#include <math.h>
#include <stddef.h>

/* The first loss without an optimum that can be found, or NULL. */
static const char *unfit_loss(const PfFeatureTable *table)
{
    for (int t = 0; t < table->task_count; t++) {
        const PfLoss *loss = pf_loss(table->tasks[t].loss);
        if (!loss->is_convex || isnan(loss->curvature(table->tasks[t].outputs))) return loss->word;
    }
    return NULL;
}

/* What was asked for that only steps over batches have, or NULL. */
static const char *asks_for_steps(const PfExperiment *experiment, const PfFeatureTable *table)
{
    const PfHeadSetting *setting = &experiment->setting;
    return setting->schedule.kind != PF_SCHEDULE_CONSTANT ? "--schedule"
           : setting->warmup_epochs > 0                   ? "--warmup"
           : setting->clip_norm > 0                       ? "--clip"
           : experiment->patience                         ? "--patience"
           : experiment->sampling == PF_SAMPLING_BALANCED ? "--sampling balanced"
           : experiment->batch != PF_DEFAULT_BATCH        ? "--batch"
           : table->drawn_views > 1                       ? "drawing among views"
                                                          : unfit_loss(table);
}

PfSearchKind pf_search_plan(const PfExperiment *experiment, const PfFeatureTable *table,
                            const char **why_not)
{
    const char *ignored;
    if (!why_not) why_not = &ignored;
    *why_not = NULL;
    if (!experiment->searches) return PF_SEARCH_NONE;
    *why_not = experiment->spec.hidden_count ? "an mlp"
               : table->stream               ? "streaming features"
                                             : asks_for_steps(experiment, table);
    return *why_not ? PF_SEARCH_NONE : PF_SEARCH_DECAY;
}

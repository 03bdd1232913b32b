#include "train/settings/sweep_settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"

#define MAX_SETTINGS 1000000

static int check_axis(const PfSweepAxis *axis, PfError *err)
{
    const PfOption *option = pf_options_named(pf_train_manual.table, axis->name);
    if (option && option->effect != PF_OPTION_ON_HEAD)
        return pf_fail(err, PF_EXIT_USAGE, "--sweep: --%s is the same for all heads%s", axis->name,
                       !strcmp(axis->name, "tap") ? "; --tap all tries every tap" : "");
    return 0;
}

/* Which value of an axis combination `index` has. */
static int value_index(const PfTrainOptions *options, int axis, int index)
{
    for (int a = options->axis_count - 1; a > axis; a--) index /= options->axes[a].count;
    return index % options->axes[axis].count;
}

/* Nothing is said of what a search would find out. */
static bool searches(const PfTrainOptions *options)
{
    const PfHeadSetting *setting = &options->experiment.setting;
    return !options->no_search && !options->axis_count && !options->names_optimizer &&
           !options->finetune.node && setting->learning_rate < 0 && setting->weight_decay < 0;
}

static int make_setting(const PfTrainOptions *options, int index, PfSweepSetting *setting,
                        PfError *err)
{
    PfTrainOptions changed = *options;
    setting->values = pf_calloc((size_t)options->axis_count, sizeof *setting->values, err);
    if (!setting->values) return -1;
    for (int a = 0; a < options->axis_count; a++) {
        const PfSweepAxis *axis = &options->axes[a];
        setting->values[a] = axis->values[value_index(options, a, index)];
        if (pf_options_assign(pf_train_manual.table, &changed, "--sweep", axis->name,
                              setting->values[a], err))
            return -1;
    }
    setting->experiment = changed.experiment;
    setting->experiment.finetunes = options->finetune.node != NULL;
    setting->experiment.searches = searches(options);
    return pf_experiment_finish(&setting->experiment, err);
}

int pf_sweep_settings_list(const PfTrainOptions *options, PfSweepSetting **settings, int *count,
                           PfError *err)
{
    int64_t total = 1;
    for (int a = 0; a < options->axis_count; a++) {
        if (check_axis(&options->axes[a], err)) return -1;
        total *= options->axes[a].count;
        if (total > MAX_SETTINGS)
            return pf_fail(err, PF_EXIT_USAGE, "--sweep: more than %d combinations", MAX_SETTINGS);
    }
    *settings = pf_calloc((size_t)total, sizeof **settings, err);
    if (!*settings) return -1;
    for (*count = 0; *count < total; ++*count)
        if (make_setting(options, *count, &(*settings)[*count], err)) {
            pf_sweep_settings_free(settings, *count + 1);
            return -1;
        }
    return 0;
}

void pf_sweep_settings_free(PfSweepSetting **settings, int count)
{
    for (int i = 0; *settings && i < count; i++) free((*settings)[i].values);
    free(*settings);
    *settings = NULL;
}

int pf_sweep_settings_check(const PfTrainOptions *options, PfError *err)
{
    PfSweepSetting *settings;
    int count;
    if (pf_sweep_settings_list(options, &settings, &count, err)) return -1;
    pf_sweep_settings_free(&settings, count);
    return 0;
}

/* The settings that all --sweep together make. */
#ifndef PF_TRAIN_SETTINGS_SWEEP_SETTINGS_H
#define PF_TRAIN_SETTINGS_SWEEP_SETTINGS_H

#include "permafrost/error.h"
#include "train/fit/experiment.h"
#include "train/settings/options.h"

/* One setting of a sweep. */
typedef struct PfSweepSetting {
    PfExperiment experiment; /* finished */
    char **values;           /* (axis_count) lent by the options' axes */
} PfSweepSetting;

/* All combinations of the axes, the last changing fastest; one without any.
 * *settings: to be freed with pf_sweep_settings_free. */
int pf_sweep_settings_list(const PfTrainOptions *options, PfSweepSetting **settings, int *count,
                           PfError *err);
void pf_sweep_settings_free(PfSweepSetting **settings, int count);

/* Whether there are such settings: to be known before anything is read. */
int pf_sweep_settings_check(const PfTrainOptions *options, PfError *err);

#endif

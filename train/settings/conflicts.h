/* Options of train that do not go together, or that would have no effect. */
#ifndef PF_TRAIN_SETTINGS_CONFLICTS_H
#define PF_TRAIN_SETTINGS_CONFLICTS_H

#include "train/settings/options.h"

/* PF_EXIT_USAGE with what is wrong about them, before any file is opened. The axes have the names
 * of the table. */
int pf_train_conflicts_check(const PfTrainOptions *options, PfError *err);

#endif

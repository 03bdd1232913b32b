/* Names on the command line of train that only a cache can know: checked before anything long. */
#ifndef PF_TRAIN_SETTINGS_NAME_CHECK_H
#define PF_TRAIN_SETTINGS_NAME_CHECK_H

#include "permafrost/feature_cache.h"
#include "train/settings/options.h"

/* The targets of --target, --loss and --task-weight are in the cache; what --assert names will be
 * in the result: a split that has rows, a number that targets of these kinds have. Usage errors.
 * What lies deeper, as in "val.classes.3.f1", is found or missed when the result is there. */
int pf_name_check(const PfTrainOptions *options, const PfCache *cache, PfError *err);

#endif

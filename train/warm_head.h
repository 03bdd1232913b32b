/* A head trained alone, on features of the network as it is: where a fine-tuning begins. */
#ifndef PF_WARM_HEAD_H
#define PF_WARM_HEAD_H

#include "group_trainer.h"

/* data: as the fine-tuning will have it, its feeder giving features; config: likewise. The head
 * has the config's shape, seed, losses and sampling, and train's defaults for heads else: adamw,
 * standardised features, which are folded into its weights. *out takes features as they come.
 * table_rows: of the table that data's rows belong to. Holds the features of all train and val rows
 * in memory meanwhile. */
int pf_warm_head(const PfTrainingData *data, const PfGroupConfig *config, int64_t table_rows,
                 const PfGroupObserver *observer, PfHeadNetwork **out, PfError *err);

#endif

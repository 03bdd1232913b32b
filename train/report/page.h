/* The page that train writes: --report. */
#ifndef PF_TRAIN_REPORT_PAGE_H
#define PF_TRAIN_REPORT_PAGE_H

#include "common/thread/thread_pool.h"
#include "train/report/result.h"

/* The run's curves, its ranking, what the winner gets right and wrong, and a map of the features,
 * into options->report. */
int pf_train_page_write(const PfTrainOptions *options, const PfTrainRun *run, PfThreadPool *pool,
                        PfError *err);

#endif

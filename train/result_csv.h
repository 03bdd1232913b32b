/* Every head of a run as a line of comma-separated values. */
#ifndef PF_RESULT_CSV_H
#define PF_RESULT_CSV_H

#include "train_run.h"

/* malloc'ed text: a header, then a line a head. NULL where memory is short. */
char *pf_result_csv(const PfTrainRun *run);

#endif

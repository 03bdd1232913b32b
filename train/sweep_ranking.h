/* From the trials of a sweep to the ranking of its settings. */
#ifndef PF_SWEEP_RANKING_H
#define PF_SWEEP_RANKING_H

#include "sweep.h"

/* Sorts the trials and fills ranking: highest mean validation score first, of equal ones the lowest
 * loss; what diverged last. Without val rows by the train part. */
int pf_sweep_rank(PfSweep *sweep, PfError *err);

#endif

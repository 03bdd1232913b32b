/* Every search that was asked for, one after the other, with what each needs of the others. */
#ifndef PF_INSPECT_SEARCH_H
#define PF_INSPECT_SEARCH_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"

/* findings: starts from {0}; what could not be looked for says why. */
int pf_search_run(const PfInspectOptions *options, const PfRows *rows, PfFindings *findings,
                  PfError *err);

#endif

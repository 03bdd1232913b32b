/* The page that inspect writes. */
#ifndef PF_INSPECT_REPORT_H
#define PF_INSPECT_REPORT_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"

/* What was found, the first model's predictions, and a map, into options->output; the rows into
 * options->export_folder; whichever of the two is given. */
int pf_report_write(const PfInspectOptions *options, const PfRows *rows, const PfFindings *findings,
                    PfError *err);

#endif

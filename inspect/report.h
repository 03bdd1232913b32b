/* The page that inspect writes. */
#ifndef PF_INSPECT_REPORT_H
#define PF_INSPECT_REPORT_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/page/map.h"
#include "inspect/rows/rows.h"

/* Before the search: whether the first model predicts anything that the page would show. */
int pf_report_check(const PfInspectOptions *options, const PfCache *cache, PfError *err);

/* What was found, the first model's predictions, and a map, into options->output; the rows into
 * options->export_folder; whichever of the two is given. map: where it has been drawn, else it is
 * drawn now, unless options->no_map. */
int pf_report_write(const PfInspectOptions *options, const PfRows *rows, const PfFindings *findings,
                    const PfMap *map, PfError *err);

#endif

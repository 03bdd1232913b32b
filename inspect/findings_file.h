/* The findings as files: JSON, of which docs/inspect.md has the schema, and CSV. */
#ifndef PF_INSPECT_FINDINGS_FILE_H
#define PF_INSPECT_FINDINGS_FILE_H

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/page/map.h"
#include "inspect/rows/rows.h"

/* To options->json. */
int pf_findings_write_json(const PfInspectOptions *options, const PfRows *rows,
                           const PfFindings *findings, const PfMap *map, PfError *err);
/* To options->csv: a line for each image that was found, with a column `path`. */
int pf_findings_write_csv(const PfInspectOptions *options, const PfRows *rows,
                          const PfFindings *findings, PfError *err);

#endif

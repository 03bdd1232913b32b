/* extract --json: what a run did, for programs. */
#ifndef PF_EXTRACTION_JSON_H
#define PF_EXTRACTION_JSON_H

#include "extraction_summary.h"

/* Writes the file in one piece ("-": standard output); docs/extract.md has its members. */
int pf_extraction_write_json(const PfExtraction *run, const PfExtractionSummary *summary,
                             PfError *err);

#endif

/* The findings in words, 80 columns wide; names of files stand whole at the ends of lines. */
#ifndef PF_INSPECT_WORDS_H
#define PF_INSPECT_WORDS_H

#include <stdio.h>

#include "inspect/findings/findings.h"
#include "inspect/options.h"
#include "inspect/page/map.h"
#include "inspect/rows/rows.h"

/* What is inspected. */
void pf_words_begin(FILE *stream, const PfInspectOptions *options, const PfRows *rows);
/* What was found, and what was not looked for. */
void pf_words_findings(FILE *stream, const PfInspectOptions *options, const PfRows *rows,
                       const PfFindings *findings, const PfMap *map);

/* The row's path, or its number where paths are kept back. */
const char *pf_words_name(const PfInspectOptions *options, const PfRows *rows, int64_t row,
                          char name[PF_ROW_NAME_SIZE]);

#endif

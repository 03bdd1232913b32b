/* One run of extract: a dataset through a network into a cache. */
#ifndef PF_EXTRACT_EXTRACTION_H
#define PF_EXTRACT_EXTRACTION_H

#include <signal.h>

#include "extract/options.h"

/* Checks everything that can be checked, says what it will do, does it, and
 * sums up on stderr. command: the command line, for the provenance.
 * interrupted: see pipeline.h. */
int pf_extraction_run(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err);

#endif

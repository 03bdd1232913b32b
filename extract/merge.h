/* extract --merge: several caches of one identity as one. */
#ifndef PF_MERGE_H
#define PF_MERGE_H

#include <signal.h>

#include "extract_options.h"

/* Checks the inputs against each other, writes the output, sums up on stderr. command: the
 * command line, for the provenance. */
int pf_merge_run(const PfExtractOptions *options, const char *command,
                 const volatile sig_atomic_t *interrupted, PfError *err);

#endif

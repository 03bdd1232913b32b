/* Runs of extract over shards whose numbers are not typed by hand: --shard auto/N and any/N. */
#ifndef PF_EXTRACT_SHARD_RUN_H
#define PF_EXTRACT_SHARD_RUN_H

#include "extract/extraction.h"

/* As pf_extraction_run, for the shard that the batch system numbers this process by, into
 * OUT.parts/K-of-N.h5. */
int pf_shard_run_auto(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err);

/* As pf_extraction_run, for one shard after the other into OUT.parts/K-of-N.h5, until all are
 * done. A shard that another process is writing is left to it, and taken over where that process
 * ends without finishing it: the lock of its journal is the lease. A run that ends well has seen
 * all of them finished. */
int pf_shard_run_any(const PfExtractOptions *options, const char *command,
                     const volatile sig_atomic_t *interrupted, PfError *err);

#endif

/* Whether a lock on a file keeps processes of other hosts out: --shard any/N shares out shards by
 * locks alone. */
#ifndef PF_EXTRACT_SHARD_LEASE_H
#define PF_EXTRACT_SHARD_LEASE_H

#include <sys/types.h>

#include "permafrost/error.h"

/* Fails with PF_EXIT_USAGE, and says why, where the folder lies in a file system whose locks do not
 * reach other hosts, or are not known to: NFS without locks, Lustre without "flock", FUSE. */
int pf_lease_check(const char *folder, PfError *err);

/* What pf_lease_check goes by, for tests: why locks of the file system of that device number are
 * not to be relied on, given the text of /proc/self/mountinfo; NULL where they are. Static. */
const char *pf_lease_objection(const char *mountinfo, dev_t device);

#endif

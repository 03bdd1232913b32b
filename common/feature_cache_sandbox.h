/* What is taken from a process that reads a file for which nobody vouches. */
#ifndef PF_FEATURE_CACHE_SANDBOX_H
#define PF_FEATURE_CACHE_SANDBOX_H

#include <stdint.h>

/* From here on this process, a child, may open files for reading, write to `channel`, and
 * nothing else: no other file, network or program. It takes no more memory than it has now and
 * `memory_bytes`, says nothing on stderr, leaves no core file, and dies of its faults. What it
 * inherited besides files open for reading is closed. Where the system has no filter
 * for system calls, only the limits hold. */
void pf_sandbox_enter(int channel, uint64_t memory_bytes);

/* Ends this process unless the next call comes before it has computed for so many seconds. 0:
 * no such limit. */
void pf_sandbox_limit_work(int64_t seconds);

#endif

/* What the control groups that a process is in allow it, as containers and batch systems set it:
 * version 2, version 1, or both side by side. */
#ifndef PF_COMMON_BASE_CONTROL_GROUP_H
#define PF_COMMON_BASE_CONTROL_GROUP_H

#include <stddef.h>

/* The least that the process's own groups, and all that those lie in, allow. */
typedef struct PfGroupLimits {
    int processors;      /* the quota of processor time, rounded up; 0: there is none */
    const char *decides; /* the file that says so, "cpu.max"; static; NULL where there is none */
    size_t memory_bytes; /* SIZE_MAX: no limit */
} PfGroupLimits;

/* root: "" for those of this process. Tests name a folder in which proc/self/cgroup,
 * proc/self/mountinfo and what these name lie as on a machine. What cannot be read or understood
 * limits nothing. */
PfGroupLimits pf_control_group_limits(const char *root);

#endif

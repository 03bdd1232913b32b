/* What a plugin is linked with, read out of its file before anything of it is loaded: two libtorch
 * in one process end it, by an exception that nobody can catch. */
#ifndef PF_COMMON_BACKBONE_LIBTORCH_H
#define PF_COMMON_BACKBONE_LIBTORCH_H

#include "permafrost/error.h"

/* Fails where the plugin needs libraries of two libtorch, told by their names (libc10.so and
 * libc10.so.1.13), or one of another libtorch than is loaded into this process already. A file
 * that cannot be read, or is no library for this machine, passes: the dynamic loader says more. */
int pf_libtorch_check_one(const char *plugin, PfError *err);

#endif

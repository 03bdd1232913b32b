/* Paths of files that lie near each other, so that they may move together. */
#ifndef PF_RELATIVE_PATH_H
#define PF_RELATIVE_PATH_H

#include "permafrost/error.h"

/* path as seen from the folder that `from`, a file, lies or will lie in: "part.h5",
 * "../parts/part.h5". malloc'ed. Both folders must exist. */
char *pf_relative_path(const char *from, const char *path, PfError *err);
/* Its opposite: where a relative path that is stored in the file `from` leads. malloc'ed. */
char *pf_resolve_path(const char *from, const char *path, PfError *err);

#endif

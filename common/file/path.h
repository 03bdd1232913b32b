/* Paths: seen from another file, compared by the file that they lead to, and written for a shell.
 */
#ifndef PF_COMMON_FILE_PATH_H
#define PF_COMMON_FILE_PATH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "permafrost/error.h"

/* path as seen from the folder that `from`, a file, lies or will lie in: "part.h5",
 * "../parts/part.h5". malloc'ed. Both folders must exist. */
char *pf_path_relative(const char *from, const char *path, PfError *err);
/* Its opposite: where a relative path that is stored in the file `from` leads. malloc'ed. */
char *pf_path_resolve(const char *from, const char *path, PfError *err);

/* path as an absolute one through no folder that is a link; the file itself may be one, as in
 * caches whose files are links to others that have no names of their own. path as it is where there
 * is no such folder. malloc'ed. */
char *pf_path_absolute(const char *path, PfError *err);

/* Whether two files that were looked at are one. */
bool pf_path_same_file(const struct stat *a, const struct stat *b);
/* Whether two paths lead to one file, links followed; false where there is nothing. */
bool pf_path_same(const char *a, const char *b);
/* Whether the name in the folder, which may be AT_FDCWD, is still that of an open file, or another
 * program has removed or replaced it. A link is not followed. */
bool pf_path_still_named(int fd, int folder, const char *name);

/* text as a shell takes it for one word, quoted where it has to be; malloc'ed. Messages show some
 * characters as escapes, which no shell takes back (printable.h): then the word is a copy of
 * `instead`, such as "FILE". */
char *pf_path_shell_word(const char *text, const char *instead, PfError *err);

#endif

/* Room on the disk that a file is to be written to. */
#ifndef PF_DISK_SPACE_H
#define PF_DISK_SPACE_H

#include <stdint.h>

/* Bytes free where the file goes to; PF_FAKE_DISK_FREE in the environment says how many, for
 * tests. -1 where nobody can tell. */
int64_t pf_disk_free(const char *path);

#endif

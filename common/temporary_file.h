/* Files that are being written beside the one whose place they will take. */
#ifndef PF_TEMPORARY_FILE_H
#define PF_TEMPORARY_FILE_H

#include <sys/types.h>

/* Makes ".NAME.part-" and random letters in the folder, which no other process has, and locks it
 * where the file system can. *name: malloc'ed. The descriptor, for reading and writing, or -1 with
 * errno. */
int pf_temporary_file_create(int folder, const char *target, mode_t mode, char **name);

/* Removes the temporary files of target that nobody is writing: those that can be locked. Where
 * locks may not reach all machines, as on network mounts, and with the names that older versions
 * gave, whose writers took no lock, only what nobody has written to for a day. */
void pf_temporary_file_sweep(int folder, const char *target);

#endif

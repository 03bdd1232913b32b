/* Which of the instruction sets that a room's kernels are compiled for is used. */
#ifndef PF_LANES_CHOICE_H
#define PF_LANES_CHOICE_H

enum { PF_LANES_SETS = 3 };

/* names: of the sets, widest first, the last one for any processor; NULL where the
 * processor lacks one. The index of that which PF_KERNELS in the environment names, if
 * it is there, else of the widest. */
int pf_lanes_choose(const char *const names[PF_LANES_SETS]);

#endif

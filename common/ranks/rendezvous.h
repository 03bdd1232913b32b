/* Where the processes of a run meet: what torchrun and users say by MASTER_ADDR and MASTER_PORT,
 * and what can be told without being asked. */
#ifndef PF_COMMON_RANKS_RENDEZVOUS_H
#define PF_COMMON_RANKS_RENDEZVOUS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/ranks/launcher.h"

#define PF_RENDEZVOUS_ADDRESS_SIZE 256
#define PF_RENDEZVOUS_JOB_SIZE 32

typedef struct PfRendezvous {
    char address[PF_RENDEZVOUS_ADDRESS_SIZE]; /* of the host of rank 0 */
    int port;
    bool is_said; /* by MASTER_ADDR */
    char job[PF_RENDEZVOUS_JOB_SIZE];
} PfRendezvous;

/* MASTER_ADDR and MASTER_PORT (29500 where only the former is set) come first; where torchrun
 * listens at that port itself (TORCHELASTIC_USE_AGENT_STORE), the port after it. Without them
 * processes of one host meet at 127.0.0.1, those of srun on the first node of their step, at a port
 * from 20000 to 31999 that follows from what the launcher calls this job. Where neither can be told
 * it is PF_EXIT_USAGE, with what to set. */
int pf_rendezvous_find(const PfEnvironment *environment, const PfLaunch *launch, PfRendezvous *out,
                       PfError *err);

/* The first host of a list as Slurm writes it: "n[001-004,7],m3" -> "n001". Returns -1 where it is
 * none, or does not fit. */
int pf_rendezvous_first_host(const char *list, char *host, size_t size);

#endif

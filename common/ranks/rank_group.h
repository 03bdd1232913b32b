/* The processes that work on one run, joined. Every function takes NULL for a process alone: it is
 * then rank 0 of 1, and nothing is moved.
 *
 * All ranks call the same functions in the same order. Where one ended, those of the others fail
 * with PF_EXIT_BUSY: at once where its process ended, after PF_RANK_SILENCE_SECONDS where its host
 * does not answer any more. */
#ifndef PF_COMMON_RANKS_RANK_GROUP_H
#define PF_COMMON_RANKS_RANK_GROUP_H

#include <stddef.h>
#include <stdint.h>

#include "common/ranks/launcher.h"
#include "common/ranks/rendezvous.h"
#include "permafrost/ranks.h"

/* So long ranks wait for each other at the start. */
#define PF_RANK_JOIN_SECONDS 300
/* So long they wait for one that says nothing: others may read a cache so much faster. */
#define PF_RANK_SILENCE_SECONDS 600
/* Where ranks work on their own for as long as that takes. */
#define PF_RANK_PATIENT_SECONDS (30 * 24 * 3600)

typedef struct PfRankGroup PfRankGroup;

/* launch: of several. patient: they work on their own in between (PF_RANK_PATIENT_SECONDS). Waits
 * for all of them. Loads the plugin. Leave with pf_rank_group_leave. */
int pf_rank_group_join(const PfLaunch *launch, const PfRendezvous *rendezvous, int patient,
                       PfRankGroup **out, PfError *err);
void pf_rank_group_leave(PfRankGroup **group);

int pf_rank_group_rank(const PfRankGroup *group); /* from 0 */
int pf_rank_group_size(const PfRankGroup *group);
/* "Gloo", "NCCL"; lent until leave. group: not NULL. */
const char *pf_rank_group_describe(const PfRankGroup *group);
/* The plugin's own of it, for PfSuffixConfig; NULL of NULL. */
PfRanks *pf_rank_group_ranks(const PfRankGroup *group);

/* data: (bytes) rank 0's, on all ranks. */
int pf_rank_group_broadcast(PfRankGroup *group, void *data, size_t bytes, PfError *err);
/* mine: (bytes); all: (size, bytes). */
int pf_rank_group_gather(PfRankGroup *group, const void *mine, void *all, size_t bytes,
                         PfError *err);
/* Fails on all ranks, with that exit code, where they do not have the same bytes; what: "the
 * command", for the message. */
int pf_rank_group_compare(PfRankGroup *group, PfExit exit_code, const char *what, const void *data,
                          size_t bytes, PfError *err);
/* Where rank 0 failed, all fail with its exit code, the others with an empty message: rank 0 has
 * said why. failed, err: rank 0's. Returns whether. */
int pf_rank_group_share_failure(PfRankGroup *group, int failed, PfError *err);
/* How many ranks, this one included, have the same text of their own: "the same host". */
int pf_rank_group_count_same(PfRankGroup *group, const char *text, int *count, PfError *err);

#endif

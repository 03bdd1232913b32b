#include "common/ranks/rank_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/loader.h"
#include "common/base/digest.h"
#include "common/base/memory.h"

struct PfRankGroup {
    int rank, size;
    const PfRanksPlugin *plugin; /* static */
    PfRanks *ranks;
};

int pf_rank_group_join(const PfLaunch *launch, const PfRendezvous *rendezvous, int patient,
                       PfRankGroup **out, PfError *err)
{
    const PfBackbonePlugin *plugin;
    PfRanksConfig config = {.rank = launch->rank,
                            .size = launch->size,
                            .address = rendezvous->address,
                            .port = rendezvous->port,
                            .job = rendezvous->job,
                            .join_seconds = PF_RANK_JOIN_SECONDS,
                            .peer_seconds =
                                patient ? PF_RANK_PATIENT_SECONDS : PF_RANK_SILENCE_SECONDS};
    if (pf_backbone_loader_load(&plugin, err)) return -1;
    if (!plugin->ranks)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the plugin that runs networks was built without Gloo, by which several "
                       "processes talk to each other. Hint: install libgloo-dev and build it anew");
    PfRankGroup *group = pf_calloc(1, sizeof *group, err);
    if (!group) return -1;
    *group = (PfRankGroup){launch->rank, launch->size, plugin->ranks, NULL};
    if (plugin->ranks->join(&config, &group->ranks, err)) {
        free(group);
        return -1;
    }
    *out = group;
    return 0;
}

void pf_rank_group_leave(PfRankGroup **group)
{
    if (!*group) return;
    (*group)->plugin->leave(&(*group)->ranks);
    free(*group);
    *group = NULL;
}

int pf_rank_group_rank(const PfRankGroup *group)
{
    return group ? group->rank : 0;
}

int pf_rank_group_size(const PfRankGroup *group)
{
    return group ? group->size : 1;
}

const char *pf_rank_group_describe(const PfRankGroup *group)
{
    return group->plugin->describe(group->ranks);
}

PfRanks *pf_rank_group_ranks(const PfRankGroup *group)
{
    return group ? group->ranks : NULL;
}

int pf_rank_group_broadcast(PfRankGroup *group, void *data, size_t bytes, PfError *err)
{
    return group ? group->plugin->broadcast(group->ranks, data, bytes, err) : 0;
}

int pf_rank_group_gather(PfRankGroup *group, const void *mine, void *all, size_t bytes,
                         PfError *err)
{
    if (group) return group->plugin->gather(group->ranks, mine, all, bytes, err);
    memcpy(all, mine, bytes);
    return 0;
}

/* (size) of all ranks; malloc'ed, NULL where it failed. */
static uint64_t *gather_digests(PfRankGroup *group, uint64_t mine, PfError *err)
{
    uint64_t *all = pf_calloc((size_t)pf_rank_group_size(group), sizeof *all, err);
    if (all && pf_rank_group_gather(group, &mine, all, sizeof mine, err)) {
        free(all);
        return NULL;
    }
    return all;
}

int pf_rank_group_compare(PfRankGroup *group, PfExit exit_code, const char *what, const void *data,
                          size_t bytes, PfError *err)
{
    if (!group) return 0;
    uint64_t *all = gather_digests(group, pf_digest_xxh64(data, bytes), err);
    int other = 0;
    if (!all) return -1;
    for (int rank = 1; rank < group->size && !other; rank++)
        if (all[rank] != all[0]) other = rank;
    free(all);
    if (!other) return 0;
    return pf_fail(err, exit_code, "rank 0 and rank %d do not have the same %s", other, what);
}

int pf_rank_group_share_failure(PfRankGroup *group, int failed, PfError *err)
{
    int code = !failed ? 0 : err->exit_code ? err->exit_code : PF_EXIT_FAILED;
    if (!group) return failed;
    if (pf_rank_group_broadcast(group, &code, sizeof code, err)) return -1;
    if (code && group->rank) *err = (PfError){.exit_code = code};
    return code ? -1 : 0;
}

int pf_rank_group_count_same(PfRankGroup *group, const char *text, int *count, PfError *err)
{
    uint64_t mine = pf_digest_xxh64_text(text), *all = gather_digests(group, mine, err);
    *count = 0;
    if (!all) return -1;
    for (int rank = 0; rank < pf_rank_group_size(group); rank++) *count += all[rank] == mine;
    free(all);
    return 0;
}

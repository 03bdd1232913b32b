#include "train/sweep/sweep_ranks.h"

#include <stdlib.h>

#include "common/base/memory.h"

int pf_sweep_deal_new(PfRankGroup *group, int trial_count, PfSweepDeal *out, PfError *err)
{
    *out = (PfSweepDeal){.group = group};
    if (!group) return 0;
    out->owners = pf_calloc((size_t)trial_count, sizeof *out->owners, err);
    return out->owners ? 0 : -1;
}

void pf_sweep_deal_free(PfSweepDeal *deal)
{
    free(deal->owners);
    *deal = (PfSweepDeal){0};
}

bool pf_sweep_deal_next(PfSweepDeal *deal, int first, int count)
{
    if (!deal->group) return true;
    int owner = deal->dealt++ % pf_rank_group_size(deal->group);
    for (int i = 0; i < count; i++) deal->owners[first + i] = owner;
    return owner == pf_rank_group_rank(deal->group);
}

int pf_sweep_deal_gather(PfSweepDeal *deal, PfTrial *trials, int trial_count, PfError *err)
{
    size_t count = (size_t)trial_count, size = (size_t)pf_rank_group_size(deal->group);
    if (!deal->group) return 0;
    PfTrial *all = pf_calloc(size * count, sizeof *all, err);
    if (!all) return -1;
    int failed = pf_rank_group_gather(deal->group, trials, all, count * sizeof *all, err);
    for (size_t i = 0; i < count && !failed; i++)
        trials[i] = all[(size_t)deal->owners[i] * count + i];
    free(all);
    return failed;
}

/* Which taps a cache is to hold: those asked for, and those that it has already. */
#ifndef PF_EXTRACT_PLAN_REQUESTED_TAPS_H
#define PF_EXTRACT_PLAN_REQUESTED_TAPS_H

#include "extract/backbone/session.h"
#include "extract/plan/row_index.h"

typedef struct PfRequestedTaps {
    PfCacheTap taps[PF_KNOWN_TAPS_MAX]; /* shape.rank -1: not known yet */
    int count;
} PfRequestedTaps;

/* cache: NULL where there is none. Opens the network only where nothing else can tell
 * which taps it has: a TorchScript file without --tap and without a cache. */
int pf_requested_taps_choose(const PfBackbonePlan *plan, PfCache *cache, PfBackboneSession *session,
                             PfRequestedTaps *out, PfError *err);

/* Opens the network for the taps of that set (bit t: taps[t]), whose shapes are known afterwards.
 * A shape that differs from the one that was known is an error. */
int pf_requested_taps_open(PfRequestedTaps *wanted, uint64_t set, PfBackboneSession *session,
                           PfError *err);

/* Index of the tap with that name, or -1. */
int pf_requested_taps_find(const PfRequestedTaps *wanted, const char *name);

#endif

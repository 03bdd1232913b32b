/* Which taps a cache is to hold: those asked for, and those that it has already. */
#ifndef PF_WANTED_TAPS_H
#define PF_WANTED_TAPS_H

#include "backbone_session.h"
#include "known_rows.h"

typedef struct PfWantedTaps {
    PfCacheTap taps[PF_KNOWN_TAPS_MAX]; /* shape.rank -1: not known yet */
    int count;
} PfWantedTaps;

/* cache: NULL where there is none. Opens the network only where nothing else can tell
 * which taps it has: a TorchScript file without --tap and without a cache. */
int pf_wanted_taps_choose(const PfBackbonePlan *plan, PfCache *cache, PfBackboneSession *session,
                          PfWantedTaps *out, PfError *err);

/* Opens the network for the taps of that set (bit t: taps[t]), whose shapes are known afterwards.
 * A shape that differs from the one that was known is an error. */
int pf_wanted_taps_open(PfWantedTaps *wanted, uint64_t set, PfBackboneSession *session,
                        PfError *err);

/* Index of the tap with that name, or -1. */
int pf_wanted_taps_find(const PfWantedTaps *wanted, const char *name);

#endif

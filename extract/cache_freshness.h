/* Whether a cache that is already there is the one asked for. */
#ifndef PF_CACHE_FRESHNESS_H
#define PF_CACHE_FRESHNESS_H

#include "backbone_plan.h"
#include "dataset.h"

typedef enum PfFreshness {
    PF_CACHE_ABSENT, /* nothing at that path */
    PF_CACHE_STALE,  /* the same network and pixels, but the dataset has changed */
    PF_CACHE_FRESH,  /* what a run would write */
} PfFreshness;

/* Compares identity first: another one is PF_EXIT_IDENTITY, and the message
 * names the fields that differ with both values. Then the dataset: paths,
 * classes, splits, and each file's size and modification time, without reading
 * any image. Loads no network. */
int pf_cache_freshness(const char *path, const PfBackbonePlan *plan, const PfDataset *dataset,
                       PfFreshness *freshness, PfError *err);

#endif

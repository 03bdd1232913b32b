/* All that decides the numbers of a cache, and whether a file has the same.
 *
 * The taps stand apart: each is a dataset of its own, so a file may hold more of them
 * than are asked for, and those that it lacks can be added. Batch size, threads,
 * device, paths and dates are no part of it; what ran is in the provenance. */
#ifndef PF_EXTRACT_PLAN_IDENTITY_H
#define PF_EXTRACT_PLAN_IDENTITY_H

#include "extract/backbone/plan.h"

/* As JSON, malloc'ed; with "taps" unless tap_count is 0. */
char *pf_identity_json(const PfBackbonePlan *plan, const PfCacheTap *taps, int tap_count,
                       PfError *err);

/* Compare the identity of a cache, or that which the journal `path` was begun with, with the
 * plan's, but for the taps. Another one is PF_EXIT_IDENTITY; the message names each field that
 * differs, with both values. Pixels do not depend on weights: a cache of them alone that names none
 * goes on with any, and pixels go into a journal of whatever weights. But a journal that names none
 * takes no features, as nothing would tell it of which weights they are. */
int pf_identity_check_cache(const PfCache *cache, const PfBackbonePlan *plan, PfError *err);
int pf_identity_check_journal(const char *path, const char *found, const PfBackbonePlan *plan,
                              PfError *err);
/* Whether the cache is of pixels alone and names no weights, and the plan does. */
bool pf_identity_adds_weights(const PfCache *cache, const PfBackbonePlan *plan);

/* Compares two objects, either of which may be NULL, and members that are objects member by
 * member; "taps" of the outermost is left out. The number of differences, -1 on failure.
 * *notes, to be freed: a line for each, "\n  preprocess.crop: LEFT 224, RIGHT 192". */
int pf_identity_diff(const cJSON *left, const char *left_has, const cJSON *right,
                     const char *right_has, char **notes, PfError *err);

/* Sets options' exif and resize_order, which came after version 0.1.0, to what an earlier run began
 * with, where they are -1. found: the identity of that run; NULL: there was none. */
int pf_identity_go_on(const char *path, const char *found, PfBackboneOptions *options,
                      PfError *err);

/* How an earlier run prepared images; false where found is NULL or does not say. */
bool pf_identity_preprocess(const char *found, PfPreprocess *out);

#endif

#include "extract/plan/requested_taps.h"

#include <stdio.h>
#include <string.h>

#include "extract/image/pixel_tap.h"

int pf_requested_taps_find(const PfRequestedTaps *wanted, const char *name)
{
    for (int t = 0; t < wanted->count; t++)
        if (!strcmp(wanted->taps[t].name, name)) return t;
    return -1;
}

static int add_tap(PfRequestedTaps *wanted, const char *name, PfDtype dtype, const PfShape *shape,
                   PfError *err)
{
    if (pf_requested_taps_find(wanted, name) >= 0) return 0;
    if (wanted->count == PF_KNOWN_TAPS_MAX)
        return pf_fail(err, PF_EXIT_USAGE, "more than %d taps in one cache are not possible",
                       PF_KNOWN_TAPS_MAX);
    PfCacheTap *tap = &wanted->taps[wanted->count++];
    *tap = (PfCacheTap){.dtype = dtype};
    if (snprintf(tap->name, sizeof tap->name, "%s", name) >= (int)sizeof tap->name)
        return pf_fail(err, PF_EXIT_USAGE, "tap '%s': its name is longer than %d bytes", name,
                       PF_CACHE_NAME_SIZE - 1);
    if (shape)
        tap->shape = *shape;
    else
        tap->shape.rank = -1;
    return 0;
}

/* Of the session's tap t, with all views. */
static int row_shape(const PfBackboneSession *session, int t, PfShape *out, PfError *err)
{
    const PfTapInfo *tap = &session->taps[t];
    if (session->plan->views > 1 && tap->shape.rank == PF_MAX_RANK)
        return pf_fail(err, PF_EXIT_USAGE, "tap '%s' has %d axes: too many for --views", tap->name,
                       tap->shape.rank);
    *out = pf_cache_views_row_shape(&tap->shape, session->plan->views);
    return 0;
}

static int add_all_taps(PfRequestedTaps *wanted, PfBackboneSession *session, PfError *err)
{
    if (pf_backbone_session_open(session, NULL, 0, err)) return -1;
    for (int t = 0; t < session->tap_count; t++) {
        PfShape shape;
        if (row_shape(session, t, &shape, err) ||
            add_tap(wanted, session->taps[t].name, session->plan->store, &shape, err))
            return -1;
    }
    return 0;
}

int pf_requested_taps_choose(const PfBackbonePlan *plan, PfCache *cache, PfBackboneSession *session,
                             PfRequestedTaps *out, PfError *err)
{
    *out = (PfRequestedTaps){0};
    for (int t = 0; cache && t < pf_cache_tap_count(cache); t++) {
        const PfCacheTap *tap = pf_cache_tap(cache, t);
        if (add_tap(out, tap->name, pf_pixel_tap_dtype(tap->name, plan->store), &tap->shape, err))
            return -1;
    }
    for (int t = 0; t < plan->tap_count; t++)
        if (add_tap(out, plan->taps[t], pf_pixel_tap_dtype(plan->taps[t], plan->store), NULL, err))
            return -1;
    return out->count ? 0 : add_all_taps(out, session, err);
}

static int take_shape(PfCacheTap *tap, const PfShape *found, PfError *err)
{
    char known[PF_SHAPE_TEXT_SIZE], other[PF_SHAPE_TEXT_SIZE];
    if (tap->shape.rank < 0) tap->shape = *found;
    if (pf_shape_equal(&tap->shape, found)) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "tap '%s' is %s in the cache, and the network gives %s. Hint: --force replaces "
                   "the cache.",
                   tap->name, pf_shape_text(&tap->shape, known), pf_shape_text(found, other));
}

int pf_requested_taps_open(PfRequestedTaps *wanted, uint64_t set, PfBackboneSession *session,
                           PfError *err)
{
    const char *names[PF_KNOWN_TAPS_MAX];
    int count = 0;
    for (int t = 0; t < wanted->count; t++)
        if (set >> t & 1) names[count++] = wanted->taps[t].name;
    if (pf_backbone_session_open(session, names, count, err)) return -1;
    for (int i = 0; i < session->tap_count; i++) {
        PfShape shape;
        int t = pf_requested_taps_find(wanted, session->taps[i].name);
        if (t >= 0 &&
            (row_shape(session, i, &shape, err) || take_shape(&wanted->taps[t], &shape, err)))
            return -1;
    }
    return 0;
}

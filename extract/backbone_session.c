#include "backbone_session.h"

#include <string.h>

#include "clock.h"

static int is_open_for(const PfBackboneSession *session, const char *const *taps, int tap_count)
{
    if (!session->backbone || session->tap_count != tap_count) return 0;
    for (int t = 0; t < tap_count; t++)
        if (strcmp(session->taps[t].name, taps[t])) return 0;
    return 1;
}

int pf_backbone_session_open(PfBackboneSession *session, const char *const *taps, int tap_count,
                             PfError *err)
{
    if (is_open_for(session, taps, tap_count)) return 0;
    double started = pf_seconds();
    pf_backbone_session_close(session);
    if (pf_backbone_plan_open_taps(session->plan, taps, tap_count, session->batch, 0,
                                   &session->plugin, &session->backbone, err))
        return -1;
    session->tap_count = session->plugin->taps(session->backbone, &session->taps);
    session->load_seconds += pf_seconds() - started;
    return 0;
}

void pf_backbone_session_close(PfBackboneSession *session)
{
    if (session->backbone) session->plugin->close(&session->backbone);
    session->taps = NULL;
    session->tap_count = 0;
}

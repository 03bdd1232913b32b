/* The network of a plan, opened for the taps that are needed at the moment. */
#ifndef PF_BACKBONE_SESSION_H
#define PF_BACKBONE_SESSION_H

#include "backbone_plan.h"

typedef struct PfBackboneSession {
    const PfBackbonePlan *plan;
    int batch; /* images per forward pass: all views of some */
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone; /* NULL while it is closed */
    const PfTapInfo *taps;
    int tap_count;
    double load_seconds; /* spent in opening it, so far */
} PfBackboneSession;

/* Opens it for these taps, unless it is open for just these; tap_count 0: for all that a
 * TorchScript file has. The plugin is loaded at the first call. */
int pf_backbone_session_open(PfBackboneSession *session, const char *const *taps, int tap_count,
                             PfError *err);
void pf_backbone_session_close(PfBackboneSession *session);

#endif

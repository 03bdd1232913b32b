/* The network of a plan, opened on each of its devices for the taps that are needed at the moment.
 */
#ifndef PF_EXTRACT_BACKBONE_SESSION_H
#define PF_EXTRACT_BACKBONE_SESSION_H

#include "common/backbone/executor.h"
#include "extract/backbone/device_list.h"
#include "extract/backbone/plan.h"

typedef struct PfBackboneSession {
    const PfBackbonePlan *plan;
    int wanted_batch; /* images per forward pass, each view counted; 0: what the first device is
                         fastest with */
    int64_t images;   /* no more will go through it in all, each view counted; 0: not known */
    const PfBackbonePlugin *plugin;
    PfBackbone *backbones[PF_DEVICES_MAX];
    int at_once[PF_DEVICES_MAX]; /* images that each was opened, or has stepped down, to run */
    int backbone_count;          /* 0 while it is closed */
    int batch;                   /* images per forward pass: all views of some, of one at least */
    const PfTapInfo *taps;
    int tap_count;
    PfEngineMemory memory; /* of all devices */
    double load_seconds;   /* spent in opening it, so far */
    char runtime[512];     /* what runs where, from the first opening on; else "" */
} PfBackboneSession;

/* Opens it for these taps, unless it is open for just these; tap_count 0: for all that a
 * TorchScript file has. The plugin is loaded at the first call. */
int pf_backbone_session_open(PfBackboneSession *session, const char *const *taps, int tap_count,
                             PfError *err);
/* Warns of each device whose memory, since the last call, has not sufficed for as many images at
 * once as before; they went through it in slices, and none is lost. Nothing is under way. */
void pf_backbone_session_warn_of_slices(PfBackboneSession *session);

void pf_backbone_session_close(PfBackboneSession *session);

/* Memory that the backbone and its like copy from and to, the plugin's where it has its own. NULL
 * where there is none. Given back before the backbone is closed; releasing NULL does nothing. */
void *pf_backbone_allocate(const PfBackbonePlugin *plugin, PfBackbone *backbone, size_t size_bytes,
                           PfError *err);
void pf_backbone_release(const PfBackbonePlugin *plugin, PfBackbone *backbone, void *memory);

/* One batch, submitted and collected; as the plugin's submit(). Nothing is under way. */
int pf_backbone_forward(const PfBackbonePlugin *plugin, PfBackbone *backbone, const uint8_t *pixels,
                        int n, void *const *outputs, PfError *err);

#endif

#include "extract/backbone/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/thread/parallel.h"
#include "extract/image/pixel_tap.h"

static bool is_open_for(const PfBackboneSession *session, const char *const *taps, int tap_count)
{
    if (!session->backbone_count || session->tap_count != tap_count) return false;
    for (int t = 0; t < tap_count; t++)
        if (strcmp(session->taps[t].name, taps[t])) return false;
    return true;
}

/* All views of as many images as fit into it. */
static int whole_images(int batch, int views)
{
    return batch < views ? views : batch / views * views;
}

/* The first device decides the batch of all. */
static int open_on(PfBackboneSession *session, char *const *devices, int count,
                   const char *const *taps, int tap_count, PfError *err)
{
    int views = session->plan->views;
    PfBackbonePlace place = {
        .threads = pf_device_list_threads(devices, count, pf_parallel_processor_count()),
        .batch = session->wanted_batch ? whole_images(session->wanted_batch, views) : 0,
        .images = session->images,
    };
    for (int d = 0; d < count; d++) {
        PfBackbone **backbone = &session->backbones[d];
        place.device = devices[d];
        if (pf_backbone_plan_open(session->plan, taps, tap_count, &place, &session->plugin,
                                  backbone, err))
            return -1;
        session->at_once[d] = session->plugin->batch(*backbone);
        session->backbone_count++;
        if (!d) place.batch = whole_images(session->at_once[d], views);
    }
    session->batch = place.batch;
    return 0;
}

static void describe(PfBackboneSession *session)
{
    const char *first = session->plugin->describe(session->backbones[0]);
    bool several = session->backbone_count > 1;
    snprintf(session->runtime, sizeof session->runtime, "%s%s%s", first,
             several ? "; devices " : "", several ? session->plan->device : "");
}

static void add_up_memory(PfBackboneSession *session)
{
    session->memory = (PfEngineMemory){0};
    for (int d = 0; d < session->backbone_count; d++) {
        PfEngineMemory memory = pf_pixel_tap_memory(session->plugin, session->backbones[d]);
        session->memory.weights += memory.weights;
        session->memory.arenas += memory.arenas;
        session->memory.threads += memory.threads;
    }
}

int pf_backbone_session_open(PfBackboneSession *session, const char *const *taps, int tap_count,
                             PfError *err)
{
    char **devices;
    int count;
    if (is_open_for(session, taps, tap_count)) return 0;
    double started = pf_clock_seconds();
    pf_backbone_session_close(session);
    if (pf_device_list_parse(session->plan->device, &devices, &count, err)) return -1;
    int failed = open_on(session, devices, count, taps, tap_count, err);
    pf_options_free_list(&devices, &count);
    if (failed) return -1;
    session->tap_count = session->plugin->taps(session->backbones[0], &session->taps);
    describe(session);
    add_up_memory(session);
    session->load_seconds += pf_clock_seconds() - started;
    return 0;
}

void pf_backbone_session_warn_of_slices(PfBackboneSession *session)
{
    for (int d = 0; d < session->backbone_count; d++) {
        int now = session->plugin->batch(session->backbones[d]), *before = &session->at_once[d];
        if (now < *before)
            pf_warn("--device %s: memory of device %d sufficed for %d images at once, not for %d, "
                    "which went through in slices. Hint: --batch %d",
                    session->plan->device, d + 1, now, *before, now);
        *before = now;
    }
}

void *pf_backbone_allocate(const PfBackbonePlugin *plugin, PfBackbone *backbone, size_t size_bytes,
                           PfError *err)
{
    if (!plugin->allocate) return pf_alloc_aligned(1, size_bytes, err);
    return plugin->allocate(backbone, size_bytes, err);
}

void pf_backbone_release(const PfBackbonePlugin *plugin, PfBackbone *backbone, void *memory)
{
    if (!plugin->release)
        free(memory);
    else if (memory)
        plugin->release(backbone, memory);
}

int pf_backbone_forward(const PfBackbonePlugin *plugin, PfBackbone *backbone, const uint8_t *pixels,
                        int n, void *const *outputs, PfError *err)
{
    return plugin->submit(backbone, pixels, n, outputs, err) || plugin->collect(backbone, err) ? -1
                                                                                               : 0;
}

void pf_backbone_session_close(PfBackboneSession *session)
{
    while (session->backbone_count > 0)
        session->plugin->close(&session->backbones[--session->backbone_count]);
    session->taps = NULL;
    session->tap_count = 0;
}

/* The forward stage alone: images that are decoded go through the network again and again, as
 * `extract` sends them, with as many batches under way as the device takes.
 *
 *   bench_forward BACKBONE WEIGHTS TAP DEVICE fp32|tf32|bf16|fp16 BATCH SECONDS
 *
 * BATCH 0: as the device chooses. Prints "batch B images_per_s R runtime TEXT". */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/random.h"
#include "extract/backbone/plan.h"
#include "extract/backbone/session.h"

enum { RINGS = PF_BACKBONE_DEPTH_MAX };

typedef struct Ring {
    uint8_t *pixels[RINGS];
    void *features[RINGS];
    void *rooms[2 * RINGS]; /* what was allocated */
    int count;
} Ring;

static void *room(const PfBackboneSession *session, Ring *ring, size_t size, PfError *err)
{
    void *memory = pf_backbone_allocate(session->plugin, session->backbones[0], size, err);
    if (memory) ring->rooms[ring->count++] = memory;
    return memory;
}

/* Noise, different in each: nothing is faster than it would be with photographs. */
static int fill(const PfBackboneSession *session, Ring *ring, int rings, PfError *err)
{
    const PfPreprocess *preprocess = &session->plan->preprocess;
    size_t bytes = (size_t)session->batch * (size_t)preprocess->crop * (size_t)preprocess->crop * 3;
    size_t values = (size_t)session->batch * (size_t)pf_shape_count(&session->taps[0].shape);
    PfRandom random = pf_random_seeded(1, 0);
    for (int r = 0; r < rings; r++) {
        ring->pixels[r] = room(session, ring, bytes, err);
        ring->features[r] = room(session, ring, values * sizeof(float), err);
        if (!ring->pixels[r] || !ring->features[r]) return -1;
        for (size_t i = 0; i < bytes; i++) ring->pixels[r][i] = (uint8_t)pf_random_u64(&random);
    }
    return 0;
}

static void give_back(const PfBackboneSession *session, Ring *ring)
{
    for (int i = 0; i < ring->count; i++)
        pf_backbone_release(session->plugin, session->backbones[0], ring->rooms[i]);
}

/* Images per second over that many seconds, behind a warm-up of as many batches as the ring has. */
static int measure(const PfBackboneSession *session, const Ring *ring, int rings, double seconds,
                   double *rate, PfError *err)
{
    PfBackbone *backbone = session->backbones[0];
    int64_t submitted = 0, collected = 0, first = 0;
    double started = 0;
    for (int over = 0; !over || collected < submitted;) {
        if (!over && submitted - collected < rings) {
            void *outputs[] = {ring->features[submitted % rings]};
            if (session->plugin->submit(backbone, ring->pixels[submitted % rings], session->batch,
                                        outputs, err))
                return -1;
            submitted++;
            continue;
        }
        if (session->plugin->collect(backbone, err)) return -1;
        collected++;
        if (collected == rings) {
            first = collected;
            started = pf_clock_seconds();
        }
        over = collected > rings && pf_clock_seconds() - started >= seconds;
    }
    *rate = (double)(collected - first) * session->batch / (pf_clock_seconds() - started);
    return 0;
}

static int run(PfBackboneSession *session, double seconds, PfError *err)
{
    const char *const *taps = (const char *const *)session->plan->taps;
    if (pf_backbone_session_open(session, taps, session->plan->tap_count, err)) return -1;
    Ring ring = {.count = 0};
    int rings = session->plugin->depth(session->backbones[0]);
    double rate = 0;
    int failed =
        fill(session, &ring, rings, err) || measure(session, &ring, rings, seconds, &rate, err);
    if (!failed)
        printf("batch %d images_per_s %.1f runtime %s\n", session->batch, rate, session->runtime);
    give_back(session, &ring);
    pf_backbone_session_close(session);
    return failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    PfBackboneOptions options = pf_backbone_options_default();
    if (argc != 8 || pf_precision_named(argv[5], &options.precision)) {
        fprintf(stderr,
                "usage: bench_forward BACKBONE WEIGHTS TAP DEVICE PRECISION BATCH SECONDS\n");
        return 1;
    }
    options.backbone = argv[1];
    options.weights = argv[2];
    options.taps = argv[3];
    options.device = argv[4];
    PfError error = {0};
    PfBackbonePlan *plan = NULL;
    int failed = pf_backbone_plan_new(&options, &plan, &error);
    if (!failed) {
        PfBackboneSession session = {.plan = plan, .wanted_batch = atoi(argv[6])};
        failed = run(&session, atof(argv[7]), &error);
        pf_backbone_plan_free(&plan);
    }
    if (failed) fprintf(stderr, "bench_forward: error: %s\n", error.message);
    return failed ? 2 : 0;
}

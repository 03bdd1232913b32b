#include "common/engine/engine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/conv/kernels.h"
#include "common/engine/execute.h"
#include "common/engine/plan.h"
#include "common/simd/processor.h"
#include "common/thread/thread_pool.h"

/* Images at once where nothing was said and there are few threads. */
enum { USUAL_BATCH = 32 };

struct PfBackbone {
    PfEnginePlan *plan;
    PfThreadPool *pool;
    int threads, batch;
    void **arenas; /* (threads) */
    pthread_mutex_t lock;
    int free_arenas; /* lock: the first so many are nobody's */
    char description[80];
};

/* The batch under way. */
typedef struct Batch {
    PfBackbone *backbone;
    const uint8_t *pixels;
    void *const *outputs;
    int n, group; /* images, and how many of them a thread takes at a time */
} Batch;

/* ---- opening ---- */

static void close_engine(PfBackbone **out)
{
    PfBackbone *backbone = *out;
    if (!backbone) return;
    pf_thread_pool_free(&backbone->pool);
    pf_engine_plan_free(&backbone->plan);
    for (int t = 0; t < backbone->threads && backbone->arenas; t++) free(backbone->arenas[t]);
    free(backbone->arenas);
    pthread_mutex_destroy(&backbone->lock);
    free(backbone);
    *out = NULL;
}

/* Of a thread. */
static size_t arena_bytes(const PfEnginePlan *plan)
{
    return plan->maps_bytes + plan->scratch_bytes;
}

/* Large images have large maps: what the user can do about it is said, not only how many bytes. */
static int fail_for_memory(const PfEnginePlan *plan, int threads, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "out of memory: images of %d x %d take %.0f MB of maps in '%s' for each of %d "
                   "thread%s. Hint: fewer --threads, or a smaller --crop",
                   plan->width, plan->height, (double)arena_bytes(plan) / 1e6, plan->arch->name,
                   threads, threads == 1 ? "" : "s");
}

static int set_up(PfBackbone *backbone, const PfBackboneConfig *config, PfError *err)
{
    if (pf_thread_pool_new(config->threads, &backbone->pool, err)) return -1;
    backbone->threads = pf_thread_pool_size(backbone->pool);
    backbone->batch = config->batch;
    if (!config->batch)
        backbone->batch = (int)pf_max(USUAL_BATCH, PF_ENGINE_GROUP * backbone->threads);
    if (pf_engine_plan_new(config, backbone->threads, &backbone->plan, err)) return -1;
    const PfEnginePlan *plan = backbone->plan;
    backbone->arenas = pf_calloc((size_t)backbone->threads, sizeof *backbone->arenas, err);
    if (!backbone->arenas) return -1;
    for (int t = 0; t < backbone->threads; t++) {
        backbone->arenas[t] = pf_alloc_aligned(arena_bytes(plan), 1, err);
        if (!backbone->arenas[t]) return fail_for_memory(plan, backbone->threads, err);
    }
    backbone->free_arenas = backbone->threads;
    snprintf(backbone->description, sizeof backbone->description, "C engine, %s%s, %d thread%s",
             pf_conv_kernels()->name, plan->bf16 ? ", bf16 by rounding float32" : "",
             backbone->threads, backbone->threads == 1 ? "" : "s");
    return 0;
}

PfEngineMemory pf_engine_memory(const PfBackbone *backbone)
{
    return (PfEngineMemory){.weights = backbone->plan->weight_bytes,
                            .arenas = (size_t)backbone->threads * arena_bytes(backbone->plan),
                            .threads = backbone->threads};
}

static void say_sizes(const PfBackbone *backbone, double seconds)
{
    const PfEnginePlan *plan = backbone->plan;
    char early[80] = "";
    if (plan->early_steps)
        snprintf(early, sizeof early, ", and through the first %d of them %d at a time",
                 plan->early_steps, plan->early_images);
    pf_detail("%s: a thread takes up to %d images through %d steps%s; packed weights %.0f MB, maps "
              "and scratch %.0f + %.0f MB a thread; batches of %d; made ready in %.3f s",
              backbone->description, PF_ENGINE_GROUP, plan->step_count, early,
              (double)plan->weight_bytes / 1e6, (double)plan->maps_bytes / 1e6,
              (double)plan->scratch_bytes / 1e6, backbone->batch, seconds);
}

/* Who wants bf16 wants it to be faster, unless he says that it is for the numbers. */
static int check_precision(const PfBackboneConfig *config, PfError *err)
{
    if (config->precision != PF_BF16 || config->emulate || pf_processor_has_bf16()) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--precision bf16: this processor has no bf16 instructions (avx512_bf16 or "
                   "amx_bf16), bf16 would not be faster than fp32. Hint: --precision fp32, or "
                   "--emulate for the numbers");
}

static int open_engine(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    if (check_precision(config, err)) return -1;
    PfBackbone *backbone = pf_calloc(1, sizeof *backbone, err);
    if (!backbone) return -1;
    const double started = pf_clock_seconds();
    pthread_mutex_init(&backbone->lock, NULL);
    if (set_up(backbone, config, err)) {
        close_engine(&backbone);
        return -1;
    }
    say_sizes(backbone, pf_clock_seconds() - started);
    *out = backbone;
    return 0;
}

/* ---- what it is ---- */

static int list_taps(const PfBackbone *backbone, const PfTapInfo **taps)
{
    *taps = backbone->plan->taps;
    return backbone->plan->tap_count;
}

static const char *describe(const PfBackbone *backbone)
{
    return backbone->description;
}

static int batch_of(const PfBackbone *backbone)
{
    return backbone->batch;
}

static int depth_of(const PfBackbone *backbone)
{
    (void)backbone;
    return 1;
}

/* ---- running ---- */

static void *take_arena(PfBackbone *backbone)
{
    pthread_mutex_lock(&backbone->lock);
    void *arena = backbone->arenas[--backbone->free_arenas];
    pthread_mutex_unlock(&backbone->lock);
    return arena;
}

static void give_arena_back(PfBackbone *backbone, void *arena)
{
    pthread_mutex_lock(&backbone->lock);
    backbone->arenas[backbone->free_arenas++] = arena;
    pthread_mutex_unlock(&backbone->lock);
}

static void run_group(void *context, int64_t index)
{
    const Batch *batch = context;
    const PfEnginePlan *plan = batch->backbone->plan;
    const int64_t first = index * batch->group;
    const PfEngineImages images = {.pixels = batch->pixels +
                                             3 * (int64_t)plan->height * plan->width * first,
                                   .first = (int)first,
                                   .count = (int)pf_min(batch->group, batch->n - first),
                                   .outputs = batch->outputs};
    void *arena = take_arena(batch->backbone);
    pf_engine_execute(plan, &images, arena, NULL);
    give_arena_back(batch->backbone, arena);
}

/* Few images, which all threads take through the network together: one loads the weights that
 * another does not, and a single image is not left to a single thread. */
static void run_together(PfBackbone *backbone, const PfEngineImages *images)
{
    const PfEngineTeam team = {backbone->pool, backbone->threads, backbone->arenas};
    pf_engine_execute(backbone->plan, images, backbone->arenas[0], &team);
}

static int submit(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                  PfError *err)
{
    (void)err;
    if (backbone->plan->has_few_images && n <= PF_ENGINE_GROUP && n > 0) {
        const PfEngineImages images = {.pixels = pixels, .count = n, .outputs = outputs};
        run_together(backbone, &images);
        return 0;
    }
    const int share = (n + backbone->threads - 1) / backbone->threads;
    Batch batch = {backbone, pixels, outputs, n, (int)pf_min(PF_ENGINE_GROUP, share)};
    if (n > 0)
        pf_thread_pool_for(backbone->pool, (n + batch.group - 1) / batch.group, run_group, &batch);
    return 0;
}

static int collect(PfBackbone *backbone, PfError *err)
{
    (void)backbone;
    (void)err;
    return 0;
}

const PfBackbonePlugin *pf_engine_plugin(void)
{
    static const PfBackbonePlugin plugin = {
        .abi = PF_BACKBONE_ABI,
        .open = open_engine,
        .taps = list_taps,
        .describe = describe,
        .batch = batch_of,
        .depth = depth_of,
        .submit = submit,
        .collect = collect,
        .close = close_engine,
    };
    return &plugin;
}

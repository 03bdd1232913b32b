/* bench_convolutions: each kind of convolution of a network, as the engine runs it on one thread.
 *
 *   bench_convolutions [--rounds N] [--side PIXELS] NETWORK...
 *
 * A line for each shape: how often the network has it; operations a second of direct convolution's
 * count, the fastest of some rounds in turns; of the multiplications that are really done, and what
 * share of the ceiling these are; and where the time goes. Before each round the caches are emptied
 * of weights, and x is written, as the layer before does it. The ceiling is a loop of fused
 * multiply-adds in registers. Times are those of the thread's processor. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/conv/internal.h"
#include "tests/bench/bench_plan.h"
#include "tests/bench/ceiling.h"

enum { MAX_SHAPES = 64, CACHE_BYTES = 64 << 20 };

/* ---- kernels that are watched ---- */

typedef enum Part { PRODUCTS, INPUTS, OUTPUTS, PARTS } Part;

static const PfConvKernels *watched_kernels;
static double part_ticks[PARTS];
static double product_work; /* operations */

static double ticks(void)
{
#if defined(__x86_64__)
    return (double)__builtin_ia32_rdtsc();
#else
    return pf_clock_seconds();
#endif
}

static void watched_multiply(const PfProduct *product)
{
    const double start = ticks();
    watched_kernels->multiply(product);
    part_ticks[PRODUCTS] += ticks() - start;
    product_work += 2.0 * (double)(product->rows * product->depth * product->width);
}

static void watched_input_tile(const PfWinogradInputTile *tile)
{
    const double start = ticks();
    watched_kernels->winograd_input_tile(tile);
    part_ticks[INPUTS] += ticks() - start;
}

static void watched_output_tile(const PfWinogradOutputTile *tile)
{
    const double start = ticks();
    watched_kernels->winograd_output_tile(tile);
    part_ticks[OUTPUTS] += ticks() - start;
}

/* ---- shapes ---- */

typedef struct Shape {
    const PfEngineStep *step;
    PfConvolutionConfig config; /* in bytes the same for the same shape */
    bool sums;
    int64_t count, times; /* images at a time, and how often, for a group */
    int uses;             /* in the network */
    double best;          /* seconds for a group of PF_ENGINE_GROUP images */
} Shape;

typedef struct Bench {
    BenchPlan network;
    Shape shapes[MAX_SHAPES];
    int shape_count;
    float *x, *from, *y, *cache;
    char *scratch;
} Bench;

static bool is_same(const Shape *a, const Shape *b)
{
    return !memcmp(&a->config, &b->config, sizeof a->config) && a->sums == b->sums &&
           a->count == b->count;
}

static void add_shape(Bench *bench, int s)
{
    const PfEnginePlan *plan = bench->network.plan;
    const PfEngineStep *step = &plan->steps[s];
    Shape shape = {.step = step, .config = step->convolution->config, .sums = step->sum >= 0};
    memset(shape.config.strides, 0, sizeof shape.config.strides);
    shape.count = s < plan->early_steps ? plan->early_images : PF_ENGINE_GROUP;
    shape.times = PF_ENGINE_GROUP / shape.count;
    shape.uses = 1;
    shape.best = INFINITY;
    for (int i = 0; i < bench->shape_count; i++)
        if (is_same(&bench->shapes[i], &shape)) {
            bench->shapes[i].uses++;
            return;
        }
    if (bench->shape_count < MAX_SHAPES) bench->shapes[bench->shape_count++] = shape;
}

static int64_t values_of(const Bench *bench, const Shape *shape, int value)
{
    return shape->count *
           (int64_t)(pf_engine_value_bytes(&bench->network.plan->values[value]) / sizeof(float));
}

static double direct_work(const Bench *bench, const Shape *shape)
{
    const PfConvolutionConfig *config = &shape->config;
    const PfEngineValue *x = &bench->network.plan->values[shape->step->x];
    const PfEngineValue *y = &bench->network.plan->values[shape->step->y];
    return 2.0 * PF_ENGINE_GROUP * (double)(y->height * y->width * y->channels * x->channels) *
           (double)(config->kernel[0] * config->kernel[1]);
}

/* ---- running ---- */

static float *floats(int64_t count, PfError *err)
{
    float *values = pf_alloc_aligned((size_t)count, sizeof *values, err);
    uint32_t state = 1;
    for (int64_t i = 0; values && i < count; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = (float)(state >> 8) * 0x1p-24f;
    }
    return values;
}

static int make_room(Bench *bench, PfError *err)
{
    int64_t x = 0, y = 0;
    for (int i = 0; i < bench->shape_count; i++) {
        const Shape *shape = &bench->shapes[i];
        x = pf_max(x, values_of(bench, shape, shape->step->x));
        y = pf_max(y, values_of(bench, shape, shape->step->y));
    }
    bench->x = floats(x, err);
    bench->from = floats(x, err);
    bench->y = floats(y, err);
    bench->cache = floats(CACHE_BYTES / sizeof(float), err);
    bench->scratch = pf_alloc_aligned(bench->network.plan->scratch_bytes, 1, err);
    return bench->x && bench->from && bench->y && bench->cache && bench->scratch ? 0 : -1;
}

static void run_once(const Bench *bench, const Shape *shape)
{
    const PfEngineValue *x = &bench->network.plan->values[shape->step->x];
    const PfConvolutionMaps maps = {.count = shape->count,
                                    .height = x->height,
                                    .width = x->width,
                                    .x = bench->x,
                                    .sum = shape->sums ? bench->y : NULL,
                                    .y = bench->y};
    const int64_t pieces = pf_convolution_pieces(shape->step->convolution, &maps);
    for (int64_t piece = 0; piece < pieces; piece++)
        pf_convolution_run(shape->step->convolution, &maps, piece, bench->scratch);
}

static void prepare(const Bench *bench, const Shape *shape)
{
    for (size_t i = 0; i < CACHE_BYTES / sizeof(float); i += 16) bench->cache[i] += 1;
    if (shape->sums)
        memset(bench->y, 0, (size_t)values_of(bench, shape, shape->step->y) * sizeof *bench->y);
    memcpy(bench->x, bench->from,
           (size_t)values_of(bench, shape, shape->step->x) * sizeof *bench->x);
}

static double time_group(const Bench *bench, const Shape *shape)
{
    prepare(bench, shape);
    const double start = thread_seconds();
    for (int64_t i = 0; i < shape->times; i++) run_once(bench, shape);
    return thread_seconds() - start;
}

/* ---- printing ---- */

static const char *way_of(const PfConvolution *convolution)
{
    return convolution->way == &pf_convolution_winograd ? "winograd"
           : convolution->way == &pf_convolution_direct ? "direct"
                                                        : "gathered";
}

/* Once more, with each part's time taken. */
static void watch(const Bench *bench, const Shape *shape, double ceiling)
{
    PfConvolution *convolution = shape->step->convolution;
    PfConvKernels kernels = *convolution->kernels;
    watched_kernels = convolution->kernels;
    kernels.multiply = watched_multiply;
    kernels.winograd_input_tile = watched_input_tile;
    kernels.winograd_output_tile = watched_output_tile;
    memset(part_ticks, 0, sizeof part_ticks);
    product_work = 0;
    convolution->kernels = &kernels;
    prepare(bench, shape);
    const double start = ticks();
    for (int64_t i = 0; i < shape->times; i++) run_once(bench, shape);
    const double total = ticks() - start;
    convolution->kernels = watched_kernels;
    double shares[PARTS], rest = 100;
    for (int i = 0; i < PARTS; i++) rest -= shares[i] = 100 * part_ticks[i] / total;
    const double real = product_work / shape->best;
    printf(" %6.1f %4.0f %%  %4.0f %4.0f %4.0f %4.0f\n", real / 1e9, 100 * real / ceiling,
           shares[PRODUCTS], shares[INPUTS], shares[OUTPUTS], rest);
}

static void print_shape(const Bench *bench, const Shape *shape, double ceiling)
{
    const PfConvolutionConfig *config = &shape->config;
    const PfEngineValue *x = &bench->network.plan->values[shape->step->x];
    const PfEngineValue *y = &bench->network.plan->values[shape->step->y];
    printf("%-22s %2d  %3dx%-3d %4d -> %4d  %dx%d /%d%s %3d %-9s %8.2f %7.1f",
           bench->network.arch->nodes[shape->step->node].name, shape->uses, (int)y->height,
           (int)y->width, (int)x->channels, (int)y->channels, (int)config->kernel[0],
           (int)config->kernel[1], (int)config->stride[0], shape->sums ? " +" : "  ",
           (int)shape->count, way_of(shape->step->convolution), 1e3 * shape->best / PF_ENGINE_GROUP,
           direct_work(bench, shape) / shape->best / 1e9);
    watch(bench, shape, ceiling);
}

static void print_all(const Bench *bench, double ceiling)
{
    double work = 0, seconds = 0;
    printf("%s, %s, ceiling %.1f GFLOP/s\n", bench->network.arch->name, pf_conv_kernels()->name,
           ceiling / 1e9);
    printf("%-22s %2s  %7s %12s  %6s    %3s %-9s %8s %7s %6s %6s  %s\n", "first of its shape", "n",
           "y", "channels", "kernel", "at", "way", "ms/image", "direct", "real", "share",
           "prod  in  out rest %");
    for (int i = 0; i < bench->shape_count; i++) {
        const Shape *shape = &bench->shapes[i];
        print_shape(bench, shape, ceiling);
        work += shape->uses * direct_work(bench, shape);
        seconds += shape->uses * shape->best;
    }
    printf("all convolutions of %s: %.2f ms an image, %.1f GFLOP/s\n\n", bench->network.arch->name,
           1e3 * seconds / PF_ENGINE_GROUP, work / seconds / 1e9);
}

/* ---- a network ---- */

typedef struct Settings {
    int rounds, side;
} Settings;

static const PfOption table[] = {
    BENCH_ROUNDS(Settings),
    BENCH_SIDE(Settings),
    {0},
};

static int open_bench(Bench *bench, const char *network, int side, PfError *err)
{
    if (bench_plan_open(&bench->network, network, "avgpool", side, err)) return -1;
    for (int s = 0; s < bench->network.plan->step_count; s++)
        if (bench->network.plan->steps[s].convolution) add_shape(bench, s);
    return make_room(bench, err);
}

static void close_bench(Bench *bench)
{
    bench_plan_close(&bench->network);
    free(bench->x);
    free(bench->from);
    free(bench->y);
    free(bench->cache);
    free(bench->scratch);
}

static int bench_network(const char *network, const Settings *settings, PfError *err)
{
    Bench *bench = pf_calloc(1, sizeof *bench, err);
    if (!bench) return -1;
    int failed = open_bench(bench, network, settings->side, err);
    for (int round = 0; round < settings->rounds && !failed; round++)
        for (int i = 0; i < bench->shape_count; i++)
            bench->shapes[i].best =
                fmin(bench->shapes[i].best, time_group(bench, &bench->shapes[i]));
    if (!failed) print_all(bench, measure_ceiling(pf_conv_kernels()->name));
    close_bench(bench);
    free(bench);
    return failed;
}

int main(int argc, char **argv)
{
    Settings settings = {.rounds = 7, .side = 224};
    const char *networks[16] = {NULL};
    int count, failed;
    PfError err = {0};
    failed = argc > 16 || pf_options_parse(table, &settings, argc, argv, networks, &count, &err);
    for (int i = 0; i < count && !failed; i++) failed = bench_network(networks[i], &settings, &err);
    if (failed) fprintf(stderr, "bench_convolutions: %s\n", err.message);
    return failed ? 1 : 0;
}

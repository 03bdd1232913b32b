/* bench_steps: where a network's time goes in the engine, by kinds of steps, on one thread.
 *
 *   bench_steps [--rounds N] [--side PIXELS] [--steps N] NETWORK TAP
 *
 * Each step is run by itself for a group of images, in the network's order, so that it finds what
 * the step before has left in the caches. Times are those of the thread's processor, the fastest of
 * some rounds. Then come the N steps that took longest. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/engine/execute.h"
#include "tests/bench/bench_plan.h"
#include "tests/bench/ceiling.h"

static const char *const kind_names[] = {
    [PF_STEP_PIXELS] = "pixels",
    [PF_STEP_CONVOLUTION] = "convolutions",
    [PF_STEP_MAX_POOL] = "max pools",
    [PF_STEP_AVERAGE_POOL] = "average pools to a size",
    [PF_STEP_AVERAGE_WINDOWS] = "average pools",
    [PF_STEP_PAD] = "pads",
    [PF_STEP_POINTWISE] = "pointwise",
    [PF_STEP_COPY] = "copies",
    [PF_STEP_PART] = "parts of concatenations",
    [PF_STEP_ARITHMETIC] = "arithmetic",
    [PF_STEP_FUNCTION] = "functions",
    [PF_STEP_REDUCE] = "reductions",
    [PF_STEP_SOFTMAX] = "softmax",
    [PF_STEP_PRODUCT] = "products of matrices",
    [PF_STEP_LAYER_NORM] = "layer norms",
    [PF_STEP_ATTENTION] = "attention",
    [PF_STEP_STORE] = "stores",
};
enum { KINDS = sizeof kind_names / sizeof *kind_names };

typedef struct Settings {
    int rounds, side, steps;
} Settings;

static const PfOption table[] = {
    BENCH_ROUNDS(Settings),
    BENCH_SIDE(Settings),
    {.name = "steps",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, steps),
     .argument = "N",
     .help = "to print, the longest first",
     .minimum = 0,
     .maximum = 10000},
    {0},
};

typedef struct Bench {
    BenchPlan network;
    uint8_t *pixels;
    float *features;
    void *arena;
    double *best; /* seconds of each step for a group */
} Bench;

static int open_bench(Bench *bench, const char *network, const char *tap, int side, PfError *err)
{
    if (bench_plan_open(&bench->network, network, tap, side, err)) return -1;
    const PfEnginePlan *plan = bench->network.plan;
    const size_t bytes = (size_t)PF_ENGINE_GROUP * 3 * (size_t)side * (size_t)side;
    const size_t row = (size_t)pf_shape_count(&plan->taps[0].shape);
    bench->pixels = pf_alloc_aligned(bytes, 1, err);
    bench->features = pf_alloc_aligned(PF_ENGINE_GROUP * row, sizeof(float), err);
    bench->arena = pf_alloc_aligned(plan->maps_bytes + plan->scratch_bytes, 1, err);
    bench->best = pf_calloc((size_t)plan->step_count, sizeof *bench->best, err);
    if (!bench->pixels || !bench->features || !bench->arena || !bench->best) return -1;
    for (size_t i = 0; i < bytes; i++) bench->pixels[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int s = 0; s < plan->step_count; s++) bench->best[s] = INFINITY;
    return 0;
}

static void close_bench(Bench *bench)
{
    bench_plan_close(&bench->network);
    free(bench->pixels);
    free(bench->features);
    free(bench->arena);
    free(bench->best);
}

static void run_round(const Bench *bench)
{
    void *outputs[] = {bench->features};
    const PfEngineImages images = {
        .pixels = bench->pixels, .count = PF_ENGINE_GROUP, .outputs = outputs};
    for (int s = 0; s < bench->network.plan->step_count; s++) {
        PfEnginePlan one = *bench->network.plan;
        one.steps += s;
        one.step_count = 1;
        one.early_steps = s < bench->network.plan->early_steps;
        const double start = thread_seconds();
        pf_engine_execute(&one, &images, bench->arena, NULL);
        bench->best[s] = fmin(bench->best[s], thread_seconds() - start);
    }
}

static void print_kinds(const Bench *bench)
{
    double seconds[KINDS] = {0}, all = 0;
    int counts[KINDS] = {0};
    for (int s = 0; s < bench->network.plan->step_count; s++) {
        seconds[bench->network.plan->steps[s].kind] += bench->best[s];
        counts[bench->network.plan->steps[s].kind]++;
        all += bench->best[s];
    }
    printf("%s: %.2f ms an image\n", bench->network.arch->name, 1e3 * all / PF_ENGINE_GROUP);
    for (int kind = 0; kind < KINDS; kind++)
        if (counts[kind])
            printf("  %-24s %4d %9.3f ms %5.1f %%\n", kind_names[kind], counts[kind],
                   1e3 * seconds[kind] / PF_ENGINE_GROUP, 100 * seconds[kind] / all);
}

static void print_step(const Bench *bench, int s)
{
    const PfEnginePlan *plan = bench->network.plan;
    const PfEngineStep *step = &plan->steps[s];
    const PfEngineValue *x = step->x < 0 ? NULL : &plan->values[step->x];
    const PfEngineValue *y = step->y < 0 ? NULL : &plan->values[step->y];
    printf("  %-24s %-30s %9.3f ms", kind_names[step->kind],
           step->node < 0 ? "" : plan->arch->nodes[step->node].name,
           1e3 * bench->best[s] / PF_ENGINE_GROUP);
    if (x) printf("  %d x %d x %d", (int)x->height, (int)x->width, (int)x->channels);
    if (y) printf(" -> %d x %d x %d", (int)y->height, (int)y->width, (int)y->channels);
    printf("\n");
}

static void print_longest(const Bench *bench, int count)
{
    for (; count > 0; count--) {
        int longest = 0;
        for (int s = 1; s < bench->network.plan->step_count; s++)
            if (bench->best[s] > bench->best[longest]) longest = s;
        if (bench->best[longest] < 0) return;
        print_step(bench, longest);
        bench->best[longest] = -1;
    }
}

int main(int argc, char **argv)
{
    Settings settings = {.rounds = 5, .side = 224, .steps = 12};
    const char *names[2] = {NULL};
    int count, failed;
    Bench bench = {0};
    PfError err = {0};
    failed = argc > 9 || pf_options_parse(table, &settings, argc, argv, names, &count, &err) ||
             count != 2;
    if (failed && !err.message[0]) snprintf(err.message, sizeof err.message, "NETWORK and TAP");
    failed = failed || open_bench(&bench, names[0], names[1], settings.side, &err);
    for (int round = 0; round < settings.rounds && !failed; round++) run_round(&bench);
    if (failed) {
        fprintf(stderr, "bench_steps: %s\n", err.message);
    } else {
        print_kinds(&bench);
        print_longest(&bench, settings.steps);
    }
    close_bench(&bench);
    return failed ? 1 : 0;
}

/* A network with random weights, planned as the engine runs it, and the options of the programs
 * that measure its parts. */
#ifndef PF_BENCH_PLAN_H
#define PF_BENCH_PLAN_H

#include <stddef.h>

#include "common/base/options.h"
#include "common/engine/plan.h"
#include "common/weights/weights.h"

/* Rows of a table of options, whose structure has `int rounds, side`. */
#define BENCH_ROUNDS(SETTINGS)                                                                     \
    {                                                                                              \
        .name = "rounds", .kind = PF_OPTION_INT, .offset = offsetof(SETTINGS, rounds),             \
        .argument = "N", .help = "to take the fastest of", .minimum = 1, .maximum = 1000           \
    }
#define BENCH_SIDE(SETTINGS)                                                                       \
    {                                                                                              \
        .name = "side", .kind = PF_OPTION_INT, .offset = offsetof(SETTINGS, side),                 \
        .argument = "PIXELS", .help = "of the image", .minimum = 32, .maximum = 1024               \
    }

typedef struct BenchPlan {
    PfArch *arch;
    PfWeights *weights;
    PfEnginePlan *plan;
} BenchPlan;

/* Of square images, for one thread. What is open at an error, too, bench_plan_close frees. */
static inline int bench_plan_open(BenchPlan *bench, const char *network, const char *tap, int side,
                                  PfError *err)
{
    if (pf_arch_new(network, &bench->arch, err) ||
        pf_weights_random(bench->arch, 0, &bench->weights, err))
        return -1;
    PfBackboneConfig config = {.arch = bench->arch,
                               .taps = &tap,
                               .tap_count = 1,
                               .input_height = side,
                               .input_width = side,
                               .std = {1, 1, 1},
                               .output_dtype = PF_DTYPE_F32};
    config.tensors = pf_weights_tensors(bench->weights, &config.tensor_count);
    return pf_engine_plan_new(&config, 1, &bench->plan, err);
}

static inline void bench_plan_close(BenchPlan *bench)
{
    pf_engine_plan_free(&bench->plan);
    pf_weights_close(&bench->weights);
    pf_arch_free(&bench->arch);
}

#endif

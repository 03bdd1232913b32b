#include "extract/pipeline/conv_peak.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/arch/family.h"
#include "common/arch/ops.h"
#include "common/backbone/executor.h"
#include "common/base/clock.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/thread/parallel.h"
#include "extract/backbone/session.h"

enum { CHANNELS = 128, SIDE = 28, CONVOLUTIONS = 4 };
#define TAP "pool"
#define MEASURED_SECONDS 0.1
#define FEWEST_RUNS 3

/* The first convolution makes channels of pixels, and the pool a small output of maps. Both are a
 * few per mille of the whole work. */
static int build_network(PfArch *arch, PfError *err)
{
    PfArchBuilder builder = {.arch = arch, .err = err};
    char name[PF_NODE_NAME_SIZE];
    int node;
    pf_arch_add(&builder, PF_OP_INPUT, "input", NULL, 0, &node);
    node = pf_arch_add_conv(&builder, "stem", node, 3, CHANNELS, 1, 1, 0, 0);
    for (int i = 0; i < CONVOLUTIONS; i++) {
        snprintf(name, sizeof name, "conv%d", i);
        node = pf_arch_add_conv(&builder, name, node, CHANNELS, CHANNELS, 3, 1, 1, 0);
    }
    pf_arch_add_avg_pool(&builder, TAP, node, 1);
    return builder.failed ? -1 : 0;
}

/* Every parameter of the arch, from one array of equal numbers: so small that what goes through the
 * network neither grows nor fades. */
typedef struct Tensors {
    PfParameter *parameters;
    PfNamedTensor *tensors;
    float *values;
    int count;
} Tensors;

static int fill_tensors(const PfArch *arch, Tensors *all, PfError *err)
{
    const size_t most = (size_t)CHANNELS * CHANNELS * 9;
    if (pf_arch_parameters(arch, arch->node_count - 1, &all->parameters, &all->count, err) ||
        !(all->tensors = pf_calloc((size_t)all->count, sizeof *all->tensors, err)) ||
        !(all->values = pf_calloc(most, sizeof *all->values, err)))
        return -1;
    for (size_t i = 0; i < most; i++) all->values[i] = 1.0f / (CHANNELS * 9);
    for (int i = 0; i < all->count; i++)
        all->tensors[i] = (PfNamedTensor){all->parameters[i].name,
                                          {PF_DTYPE_F32, all->parameters[i].shape, all->values}};
    return 0;
}

static void free_tensors(Tensors *all)
{
    free(all->values);
    free(all->tensors);
    free(all->parameters);
}

/* What is measured. */
typedef struct Measuring {
    const PfBackbonePlan *plan;
    const PfArch *arch;
    const Tensors *all;
    int batch;
    const volatile sig_atomic_t *interrupted;
} Measuring;

static int forward(const Measuring *measuring, const PfBackbonePlugin *plugin, PfBackbone *backbone,
                   const uint8_t *pixels, void *const *outputs, PfError *err)
{
    if (*measuring->interrupted) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
    return pf_backbone_forward(plugin, backbone, pixels, measuring->batch, outputs, err);
}

/* Seconds of the fastest of the runs, the first one left out. */
static int time_runs(const Measuring *measuring, const PfBackbonePlugin *plugin,
                     PfBackbone *backbone, double *seconds, PfError *err)
{
    const int batch = measuring->batch;
    uint8_t *pixels = pf_calloc((size_t)batch, (size_t)SIDE * SIDE * 3, err);
    float *features = pf_calloc((size_t)batch, CHANNELS * sizeof *features, err);
    void *outputs[] = {features};
    int failed = !pixels || !features || forward(measuring, plugin, backbone, pixels, outputs, err);
    double started = pf_clock_seconds(), now = started;
    *seconds = 0;
    for (int run = 0; !failed && (run < FEWEST_RUNS || now - started < MEASURED_SECONDS); run++) {
        double before = now;
        failed = forward(measuring, plugin, backbone, pixels, outputs, err);
        now = pf_clock_seconds();
        if (!run || now - before < *seconds) *seconds = now - before;
    }
    free(features);
    free(pixels);
    return failed ? -1 : 0;
}

static int time_network(const Measuring *measuring, const char *device, int threads,
                        double *seconds, PfError *err)
{
    static const char *const tap = TAP;
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone;
    PfBackboneConfig config = {.arch = measuring->arch,
                               .tensors = measuring->all->tensors,
                               .tensor_count = (size_t)measuring->all->count,
                               .taps = &tap,
                               .tap_count = 1,
                               .input_height = SIDE,
                               .input_width = SIDE,
                               .std = {1, 1, 1},
                               .precision = measuring->plan->precision,
                               .emulate = measuring->plan->emulate,
                               .output_dtype = PF_DTYPE_F32,
                               .device = device,
                               .threads = threads,
                               .batch = measuring->batch};
    if (pf_backbone_open(&config, measuring->plan->device, &plugin, &backbone, err)) return -1;
    int failed = time_runs(measuring, plugin, backbone, seconds, err);
    plugin->close(&backbone);
    return failed;
}

/* On the first of the plan's devices, with its share of the cores. */
static int time_on_first(const Measuring *measuring, double *seconds, PfError *err)
{
    char **devices;
    int count;
    if (pf_device_list_parse(measuring->plan->device, &devices, &count, err)) return -1;
    int threads = pf_device_list_threads(devices, count, pf_parallel_processor_count());
    int failed = time_network(measuring, devices[0], threads, seconds, err);
    pf_options_free_list(&devices, &count);
    return failed;
}

int pf_conv_peak_measure(const PfBackbonePlan *plan, int batch,
                         const volatile sig_atomic_t *interrupted, double *gflops, PfError *err)
{
    static const char *const tap = TAP;
    PfArch arch = {.name = "bare"};
    Tensors all = {0};
    const Measuring measuring = {plan, &arch, &all, batch, interrupted};
    int64_t multiply_adds;
    double seconds;
    int failed = build_network(&arch, err) || fill_tensors(&arch, &all, err) ||
                 pf_arch_multiply_adds(&arch, SIDE, &tap, 1, &multiply_adds, err) ||
                 time_on_first(&measuring, &seconds, err);
    if (!failed) *gflops = seconds > 0 ? 2e-9 * (double)multiply_adds * batch / seconds : 0;
    free_tensors(&all);
    free(arch.nodes);
    return failed ? -1 : 0;
}

/* Runs a network through the plugin, for tests and measurements:
 *
 *   run_backbone [options] BACKBONE PIXELS SIZE TAPS [OUTPUT]
 *
 * BACKBONE is an architecture's name, an ONNX file or a TorchScript file; PIXELS a
 * file of uint8 (n, SIZE, SIZE, 3); TAPS names with commas between, or "" for all that
 * TorchScript offers, and the outputs of ONNX. Writes OUTPUT.<tap> (n, shape) raw in the stored
 * type and prints the taps, or without OUTPUT the speed of the best of several passes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/backbone/executor.h"
#include "common/backbone/script_file.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/file/atomic_file.h"
#include "common/onnx/network.h"
#include "common/weights/weights.h"

#define MAX_TAPS 16

typedef struct Settings {
    const char *weights, *device, *precision, *store, *mean, *std;
    int batch, threads, passes, seconds, emulate;
    const char *backbone, *pixels, *taps, *output;
    int size;
} Settings;

static const PfOption table[] = {
    {.name = "weights",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, weights),
     .argument = "FILE",
     .help = "weight file or random:SEED"},
    {.name = "device",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, device),
     .argument = "NAME",
     .help = "auto, cpu, cpu:overlap, cuda"},
    {.name = "precision",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, precision),
     .argument = "P",
     .help = "fp32, bf16, fp16 or tf32"},
    {.name = "store",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, store),
     .argument = "TYPE",
     .help = "f32 or f16"},
    {.name = "mean",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, mean),
     .argument = "R,G,B",
     .help = "subtracted"},
    {.name = "std",
     .kind = PF_OPTION_TEXT,
     .offset = offsetof(Settings, std),
     .argument = "R,G,B",
     .help = "divided by"},
    {.name = "batch",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, batch),
     .argument = "N",
     .help = "images per call; 0: as many as the device is fastest with",
     .minimum = 0,
     .maximum = 4096},
    {.name = "threads",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, threads),
     .argument = "N",
     .help = "of the forward pass",
     .minimum = 0,
     .maximum = 1024},
    {.name = "passes",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, passes),
     .argument = "N",
     .help = "to take the best of",
     .minimum = 1,
     .maximum = 1000},
    {.name = "seconds",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, seconds),
     .argument = "N",
     .help = "passes beyond these, until so many are over",
     .minimum = 0,
     .maximum = 3600},
    {.name = "emulate",
     .kind = PF_OPTION_FLAG,
     .offset = offsetof(Settings, emulate),
     .help = "bf16 in float32 arithmetic, rounded"},
    {0},
};

typedef struct Run {
    Settings settings;
    PfArch *arch;
    PfWeights *weights;
    PfScriptFile *script;
    PfOnnx *onnx;
    char outputs_of_onnx[4096];
    const PfBackbonePlugin *plugin;
    PfBackbone *backbone;
    const PfTapInfo *taps;
    int tap_count;
    void *outputs[MAX_TAPS];
    size_t row_sizes[MAX_TAPS];
    uint8_t *pixels; /* (n, size, size, 3) */
    int n;
} Run;

static PfPrecision precision_named(const char *name)
{
    return !strcmp(name, "bf16")   ? PF_BF16
           : !strcmp(name, "fp16") ? PF_FP16
           : !strcmp(name, "tf32") ? PF_TF32
                                   : PF_FP32;
}

static int split_names(char *text, const char **names)
{
    int count = 0;
    for (char *name = strtok(text, ","); name && count < MAX_TAPS; name = strtok(NULL, ","))
        names[count++] = name;
    return count;
}

static void read_channels(const char *text, float values[3])
{
    sscanf(text, "%f,%f,%f", &values[0], &values[1], &values[2]);
}

static int load_weights(Run *run, PfBackboneConfig *config, PfError *err)
{
    const PfWeightsEntry *entry;
    if (pf_arch_new(run->settings.backbone, &run->arch, err) ||
        pf_weights_load(run->arch, run->settings.weights, NULL, &run->weights, &entry, err))
        return -1;
    config->arch = run->arch;
    config->tensors = pf_weights_tensors(run->weights, &config->tensor_count);
    return 0;
}

/* Names of taps are the file's own; where none are asked for, all outputs are. */
static int load_onnx(Run *run, PfBackboneConfig *config, const char **taps, PfError *err)
{
    if (pf_onnx_open(run->settings.backbone, NULL, &run->onnx, err) ||
        pf_onnx_build(run->onnx, run->settings.size, err))
        return -1;
    config->arch = pf_onnx_arch(run->onnx);
    config->tensors = pf_onnx_tensors(run->onnx, &config->tensor_count);
    if (!config->tap_count) {
        snprintf(run->outputs_of_onnx, sizeof run->outputs_of_onnx, "%s",
                 config->arch->default_tap);
        config->tap_count = split_names(run->outputs_of_onnx, taps);
    }
    for (int t = 0; t < config->tap_count; t++)
        if (pf_onnx_find_tap(run->onnx, taps[t], &taps[t], err)) return -1;
    fprintf(stderr, "%d nodes\n", config->arch->node_count);
    return 0;
}

static int open_backbone(Run *run, PfError *err)
{
    const Settings *settings = &run->settings;
    char text[4096];
    const char *names[MAX_TAPS];
    snprintf(text, sizeof text, "%s", settings->taps);
    PfBackboneConfig config = {.taps = names,
                               .tap_count = split_names(text, names),
                               .input_height = settings->size,
                               .input_width = settings->size,
                               .precision = precision_named(settings->precision),
                               .emulate = settings->emulate,
                               .output_dtype =
                                   !strcmp(settings->store, "f16") ? PF_DTYPE_F16 : PF_DTYPE_F32,
                               .device = settings->device,
                               .threads = settings->threads,
                               .batch = settings->batch};
    read_channels(settings->mean, config.mean);
    read_channels(settings->std, config.std);
    double start = pf_clock_seconds();
    int failed;
    if (pf_onnx_is_meant(settings->backbone))
        failed = load_onnx(run, &config, names, err);
    else if (strchr(settings->backbone, '.'))
        failed = pf_script_file_open(settings->backbone, NULL, &run->script, err) ||
                 pf_script_file_lend(run->script, &config.torchscript, err);
    else
        failed = load_weights(run, &config, err);
    if (failed) return -1;
    double read = pf_clock_seconds();
    if (pf_backbone_open(&config, config.device, &run->plugin, &run->backbone, err)) return -1;
    fprintf(stderr, "%s; weights %.3f s, open %.3f s\n", run->plugin->describe(run->backbone),
            read - start, pf_clock_seconds() - read);
    run->tap_count = run->plugin->taps(run->backbone, &run->taps);
    if (!settings->batch) run->settings.batch = run->plugin->batch(run->backbone);
    return 0;
}

static int read_pixels(Run *run, PfError *err)
{
    size_t image = 3 * (size_t)run->settings.size * (size_t)run->settings.size;
    FILE *file = fopen(run->settings.pixels, "rb");
    if (!file) return pf_fail_errno(err, "%s", run->settings.pixels);
    fseek(file, 0, SEEK_END);
    run->n = (int)((size_t)ftell(file) / image);
    rewind(file);
    run->pixels = pf_calloc((size_t)run->n, image, err);
    int failed = !run->pixels || fread(run->pixels, image, (size_t)run->n, file) != (size_t)run->n;
    fclose(file);
    return failed ? pf_fail(err, PF_EXIT_FAILED, "%s: cannot read", run->settings.pixels) : 0;
}

static int make_room(Run *run, PfError *err)
{
    size_t number = !strcmp(run->settings.store, "f16") ? 2 : 4;
    for (int t = 0; t < run->tap_count; t++) {
        run->row_sizes[t] = number * (size_t)pf_shape_count(&run->taps[t].shape);
        run->outputs[t] = pf_calloc((size_t)run->n, run->row_sizes[t], err);
        if (!run->outputs[t]) return -1;
    }
    return 0;
}

static int collect(Run *run, int *flying, PfError *err)
{
    --*flying;
    return run->plugin->collect(run->backbone, err);
}

static int forward_all(Run *run, PfError *err)
{
    size_t image = 3 * (size_t)run->settings.size * (size_t)run->settings.size;
    void *rows[MAX_TAPS];
    int flying = 0;
    for (int first = 0; first < run->n; first += run->settings.batch) {
        int count = run->n - first < run->settings.batch ? run->n - first : run->settings.batch;
        for (int t = 0; t < run->tap_count; t++)
            rows[t] = (char *)run->outputs[t] + (size_t)first * run->row_sizes[t];
        if (flying == run->plugin->depth(run->backbone) && collect(run, &flying, err)) return -1;
        if (run->plugin->submit(run->backbone, run->pixels + (size_t)first * image, count, rows,
                                err))
            return -1;
        flying++;
    }
    while (flying)
        if (collect(run, &flying, err)) return -1;
    return 0;
}

static int measure(Run *run, PfError *err)
{
    const Settings *settings = &run->settings;
    double best = 1e9, best_cpu = 1e9, end = pf_clock_seconds() + settings->seconds;
    for (int pass = 0; pass < settings->passes || pf_clock_seconds() < end; pass++) {
        double start = pf_clock_seconds();
        clock_t cpu = clock();
        if (forward_all(run, err)) return -1;
        double seconds = pf_clock_seconds() - start;
        double cpu_seconds = (double)(clock() - cpu) / CLOCKS_PER_SEC;
        if (!pass) printf("first %.4f s, ", seconds);
        if (seconds < best) best = seconds;
        if (cpu_seconds < best_cpu) best_cpu = cpu_seconds;
    }
    printf("best %.4f s, %.1f images/s, %.1f per CPU second\n", best, run->n / best,
           run->n / best_cpu);
    return 0;
}

static int write_outputs(Run *run, PfError *err)
{
    char path[4096], shape[PF_SHAPE_TEXT_SIZE];
    if (forward_all(run, err)) return -1;
    for (int t = 0; t < run->tap_count; t++) {
        snprintf(path, sizeof path, "%s.%s", run->settings.output, run->taps[t].name);
        size_t size = (size_t)run->n * run->row_sizes[t];
        if (pf_atomic_file_write(path, run->outputs[t], size, err)) return -1;
        printf("%s\t%s\n", run->taps[t].name, pf_shape_text(&run->taps[t].shape, shape));
    }
    return 0;
}

static int run_all(Run *run, PfError *err)
{
    if (open_backbone(run, err) || read_pixels(run, err) || make_room(run, err)) return -1;
    int failed = run->settings.output ? write_outputs(run, err) : measure(run, err);
    int batch = run->plugin->batch(run->backbone);
    if (batch < run->settings.batch) fprintf(stderr, "memory sufficed for %d images\n", batch);
    return failed;
}

static int parse(Settings *settings, int argc, char **argv, PfError *err)
{
    const char *operands[8] = {NULL};
    int count;
    if (argc > 32 || pf_options_parse(table, settings, argc, argv, operands, &count, err))
        return -1;
    if (count < 4 || count > 5)
        return pf_fail(err, PF_EXIT_USAGE, "four or five arguments, please");
    settings->backbone = operands[0];
    settings->pixels = operands[1];
    settings->size = atoi(operands[2]);
    settings->taps = operands[3];
    settings->output = operands[4];
    return 0;
}

int main(int argc, char **argv)
{
    Run run = {.settings = {.weights = "random:0",
                            .device = "cpu",
                            .precision = "fp32",
                            .store = "f32",
                            .mean = "0.485,0.456,0.406",
                            .std = "0.229,0.224,0.225",
                            .batch = 32,
                            .passes = 5}};
    PfError err = {0};
    pf_log_setup("run_backbone", PF_NORMAL);
    int code = 0;
    if (parse(&run.settings, argc, argv, &err) || run_all(&run, &err)) code = pf_log_error(&err);
    if (run.backbone) run.plugin->close(&run.backbone);
    for (int t = 0; t < run.tap_count; t++) free(run.outputs[t]);
    free(run.pixels);
    pf_weights_close(&run.weights);
    pf_script_file_free(&run.script);
    pf_onnx_free(&run.onnx);
    pf_arch_free(&run.arch);
    return code;
}

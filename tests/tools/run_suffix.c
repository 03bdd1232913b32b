/* Runs the part of a network behind a cut, for tests and measurements:
 *
 *   run_suffix [options] BACKBONE SIZE CUT OUTPUT ROWS DERIVATIVE RESULT
 *
 * BACKBONE is an architecture's name or a TorchScript file, SIZE the side of its input. ROWS
 * holds float32 (n, CUT), DERIVATIVE float32 (n, OUTPUT). Writes, raw, RESULT.features as in
 * eval mode, RESULT.training while learning, RESULT.gradient.<tensor> and, after a step of
 * --rate down the gradients, RESULT.value.<tensor> and RESULT.after, the new features. Prints
 * the shapes and tensors. With --steps N it prints the speed of so many steps besides. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/backbone/loader.h"
#include "common/backbone/script_file.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/file/atomic_file.h"
#include "common/weights/weights.h"

typedef struct Settings {
    const char *weights, *device, *backbone, *cut, *output, *rows, *derivative, *result;
    int size, threads, steps, bf16, train_batch_norm, seed, reopen;
    double rate;
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
     .help = "auto, cpu, cuda"},
    {.name = "bf16",
     .kind = PF_OPTION_FLAG,
     .offset = offsetof(Settings, bf16),
     .help = "autocast"},
    {.name = "train-batch-norm",
     .kind = PF_OPTION_FLAG,
     .offset = offsetof(Settings, train_batch_norm),
     .help = "statistics of the batch"},
    {.name = "reopen",
     .kind = PF_OPTION_FLAG,
     .offset = offsetof(Settings, reopen),
     .help = "do it all twice"},
    {.name = "rate",
     .kind = PF_OPTION_DOUBLE,
     .offset = offsetof(Settings, rate),
     .argument = "X",
     .help = "of the step",
     .minimum = 0,
     .maximum = 1e6},
    {.name = "seed",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, seed),
     .argument = "N",
     .help = "of dropout",
     .minimum = 0,
     .maximum = 1000000},
    {.name = "threads",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, threads),
     .argument = "N",
     .help = "CPU threads",
     .minimum = 0,
     .maximum = 1024},
    {.name = "steps",
     .kind = PF_OPTION_INT,
     .offset = offsetof(Settings, steps),
     .argument = "N",
     .help = "to take the best of",
     .minimum = 0,
     .maximum = 100000},
    {0},
};

typedef struct Run {
    Settings settings;
    PfArch *arch;
    PfWeights *weights;
    PfScriptFile *script;
    const PfSuffixPlugin *plugin;
    PfSuffix *suffix;
    float *rows, *derivative, *features;
    int64_t n;
} Run;

static int load_weights(Run *run, PfSuffixConfig *config, PfError *err)
{
    const PfWeightsEntry *entry;
    if (strchr(run->settings.backbone, '.')) {
        if (pf_script_file_open(run->settings.backbone, NULL, &run->script, err) ||
            pf_script_file_lend(run->script, &config->torchscript, err))
            return -1;
        if (!run->settings.weights) return 0;
        if (pf_weights_open(run->settings.weights, &run->weights, err)) return -1;
        config->tensors = pf_weights_tensors(run->weights, &config->tensor_count);
        return 0;
    }
    if (pf_arch_new(run->settings.backbone, &run->arch, err) ||
        pf_weights_load(run->arch, run->settings.weights ? run->settings.weights : "random:0", NULL,
                        &run->weights, &entry, err))
        return -1;
    config->arch = run->arch;
    config->tensors = pf_weights_tensors(run->weights, &config->tensor_count);
    return 0;
}

static int open_suffix(Run *run, PfError *err)
{
    const Settings *settings = &run->settings;
    const PfBackbonePlugin *plugin;
    PfSuffixConfig config = {.cut = settings->cut,
                             .output = settings->output,
                             .input_height = settings->size,
                             .input_width = settings->size,
                             .mean = {0.485f, 0.456f, 0.406f},
                             .std = {0.229f, 0.224f, 0.225f},
                             .bf16 = settings->bf16,
                             .train_batch_norm = settings->train_batch_norm,
                             .device = settings->device,
                             .threads = settings->threads};
    if (pf_backbone_loader_load(&plugin, err)) return -1;
    run->plugin = plugin->suffix;
    if (load_weights(run, &config, err)) return -1;
    return run->plugin->open(&config, &run->suffix, err);
}

static int read_floats(const char *path, int64_t row, float **out, int64_t *n, PfError *err)
{
    FILE *file = fopen(path, "rb");
    if (!file) return pf_fail_errno(err, "%s", path);
    fseek(file, 0, SEEK_END);
    size_t count = (size_t)ftell(file) / sizeof **out;
    rewind(file);
    *n = (int64_t)count / row;
    *out = pf_calloc(count, sizeof **out, err);
    int failed = !*out || fread(*out, sizeof **out, count, file) != count;
    fclose(file);
    if (failed || *n * row != (int64_t)count)
        return pf_fail(err, PF_EXIT_FAILED, "%s: not rows of %lld", path, (long long)row);
    return 0;
}

static int read_inputs(Run *run, PfError *err)
{
    int64_t in = pf_shape_count(run->plugin->input_shape(run->suffix)), n;
    int64_t out = pf_shape_count(run->plugin->output_shape(run->suffix));
    if (read_floats(run->settings.rows, in, &run->rows, &run->n, err) ||
        read_floats(run->settings.derivative, out, &run->derivative, &n, err))
        return -1;
    if (n != run->n) return pf_fail(err, PF_EXIT_FAILED, "not as many derivatives as rows");
    run->features = pf_calloc((size_t)n, (size_t)out * sizeof *run->features, err);
    return run->features ? 0 : -1;
}

static int store(const Run *run, const char *name, const float *values, int64_t count, PfError *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%s", run->settings.result, name);
    return pf_atomic_file_write(path, values, (size_t)count * sizeof *values, err);
}

static int store_features(const Run *run, const char *name, PfError *err)
{
    return store(run, name, run->features,
                 run->n * pf_shape_count(run->plugin->output_shape(run->suffix)), err);
}

static int store_tensor(const Run *run, const PfSuffixTensor *tensor, PfError *err)
{
    char name[128], shape[PF_SHAPE_TEXT_SIZE];
    int64_t count = pf_shape_count(&tensor->shape);
    printf("%s\t%s\t%s\t%s\n", tensor->name, pf_shape_text(&tensor->shape, shape),
           tensor->gradient ? "parameter" : "buffer", tensor->decays ? "decays" : "stays");
    snprintf(name, sizeof name, "value.%s", tensor->name);
    if (store(run, name, tensor->values, count, err)) return -1;
    snprintf(name, sizeof name, "gradient.%s", tensor->name);
    return tensor->gradient ? store(run, name, tensor->gradient, count, err) : 0;
}

static int step(const Run *run, PfError *err)
{
    size_t count;
    const PfSuffixTensor *tensors = run->plugin->tensors(run->suffix, &count);
    for (size_t t = 0; t < count; t++)
        for (int64_t i = 0; tensors[t].gradient && i < pf_shape_count(&tensors[t].shape); i++)
            tensors[t].values[i] -= (float)run->settings.rate * tensors[t].gradient[i];
    return run->plugin->commit(run->suffix, err);
}

static int learn(const Run *run, PfError *err)
{
    const PfSuffixPlugin *plugin = run->plugin;
    return plugin->forward_training(run->suffix, run->rows, run->n, (uint64_t)run->settings.seed,
                                    run->features, err) ||
                   plugin->backward(run->suffix, run->derivative, err)
               ? -1
               : 0;
}

static int write_results(const Run *run, PfError *err)
{
    const PfSuffixPlugin *plugin = run->plugin;
    char shape[PF_SHAPE_TEXT_SIZE];
    printf("input\t%s\n", pf_shape_text(plugin->input_shape(run->suffix), shape));
    printf("output\t%s\n", pf_shape_text(plugin->output_shape(run->suffix), shape));
    if (plugin->forward(run->suffix, run->rows, run->n, run->features, err) ||
        store_features(run, "features", err) || learn(run, err) ||
        store_features(run, "training", err) || step(run, err))
        return -1;
    size_t count;
    const PfSuffixTensor *tensors = plugin->tensors(run->suffix, &count);
    for (size_t t = 0; t < count; t++)
        if (store_tensor(run, &tensors[t], err)) return -1;
    if (plugin->forward(run->suffix, run->rows, run->n, run->features, err)) return -1;
    return store_features(run, "after", err);
}

static int measure(const Run *run, PfError *err)
{
    double best = 1e9, best_cpu = 1e9;
    for (int i = 0; i < run->settings.steps; i++) {
        double start = pf_clock_seconds();
        clock_t cpu = clock();
        if (learn(run, err) || run->plugin->commit(run->suffix, err)) return -1;
        double seconds = pf_clock_seconds() - start;
        double cpu_seconds = (double)(clock() - cpu) / CLOCKS_PER_SEC;
        if (seconds < best) best = seconds;
        if (cpu_seconds < best_cpu) best_cpu = cpu_seconds;
    }
    double n = (double)run->n;
    fprintf(stderr, "%s: best %.4f s, %.1f images/s, %.1f per CPU second\n",
            run->plugin->describe(run->suffix), best, n / best, n / best_cpu);
    return 0;
}

static void close_all(Run *run)
{
    if (run->suffix) run->plugin->close(&run->suffix);
    free(run->rows);
    free(run->derivative);
    free(run->features);
    pf_weights_close(&run->weights);
    pf_script_file_free(&run->script);
    pf_arch_free(&run->arch);
    *run = (Run){.settings = run->settings};
}

static int run_all(Run *run, PfError *err)
{
    int failed = open_suffix(run, err) || read_inputs(run, err) || write_results(run, err) ||
                 (run->settings.steps && measure(run, err));
    close_all(run);
    return failed ? -1 : 0;
}

static int parse(Settings *settings, int argc, char **argv, PfError *err)
{
    const char *operands[32] = {NULL};
    int count;
    if (argc > 32 || pf_options_parse(table, settings, argc, argv, operands, &count, err))
        return -1;
    if (count != 7) return pf_fail(err, PF_EXIT_USAGE, "seven arguments, please");
    settings->backbone = operands[0];
    settings->size = atoi(operands[1]);
    settings->cut = operands[2];
    settings->output = operands[3];
    settings->rows = operands[4];
    settings->derivative = operands[5];
    settings->result = operands[6];
    return 0;
}

int main(int argc, char **argv)
{
    Run run = {.settings = {.device = "cpu", .threads = 2}};
    PfError err = {0};
    pf_log_setup("run_suffix", PF_NORMAL);
    if (parse(&run.settings, argc, argv, &err) || run_all(&run, &err) ||
        (run.settings.reopen && run_all(&run, &err)))
        return pf_log_error(&err);
    return 0;
}

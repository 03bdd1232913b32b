/* tests/unit/fake_backbone.h as a plugin, so that whole runs of extract need no
 * libtorch, nor fine-tunings of train (fake_suffix.h):
 * PERMAFROST_PLUGIN=build/tests/fake_backbone_plugin.so. Any file whose name ends in .pt is a
 * network to it; of a built-in network every tap is the mean colour.
 *
 *   FAKE_BACKBONE_LOG=FILE    a line with the number of images for each forward pass
 *   FAKE_BACKBONE_MS=N        a forward pass takes N milliseconds longer
 *   FAKE_BACKBONE_STUCK_AT=N  the N-th forward pass takes an hour
 *   FAKE_BACKBONE_FAIL_AT=N   the N-th forward pass fails
 *   FAKE_BACKBONE_DEPTH=N     it takes N batches at a time
 *   FAKE_BACKBONE_MEMORY=N    it steps down to at most N images at once
 *   FAKE_EXPORT=1             can write down what it is to export: as text
 *   FAKE_SUFFIX_DIE_AT=N      the N-th step of a fine-tuning kills the process
 *   FAKE_SUFFIX_MODULE=NAME   the tensors that a fine-tuning changes are NAME.weight and so on */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/fake_backbone.h"
#include "tests/unit/fake_suffix.h"

static long knob(const char *name)
{
    const char *value = getenv(name);
    return value ? strtol(value, NULL, 10) : 0;
}

/* Written at once and in one piece: the process may be killed at any moment. */
static void log_images(int n)
{
    const char *path = getenv("FAKE_BACKBONE_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0) return;
    dprintf(fd, "%d\n", n);
    close(fd);
}

static void name_all_mean(PfBackbone *backbone, const PfBackboneConfig *config)
{
    for (int t = 0; t < config->tap_count && t < FAKE_TAPS; t++) {
        backbone->kinds[t] = FAKE_MEAN;
        backbone->taps[t] = (PfTapInfo){.shape = {1, {3}}};
        snprintf(backbone->taps[t].name, sizeof backbone->taps[t].name, "%s", config->taps[t]);
        backbone->tap_count = t + 1;
    }
}

static int open_backbone(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    const char *path = config->torchscript.path;
    size_t length = path ? strlen(path) : 0;
    PfBackboneConfig own = *config;
    if (path && (length < 3 || strcmp(path + length - 3, ".pt")))
        return pf_fail(err, PF_EXIT_USAGE, "the fake plugin runs files that end in .pt only");
    if (config->arch) own.tap_count = 0;
    if (fake_open(&own, out, err)) return -1;
    if (config->arch) name_all_mean(*out, config);
    (*out)->fail_at_call = (int)knob("FAKE_BACKBONE_FAIL_AT");
    (*out)->depth = (int)knob("FAKE_BACKBONE_DEPTH");
    (*out)->memory = (int)knob("FAKE_BACKBONE_MEMORY");
    return 0;
}

static int collect(PfBackbone *backbone, PfError *err)
{
    static atomic_long passes;
    long milliseconds = knob("FAKE_BACKBONE_MS");
    struct timespec pause = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    log_images(backbone->jobs[0].n);
    if (atomic_fetch_add(&passes, 1) + 1 == knob("FAKE_BACKBONE_STUCK_AT")) pause.tv_sec = 3600;
    if (pause.tv_sec || pause.tv_nsec) nanosleep(&pause, NULL);
    return fake_collect(backbone, err);
}

static int forward_training(PfSuffix *suffix, const float *rows, int64_t n, uint64_t dropout_seed,
                            float *features, PfError *err)
{
    static long steps;
    if (++steps == knob("FAKE_SUFFIX_DIE_AT")) raise(SIGKILL);
    return fake_suffix_forward_training(suffix, rows, n, dropout_seed, features, err);
}

static int export_text(const PfExportConfig *config, const char *path, PfError *err)
{
    char shape[PF_SHAPE_TEXT_SIZE];
    FILE *file = fopen(path, "w");
    if (!file) return pf_fail_errno(err, "cannot write '%s'", path);
    fprintf(file, "%snetwork %s\ntap %s\n", config->head,
            config->torchscript.path ? config->torchscript.path : config->arch->name, config->tap);
    for (size_t i = 0; i < config->head_tensor_count; i++)
        fprintf(file, "%s %s\n", config->head_tensors[i].name,
                pf_shape_text(&config->head_tensors[i].view.shape, shape));
    for (int i = 0; i < config->class_count; i++) fprintf(file, "class %s\n", config->classes[i]);
    fprintf(file, "%s\n", config->metadata);
    return fclose(file) ? pf_fail_errno(err, "cannot write '%s'", path) : 0;
}

__attribute__((visibility("default"))) const PfBackbonePlugin *pf_backbone_plugin(void)
{
    static PfBackbonePlugin plugin;
    static PfSuffixPlugin suffix;
    plugin = fake_plugin;
    plugin.open = open_backbone;
    plugin.collect = collect;
    suffix = fake_suffix_plugin;
    suffix.forward_training = forward_training;
    plugin.suffix = &suffix;
    plugin.export_torchscript = knob("FAKE_EXPORT") ? export_text : NULL;
    return &plugin;
}

#include "extract/image/pixel_tap.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

struct PfBackbone {
    const PfBackbonePlugin *plugin; /* of the other taps; NULL: there are none */
    PfBackbone *network;
    PfTapInfo *taps; /* (tap_count) in the order asked for */
    void **outputs;  /* (tap_count) those of the network */
    int tap_count, pixel_tap;
    int height, width;
    int batch; /* where there is no network */
};

/* Copying pixels needs no more of them at once. */
static const int usual_batch = 32;

bool pf_pixel_tap_is(const char *tap)
{
    return !strcmp(tap, PF_PIXEL_TAP);
}

PfDtype pf_pixel_tap_dtype(const char *tap, PfDtype features)
{
    return pf_pixel_tap_is(tap) ? PF_DTYPE_U8 : features;
}

bool pf_pixel_tap_is_among(const char *const *taps, int tap_count)
{
    for (int t = 0; t < tap_count; t++)
        if (pf_pixel_tap_is(taps[t])) return true;
    return false;
}

static void close_pixels(PfBackbone **backbone)
{
    if (!*backbone) return;
    if ((*backbone)->network) (*backbone)->plugin->close(&(*backbone)->network);
    free((*backbone)->taps);
    free((*backbone)->outputs);
    free(*backbone);
    *backbone = NULL;
}

/* The taps but the pixels, which the network gives. */
static int open_network(const PfBackboneConfig *config, const char *devices, PfBackbone *backbone,
                        PfError *err)
{
    PfBackboneConfig rest = *config;
    const char **names = pf_calloc((size_t)config->tap_count, sizeof *names, err);
    const PfTapInfo *found;
    if (!names) return -1;
    rest.taps = names;
    rest.tap_count = 0;
    for (int t = 0; t < config->tap_count; t++)
        if (!pf_pixel_tap_is(config->taps[t])) names[rest.tap_count++] = config->taps[t];
    int failed = 0;
    if (rest.tap_count)
        failed = pf_backbone_open(&rest, devices, &backbone->plugin, &backbone->network, err);
    free(names);
    if (failed) return -1;
    if (rest.tap_count) backbone->plugin->taps(backbone->network, &found);
    for (int t = 0; t < config->tap_count; t++)
        if (!pf_pixel_tap_is(config->taps[t])) backbone->taps[t] = *found++;
    return 0;
}

static int set_up(const PfBackboneConfig *config, const char *devices, PfBackbone *backbone,
                  PfError *err)
{
    size_t count = (size_t)config->tap_count;
    backbone->tap_count = config->tap_count;
    backbone->batch = config->batch ? config->batch : usual_batch;
    backbone->height = config->input_height;
    backbone->width = config->input_width;
    backbone->taps = pf_calloc(count, sizeof *backbone->taps, err);
    backbone->outputs = pf_calloc(count, sizeof *backbone->outputs, err);
    if (!backbone->taps || !backbone->outputs || open_network(config, devices, backbone, err))
        return -1;
    for (int t = 0; t < config->tap_count; t++) {
        if (!pf_pixel_tap_is(config->taps[t])) continue;
        backbone->pixel_tap = t;
        backbone->taps[t] =
            (PfTapInfo){.name = PF_PIXEL_TAP, .shape = {3, {3, backbone->height, backbone->width}}};
    }
    return 0;
}

static int open_on(const PfBackboneConfig *config, const char *devices, PfBackbone **out,
                   PfError *err)
{
    PfBackbone *backbone = pf_calloc(1, sizeof *backbone, err);
    if (!backbone) return -1;
    if (set_up(config, devices, backbone, err)) {
        close_pixels(&backbone);
        return -1;
    }
    *out = backbone;
    return 0;
}

static int open_pixels(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    return open_on(config, config->device, out, err);
}

static int list_taps(const PfBackbone *backbone, const PfTapInfo **taps)
{
    *taps = backbone->taps;
    return backbone->tap_count;
}

static const char *describe(const PfBackbone *backbone)
{
    return backbone->network ? backbone->plugin->describe(backbone->network)
                             : "pixels alone, no network";
}

/* (n, height, width, 3) to (n, 3, height, width) */
static void split_channels(const PfBackbone *backbone, const uint8_t *pixels, int n, uint8_t *out)
{
    size_t plane = (size_t)backbone->height * (size_t)backbone->width;
    for (int i = 0; i < n; i++, pixels += 3 * plane, out += 3 * plane)
        for (size_t p = 0; p < plane; p++) {
            out[p] = pixels[3 * p];
            out[plane + p] = pixels[3 * p + 1];
            out[2 * plane + p] = pixels[3 * p + 2];
        }
}

static int batch_of(const PfBackbone *backbone)
{
    return backbone->network ? backbone->plugin->batch(backbone->network) : backbone->batch;
}

static int depth_of(const PfBackbone *backbone)
{
    return backbone->network ? backbone->plugin->depth(backbone->network) : 1;
}

static void *allocate(PfBackbone *backbone, size_t size_bytes, PfError *err)
{
    if (!backbone->network || !backbone->plugin->allocate)
        return pf_alloc_aligned(size_bytes, 1, err);
    return backbone->plugin->allocate(backbone->network, size_bytes, err);
}

static void release(PfBackbone *backbone, void *memory)
{
    if (!backbone->network || !backbone->plugin->release)
        free(memory);
    else
        backbone->plugin->release(backbone->network, memory);
}

static int submit(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                  PfError *err)
{
    int count = 0;
    split_channels(backbone, pixels, n, outputs[backbone->pixel_tap]);
    if (!backbone->network) return 0;
    for (int t = 0; t < backbone->tap_count; t++)
        if (t != backbone->pixel_tap) backbone->outputs[count++] = outputs[t];
    return backbone->plugin->submit(backbone->network, pixels, n, backbone->outputs, err);
}

static int collect(PfBackbone *backbone, PfError *err)
{
    return backbone->network ? backbone->plugin->collect(backbone->network, err) : 0;
}

int pf_pixel_tap_open(const PfBackboneConfig *config, const char *devices,
                      const PfBackbonePlugin **plugin, PfBackbone **out, PfError *err)
{
    static const PfBackbonePlugin pixels = {
        .abi = PF_BACKBONE_ABI,
        .open = open_pixels,
        .taps = list_taps,
        .describe = describe,
        .batch = batch_of,
        .depth = depth_of,
        .allocate = allocate,
        .release = release,
        .submit = submit,
        .collect = collect,
        .close = close_pixels,
    };
    *plugin = &pixels;
    return open_on(config, devices, out, err);
}

PfEngineMemory pf_pixel_tap_memory(const PfBackbonePlugin *plugin, const PfBackbone *backbone)
{
    if (plugin->open != open_pixels) return pf_backbone_memory(plugin, backbone);
    if (!backbone->network) return (PfEngineMemory){0};
    return pf_backbone_memory(backbone->plugin, backbone->network);
}

/* A backbone without libtorch: tap "mean" (3) is the mean colour, tap "grid"
 * (3,2,2) that of each quarter; tap "pixels" (3, side, side), the image itself, only
 * where it is asked for. Knobs make it fail. One at a time. */
#ifndef FAKE_BACKBONE_H
#define FAKE_BACKBONE_H

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "permafrost/backbone.h"

enum { FAKE_MEAN, FAKE_GRID, FAKE_PIXELS, FAKE_TAPS };

struct PfBackbone {
    PfBackboneConfig config;
    PfTapInfo taps[FAKE_TAPS];
    int kinds[FAKE_TAPS];
    int tap_count;
    int calls;
    int fail_at_call; /* 1-based; 0 never */
    int infinite_at_call;
    int pause_ms; /* for a call */
    int largest_n;
    int images; /* seen so far */
    int last_n; /* at the last call */
};

static struct PfBackbone fake_backbone;

static int fake_add_tap(struct PfBackbone *backbone, const char *name, PfError *err)
{
    int side = backbone->config.input_width;
    const PfTapInfo known[FAKE_TAPS] = {
        {"mean", {1, {3}}}, {"grid", {3, {3, 2, 2}}}, {"pixels", {3, {3, side, side}}}};
    for (int kind = 0; kind < FAKE_TAPS; kind++) {
        if (strcmp(name, known[kind].name)) continue;
        backbone->kinds[backbone->tap_count] = kind;
        backbone->taps[backbone->tap_count++] = known[kind];
        return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE, "the fake backbone has no tap '%s'", name);
}

static int fake_open(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    static const char *const usual[] = {"mean", "grid"};
    const char *const *names = config->tap_count ? config->taps : usual;
    int count = config->tap_count ? config->tap_count : 2;
    fake_backbone = (struct PfBackbone){.config = *config};
    for (int i = 0; i < count; i++)
        if (fake_add_tap(&fake_backbone, names[i], err)) return -1;
    *out = &fake_backbone;
    return 0;
}

static int fake_taps(const PfBackbone *backbone, const PfTapInfo **taps)
{
    *taps = backbone->taps;
    return backbone->tap_count;
}

static const char *fake_describe(const PfBackbone *backbone)
{
    (void)backbone;
    return "fake";
}

static void fake_store(const PfBackbone *backbone, void *out, size_t at, double value)
{
    if (backbone->config.output_dtype == PF_DTYPE_F16)
        ((uint16_t *)out)[at] = pf_f16_from_f32((float)value);
    else
        ((float *)out)[at] = (float)value;
}

/* Mean of channel c over [x0, x1) x [y0, y1) of an image `width` wide. */
static double fake_mean(const uint8_t *image, int width, int c, int x0, int x1, int y0, int y1)
{
    double sum = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) sum += image[(y * width + x) * 3 + c];
    return sum / ((x1 - x0) * (y1 - y0)) / 255;
}

/* Row i of a tap, channel c. */
static void fake_channel(const PfBackbone *backbone, int kind, const uint8_t *image, int i, int c,
                         void *out)
{
    int side = backbone->config.input_width, half = side / 2;
    size_t row = (size_t)(i * 3 + c);
    double mean = fake_mean(image, side, c, 0, side, 0, side);
    if (backbone->calls == backbone->infinite_at_call) mean = INFINITY;
    if (kind == FAKE_MEAN) fake_store(backbone, out, row, mean);
    for (int q = 0; q < 4 && kind == FAKE_GRID; q++)
        fake_store(backbone, out, row * 4 + (size_t)q,
                   fake_mean(image, side, c, q % 2 * half, q % 2 * half + half, q / 2 * half,
                             q / 2 * half + half));
    for (int p = 0; p < side * side && kind == FAKE_PIXELS; p++)
        fake_store(backbone, out, row * (size_t)(side * side) + (size_t)p,
                   image[p * 3 + c] / 255.0);
}

static int fake_forward(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                        PfError *err)
{
    int side = backbone->config.input_width;
    usleep((useconds_t)backbone->pause_ms * 1000);
    backbone->calls++;
    backbone->images += n;
    backbone->last_n = n;
    if (n > backbone->largest_n) backbone->largest_n = n;
    if (backbone->calls == backbone->fail_at_call)
        return pf_fail(err, PF_EXIT_FAILED, "the fake backbone was told to fail");
    for (int t = 0; t < backbone->tap_count; t++)
        for (int i = 0; i < n; i++)
            for (int c = 0; c < 3; c++)
                fake_channel(backbone, backbone->kinds[t], pixels + (size_t)(i * side * side * 3),
                             i, c, outputs[t]);
    return 0;
}

static void fake_close(PfBackbone **backbone)
{
    *backbone = NULL;
}

static const PfBackbonePlugin fake_plugin = {
    .abi = PF_BACKBONE_ABI,
    .open = fake_open,
    .taps = fake_taps,
    .describe = fake_describe,
    .forward = fake_forward,
    .close = fake_close,
};

#endif

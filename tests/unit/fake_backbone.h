/* A backbone without libtorch: tap "mean" (3) is the mean colour, tap "grid"
 * (3,2,2) that of each quarter. Knobs make it fail. One at a time. */
#ifndef FAKE_BACKBONE_H
#define FAKE_BACKBONE_H

#include <math.h>
#include <string.h>

#include "permafrost/backbone.h"

struct PfBackbone {
    PfBackboneConfig config;
    PfTapInfo taps[2];
    int calls;
    int fail_at_call; /* 1-based; 0 never */
    int infinite_at_call;
    int largest_n;
};

static struct PfBackbone fake_backbone;

static int fake_open(const PfBackboneConfig *config, PfBackbone **out, PfError *err)
{
    (void)err;
    fake_backbone = (struct PfBackbone){
        .config = *config,
        .taps = {{"mean", {1, {3}}}, {"grid", {3, {3, 2, 2}}}},
    };
    *out = &fake_backbone;
    return 0;
}

static int fake_taps(const PfBackbone *backbone, const PfTapInfo **taps)
{
    *taps = backbone->taps;
    return 2;
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

static int fake_forward(PfBackbone *backbone, const uint8_t *pixels, int n, void *const *outputs,
                        PfError *err)
{
    int side = backbone->config.input_width, half = side / 2;
    backbone->calls++;
    if (n > backbone->largest_n) backbone->largest_n = n;
    if (backbone->calls == backbone->fail_at_call)
        return pf_fail(err, PF_EXIT_FAILED, "the fake backbone was told to fail");
    for (int i = 0; i < n; i++) {
        const uint8_t *image = pixels + (size_t)i * (size_t)(side * side * 3);
        for (int c = 0; c < 3; c++) {
            double mean = fake_mean(image, side, c, 0, side, 0, side);
            if (backbone->calls == backbone->infinite_at_call) mean = INFINITY;
            fake_store(backbone, outputs[0], (size_t)(i * 3 + c), mean);
            for (int q = 0; q < 4; q++)
                fake_store(backbone, outputs[1], (size_t)(i * 12 + c * 4 + q),
                           fake_mean(image, side, c, q % 2 * half, q % 2 * half + half,
                                     q / 2 * half, q / 2 * half + half));
        }
    }
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

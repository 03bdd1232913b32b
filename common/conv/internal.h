/* A convolution made ready to run, and the ways of computing it. */
#ifndef PF_COMMON_CONV_INTERNAL_H
#define PF_COMMON_CONV_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/integers.h"
#include "common/conv/convolution.h"
#include "common/conv/kernels.h"

/* Output channels that are computed together: a panel. Of the last one fewer. */
enum { PF_CONVOLUTION_PANEL = 64 };

typedef struct PfConvolutionWay {
    /* Rows of the packed weights: numbers that each output channel takes of them. */
    int64_t (*weight_rows)(const PfConvolutionConfig *config);
    /* Writes the panel of `weight`, (rows, its width) as pf_product_u has it, whose first output
     * channel is k. Panels are written in ascending order, but for the direct and Winograd's way,
     * which write them in any, each on any thread. config: with the caller's weights. */
    void (*pack)(PfConvolution *convolution, const PfConvolutionConfig *config, int64_t k);
    /* As in convolution.h. */
    int64_t (*pieces)(const PfConvolution *convolution, const PfConvolutionMaps *maps);
    size_t (*scratch)(const PfConvolution *convolution);
    void (*run)(const PfConvolution *convolution, const PfConvolutionMaps *maps, int64_t piece,
                void *scratch);
} PfConvolutionWay;

struct PfConvolution {
    PfConvolutionConfig config; /* without the caller's memory, but for a weight that stays and is
                                   packed while running, of which `scale` is a copy */
    const PfConvolutionWay *way;
    const PfConvKernels *kernels;
    float *weight; /* in panels; NULL: packed while running */
    double *scale; /* of weights that are packed while running; owned; NULL: none */
    float *owned;  /* the same, where it is not the caller's */
    float *bias;   /* (out_channels) */
    float *zeros;  /* (in_channels): a pixel outside the map */
    bool finite;   /* gathered, grouped: so are all weights */
};

typedef struct PfConvolutionShare {
    int64_t count, size; /* pieces, and what each of them has, but for the last one */
} PfConvolutionShare;

/* So many rows of products in pieces of at most `most`, a multiple of 6: about equally large, as a
 * few rows alone would read all weights for little work; in whole tiles of kernels, which are of 6
 * rows. */
static inline PfConvolutionShare pf_convolution_share(int64_t rows, int64_t most)
{
    const int64_t least = pf_max((rows + most - 1) / most, 1);
    const int64_t size = pf_max(((rows + least - 1) / least + 5) / 6 * 6, 6);
    return (PfConvolutionShare){(rows + size - 1) / size, size};
}

static inline int64_t pf_convolution_panel_count(const PfConvolutionConfig *config)
{
    return (config->out_channels + PF_CONVOLUTION_PANEL - 1) / PF_CONVOLUTION_PANEL;
}

static inline int64_t pf_convolution_splits(const PfConvolution *convolution,
                                            const PfConvolutionMaps *maps)
{
    return pf_max(1, pf_min(maps->splits, pf_convolution_panel_count(&convolution->config)));
}

/* The first output channel of a part of `splits`, from 0 to, its end, `splits`. */
static inline int64_t pf_convolution_split(const PfConvolution *convolution, int64_t splits,
                                           int64_t part)
{
    const int64_t panels = pf_convolution_panel_count(&convolution->config);
    return pf_min(part * panels / splits * PF_CONVOLUTION_PANEL, convolution->config.out_channels);
}

/* Of the panel whose first output channel is k. */
static inline int64_t pf_convolution_panel_width(const PfConvolutionConfig *config, int64_t k)
{
    return pf_min(config->out_channels - k, PF_CONVOLUTION_PANEL);
}

/* As it is to be packed. config: with the caller's weights. */
static inline float pf_convolution_weight(const PfConvolutionConfig *config, int64_t k, int64_t c,
                                          int64_t y, int64_t x)
{
    const int64_t *strides = config->strides;
    const float weight =
        config->weight[k * strides[0] + c * strides[1] + y * strides[2] + x * strides[3]];
    return config->scale ? (float)((double)weight * config->scale[k]) : weight;
}

/* Those of 16 output channels from k on and 16 input channels from c on at one place of the kernel,
 * of one group: (16, 16), a row for each input channel, rows `row` apart. */
void pf_convolution_square(const PfConvolutionConfig *config, int64_t k, int64_t c, int64_t place,
                           float *to, int64_t row);

/* The pixel of one map of x, (in_channels), or zeros around it. */
static inline const float *pf_convolution_pixel(const PfConvolution *convolution,
                                                const PfConvolutionMaps *maps, int64_t map,
                                                int64_t y, int64_t x)
{
    if (y < 0 || y >= maps->height || x < 0 || x >= maps->width) return convolution->zeros;
    return maps->x + ((map * maps->height + y) * maps->width + x) * convolution->config.in_channels;
}

/* Outputs, (rows, width) as they lie in y, become their activation, where that is no cut, which the
 * inner loops have done. */
static inline void pf_convolution_activate(const PfConvolution *convolution, int64_t rows,
                                           int64_t width, float *y)
{
    const PfConvolutionConfig *config = &convolution->config;
    if (pf_activation_is_cut(&config->activation)) return;
    convolution->kernels->activate(&(PfActivate){.activation = config->activation,
                                                 .bf16 = config->bf16,
                                                 .rows = rows,
                                                 .width = width,
                                                 .y = y,
                                                 .row = config->out_channels});
}

/* By the definition, of any number of input channels: what each pixel of y takes is copied into one
 * row, so that a few channels fill the registers. Positions outside the map take part in no
 * product where a weight is not finite. */
extern const PfConvolutionWay pf_convolution_gathered;

/* From `begin` up to `end`. */
typedef struct PfConvolutionSpan {
    int64_t begin, end;
} PfConvolutionSpan;

/* Places of the kernel along an axis that lie inside a map of `size` for one output. */
static inline PfConvolutionSpan pf_convolution_inside(const PfConvolutionConfig *config, int axis,
                                                      int64_t output, int64_t size)
{
    const int64_t from = output * config->stride[axis] - config->padding[axis];
    const int64_t step = config->dilation[axis];
    PfConvolutionSpan inside = {from < 0 ? (step - 1 - from) / step : 0, 0};
    if (from < size) inside.end = pf_min(config->kernel[axis], (size - 1 - from) / step + 1);
    if (inside.begin > inside.end) inside.begin = inside.end;
    return inside;
}

/* Of groups of one input and one output. Nothing is copied: the rows of a map that a row of outputs
 * takes lie in the caches. Positions outside the map take part in no product. */
extern const PfConvolutionWay pf_convolution_depthwise;
bool pf_convolution_depthwise_suits(const PfConvolutionConfig *config);

/* Of any other groups. For 16 outputs at a time, each pixel of the map becomes vectors of what the
 * outputs take of it, so that the lanes are full whatever the size of the groups. Positions outside
 * the map take part in no product where a weight is not finite. */
extern const PfConvolutionWay pf_convolution_grouped;

/* By the definition: matrix products whose rows are the pixels that each weight meets, found by
 * address and never copied (M. Dukhan, "The Indirect Convolution Algorithm", 2019). */
extern const PfConvolutionWay pf_convolution_direct;

/* Of 3 x 3 by Winograd's minimal filtering, F(4 x 4, 3 x 3): 36
 * multiplications where the definition takes 144. A. Lavin, S. Gray, "Fast
 * Algorithms for Convolutional Neural Networks", CVPR 2016. Stride 1, dilation 1.
 *
 * Against the definition it errs by 1e-6 (64 channels) to 2e-6 (512) of the largest
 * output, on random numbers, where a plain sum in float32 errs by 3e-7. */
extern const PfConvolutionWay pf_convolution_winograd;
/* Whether it can compute the convolution, and faster than the definition. */
bool pf_convolution_winograd_suits(const PfConvolutionConfig *config);

#endif

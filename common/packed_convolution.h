/* A convolution of convolution.h made ready to run, for the two ways of computing it. */
#ifndef PF_PACKED_CONVOLUTION_H
#define PF_PACKED_CONVOLUTION_H

#include <stddef.h>

#include "convolution_config.h"
#include "convolution_kernels.h"

/* Output channels that are computed together: a panel. Of the last one fewer. */
enum { PF_CONVOLUTION_PANEL = 64 };

typedef struct PfConvolutionWay {
    /* What each pair of channels takes of the packed weights. */
    int64_t (*weights_per_pair)(const PfConvolutionConfig *config);
    /* Writes `weight` in panels, each (weights per pair, in_channels, the panel's width).
     * config: with the caller's weights. */
    void (*pack)(const PfConvolution *convolution, const PfConvolutionConfig *config);
    /* As in convolution.h. */
    int64_t (*pieces)(const PfConvolution *convolution, const PfConvolutionMaps *maps);
    size_t (*scratch)(const PfConvolution *convolution);
    void (*run)(const PfConvolution *convolution, const PfConvolutionMaps *maps, int64_t piece,
                void *scratch);
} PfConvolutionWay;

struct PfConvolution {
    PfConvolutionConfig config; /* without the caller's memory */
    const PfConvolutionWay *way;
    const PfConvolutionKernels *kernels;
    float *weight;
    float *bias;  /* (out_channels) */
    float *zeros; /* (in_channels): a pixel outside the map */
};

/* Of the panel whose first output channel is k. */
static inline int64_t pf_panel_width(const PfConvolutionConfig *config, int64_t k)
{
    const int64_t left = config->out_channels - k;
    return left < PF_CONVOLUTION_PANEL ? left : PF_CONVOLUTION_PANEL;
}

/* The pixel of one map of x, (in_channels), or zeros around it. */
static inline const float *pf_convolution_pixel(const PfConvolution *convolution,
                                                const PfConvolutionMaps *maps, int64_t map,
                                                int64_t y, int64_t x)
{
    if (y < 0 || y >= maps->height || x < 0 || x >= maps->width) return convolution->zeros;
    return maps->x + ((map * maps->height + y) * maps->width + x) * convolution->config.in_channels;
}

#endif

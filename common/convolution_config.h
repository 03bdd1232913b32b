/* What a convolution is, and the maps that it meets. */
#ifndef PF_CONVOLUTION_CONFIG_H
#define PF_CONVOLUTION_CONFIG_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfConvolution PfConvolution; /* see convolution.h */

/* Pairs are of y and x. */
typedef struct PfConvolutionConfig {
    int64_t in_channels, out_channels;         /* multiples of 16 */
    int64_t kernel[2], stride[2], dilation[2]; /* 1 or more */
    int64_t padding[2];                        /* zeros on each side of the map */
    int64_t map[2]; /* size of the maps to expect: decides how it is computed */
    /* Element (k, c, y, x) at weight[k * strides[0] + c * strides[1] + y * strides[2] +
     * x * strides[3]]; only read by pf_convolution_new. */
    const float *weight;
    int64_t strides[4];
    const float *bias; /* (out_channels); NULL: zeros */
    int relu;          /* negative outputs become zero */
    int bf16;          /* outputs are rounded to the nearest bfloat16 */
} PfConvolutionConfig;

/* One batch of maps. */
typedef struct PfConvolutionMaps {
    int64_t count, height, width; /* of x */
    const float *x;               /* (count, height, width, in_channels) */
    const float *sum;             /* like y, may be y; added before the ReLU; NULL: nothing */
    float *y;                     /* (count, height of y, width of y, out_channels) */
} PfConvolutionMaps;

/* Outputs along an axis (0: y, 1: x) of `size` inputs; below 1 where the kernel does not fit. */
int64_t pf_convolution_outputs(const PfConvolutionConfig *config, int axis, int64_t size);

#ifdef __cplusplus
}
#endif

#endif

/* Convolutions of frozen networks, and of those that learn: float32 maps with channels last. Along
 * with each its bias, a sum of residual networks, and an activation.
 *
 * Every output is the same to the last bit whatever the batch, the number of threads
 * and the processor's instruction set: sums have one order. */
#ifndef PF_COMMON_CONV_CONVOLUTION_H
#define PF_COMMON_CONV_CONVOLUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conv/activation.h"
#include "permafrost/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfConvolution PfConvolution;

/* Pairs are of y and x. */
typedef struct PfConvolutionConfig {
    int64_t in_channels;     /* fast: multiples of 16, and few, as of pixels */
    int64_t filled_channels; /* the last so many of these, below 16, fill up: weights are zeros */
    int64_t out_channels;    /* a multiple of 16 */
    int64_t kernel[2], stride[2], dilation[2]; /* 1 or more */
    int64_t padding[2];                        /* zeros on each side of the map */
    int64_t more_padding[2];                   /* and so many more behind it; may be negative */
    /* 0, 1: each output is made of all inputs. Else output k is made of group_inputs channels from
     * k / group_outputs * group_inputs on; channels behind those of all groups are filled up: such
     * outputs are what bias and sum make of zero. Fast: 1 input and 1 output, of as many
     * in_channels as out_channels. */
    int64_t groups, group_inputs, group_outputs;
    int64_t map[2]; /* size of the maps to expect: decides how it is computed; with groups, and more
                       than one input or output in each, maps are not wider */
    /* Element (k, c, y, x), of groups with c in the group and k of a group, at weight[k *
     * strides[0] + c * strides[1] + y * strides[2] + x * strides[3]]; only read by
     * pf_convolution_new. */
    const float *weight; /* NULL: see pf_convolution_pack */
    int64_t strides[4];
    const double *scale;     /* (out_channels): each one's weights are multiplied by it; NULL: by 1.
                                Only read by pf_convolution_new, as bias is */
    const float *bias;       /* (out_channels); NULL: zeros */
    bool weight_stays;       /* for as long as the convolution does, of which few maps are to be
                                computed: weights that would take much more memory when packed are
                                packed while it runs, for each piece anew, and not kept */
    PfActivation activation; /* of the outputs */
    bool bf16; /* outputs are rounded to the nearest bfloat16 once more before an activation that is
                  no cut, and behind any */
} PfConvolutionConfig;

/* One batch of maps. */
typedef struct PfConvolutionMaps {
    int64_t count, height, width; /* of x */
    const float *x;               /* (count, height, width, in_channels) */
    const float *sum;             /* like y, may be y; added before the activation; NULL: nothing */
    float *y;                     /* (count, height of y, width of y, out_channels) */
    /* Depthwise: x has room for so many rows of each map only, row y at y % rows, as what makes
     * them is always a few rows ahead; 0: for all. */
    int64_t rows;
    int64_t splits; /* the output channels, too, are computed in up to so many parts, so that there
                       are pieces for more threads; 0 is 1 */
} PfConvolutionMaps;

/* Outputs along an axis (0: y, 1: x) of `size` inputs; below 1 where the kernel does not fit. */
int64_t pf_convolution_outputs(const PfConvolutionConfig *config, int axis, int64_t size);

/* Whether this processor has the instructions with which these are fast. Without, all
 * works, slowly. */
bool pf_convolution_is_fast(void);

int pf_convolution_new(const PfConvolutionConfig *config, PfConvolution **out, PfError *err);
void pf_convolution_free(PfConvolution **convolution);

/* Bytes of its packed weights; 0 where they are packed while it runs. */
size_t pf_convolution_weight_bytes(const PfConvolution *convolution);

/* Weights that change, of a convolution of one group and in_channels that are multiples of 16, made
 * without any. They are packed into memory of the caller's, (pf_convolution_weight_bytes), 64-byte
 * aligned, in so many panels, each on any thread, and all before it runs. config: as the
 * convolution was made of, with weights. */
void pf_convolution_lend(PfConvolution *convolution, float *packed);
int64_t pf_convolution_panels(const PfConvolution *convolution);
void pf_convolution_pack(PfConvolution *convolution, const PfConvolutionConfig *config,
                         int64_t panel);

/* A batch is computed in so many pieces, each on any thread. */
int64_t pf_convolution_pieces(const PfConvolution *convolution, const PfConvolutionMaps *maps);
/* Bytes that each running piece needs, 64-byte aligned. */
size_t pf_convolution_scratch(const PfConvolution *convolution);
void pf_convolution_run(const PfConvolution *convolution, const PfConvolutionMaps *maps,
                        int64_t piece, void *scratch);

#ifdef __cplusplus
}
#endif

#endif

/* The inner loops of convolutions and what goes with them, once per instruction set; all compute
 * the same bits. */
#ifndef PF_COMMON_CONV_KERNELS_H
#define PF_COMMON_CONV_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/conv/activation.h"
#include "common/conv/rows.h"

/* m = from + v u (+ bias, and then a cut and rounding) */
typedef struct PfProduct {
    int64_t rows, depth;   /* depth: a multiple of 16 */
    const float *const *v; /* (rows): where each one's (depth) values begin, less `offset` */
    int64_t offset;
    const float *u; /* (depth, width) */
    int64_t width;  /* a multiple of 16 */
    float *m;       /* (rows, width), rows m_row apart */
    int64_t m_row;
    const float *from; /* like m, may be m; NULL: zeros */
    const float *bias; /* (width); NULL: nothing of what follows either */
    PfActivation cut;  /* none or a cut */
    bool bf16;         /* as in PfConvolutionConfig */
} PfProduct;

enum { PF_WINOGRAD_POINTS = 36 };

/* One tile of 6 x 6 pixels: its values at each point. */
typedef struct PfWinogradInputTile {
    const float *pixels[36]; /* each (channels) */
    int64_t channels;        /* a multiple of 16 */
    float *out;              /* (36, channels), points `point` apart */
    int64_t point;
} PfWinogradInputTile;

/* One tile of 4 x 4 pixels from values at each point. */
typedef struct PfWinogradOutputTile {
    const float *in; /* (36, channels), points `point` apart */
    int64_t point;
    float *pixels[16];       /* each (channels); NULL: outside the map */
    int64_t channels;        /* a multiple of 16 */
    const float *bias;       /* (channels) */
    const float *base, *sum; /* sum[i] is added to the value that goes to base[i]; NULL: nothing */
    PfActivation cut;        /* none or a cut */
    bool bf16;               /* as in PfConvolutionConfig */
} PfWinogradOutputTile;

/* Some pixels, of which a pool makes one, channel by channel. */
typedef struct PfPoolWindow {
    const float *x;        /* (height, width, channels), rows `row` apart */
    int64_t height, width; /* at least 1 */
    int64_t row, channels; /* channels: a multiple of 16 */
    float *y;              /* (channels) */
} PfPoolWindow;

/* What is done to each pixel by itself: y = x scale + shift + sum, and then the activation. Batch
 * norm is this where nothing is before it that could take it in. */
typedef struct PfPointwise {
    int64_t pixels, channels;   /* channels: a multiple of 16 */
    const float *x;             /* (pixels, channels) */
    const float *scale, *shift; /* (channels); NULL, both: x as it is */
    const float *sum;           /* like x; NULL: nothing */
    float *y;                   /* like x; may be x or sum */
    PfActivation activation;
} PfPointwise;

/* Numbers that have just been computed become their activation. */
typedef struct PfActivate {
    PfActivation activation;
    int64_t rows, width; /* width: a multiple of 16 */
    float *y;            /* (rows, width), rows `row` apart */
    int64_t row;
} PfActivate;

typedef struct PfConvKernels {
    const char *name; /* "plain", "avx2", "avx512" */
    void (*multiply)(const PfProduct *product);
    /* w: (3, 3, 16), of one input channel and 16 output channels; out: (36, 16), points
     * `point` apart. */
    void (*winograd_weights)(const float *w, float *out, int64_t point);
    void (*winograd_input_tile)(const PfWinogradInputTile *tile);
    void (*winograd_output_tile)(const PfWinogradOutputTile *tile);
    void (*max_window)(const PfPoolWindow *window); /* the largest; NaN where there is one */
    void (*average_window)(const PfPoolWindow *window);
    void (*pointwise)(const PfPointwise *pointwise);
    void (*activate)(const PfActivate *activate);
    void (*layer_norm)(const PfLayerNorm *norm);
    void (*softmax)(const PfSoftmax *softmax);
    /* y = x / sums, of each row: x is read to a multiple of 16, of y only count are written. */
    void (*divide_rows)(const PfSoftmax *softmax);
} PfConvKernels;

extern const PfConvKernels pf_conv_kernels_plain;
/* NULL where the processor lacks it. */
const PfConvKernels *pf_conv_kernels_avx2(void);
const PfConvKernels *pf_conv_kernels_avx512(void);

/* Those to use: see processor.h. */
const PfConvKernels *pf_conv_kernels(void);

#define CONVOLUTION_TABLE(NAME)                                                                    \
    {                                                                                              \
        .name = NAME, .multiply = product_multiply, .winograd_weights = winograd_weights,          \
        .winograd_input_tile = winograd_input_tile, .winograd_output_tile = winograd_output_tile,  \
        .max_window = max_window, .average_window = average_window, .pointwise = pointwise,        \
        .activate = activate, .layer_norm = layer_norm, .softmax = softmax,                        \
        .divide_rows = divide_rows                                                                 \
    }

#endif

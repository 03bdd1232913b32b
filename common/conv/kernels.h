/* The inner loops of convolutions and what goes with them, once per instruction set; all compute
 * the same bits. */
#ifndef PF_COMMON_CONV_KERNELS_H
#define PF_COMMON_CONV_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* m = from + v u (+ bias, and then the ReLU and rounding) */
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
    bool relu, bf16;   /* as in PfConvolutionConfig */
} PfProduct;

enum { PF_WINOGRAD_POINTS = 36 };

/* One tile of 6 x 6 pixels: its values at each point. */
typedef struct PfWinogradInputTile {
    const float *pixels[36]; /* each (channels) */
    int64_t channels;        /* a multiple of 16 */
    float *out;              /* (36, channels), points `point` apart */
    int64_t point, block; /* block: from 16 channels to the next 16; 16 where they lie together */
} PfWinogradInputTile;

/* The other way round, for gradients: one tile of 4 x 4 pixels, as values at each point. */
typedef struct PfWinogradGradientTile {
    const float *pixels[16]; /* each (channels) */
    int64_t channels;        /* a multiple of 16 */
    float *out;              /* (36, channels), points and blocks apart as above */
    int64_t point, block;
} PfWinogradGradientTile;

/* m += a' b, of which a step, one of the sum, is a row of a and one of b. */
typedef struct PfOuterProduct {
    int64_t steps, rows, columns; /* rows, columns: multiples of 16 */
    const float *a;               /* (rows / 16, steps, 16), blocks of 16 a_block apart */
    const float *b;               /* (columns / 16, steps, 16), blocks of 16 b_block apart */
    int64_t a_block, b_block;
    float *m; /* (rows, columns) */
} PfOuterProduct;

/* One tile of 4 x 4 pixels from values at each point. */
typedef struct PfWinogradOutputTile {
    const float *in; /* (36, channels), points `point` apart */
    int64_t point;
    float *pixels[16];       /* each (channels); NULL: outside the map */
    int64_t channels;        /* a multiple of 16 */
    const float *bias;       /* (channels) */
    const float *base, *sum; /* sum[i] is added to the value that goes to base[i]; NULL: nothing */
    bool relu, bf16;         /* as in PfConvolutionConfig */
} PfWinogradOutputTile;

/* Some pixels, of which a pool makes one, channel by channel. */
typedef struct PfPoolWindow {
    const float *x;        /* (height, width, channels), rows `row` apart */
    int64_t height, width; /* at least 1 */
    int64_t row, channels; /* channels: a multiple of 16 */
    float *y;              /* (channels) */
} PfPoolWindow;

/* What is done to each pixel by itself: y = x scale + shift + sum, and then the ReLU. Batch norm is
 * this where nothing is before it that could take it in. */
typedef struct PfPointwise {
    int64_t pixels, channels;   /* channels: a multiple of 16 */
    const float *x;             /* (pixels, channels) */
    const float *scale, *shift; /* (channels); NULL, both: x as it is */
    const float *sum;           /* like x; NULL: nothing */
    float *y;                   /* like x; may be x or sum */
    bool relu;                  /* negative numbers become zero; NaN stays */
} PfPointwise;

typedef struct PfConvKernels {
    const char *name; /* "plain", "avx2", "avx512" */
    void (*multiply)(const PfProduct *product);
    /* w: (3, 3, 16), of one input channel and 16 output channels; out: (36, 16), points
     * `point` apart. */
    void (*winograd_weights)(const float *w, float *out, int64_t point);
    void (*winograd_input_tile)(const PfWinogradInputTile *tile);
    void (*winograd_output_tile)(const PfWinogradOutputTile *tile);
    void (*winograd_gradient_tile)(const PfWinogradGradientTile *tile);
    /* at: (36, 16), points `point` apart, sums of gradients at each; out: (3, 3, 16), places of the
     * kernel `place` apart */
    void (*winograd_weight_gradient)(const float *at, int64_t point, float *out, int64_t place);
    void (*outer)(const PfOuterProduct *product);
    void (*max_window)(const PfPoolWindow *window); /* the largest; NaN where there is one */
    void (*average_window)(const PfPoolWindow *window);
    void (*pointwise)(const PfPointwise *pointwise);
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
        .winograd_gradient_tile = winograd_gradient_tile,                                          \
        .winograd_weight_gradient = winograd_weight_gradient, .outer = outer_product,              \
        .max_window = max_window, .average_window = average_window, .pointwise = pointwise         \
    }

#endif

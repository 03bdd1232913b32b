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
    int64_t filled;        /* the last so many of the depth, below 16, are left out: zeros of u */
    const float *const *v; /* (rows): where each one's (depth) values begin, less `offset` */
    int64_t v_step; /* from each of these to the next, where that is the same for all; else 0 */
    int64_t offset;
    int64_t next;   /* the next product's offset with these v, of which it is fetched meanwhile */
    const float *u; /* (depth, width), in strips: see pf_product_u */
    int64_t width;  /* a multiple of 16 */
    float *m;       /* (rows, width), rows m_row apart */
    int64_t m_row;
    const float *from; /* like m, may be m; NULL: zeros */
    const float *bias; /* (width); NULL: nothing of what follows either */
    PfActivation cut;  /* none or a cut */
    bool bf16;         /* as in PfConvolutionConfig */
} PfProduct;

/* The v of a product whose rows are windows of a map, next to each other: the depth is that of
 * `rows` pieces of `length` numbers each, of which v[r] says where the first window's begins, and
 * those of the next windows `step` further on. The product's depth need be no multiple of 16; what
 * is past all pieces is not read, nor are such rows of u. */
typedef struct PfWindows {
    int64_t rows, length, step;
} PfWindows;

/* Where a product's u, (depth, width), has a row and column: the columns that a kernel takes at a
 * time lie together, strip behind strip, each (depth, strip), the last one perhaps narrower. */
static inline int64_t pf_product_u(int64_t strip, int64_t depth, int64_t width, int64_t row,
                                   int64_t column)
{
    const int64_t first = column / strip * strip, left = width - first;
    return first * depth + row * (left < strip ? left : strip) + column - first;
}

/* Outputs of one row, each channel the sum of what its own weights meet: x is multiplied with
 * weights lane by lane. Distances are in floats. */
typedef struct PfLanewise {
    int64_t pixels, channels;     /* channels: a multiple of 16 */
    int64_t rows, columns, depth; /* values that meet weights; rows and columns may be 0 */
    const float *const *x;        /* (rows): where the first output's values begin in each row */
    int64_t step, column;         /* from output to output, and from column to column */
    /* Rows that the next outputs take and these do not, next_row apart: where those of the first
     * output begin. They are fetched meanwhile. */
    const float *next;
    int64_t next_rows, next_row;
    /* Of each 16 channels rows, each (columns, depth, 16), weight_row apart. Along the depth x lies
     * as weights do; where that is 1, x has channels side by side. */
    const float *weight;
    int64_t weight_row, weight_vector; /* weight_vector: from 16 channels to the next */
    const float *bias;                 /* (channels) */
    const float *sum;                  /* like y, may be y; NULL: nothing */
    float *y;                          /* (pixels, channels), pixels y_step apart */
    int64_t y_step;
    PfActivation cut; /* none or a cut */
    bool bf16;        /* as in PfConvolutionConfig */
} PfLanewise;

enum { PF_WINOGRAD_POINTS = 36 };

/* One tile of 6 x 6 pixels: its values at each point. */
typedef struct PfWinogradInputTile {
    const float *pixels[36]; /* each (channels) */
    int64_t next;            /* from each to that of the next tile, which is fetched meanwhile */
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
    int64_t next;            /* from each to that of the next tile, which is fetched meanwhile */
    int64_t channels;        /* a multiple of 16 */
    const float *bias;       /* (channels) */
    const float *base, *sum; /* sum[i] is added to the value that goes to base[i]; NULL: nothing */
    PfActivation cut;        /* none or a cut */
    bool bf16;               /* as in PfConvolutionConfig */
} PfWinogradOutputTile;

/* Some pixels, of which a pool makes one, channel by channel. */
typedef struct PfPoolWindow {
    const float *x;        /* (height, width, channels), rows `row` and pixels `pixel` apart */
    int64_t height, width; /* of no pixels the largest is -infinity, and the sum 0 */
    int64_t row, pixel, channels; /* channels: a multiple of 16 */
    float divisor;                /* of the sum, for an average */
    float *y;                     /* (channels) */
} PfPoolWindow;

/* What is done to each pixel by itself: y = x scale + shift + sum, and then the activation. Batch
 * norm is this where nothing is before it that could take it in. */
typedef struct PfPointwise {
    int64_t pixels, channels;   /* channels: a multiple of 16 */
    const float *x;             /* (pixels, channels), pixels x_step apart */
    const float *scale, *shift; /* (channels); NULL, both: x as it is; shift alone: zeros */
    const float *sum;           /* like y, pixels y_step apart; NULL: nothing */
    float *y;                   /* may be x or sum */
    int64_t x_step, y_step;
    PfActivation activation;
    bool bf16; /* as in PfConvolutionConfig */
} PfPointwise;

/* Numbers that have just been computed become their activation, and are then rounded. */
typedef struct PfActivate {
    PfActivation activation;
    bool bf16;           /* to the nearest bfloat16 */
    int64_t rows, width; /* width: a multiple of 16 */
    float *y;            /* (rows, width), rows `row` apart */
    int64_t row;
} PfActivate;

typedef struct PfConvKernels {
    const char *name; /* "plain", "neon", "avx2", "avx512" */
    int64_t strip;    /* see pf_product_u */
    void (*multiply)(const PfProduct *product);
    void (*multiply_windows)(const PfProduct *product, const PfWindows *windows);
    /* The same of depth 1: the first where outputs are many, the other where channels are. */
    void (*lanewise)(const PfLanewise *lanewise);
    void (*lanewise_deep)(const PfLanewise *lanewise);
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
const PfConvKernels *pf_conv_kernels_neon(void);

/* Those to use: see processor.h. */
const PfConvKernels *pf_conv_kernels(void);

#define CONVOLUTION_TABLE(NAME)                                                                    \
    {                                                                                              \
        .name = NAME, .strip = PRODUCT_STRIP, .multiply = product_multiply,                        \
        .multiply_windows = product_windows, .winograd_weights = winograd_weights,                 \
        .winograd_input_tile = winograd_input_tile, .winograd_output_tile = winograd_output_tile,  \
        .winograd_gradient_tile = winograd_gradient_tile,                                          \
        .winograd_weight_gradient = winograd_weight_gradient, .outer = outer_product,              \
        .max_window = max_window, .average_window = average_window, .pointwise = pointwise,        \
        .activate = activate, .lanewise = lanewise, .lanewise_deep = lanewise_deep,                \
        .layer_norm = layer_norm, .softmax = softmax, .divide_rows = divide_rows                   \
    }

#endif

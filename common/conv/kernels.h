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
    int64_t next;   /* the next product's offset with these v, of which it is fetched meanwhile */
    const float *u; /* (depth, width), in strips: see pf_product_u */
    int64_t width;  /* a multiple of 16 */
    float *m;       /* (rows, width), rows m_row apart */
    int64_t m_row;
    const float *from; /* like m, may be m; NULL: zeros */
    const float *bias; /* (width); NULL: nothing of what follows either */
    bool relu, bf16;   /* as in PfConvolutionConfig */
} PfProduct;

/* Where a product's u, (depth, width), has a row and column: the columns that a kernel takes at a
 * time lie together, strip behind strip, each (depth, strip), the last one perhaps narrower. */
static inline int64_t pf_product_u(int64_t strip, int64_t depth, int64_t width, int64_t row,
                                   int64_t column)
{
    const int64_t first = column / strip * strip, left = width - first;
    return first * depth + row * (left < strip ? left : strip) + column - first;
}

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
    int64_t next;            /* from each to that of the next tile, which is fetched meanwhile */
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
    int64_t strip;    /* see pf_product_u */
    void (*multiply)(const PfProduct *product);
    /* w: (3, 3, 16), of one input channel and 16 output channels; out: (36, 16), points
     * `point` apart. */
    void (*winograd_weights)(const float *w, float *out, int64_t point);
    void (*winograd_input_tile)(const PfWinogradInputTile *tile);
    void (*winograd_output_tile)(const PfWinogradOutputTile *tile);
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
        .name = NAME, .strip = PRODUCT_STRIP, .multiply = product_multiply,                        \
        .winograd_weights = winograd_weights, .winograd_input_tile = winograd_input_tile,          \
        .winograd_output_tile = winograd_output_tile, .max_window = max_window,                    \
        .average_window = average_window, .pointwise = pointwise                                   \
    }

#endif

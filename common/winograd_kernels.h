/* The inner loops of winograd.h, once per instruction set; all compute the same bits. */
#ifndef PF_WINOGRAD_KERNELS_H
#define PF_WINOGRAD_KERNELS_H

#include <stdint.h>

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
    int relu;
} PfWinogradOutputTile;

/* m = v u */
typedef struct PfWinogradProduct {
    int64_t rows, depth;
    const float *v; /* (rows, depth), rows v_row apart */
    int64_t v_row;
    const float *u; /* (depth, width) */
    int64_t width;  /* a multiple of 16 */
    float *m;       /* (rows, width), rows m_row apart */
    int64_t m_row;
} PfWinogradProduct;

typedef struct PfWinogradKernels {
    const char *name; /* "plain", "avx2", "avx512" */
    /* w: (3, 3, 16), of one input channel and 16 output channels; out: (36, 16), points
     * `point` apart. */
    void (*weights)(const float *w, float *out, int64_t point);
    void (*input_tile)(const PfWinogradInputTile *tile);
    void (*output_tile)(const PfWinogradOutputTile *tile);
    void (*multiply)(const PfWinogradProduct *product);
} PfWinogradKernels;

extern const PfWinogradKernels pf_winograd_plain;
/* NULL where the processor lacks it. */
const PfWinogradKernels *pf_winograd_avx2(void);
const PfWinogradKernels *pf_winograd_avx512(void);

#endif

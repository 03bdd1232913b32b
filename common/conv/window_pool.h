/* Maxima and averages over windows that move over maps with channels last: strides, dilation,
 * padding of any size at either end. */
#ifndef PF_COMMON_CONV_WINDOW_POOL_H
#define PF_COMMON_CONV_WINDOW_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Pairs are of y and x. */
typedef struct PfWindowPool {
    bool averages;      /* else maxima */
    bool count_padding; /* averages: zeros of the padding count, as far as it reaches */
    int64_t channels;   /* a multiple of 16 */
    int64_t kernel[2], stride[2], dilation[2];
    int64_t padding[2], padding_behind[2]; /* before and behind the map */
    int64_t outputs[2];                    /* height and width of y */
    int64_t height, width;                 /* of x */
    const float *x;                        /* (maps, height, width, channels) */
    float *y;                              /* (maps, outputs, channels) */
} PfWindowPool;

/* Rows of y, of all maps, from `first` up to `end`. NaN where the window has one. Of a window with
 * nothing but padding the largest is -infinity, and the average 0. Any thread. */
void pf_window_pool_run(const PfWindowPool *pool, int64_t first, int64_t end);

#endif

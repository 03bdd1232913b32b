/* Max pooling of frozen networks: float32 maps with channels last. libtorch's also notes where each
 * maximum was, for training. */
#ifndef PF_COMMON_CONV_MAX_POOL_H
#define PF_COMMON_CONV_MAX_POOL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfMaxPool {
    int64_t channels;                         /* a multiple of 16 */
    int64_t kernel[2], stride[2], padding[2]; /* along y and x; padding: less than the kernel */
} PfMaxPool;

/* One batch of maps. */
typedef struct PfMaxPoolMaps {
    int64_t count, height, width; /* of x */
    const float *x;               /* (count, height, width, channels) */
    float *y;                     /* (count, height of y, width of y, channels) */
} PfMaxPoolMaps;

/* Outputs along an axis (0: y, 1: x) of `size` inputs; below 1 where the window does not fit. */
int64_t pf_max_pool_outputs(const PfMaxPool *pool, int axis, int64_t size);

/* Rows of y, of all maps, from `first` up to `end`. NaN where the window has one. Any thread. */
void pf_max_pool_run(const PfMaxPool *pool, const PfMaxPoolMaps *maps, int64_t first, int64_t end);

#ifdef __cplusplus
}
#endif

#endif

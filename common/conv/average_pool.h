/* Average pooling of maps to a size that is given, as torch's adaptive_avg_pool2d: windows that
 * cover the map, and overlap where its size does not divide. */
#ifndef PF_COMMON_CONV_AVERAGE_POOL_H
#define PF_COMMON_CONV_AVERAGE_POOL_H

#include <stdint.h>

typedef struct PfAveragePool {
    int64_t channels;             /* a multiple of 16 */
    int64_t count, height, width; /* of x */
    int64_t size;                 /* y is size x size */
    const float *x;               /* (count, height, width, channels) */
    float *y;                     /* (count, size, size, channels) */
} PfAveragePool;

void pf_average_pool_run(const PfAveragePool *pool);

#endif

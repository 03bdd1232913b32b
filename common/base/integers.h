/* Arithmetic with whole numbers. */
#ifndef PF_COMMON_BASE_INTEGERS_H
#define PF_COMMON_BASE_INTEGERS_H

#include <stddef.h>
#include <stdint.h>

static inline int64_t pf_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t pf_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline size_t pf_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t pf_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Unsigned little-endian integer of width (1 to 8) bytes. */
static inline uint64_t pf_little_endian(const uint8_t *bytes, size_t width)
{
    uint64_t value = 0;
    for (size_t i = 0; i < width; i++) value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

/* How many places the window of a convolution or a pool has along an axis.
 * size: values along the axis, with as many more as `padding` at either end; the window reaches
 * over `kernel` of them, `dilation` apart. 0 where it does not fit. */
static inline int64_t pf_window_outputs(int64_t size, int64_t kernel, int64_t stride,
                                        int64_t padding, int64_t dilation)
{
    const int64_t room = size + 2 * padding - (dilation * (kernel - 1) + 1);
    return room < 0 ? 0 : room / stride + 1;
}

#endif

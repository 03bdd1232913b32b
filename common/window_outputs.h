/* How many places a window has along an axis: of convolutions and pools. */
#ifndef PF_WINDOW_OUTPUTS_H
#define PF_WINDOW_OUTPUTS_H

#include <stdint.h>

/* size: values along the axis, with as many more as `padding` at either end; the window reaches
 * over `kernel` of them, `dilation` apart. 0 where it does not fit. */
static inline int64_t pf_window_outputs(int64_t size, int64_t kernel, int64_t stride,
                                        int64_t padding, int64_t dilation)
{
    const int64_t room = size + 2 * padding - (dilation * (kernel - 1) + 1);
    return room < 0 ? 0 : room / stride + 1;
}

#endif

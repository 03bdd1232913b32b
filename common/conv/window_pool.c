#include "common/conv/window_pool.h"

#include "common/base/integers.h"
#include "common/conv/kernels.h"

/* The places of a window along an axis that lie inside the map. */
typedef struct Span {
    int64_t begin, count; /* begin: in the map */
    int64_t whole;        /* how far it reaches over map and padding: what an average may count */
} Span;

static Span window_of(const PfWindowPool *pool, int axis, int64_t output, int64_t size)
{
    const int64_t from = output * pool->stride[axis] - pool->padding[axis];
    const int64_t step = pool->dilation[axis], kernel = pool->kernel[axis];
    const int64_t skipped = from < 0 ? (step - 1 - from) / step : 0;
    const int64_t end = from < size ? pf_min(kernel, (size - 1 - from) / step + 1) : 0;
    return (Span){from + skipped * step, pf_max(0, end - skipped),
                  pf_min(kernel, size + pool->padding_behind[axis] - from)};
}

static void run_row(const PfWindowPool *pool, int64_t row)
{
    const PfConvKernels *kernels = pf_conv_kernels();
    const int64_t map_row = pool->width * pool->channels, width = pool->outputs[1];
    const Span down = window_of(pool, 0, row % pool->outputs[0], pool->height);
    const float *from = pool->x + (row / pool->outputs[0] * pool->height + down.begin) * map_row;
    PfPoolWindow window = {.height = down.count,
                           .row = pool->dilation[0] * map_row,
                           .pixel = pool->dilation[1] * pool->channels,
                           .channels = pool->channels};
    for (int64_t x = 0; x < width; x++) {
        const Span across = window_of(pool, 1, x, pool->width);
        const bool is_empty = !down.count || !across.count;
        window.width = across.count;
        window.divisor =
            (float)(pool->count_padding ? down.whole * across.whole : down.count * across.count);
        if (is_empty) {
            window.height = 0;
            window.divisor = 1;
        }
        window.x = is_empty ? pool->x : from + across.begin * pool->channels;
        window.y = pool->y + (row * width + x) * pool->channels;
        (pool->averages ? kernels->average_window : kernels->max_window)(&window);
        window.height = down.count;
    }
}

void pf_window_pool_run(const PfWindowPool *pool, int64_t first, int64_t end)
{
    for (int64_t row = first; row < end; row++) run_row(pool, row);
}

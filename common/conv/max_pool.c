#include "common/conv/max_pool.h"

#include "common/base/integers.h"
#include "common/conv/kernels.h"

int64_t pf_max_pool_outputs(const PfMaxPool *pool, int axis, int64_t size)
{
    return pf_window_outputs(size, pool->kernel[axis], pool->stride[axis], pool->padding[axis], 1);
}

/* The part of a window that lies inside the map. */
typedef struct Span {
    int64_t begin, end;
} Span;

static Span window_of(const PfMaxPool *pool, int axis, int64_t output, int64_t size)
{
    const int64_t from = output * pool->stride[axis] - pool->padding[axis];
    const int64_t to = from + pool->kernel[axis];
    return (Span){pf_max(from, 0), pf_min(to, size)};
}

void pf_max_pool_run(const PfMaxPool *pool, const PfMaxPoolMaps *maps, int64_t first, int64_t end)
{
    const PfConvKernels *kernels = pf_conv_kernels();
    const int64_t height = pf_max_pool_outputs(pool, 0, maps->height);
    const int64_t width = pf_max_pool_outputs(pool, 1, maps->width);
    PfPoolWindow window = {.row = maps->width * pool->channels, .channels = pool->channels};
    for (int64_t row = first; row < end; row++) {
        const Span down = window_of(pool, 0, row % height, maps->height);
        const float *map = maps->x + row / height * maps->height * window.row;
        window.height = down.end - down.begin;
        for (int64_t x = 0; x < width; x++) {
            const Span across = window_of(pool, 1, x, maps->width);
            window.width = across.end - across.begin;
            window.x = map + down.begin * window.row + across.begin * pool->channels;
            window.y = maps->y + (row * width + x) * pool->channels;
            kernels->max_window(&window);
        }
    }
}

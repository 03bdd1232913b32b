#include "common/conv/average_pool.h"

#include "common/conv/kernels.h"

/* Of `size` inputs, those that output i of `outputs` takes: from begin up to end. */
static int64_t begin_of(int64_t i, int64_t outputs, int64_t size)
{
    return i * size / outputs;
}

static int64_t end_of(int64_t i, int64_t outputs, int64_t size)
{
    return ((i + 1) * size + outputs - 1) / outputs;
}

void pf_average_pool_run(const PfAveragePool *pool)
{
    const PfConvKernels *kernels = pf_conv_kernels();
    const int64_t size = pool->size;
    PfPoolWindow window = {
        .row = pool->width * pool->channels, .pixel = pool->channels, .channels = pool->channels};
    for (int64_t i = 0; i < pool->count * size * size; i++) {
        const int64_t y = i / size % size, x = i % size, map = i / (size * size);
        const int64_t top = begin_of(y, size, pool->height), left = begin_of(x, size, pool->width);
        window.height = end_of(y, size, pool->height) - top;
        window.width = end_of(x, size, pool->width) - left;
        window.divisor = (float)(window.height * window.width);
        window.x = pool->x + (map * pool->height + top) * window.row + left * pool->channels;
        window.y = pool->y + i * pool->channels;
        kernels->average_window(&window);
    }
}

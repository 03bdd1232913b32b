#include "common/conv/max_pool.h"

#include "common/base/integers.h"
#include "common/conv/window_pool.h"

int64_t pf_max_pool_outputs(const PfMaxPool *pool, int axis, int64_t size)
{
    return pf_window_outputs(size, pool->kernel[axis], pool->stride[axis], pool->padding[axis], 1);
}

void pf_max_pool_run(const PfMaxPool *pool, const PfMaxPoolMaps *maps, int64_t first, int64_t end)
{
    const PfWindowPool windows = {.channels = pool->channels,
                                  .kernel = {pool->kernel[0], pool->kernel[1]},
                                  .stride = {pool->stride[0], pool->stride[1]},
                                  .dilation = {1, 1},
                                  .padding = {pool->padding[0], pool->padding[1]},
                                  .padding_behind = {pool->padding[0], pool->padding[1]},
                                  .outputs = {pf_max_pool_outputs(pool, 0, maps->height),
                                              pf_max_pool_outputs(pool, 1, maps->width)},
                                  .height = maps->height,
                                  .width = maps->width,
                                  .x = maps->x,
                                  .y = maps->y};
    pf_window_pool_run(&windows, first, end);
}

#include "train/features/batch_loader.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

PfViewDraw pf_view_draw_begin(const PfFeatureTable *table, const PfRandom *shuffle)
{
    if (!shuffle) return (PfViewDraw){.views = 1};
    PfRandom own = *shuffle;
    return (PfViewDraw){.seed = pf_random_u64(&own), .views = table->drawn_views};
}

int pf_view_draw_of(const PfViewDraw *draw, int32_t row)
{
    if (draw->views == 1) return 0;
    PfRandom random = pf_random_seeded(draw->seed, (uint64_t)row);
    return (int)pf_random_below(&random, (uint64_t)draw->views);
}

PfBatchPart pf_batch_part(int64_t n, int part, int parts)
{
    int64_t first = n * part / parts;
    return (PfBatchPart){first, n * (part + 1) / parts - first};
}

/* ---- from memory ---- */

typedef struct MemoryLoader {
    const PfFeatureTable *table;
    PfThreadPool *pool;
    const int32_t *rows; /* of this pass: the caller's, or order */
    int64_t count, done, batch;
    int part, parts; /* of each batch; 0 and 1: all of it */
    PfViewDraw draw;
    int32_t *order;
    size_t order_capacity;
    float *x; /* (batch, features) */
    size_t x_capacity;
} MemoryLoader;

static int start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err)
{
    MemoryLoader *loader = context;
    loader->rows = rows;
    loader->count = count;
    loader->done = 0;
    loader->batch = batch;
    loader->draw = pf_view_draw_begin(loader->table, shuffle);
    size_t room = (size_t)(batch < count ? batch : count);
    if (pf_grow(&loader->x, &loader->x_capacity, room,
                (size_t)loader->table->features * sizeof *loader->x, err))
        return -1;
    if (!shuffle) return 0;
    if (pf_grow(&loader->order, &loader->order_capacity, (size_t)count, sizeof *loader->order, err))
        return -1;
    PfRandom random = *shuffle;
    memcpy(loader->order, rows, (size_t)count * sizeof *rows);
    pf_random_shuffle(&random, loader->order, (size_t)count);
    loader->rows = loader->order;
    return 0;
}

/* Rows that a task of the pool takes: copies worth waking a thread for. */
#define TASK_BYTES ((size_t)256 << 10)

typedef struct Gathering {
    const MemoryLoader *loader;
    const int32_t *rows;
    int64_t n, rows_per_task;
} Gathering;

static void gather_rows(void *context, int64_t index)
{
    const Gathering *gathering = context;
    const PfFeatureTable *table = gathering->loader->table;
    size_t row_bytes = (size_t)table->features * sizeof(float);
    int64_t first = index * gathering->rows_per_task, end = first + gathering->rows_per_task;
    if (end > gathering->n) end = gathering->n;
    for (int64_t i = first; i < end; i++) {
        int32_t row = gathering->rows[i];
        int64_t view = row * (int64_t)table->views + pf_view_draw_of(&gathering->loader->draw, row);
        memcpy(gathering->loader->x + i * table->features, table->x + view * table->features,
               row_bytes);
    }
}

/* Rows without a hole need not be gathered. */
static const float *gather(MemoryLoader *loader, const int32_t *rows, int64_t n)
{
    const PfFeatureTable *table = loader->table;
    size_t row_bytes = (size_t)table->features * sizeof(float);
    int is_run =
        table->views == 1 && loader->rows != loader->order && rows[n - 1] - rows[0] == n - 1;
    if (is_run) return table->x + rows[0] * table->features;
    Gathering gathering = {loader, rows, n, (int64_t)(TASK_BYTES / row_bytes) + 1};
    int64_t tasks = (n + gathering.rows_per_task - 1) / gathering.rows_per_task;
    pf_thread_pool_for(tasks > 1 ? loader->pool : NULL, tasks, gather_rows, &gathering);
    return loader->x;
}

static int next(void *context, PfRowBatch *batch, PfError *err)
{
    (void)err; /* reading from a file may fail, this cannot */
    MemoryLoader *loader = context;
    int64_t left = loader->count - loader->done;
    batch->n = left < loader->batch ? left : loader->batch;
    if (!batch->n) return 0;
    PfBatchPart part = pf_batch_part(batch->n, loader->part, loader->parts);
    batch->rows = loader->rows + loader->done;
    batch->x = part.count ? gather(loader, batch->rows + part.first, part.count) : loader->x;
    loader->done += batch->n;
    return 0;
}

static void share(void *context, int part, int parts)
{
    MemoryLoader *loader = context;
    loader->part = part;
    loader->parts = parts;
}

static void free_loader(void *context)
{
    MemoryLoader *loader = context;
    free(loader->order);
    free(loader->x);
    free(loader);
}

int pf_batch_loader_of_memory(const PfFeatureTable *table, PfThreadPool *pool, PfBatchLoader *out,
                              PfError *err)
{
    MemoryLoader *loader = pf_calloc(1, sizeof *loader, err);
    if (!loader) return -1;
    loader->table = table;
    loader->pool = pool;
    loader->parts = 1;
    *out = (PfBatchLoader){loader, table->features, start, next, free_loader, share};
    return 0;
}

void pf_batch_loader_free(PfBatchLoader *loader)
{
    if (loader->free) loader->free(loader->context);
    *loader = (PfBatchLoader){0};
}

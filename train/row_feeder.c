#include "row_feeder.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"

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

/* ---- from memory ---- */

typedef struct MemoryFeeder {
    const PfFeatureTable *table;
    PfThreadPool *pool;
    const int32_t *rows; /* of this pass: the caller's, or order */
    int64_t count, done, batch;
    PfViewDraw draw;
    int32_t *order;
    size_t order_capacity;
    float *x; /* (batch, features) */
    size_t x_capacity;
} MemoryFeeder;

static int start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err)
{
    MemoryFeeder *feeder = context;
    feeder->rows = rows;
    feeder->count = count;
    feeder->done = 0;
    feeder->batch = batch;
    feeder->draw = pf_view_draw_begin(feeder->table, shuffle);
    size_t room = (size_t)(batch < count ? batch : count);
    if (pf_grow(&feeder->x, &feeder->x_capacity, room,
                (size_t)feeder->table->features * sizeof *feeder->x, err))
        return -1;
    if (!shuffle) return 0;
    if (pf_grow(&feeder->order, &feeder->order_capacity, (size_t)count, sizeof *feeder->order, err))
        return -1;
    PfRandom random = *shuffle;
    memcpy(feeder->order, rows, (size_t)count * sizeof *rows);
    pf_random_shuffle(&random, feeder->order, (size_t)count);
    feeder->rows = feeder->order;
    return 0;
}

/* Rows that a task of the pool takes: copies worth waking a thread for. */
#define TASK_BYTES ((size_t)256 << 10)

typedef struct Gathering {
    const MemoryFeeder *feeder;
    const int32_t *rows;
    int64_t n, rows_per_task;
} Gathering;

static void gather_rows(void *context, int64_t index)
{
    const Gathering *gathering = context;
    const PfFeatureTable *table = gathering->feeder->table;
    size_t row_bytes = (size_t)table->features * sizeof(float);
    int64_t first = index * gathering->rows_per_task, end = first + gathering->rows_per_task;
    if (end > gathering->n) end = gathering->n;
    for (int64_t i = first; i < end; i++) {
        int32_t row = gathering->rows[i];
        int64_t view = row * (int64_t)table->views + pf_view_draw_of(&gathering->feeder->draw, row);
        memcpy(gathering->feeder->x + i * table->features, table->x + view * table->features,
               row_bytes);
    }
}

/* Rows without a hole need not be gathered. */
static const float *gather(MemoryFeeder *feeder, const int32_t *rows, int64_t n)
{
    const PfFeatureTable *table = feeder->table;
    size_t row_bytes = (size_t)table->features * sizeof(float);
    int is_run =
        table->views == 1 && feeder->rows != feeder->order && rows[n - 1] - rows[0] == n - 1;
    if (is_run) return table->x + rows[0] * table->features;
    Gathering gathering = {feeder, rows, n, (int64_t)(TASK_BYTES / row_bytes) + 1};
    int64_t tasks = (n + gathering.rows_per_task - 1) / gathering.rows_per_task;
    pf_thread_pool_for(tasks > 1 ? feeder->pool : NULL, tasks, gather_rows, &gathering);
    return feeder->x;
}

static int next(void *context, PfRowBatch *batch, PfError *err)
{
    (void)err; /* reading from a file may fail, this cannot */
    MemoryFeeder *feeder = context;
    int64_t left = feeder->count - feeder->done;
    batch->n = left < feeder->batch ? left : feeder->batch;
    if (!batch->n) return 0;
    batch->rows = feeder->rows + feeder->done;
    batch->x = gather(feeder, batch->rows, batch->n);
    feeder->done += batch->n;
    return 0;
}

static void free_feeder(void *context)
{
    MemoryFeeder *feeder = context;
    free(feeder->order);
    free(feeder->x);
    free(feeder);
}

int pf_memory_feeder(const PfFeatureTable *table, PfThreadPool *pool, PfRowFeeder *out,
                     PfError *err)
{
    MemoryFeeder *feeder = pf_calloc(1, sizeof *feeder, err);
    if (!feeder) return -1;
    feeder->table = table;
    feeder->pool = pool;
    *out = (PfRowFeeder){feeder, table->features, start, next, free_feeder};
    return 0;
}

void pf_row_feeder_free(PfRowFeeder *feeder)
{
    if (feeder->free) feeder->free(feeder->context);
    *feeder = (PfRowFeeder){0};
}

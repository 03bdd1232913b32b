#include "train/features/stream_loader.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "common/base/memory.h"
#include "train/features/normalize.h"
#include "train/features/stream_reader.h"

/* Rows in order need not be mixed: small windows, so that the first is soon there. */
#define IN_ORDER_BYTES ((int64_t)16 << 20)
/* Rows that a task of the pool takes: copies worth waking a thread for. */
#define TASK_BYTES ((int64_t)64 << 10)

/* Of a window, what one part of its batches needs. */
typedef struct WindowShare {
    PfStreamPart *parts; /* (part_count) what is read */
    size_t part_capacity;
    int64_t part_count;
    int32_t *rows; /* (distinct rows of the part) that the parts lend */
    size_t row_capacity;
    int32_t *places; /* (distinct rows of the window) where each lies in data; -1: not read */
    size_t place_capacity;
} WindowShare;

/* Rows that were read together. */
typedef struct Window {
    unsigned char *data; /* (distinct rows, features) in the stored dtype; mapped */
    size_t data_bytes;
    int32_t *rows; /* (distinct rows) their numbers in the table */
    size_t row_capacity;
    int32_t *order; /* (count) which of them are dealt out, one after the other */
    size_t order_capacity;
    int64_t count, done;
    WindowShare share; /* of a loader that is shared */
} Window;

typedef struct StreamLoader {
    const PfFeatureTable *table;
    PfThreadPool *pool;
    PfStreamReader *reader;
    PfCacheRun *runs;
    int64_t run_count, longest_run;
    PfDtype dtype;
    size_t row_bytes; /* of one view, as stored */
    /* Of the pass. */
    PfStreamPlan plan;
    bool shuffles;
    PfRandom random;
    PfViewDraw draw;
    int64_t count, done, batch;
    int part, parts; /* of each batch; 0 and 1: all of it */
    int64_t planned; /* rows of windows whose order is made */
    int64_t opened;  /* windows that were or are dealt out: the last one is in windows[opened % 2],
                        counted from one, and the next is being read into the other */
    Window windows[2];
    float *x;            /* (batch, features) */
    int32_t *batch_rows; /* (batch) */
    size_t batch_row_capacity;
} StreamLoader;

/* ---- windows ---- */

static const PfStreamPart *window_parts(const StreamLoader *loader, int64_t window, int64_t *count)
{
    int64_t first = window ? loader->plan.ends[window - 1] : 0;
    *count = loader->plan.ends[window] - first;
    return loader->plan.parts + first;
}

static int64_t window_rows(const StreamLoader *loader)
{
    int64_t most = loader->table->stream->window_rows;
    int64_t in_order = IN_ORDER_BYTES / (int64_t)loader->row_bytes + loader->longest_run;
    return loader->shuffles || most < in_order ? most : in_order;
}

static void free_rows(Window *window)
{
    if (window->data) munmap(window->data, window->data_bytes);
    free(window->rows);
    window->data = NULL;
    window->rows = NULL;
    window->row_capacity = 0;
}

/* Not from the heap, which would keep it for itself once it is freed: no more memory was promised
 * than that of two windows. */
static int map_data(Window *window, size_t size, PfError *err)
{
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return pf_fail_errno(err, "out of memory: %zu MB to stream features through", size >> 20);
    madvise(data, size, MADV_HUGEPAGE); /* a wish, as rows are taken from all over it */
    window->data = data;
    window->data_bytes = size;
    return 0;
}

/* As much as any window of the pass will take. */
static int make_room(const StreamLoader *loader, Window *window, int64_t count, PfError *err)
{
    int64_t most = window_rows(loader);
    size_t rows = (size_t)(most < loader->count ? most : loader->count);
    if (rows > window->row_capacity) {
        free_rows(window);
        window->rows = pf_calloc(rows, sizeof *window->rows, err);
        if (!window->rows || map_data(window, rows * loader->row_bytes, err)) return -1;
        window->row_capacity = rows;
    }
    if ((size_t)count <= window->order_capacity) return 0;
    free(window->order);
    window->order = pf_calloc((size_t)count, sizeof *window->order, err);
    window->order_capacity = window->order ? (size_t)count : 0;
    return window->order ? 0 : -1;
}

/* Numbers its rows and shuffles them. */
static void fill_order(StreamLoader *loader, int64_t index, Window *window)
{
    int64_t part_count, distinct = 0;
    const PfStreamPart *parts = window_parts(loader, index, &part_count);
    window->count = window->done = 0;
    for (int64_t p = 0; p < part_count; p++) {
        const PfStreamPart *part = &parts[p];
        for (int64_t i = 0; i < part->count; i++) {
            int32_t row = part->rows[i * part->stride];
            if (!i || row != window->rows[distinct - 1]) window->rows[distinct++] = row;
            window->order[window->count++] = (int32_t)(distinct - 1);
        }
    }
    if (loader->shuffles) pf_random_shuffle(&loader->random, window->order, (size_t)window->count);
}

/* Marks in places the rows that come in this process's part of batches. */
static int mark_share(const StreamLoader *loader, Window *window, int64_t distinct, PfError *err)
{
    WindowShare *share = &window->share;
    if (pf_grow(&share->places, &share->place_capacity, (size_t)distinct, sizeof *share->places,
                err) ||
        pf_grow(&share->rows, &share->row_capacity, (size_t)distinct, sizeof *share->rows, err))
        return -1;
    for (int64_t i = 0; i < distinct; i++) share->places[i] = -1;
    for (int64_t i = 0; i < window->count; i++) {
        int64_t place = loader->planned + i, begin = place - place % loader->batch;
        int64_t n = loader->count - begin < loader->batch ? loader->count - begin : loader->batch;
        PfBatchPart part = pf_batch_part(n, loader->part, loader->parts);
        if (place - begin >= part.first && place - begin < part.first + part.count)
            share->places[window->order[i]] = 0;
    }
    return 0;
}

/* From the window's parts those of the rows that are marked; what has none is left out. */
static int choose_share(const StreamLoader *loader, int64_t index, Window *window, PfError *err)
{
    WindowShare *share = &window->share;
    int64_t part_count, distinct = 0, chosen = 0;
    const PfStreamPart *parts = window_parts(loader, index, &part_count);
    for (int64_t p = 0; p < part_count; p++) distinct += parts[p].distinct;
    if (mark_share(loader, window, distinct, err) ||
        pf_grow(&share->parts, &share->part_capacity, (size_t)part_count, sizeof *share->parts,
                err))
        return -1;
    share->part_count = distinct = 0;
    for (int64_t p = 0; p < part_count; p++) {
        int64_t before = chosen;
        for (int64_t i = 0; i < parts[p].distinct; i++, distinct++) {
            if (share->places[distinct] < 0) continue;
            share->places[distinct] = (int32_t)chosen;
            share->rows[chosen++] = window->rows[distinct];
        }
        if (chosen > before)
            share->parts[share->part_count++] = (PfStreamPart){.run = parts[p].run,
                                                               .rows = share->rows + before,
                                                               .count = chosen - before,
                                                               .stride = 1,
                                                               .distinct = chosen - before};
    }
    return 0;
}

/* Begins to read the window, into that which is not being dealt out. */
static int read_window(StreamLoader *loader, int64_t window, PfError *err)
{
    int64_t part_count, count = 0;
    Window *into = &loader->windows[(window + 1) % 2];
    if (window == loader->plan.window_count) return 0;
    const PfStreamPart *parts = window_parts(loader, window, &part_count);
    for (int64_t p = 0; p < part_count; p++) count += parts[p].count;
    into->count = into->done = 0;
    if (make_room(loader, into, count, err)) return -1;
    fill_order(loader, window, into);
    if (loader->parts > 1) {
        if (choose_share(loader, window, into, err)) return -1;
        parts = into->share.parts;
        part_count = into->share.part_count;
    }
    loader->planned += into->count;
    return pf_stream_reader_start(loader->reader, parts, part_count, into->data, &loader->draw,
                                  err);
}

/* The next window is to be dealt out, and the one after it to be read. */
static int open_window(StreamLoader *loader, PfError *err)
{
    if (pf_stream_reader_wait(loader->reader, err)) return -1;
    loader->opened++;
    return read_window(loader, loader->opened, err);
}

/* ---- batches ---- */

typedef struct Gathering {
    const StreamLoader *loader;
    const Window *window;
    int64_t n, rows_per_task;
    int64_t first, end; /* of them, the rows that x takes */
    float *x;           /* (end - first, features) */
    int32_t *rows;
} Gathering;

static void gather_rows(void *context, int64_t index)
{
    const Gathering *gathering = context;
    const StreamLoader *loader = gathering->loader;
    const Window *window = gathering->window;
    const PfFeatureStream *stream = loader->table->stream;
    int64_t d = loader->table->features;
    int64_t first = index * gathering->rows_per_task, end = first + gathering->rows_per_task;
    if (end > gathering->n) end = gathering->n;
    for (int64_t i = first; i < end; i++) {
        int32_t place = window->order[window->done + i];
        gathering->rows[i] = window->rows[place];
        if (i < gathering->first || i >= gathering->end) continue;
        float *x = gathering->x + (i - gathering->first) * d;
        if (loader->parts > 1) place = window->share.places[place];
        pf_f32_from_dtype_array(x, window->data + (size_t)place * loader->row_bytes, loader->dtype,
                                (size_t)d);
        if (stream->mean) pf_normalize_standardize_row(x, d, stream->mean, stream->scale);
        if (stream->l2) pf_normalize_l2_row(x, d);
    }
}

/* n rows of the window, as rows `filled` and following of the batch, which has `all`. */
static void gather(StreamLoader *loader, Window *window, int64_t n, int64_t filled, int64_t all)
{
    int64_t d = loader->table->features;
    PfBatchPart part = pf_batch_part(all, loader->part, loader->parts);
    int64_t first = part.first > filled ? part.first - filled : 0;
    Gathering gathering = {.loader = loader,
                           .window = window,
                           .n = n,
                           .rows_per_task = TASK_BYTES / (d * (int64_t)sizeof(float)) + 1,
                           .first = first,
                           .end = part.first + part.count - filled,
                           .x = loader->x + (filled + first - part.first) * d,
                           .rows = loader->batch_rows + filled};
    int64_t tasks = (n + gathering.rows_per_task - 1) / gathering.rows_per_task;
    pf_thread_pool_for(tasks > 1 ? loader->pool : NULL, tasks, gather_rows, &gathering);
    window->done += n;
    loader->done += n;
}

static int next(void *context, PfRowBatch *batch, PfError *err)
{
    StreamLoader *loader = context;
    int64_t left = loader->count - loader->done, filled = 0;
    int64_t wanted = left < loader->batch ? left : loader->batch;
    while (filled < wanted) {
        Window *window = &loader->windows[loader->opened % 2];
        int64_t there = window->count - window->done, n = wanted - filled;
        if (!loader->opened || !there) {
            if (open_window(loader, err)) return -1;
            continue;
        }
        if (n > there) n = there;
        gather(loader, window, n, filled, wanted);
        filled += n;
    }
    *batch = (PfRowBatch){.n = wanted, .x = loader->x, .rows = loader->batch_rows};
    return 0;
}

/* ---- passes ---- */

/* Exactly as much as a batch takes: memory was promised. */
static int make_batch(StreamLoader *loader, size_t rows, PfError *err)
{
    if (rows <= loader->batch_row_capacity) return 0;
    free(loader->x);
    free(loader->batch_rows);
    loader->batch_row_capacity = 0;
    loader->x = pf_alloc_aligned(rows, (size_t)loader->table->features * sizeof *loader->x, err);
    loader->batch_rows = pf_calloc(rows, sizeof *loader->batch_rows, err);
    if (!loader->x || !loader->batch_rows) return -1;
    loader->batch_row_capacity = rows;
    return 0;
}

static int start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err)
{
    StreamLoader *loader = context;
    pf_stream_reader_cancel(loader->reader);
    loader->shuffles = shuffle != NULL;
    if (shuffle) loader->random = *shuffle;
    loader->draw = pf_view_draw_begin(loader->table, shuffle);
    loader->count = count;
    loader->batch = batch;
    loader->done = loader->opened = loader->planned = 0;
    if (make_batch(loader, (size_t)(batch < count ? batch : count), err) ||
        pf_stream_plan(&loader->plan, loader->runs, loader->run_count, rows, count,
                       window_rows(loader), shuffle ? &loader->random : NULL, err))
        return -1;
    return read_window(loader, 0, err);
}

static void free_loader(void *context)
{
    StreamLoader *loader = context;
    pf_stream_reader_free(&loader->reader);
    pf_stream_plan_free(&loader->plan);
    for (int w = 0; w < 2; w++) {
        free_rows(&loader->windows[w]);
        free(loader->windows[w].order);
        free(loader->windows[w].share.parts);
        free(loader->windows[w].share.rows);
        free(loader->windows[w].share.places);
    }
    free(loader->runs);
    free(loader->x);
    free(loader->batch_rows);
    free(loader);
}

static void share(void *context, int part, int parts)
{
    StreamLoader *loader = context;
    loader->part = part;
    loader->parts = parts;
}

static int new_stream_loader(const PfFeatureTable *table, PfThreadPool *pool, PfBatchLoader *out,
                             PfError *err)
{
    const PfFeatureStream *stream = table->stream;
    const PfCacheTap *tap = pf_cache_tap(stream->cache, stream->tap);
    StreamLoader *loader = pf_calloc(1, sizeof *loader, err);
    if (!loader) return -1;
    loader->table = table;
    loader->pool = pool;
    loader->parts = 1;
    loader->dtype = tap->dtype;
    loader->row_bytes = (size_t)table->features * pf_dtype_size(tap->dtype);
    if (pf_cache_list_runs(stream->cache, stream->tap, &loader->runs, &loader->run_count, err) ||
        pf_stream_reader_new(table, &loader->reader, err)) {
        free_loader(loader);
        return -1;
    }
    for (int64_t r = 0; r < loader->run_count; r++)
        if (loader->runs[r].count > loader->longest_run)
            loader->longest_run = loader->runs[r].count;
    *out = (PfBatchLoader){loader, table->features, start, next, free_loader, share};
    return 0;
}

int pf_batch_loader_new(const PfFeatureTable *table, PfThreadPool *pool, PfBatchLoader *out,
                        PfError *err)
{
    if (table->stream) return new_stream_loader(table, pool, out, err);
    return pf_batch_loader_of_memory(table, pool, out, err);
}

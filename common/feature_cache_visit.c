#include <stdatomic.h>
#include <stdlib.h>

#include "feature_cache_reader.h"
#include "memory.h"
#include "parallel.h"

/* Runs shorter than this are joined: a read has a price of its own. */
#define RUN_BYTES ((size_t)64 << 10)

/* Over blocks of a tap: some runs, or, block_rows at a time, all rows of a part. */
typedef struct Visit {
    const PfCacheRows *rows;
    const char *path;
    PfCacheRowsPart part;
    int64_t block_rows; /* of a part; of runs the most */
    const PfCacheRun *runs;
    int64_t block_count;
    PfCacheBlockVisitor *visitor;
    void *context;
    _Atomic int64_t next_block;
    _Atomic int stopped;
} Visit;

/* Where block `index` lies in its part; *part: which that is. */
static PfCacheBlock find_block(const Visit *visit, int64_t index, PfCacheRowsPart *part)
{
    if (visit->runs) {
        const PfCacheRun *run = &visit->runs[index];
        *part = pf_cache_rows_part(visit->rows, visit->path, run->first);
        return (PfCacheBlock){.first = run->first, .count = run->count, .run = index};
    }
    *part = visit->part;
    int64_t first = index * visit->block_rows, rest = part->rows->row_count - first;
    return (PfCacheBlock){.first = part->first_row + first,
                          .count = rest < visit->block_rows ? rest : visit->block_rows};
}

static void clear_seconds(PfRowsWorkers *workers)
{
    for (int i = 0; i < workers->count; i++)
        workers->items[i].read_seconds = workers->items[i].unpack_seconds = 0;
}

static void add_seconds(const PfRowsWorkers *workers, PfCacheBlock *block)
{
    for (int i = 0; i < workers->count; i++) {
        block->read_seconds += workers->items[i].read_seconds;
        block->unpack_seconds += workers->items[i].unpack_seconds;
    }
}

static void visit_block(Visit *visit, int64_t index, PfRowsWorkers *workers, void *buffer)
{
    PfError err = {0};
    PfCacheRowsPart part;
    PfCacheBlock block = find_block(visit, index, &part);
    block.rows = buffer;
    clear_seconds(workers);
    if (!buffer)
        pf_fail(&err, PF_EXIT_FAILED, "out of memory");
    else if (pf_cache_rows_read(part.rows, workers, part.path, block.first - part.first_row,
                                block.count, 0, buffer, 1, &err))
        block.rows = NULL;
    if (!block.rows) block.error = &err;
    add_seconds(workers, &block);
    if (visit->visitor(visit->context, &block)) atomic_store(&visit->stopped, 1);
}

static void visit_blocks(void *context, int64_t index)
{
    (void)index;
    Visit *visit = context;
    PfRowsWorkers workers = {0};
    void *buffer =
        pf_alloc_aligned((size_t)visit->block_rows, pf_cache_rows_row_bytes(visit->rows), NULL);
    while (!atomic_load(&visit->stopped)) {
        int64_t block = atomic_fetch_add(&visit->next_block, 1);
        if (block >= visit->block_count) break;
        visit_block(visit, block, &workers, buffer);
    }
    pf_rows_workers_free(&workers);
    free(buffer);
}

static void visit_in_parallel(Visit *visit, int threads)
{
    if (threads < 1) threads = pf_processor_count();
    if (threads > visit->block_count) threads = (int)visit->block_count;
    atomic_store(&visit->next_block, 0);
    pf_parallel_for(threads, threads, visit_blocks, visit);
}

void pf_cache_visit(PfCache *cache, int tap, int threads, PfCacheBlockVisitor *visitor,
                    void *context)
{
    int64_t row = 0, row_count = pf_cache_row_count(cache);
    Visit visit = {.rows = pf_cache_tap_rows(cache, tap),
                   .path = pf_cache_path(cache),
                   .visitor = visitor,
                   .context = context};
    while (row < row_count && !atomic_load(&visit.stopped)) {
        visit.part = pf_cache_rows_part(visit.rows, visit.path, row);
        visit.block_rows = pf_cache_rows_block_rows(visit.part.rows);
        visit.block_count = (visit.part.rows->row_count + visit.block_rows - 1) / visit.block_rows;
        visit_in_parallel(&visit, threads);
        row = visit.part.first_row + visit.part.rows->row_count;
    }
}

void pf_cache_visit_runs(PfCache *cache, int tap, const PfCacheRun *runs, int64_t count,
                         int threads, PfCacheBlockVisitor *visitor, void *context)
{
    Visit visit = {.rows = pf_cache_tap_rows(cache, tap),
                   .path = pf_cache_path(cache),
                   .runs = runs,
                   .block_count = count,
                   .visitor = visitor,
                   .context = context};
    for (int64_t i = 0; i < count; i++)
        if (runs[i].count > visit.block_rows) visit.block_rows = runs[i].count;
    if (count) visit_in_parallel(&visit, threads);
}

/* Whole chunks. */
static int64_t run_rows(const PfCacheRows *rows)
{
    int64_t block_rows = pf_cache_rows_block_rows(rows);
    size_t block_bytes = (size_t)block_rows * pf_cache_rows_row_bytes(rows);
    return block_rows * (int64_t)((RUN_BYTES + block_bytes - 1) / block_bytes);
}

int pf_cache_list_runs(const PfCache *cache, int tap, PfCacheRun **runs, int64_t *count,
                       PfError *err)
{
    const PfCacheRows *rows = pf_cache_tap_rows(cache, tap);
    int64_t row_count = pf_cache_row_count(cache);
    size_t capacity = 0;
    *runs = NULL;
    *count = 0;
    for (int64_t row = 0; row < row_count;) {
        PfCacheRowsPart part = pf_cache_rows_part(rows, NULL, row);
        int64_t most = run_rows(part.rows), rest = part.first_row + part.rows->row_count - row;
        if (pf_grow(runs, &capacity, (size_t)*count + 1, sizeof **runs, err)) {
            free(*runs);
            *runs = NULL;
            return -1;
        }
        (*runs)[(*count)++] = (PfCacheRun){row, rest < most ? rest : most};
        row += rest < most ? rest : most;
    }
    return 0;
}

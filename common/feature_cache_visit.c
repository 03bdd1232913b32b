#include <stdatomic.h>
#include <stdlib.h>

#include "feature_cache_reader.h"
#include "memory.h"
#include "parallel.h"

/* Over the blocks of a file: the cache's own, or one that a virtual cache refers to. */
typedef struct Visit {
    PfCacheRowsPart part;
    int64_t block_rows;
    PfCacheBlockVisitor *visitor;
    void *context;
    _Atomic int64_t next_block;
    _Atomic int stopped;
} Visit;

static void visit_block(Visit *visit, int64_t first, PfRowsWorkers *workers, void *buffer)
{
    PfError err = {0};
    const PfCacheRowsPart *part = &visit->part;
    int64_t rest = part->rows->row_count - first;
    PfCacheBlock block = {
        .first = part->first_row + first, .count = visit->block_rows, .rows = buffer};
    if (rest < block.count) block.count = rest;
    if (!buffer)
        pf_fail(&err, PF_EXIT_FAILED, "out of memory");
    else if (pf_cache_rows_read(part->rows, workers, part->path, first, block.count, 0, buffer, 1,
                                &err))
        block.rows = NULL;
    if (!block.rows) block.error = &err;
    if (visit->visitor(visit->context, &block)) atomic_store(&visit->stopped, 1);
}

static void visit_blocks(void *context, int64_t index)
{
    (void)index;
    Visit *visit = context;
    PfRowsWorkers workers = {0};
    void *buffer = pf_alloc_aligned((size_t)visit->block_rows,
                                    pf_cache_rows_row_bytes(visit->part.rows), NULL);
    while (!atomic_load(&visit->stopped)) {
        int64_t first = atomic_fetch_add(&visit->next_block, 1) * visit->block_rows;
        if (first >= visit->part.rows->row_count) break;
        visit_block(visit, first, &workers, buffer);
    }
    pf_rows_workers_free(&workers);
    free(buffer);
}

void pf_cache_visit(PfCache *cache, int tap, int threads, PfCacheBlockVisitor *visitor,
                    void *context)
{
    int64_t row = 0, row_count = pf_cache_row_count(cache);
    Visit visit = {.visitor = visitor, .context = context};
    if (threads < 1) threads = pf_processor_count();
    while (row < row_count && !atomic_load(&visit.stopped)) {
        visit.part = pf_cache_rows_part(pf_cache_tap_rows(cache, tap), pf_cache_path(cache), row);
        visit.block_rows = pf_cache_rows_block_rows(visit.part.rows);
        atomic_store(&visit.next_block, 0);
        pf_parallel_for(threads, threads, visit_blocks, &visit);
        row = visit.part.first_row + visit.part.rows->row_count;
    }
}

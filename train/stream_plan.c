#include "stream_plan.h"

#include <stdlib.h>

#include "memory.h"

static int64_t count_distinct(const PfStreamPart *part)
{
    int64_t distinct = part->count > 0;
    for (int64_t i = 1; i < part->count; i++)
        distinct += part->rows[i * part->stride] != part->rows[(i - 1) * part->stride];
    return distinct;
}

static int add_part(PfStreamPlan *plan, PfStreamPart part, PfError *err)
{
    if (pf_grow(&plan->parts, &plan->part_capacity, (size_t)plan->part_count + 1,
                sizeof *plan->parts, err))
        return -1;
    part.distinct = count_distinct(&part);
    plan->parts[plan->part_count++] = part;
    return 0;
}

/* A part for every run that has rows. */
static int cut_runs(PfStreamPlan *plan, const PfCacheRun *runs, int64_t run_count,
                    const int32_t *rows, int64_t count, PfError *err)
{
    int64_t first = 0;
    plan->part_count = 0;
    for (int64_t r = 0; r < run_count; r++) {
        int64_t end = first;
        while (end < count && rows[end] < runs[r].first + runs[r].count) end++;
        PfStreamPart part = {
            .run = runs[r], .rows = rows + first, .count = end - first, .stride = 1};
        if (part.count && add_part(plan, part, err)) return -1;
        first = end;
    }
    return 0;
}

/* Where rows repeat, as in balanced draws, those of a rare class may all be in one run: it is cut
 * into pieces that come in different windows. All pieces together are at most as many as runs. */
static int spread_repetitions(PfStreamPlan *plan, int64_t count, PfError *err)
{
    int64_t run_count = plan->part_count, average = run_count ? count / run_count + 1 : 1;
    for (int64_t p = 0; p < run_count; p++) {
        PfStreamPart whole = plan->parts[p];
        int64_t pieces = whole.count >= 2 * whole.distinct ? whole.count / average : 1;
        for (int64_t i = 0; i < pieces && pieces > 1; i++) {
            PfStreamPart piece = {.run = whole.run,
                                  .rows = whole.rows + i,
                                  .count = (whole.count - i + pieces - 1) / pieces,
                                  .stride = pieces};
            if (i && add_part(plan, piece, err)) return -1;
            if (i) continue;
            piece.distinct = count_distinct(&piece);
            plan->parts[p] = piece;
        }
    }
    return 0;
}

static void shuffle_parts(PfStreamPlan *plan, PfRandom *random)
{
    for (int64_t i = plan->part_count; i > 1; i--) {
        int64_t other = (int64_t)pf_random_below(random, (uint64_t)i);
        PfStreamPart swapped = plan->parts[i - 1];
        plan->parts[i - 1] = plan->parts[other];
        plan->parts[other] = swapped;
    }
}

static int64_t distinct_rows(const PfStreamPlan *plan, int64_t *longest)
{
    int64_t sum = 0;
    *longest = 0;
    for (int64_t p = 0; p < plan->part_count; p++) {
        int64_t distinct = plan->parts[p].distinct;
        sum += distinct;
        if (distinct > *longest) *longest = distinct;
    }
    return sum;
}

static int end_window(PfStreamPlan *plan, int64_t end, PfError *err)
{
    if (pf_grow(&plan->ends, &plan->window_capacity, (size_t)plan->window_count + 1,
                sizeof *plan->ends, err))
        return -1;
    plan->ends[plan->window_count++] = end;
    return 0;
}

static int divide(PfStreamPlan *plan, int64_t window_rows, PfError *err)
{
    int64_t longest, total = distinct_rows(plan, &longest), done = 0, inside = 0;
    int64_t usable = window_rows > 2 * longest ? window_rows - longest : longest;
    int64_t windows = total <= window_rows ? 1 : (total + usable - 1) / usable;
    plan->window_count = 0;
    for (int64_t p = 0; p < plan->part_count; p++) {
        int64_t distinct = plan->parts[p].distinct;
        int is_full = inside + distinct > window_rows ||
                      done >= (double)total * (double)(plan->window_count + 1) / (double)windows;
        if (inside && is_full) {
            if (end_window(plan, p, err)) return -1;
            inside = 0;
        }
        inside += distinct;
        done += distinct;
    }
    return inside ? end_window(plan, plan->part_count, err) : 0;
}

int pf_stream_plan(PfStreamPlan *plan, const PfCacheRun *runs, int64_t run_count,
                   const int32_t *rows, int64_t count, int64_t window_rows, PfRandom *shuffle,
                   PfError *err)
{
    if (cut_runs(plan, runs, run_count, rows, count, err)) return -1;
    if (shuffle && spread_repetitions(plan, count, err)) return -1;
    if (shuffle) shuffle_parts(plan, shuffle);
    return divide(plan, window_rows, err);
}

void pf_stream_plan_free(PfStreamPlan *plan)
{
    free(plan->parts);
    free(plan->ends);
    *plan = (PfStreamPlan){0};
}

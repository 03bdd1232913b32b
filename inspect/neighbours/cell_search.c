/* An inverted file (Jegou, Douze, Schmid, Product Quantization for Nearest Neighbor Search (2011),
 * without the quantization): each row is compared with the rows of the cells that are nearest to
 * it. As many cells are looked through as the neighbours of a sample of rows need, which are looked
 * for among all rows; what is found for the other half of that sample is the recall that is told.
 *
 * Rows are held group by group, in the order of their cells, while all others pass by: whatever the
 * memory, the same pairs are compared. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/neighbours/cells.h"
#include "inspect/neighbours/comparison.h"
#include "train/kernels/gemm.h"

#define HELD_BYTES ((int64_t)256 << 20)
#define PASSING_BYTES ((int64_t)64 << 20)
/* Rows that pass by at least at a time, and that are compared with a cell at once. */
#define PASSING_LEAST 2048
#define PIECE 4096
/* Rows of a piece that a task takes, and held rows that it compares them with at a time. */
#define TASK_ROWS 128
#define TASK_COLUMNS 1024
/* Each row is compared with one in so many cells at most, but with some in any case. */
#define CELLS_PER_PROBE 32
#define PROBES_LEAST 8
/* Rows of the sample, half of which choose the number of probes: of so many neighbours so many. */
#define SAMPLE 1024
#define SAMPLE_NEIGHBOURS 20
#define SAMPLE_RECALL 0.98
/* Where cells would compare so many of all pairs, that is no sooner than all of them. */
#define PAIRS_MOST 0.4

typedef struct Search {
    PfComparison *comparison;
    const PfRows *rows;
    PfNeighboursWay *way;
    PfCells cells;
    int probes;        /* of the nearest cells that are looked through */
    uint16_t *nearest; /* (rows, cells.probes) */
    int64_t *starts;   /* (cells + 1) of the rows of a cell in the order of cells */
    int32_t *places;   /* (rows) in that order; -1: broken */
    int32_t *order;    /* (rows) the row at a place */
    /* The sample. */
    int sampled;
    int32_t *sample;            /* (sampled) rows */
    float *sample_x;            /* (sampled, features) */
    float *sample_similarities; /* (sampled, PF_CELLS_BLOCK) */
    PfCandidates exact[PF_NEIGHBOURS_LISTS];
    int64_t sample_first, sample_count; /* rows that the sample is compared with */
    /* What is compared. */
    int64_t held_rows, passing_rows;
    float *held;                    /* (held_rows, features) */
    float *passing;                 /* (passing_rows, features) */
    float *gathered;                /* (PIECE, features) */
    float *similarities;            /* (PIECE, TASK_COLUMNS) */
    int64_t held_first, held_count; /* places */
    int64_t passing_first, passing_count;
    int64_t *entry_starts; /* (cells + 1) of passing rows that look through a cell */
    int32_t *entries;      /* (passing_rows * probes) */
    const int32_t *piece;  /* passing rows */
    int64_t piece_count;
    int64_t column_first, column_count; /* held rows */
    int64_t passed, to_pass;            /* rows, for progress */
} Search;

/* ---- plan ---- */

static int cell_count(const PfRows *rows)
{
    int64_t sound = pf_max(1, rows->count - rows->broken_count - rows->zero_count);
    int64_t count = (int64_t)(4 * sqrt((double)sound));
    return (int)pf_max(1, pf_min(pf_min(count, PF_CELLS_MOST), sound));
}

/* Cells whose numbers are kept of each row: an eighth of the memory. */
static int probes_kept(const PfRows *rows, int cells)
{
    int64_t room = rows->memory_bytes / 8 / (2 * rows->count);
    int64_t probes = pf_max(PROBES_LEAST, pf_min(cells / CELLS_PER_PROBE, room));
    return (int)pf_min(probes, cells);
}

static int64_t held_bytes(const PfRows *rows)
{
    return pf_min(HELD_BYTES, rows->memory_bytes / 8);
}

static int64_t passing_bytes(const PfRows *rows)
{
    return pf_min(PASSING_BYTES, rows->memory_bytes / 16);
}

int64_t pf_cell_search_held_bytes(const PfRows *rows)
{
    int64_t tables = rows->count * (2 * (int64_t)probes_kept(rows, cell_count(rows)) + 8);
    return pf_min(rows->memory_bytes / 2, held_bytes(rows) + passing_bytes(rows) + tables);
}

static void show_progress(Search *search, int64_t rows)
{
    const PfComparison *comparison = search->comparison;
    search->passed += rows;
    double done = (double)search->passed / (double)pf_max(1, search->to_pass);
    if (comparison->progress)
        comparison->progress(comparison->context, (int64_t)(done * (double)search->rows->count),
                             search->rows->count);
}

/* ---- the sample ---- */

static int choose_sample(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    int64_t sound = 0, seen = 0, wanted;
    int32_t *slots = pf_calloc((size_t)rows->count, sizeof *slots, err);
    if (!slots) return -1;
    for (int64_t i = 0; i < rows->count; i++) sound += !rows->broken[i];
    wanted = pf_min(SAMPLE, sound);
    for (int64_t i = 0; i < rows->count; i++) {
        slots[i] = -1;
        if (rows->broken[i]) continue;
        if (search->sampled < wanted && seen >= search->sampled * sound / wanted) {
            search->sample[search->sampled] = (int32_t)i;
            slots[i] = search->sampled++;
        }
        seen++;
    }
    int failed = pf_cells_gather(rows, slots, 0, search->sampled, search->sample_x, err);
    free(slots);
    return failed;
}

static void add_exact(void *context, int64_t i)
{
    Search *search = context;
    const float *similarities = search->sample_similarities + i * PF_CELLS_BLOCK;
    for (int list = 0; list < search->comparison->list_count; list++) {
        const uint8_t *references = search->comparison->references[list] + search->sample_first;
        PfCandidates *exact = &search->exact[list];
        for (int64_t j = 0; j < search->sample_count; j++)
            if (similarities[j] >= exact->worst[i] && references[j] &&
                search->sample_first + j != search->sample[i])
                pf_candidates_add(exact, i, (int32_t)(search->sample_first + j), similarities[j]);
    }
}

static void compare_sample(Search *search, int64_t first, int64_t count, const float *x)
{
    int64_t features = search->rows->features;
    PfGemm product = {.m = search->sampled,
                      .n = count,
                      .k = features,
                      .a = search->sample_x,
                      .lda = features,
                      .b = x,
                      .ldb = features,
                      .c = search->sample_similarities,
                      .ldc = PF_CELLS_BLOCK};
    pf_gemm_nt(&product, search->comparison->pool);
    search->sample_first = first;
    search->sample_count = count;
    pf_thread_pool_for(search->comparison->pool, search->sampled, add_exact, search);
}

/* Finds the nearest cells of all rows, and the neighbours of the sample. */
static int place_rows(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    PfCells *cells = &search->cells;
    for (int64_t first = 0; first < rows->count; first += cells->block_rows) {
        int64_t count = pf_min(cells->block_rows, rows->count - first);
        if (pf_rows_check_interrupt(rows, err) ||
            pf_rows_unit_block(rows, first, count, search->passing, err))
            return -1;
        pf_cells_place(cells, search->comparison->pool, search->passing, count,
                       search->nearest + first * cells->probes);
        compare_sample(search, first, count, search->passing);
        show_progress(search, count);
    }
    return 0;
}

static void order_rows(Search *search)
{
    const PfRows *rows = search->rows;
    int cells = search->cells.count, kept = search->cells.probes;
    for (int64_t i = 0; i < rows->count; i++)
        if (!rows->broken[i]) search->starts[search->nearest[i * kept] + 1]++;
    for (int c = 0; c < cells; c++) search->starts[c + 1] += search->starts[c];
    for (int64_t i = 0; i < rows->count; i++) {
        search->places[i] = -1;
        if (rows->broken[i]) continue;
        int64_t place = search->starts[search->nearest[i * kept]]++;
        search->places[i] = (int32_t)place;
        search->order[place] = (int32_t)i;
    }
    for (int c = cells; c > 0; c--) search->starts[c] = search->starts[c - 1];
    search->starts[0] = 0;
}

/* As many probes as find the neighbours of the first half of the sample. */
static int choose_probes(Search *search, PfError *err)
{
    int kept = search->cells.probes, k = search->comparison->lists[0].k;
    int64_t total = 0, found = 0;
    int64_t *at = pf_calloc((size_t)kept, sizeof *at, err); /* neighbours in the so-manieth cell */
    int32_t *index = pf_calloc((size_t)k, sizeof *index, err);
    float *similarity = pf_calloc((size_t)k, sizeof *similarity, err);
    int failed = !at || !index || !similarity;
    for (int i = 0; i < search->sampled && !failed; i += 2) {
        const uint16_t *nearest = search->nearest + (int64_t)search->sample[i] * kept;
        pf_candidates_finish(&search->exact[0], i, index, similarity);
        for (int j = 0; j < k && j < SAMPLE_NEIGHBOURS && index[j] >= 0; j++, total++)
            for (int p = 0; p < kept; p++)
                if (nearest[p] == search->nearest[(int64_t)index[j] * kept]) at[p]++;
    }
    for (search->probes = 0; !failed && search->probes < kept;) {
        found += at[search->probes++];
        if ((double)found >= SAMPLE_RECALL * (double)total) break;
    }
    free(at);
    free(index);
    free(similarity);
    return failed ? -1 : 0;
}

/* The share of the pairs of sound rows that will be compared. */
static double share_of_pairs(const Search *search)
{
    double pairs = 0, sound = (double)search->starts[search->cells.count];
    for (int64_t i = 0; i < search->rows->count; i++)
        for (int p = 0; p < search->probes && !search->rows->broken[i]; p++) {
            int cell = search->nearest[i * search->cells.probes + p];
            pairs += (double)(search->starts[cell + 1] - search->starts[cell]);
        }
    return sound > 0 ? pairs / (sound * sound) : 1;
}

/* What was found for the second half of the sample: of equally near ones any counts. */
static int measure_recall(Search *search, int list, PfError *err)
{
    PfNeighboursWay *way = search->way;
    int k = search->comparison->lists[list].k;
    int64_t total = 0, right = 0, rows = 0, right_nearest = 0;
    int32_t *index = pf_calloc((size_t)k * 2, sizeof *index, err);
    float *similarity = pf_calloc((size_t)k * 2, sizeof *similarity, err);
    int failed = !index || !similarity;
    for (int i = 1; i < search->sampled && !failed; i += 2) {
        int there = 0;
        pf_candidates_finish(&search->exact[list], i, index, similarity);
        pf_candidates_finish(&search->comparison->candidates[list], search->sample[i], index + k,
                             similarity + k);
        while (there < k && index[there] >= 0) there++;
        if (!there) continue;
        rows++;
        total += there;
        right_nearest += index[k] >= 0 && similarity[k] >= similarity[0];
        for (int j = 0; j < there; j++)
            right += index[k + j] >= 0 && similarity[k + j] >= similarity[there - 1];
    }
    way->sampled = (int)rows;
    way->recall[list] = total ? (double)right / (double)total : 1;
    way->recall_nearest[list] = rows ? (double)right_nearest / (double)rows : 1;
    free(index);
    free(similarity);
    return failed ? -1 : 0;
}

/* ---- comparing ---- */

/* What a row has of the held rows [first, first + count). */
static void add_columns(Search *search, int list, int64_t row, int64_t first, int64_t count,
                        const float *similarities)
{
    PfCandidates *candidates = &search->comparison->candidates[list];
    const uint8_t *references = search->comparison->references[list];
    const int32_t *others = search->order + search->held_first + first;
    for (int64_t begin = 0; begin < count; begin += PF_COMPARISON_LANES) {
        int64_t end = pf_min(count, begin + PF_COMPARISON_LANES);
        if (!pf_comparison_any_good(similarities + begin, end - begin, candidates->worst[row]))
            continue;
        for (int64_t j = begin; j < end; j++)
            if (similarities[j] >= candidates->worst[row] && references[others[j]] &&
                others[j] != row)
                pf_candidates_add(candidates, row, others[j], similarities[j]);
    }
}

/* Some rows of a piece with the held rows of its cell. */
static void compare_task(void *context, int64_t task)
{
    Search *search = context;
    int64_t features = search->rows->features, begin = task * TASK_ROWS;
    int64_t count = pf_min(TASK_ROWS, search->piece_count - begin);
    float *x = search->gathered + begin * features;
    float *similarities = search->similarities + begin * TASK_COLUMNS;
    for (int64_t i = 0; i < count; i++)
        memcpy(x + i * features, search->passing + search->piece[begin + i] * features,
               (size_t)features * sizeof *x);
    for (int64_t column = 0; column < search->column_count; column += TASK_COLUMNS) {
        int64_t first = search->column_first + column;
        PfGemm product = {.m = count,
                          .n = pf_min(TASK_COLUMNS, search->column_count - column),
                          .k = features,
                          .a = x,
                          .lda = features,
                          .b = search->held + first * features,
                          .ldb = features,
                          .c = similarities,
                          .ldc = TASK_COLUMNS};
        pf_gemm_nt(&product, NULL);
        for (int list = 0; list < search->comparison->list_count; list++)
            for (int64_t i = 0; i < count; i++)
                add_columns(search, list, search->passing_first + search->piece[begin + i], first,
                            product.n, similarities + i * TASK_COLUMNS);
    }
}

/* Whether rows of a cell are held. */
static bool is_held(const Search *search, int cell)
{
    return search->starts[cell] < search->held_first + search->held_count &&
           search->starts[cell + 1] > search->held_first;
}

/* Which passing rows look through which held cell. */
static void list_entries(Search *search)
{
    int cells = search->cells.count, kept = search->cells.probes;
    memset(search->entry_starts, 0, (size_t)(cells + 1) * sizeof *search->entry_starts);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < search->passing_count; i++) {
            int64_t row = search->passing_first + i;
            for (int p = 0; p < search->probes && !search->rows->broken[row]; p++) {
                int cell = search->nearest[row * kept + p];
                if (!is_held(search, cell)) continue;
                if (pass)
                    search->entries[search->entry_starts[cell]++] = (int32_t)i;
                else
                    search->entry_starts[cell + 1]++;
            }
        }
        if (!pass)
            for (int c = 0; c < cells; c++) search->entry_starts[c + 1] += search->entry_starts[c];
    }
    for (int c = cells; c > 0; c--) search->entry_starts[c] = search->entry_starts[c - 1];
    search->entry_starts[0] = 0;
}

static void compare_passing(Search *search)
{
    list_entries(search);
    for (int cell = 0; cell < search->cells.count; cell++) {
        int64_t first = pf_max(search->starts[cell], search->held_first);
        int64_t end = pf_min(search->starts[cell + 1], search->held_first + search->held_count);
        search->column_first = first - search->held_first;
        search->column_count = end - first;
        for (int64_t entry = search->entry_starts[cell]; entry < search->entry_starts[cell + 1];
             entry += PIECE) {
            search->piece = search->entries + entry;
            search->piece_count = pf_min(PIECE, search->entry_starts[cell + 1] - entry);
            pf_thread_pool_for(search->comparison->pool,
                               (search->piece_count + TASK_ROWS - 1) / TASK_ROWS, compare_task,
                               search);
        }
    }
}

static int compare_groups(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    int64_t sound = search->starts[search->cells.count];
    for (search->held_first = 0; search->held_first < sound;
         search->held_first += search->held_rows) {
        search->held_count = pf_min(search->held_rows, sound - search->held_first);
        if (pf_cells_gather(rows, search->places, search->held_first, search->held_count,
                            search->held, err))
            return -1;
        for (int64_t first = 0; first < rows->count; first += search->passing_rows) {
            search->passing_first = first;
            search->passing_count = pf_min(search->passing_rows, rows->count - first);
            if (pf_rows_check_interrupt(rows, err) ||
                pf_rows_unit_block(rows, first, search->passing_count, search->passing, err))
                return -1;
            compare_passing(search);
            show_progress(search, search->passing_count);
        }
    }
    return 0;
}

/* ---- memory ---- */

static int new_tables(Search *search, int kept, PfError *err)
{
    const PfRows *rows = search->rows;
    size_t count = (size_t)rows->count, features = (size_t)rows->features;
    int64_t row_bytes = 4 * rows->features;
    search->passing_rows =
        pf_min(rows->count, pf_max(PASSING_LEAST, passing_bytes(rows) / row_bytes));
    search->held_rows = pf_min(rows->count, pf_max(PASSING_LEAST, held_bytes(rows) / row_bytes));
    search->nearest = pf_alloc_large(count * (size_t)kept, sizeof *search->nearest, err);
    search->places = pf_calloc(count, sizeof *search->places, err);
    search->order = pf_calloc(count, sizeof *search->order, err);
    search->passing = pf_alloc_large((size_t)search->passing_rows * features, 4, err);
    search->sample = pf_calloc(SAMPLE, sizeof *search->sample, err);
    search->sample_x = pf_alloc_aligned(SAMPLE * features, 4, err);
    search->sample_similarities = pf_alloc_aligned((size_t)SAMPLE * PF_CELLS_BLOCK, 4, err);
    if (!search->nearest || !search->places || !search->order || !search->passing ||
        !search->sample || !search->sample_x || !search->sample_similarities)
        return -1;
    for (int list = 0; list < search->comparison->list_count; list++)
        if (pf_candidates_new(SAMPLE, search->comparison->lists[list].k, &search->exact[list], err))
            return -1;
    return 0;
}

/* What comparing takes, once the sample for the cells is gone. */
static int new_blocks(Search *search, PfError *err)
{
    size_t features = (size_t)search->rows->features;
    size_t entries = (size_t)search->passing_rows * (size_t)search->probes;
    search->held = pf_alloc_large((size_t)search->held_rows * features, 4, err);
    search->gathered = pf_alloc_aligned(PIECE * features, 4, err);
    search->similarities = pf_alloc_aligned((size_t)PIECE * TASK_COLUMNS, 4, err);
    search->entry_starts =
        pf_calloc((size_t)search->cells.count + 1, sizeof *search->entry_starts, err);
    search->entries = pf_alloc_aligned(entries, sizeof *search->entries, err);
    return search->held && search->gathered && search->similarities && search->entry_starts &&
                   search->entries
               ? 0
               : -1;
}

static void free_search(Search *search)
{
    pf_cells_free(&search->cells);
    for (int list = 0; list < search->comparison->list_count; list++)
        pf_candidates_free(&search->exact[list]);
    free(search->nearest);
    free(search->starts);
    free(search->places);
    free(search->order);
    free(search->sample);
    free(search->sample_x);
    free(search->sample_similarities);
    free(search->held);
    free(search->passing);
    free(search->gathered);
    free(search->similarities);
    free(search->entry_starts);
    free(search->entries);
}

static int make_cells(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    int count = cell_count(rows), kept = probes_kept(rows, count);
    search->starts = pf_calloc((size_t)count + 1, sizeof *search->starts, err);
    if (!search->starts || new_tables(search, kept, err) ||
        pf_cells_learn(rows, search->comparison->pool, count, kept, search->held_rows,
                       &search->cells, err) ||
        choose_sample(search, err))
        return -1;
    int64_t groups = (rows->count + search->held_rows - 1) / search->held_rows;
    search->to_pass = (1 + groups) * rows->count;
    if (place_rows(search, err)) return -1;
    order_rows(search);
    return choose_probes(search, err);
}

int pf_cell_search_compare(PfComparison *comparison, PfNeighboursWay *way, PfError *err)
{
    Search search = {.comparison = comparison, .rows = comparison->rows, .way = way};
    int failed = make_cells(&search, err);
    if (!failed) {
        way->cells = search.cells.count;
        way->probes = search.probes;
        way->compared = share_of_pairs(&search);
        way->by_cells = way->compared < PAIRS_MOST;
    }
    if (!failed && way->by_cells) {
        failed = new_blocks(&search, err) || compare_groups(&search, err);
        for (int list = 0; list < comparison->list_count && !failed; list++)
            failed = measure_recall(&search, list, err);
    }
    free_search(&search);
    return failed ? -1 : 0;
}

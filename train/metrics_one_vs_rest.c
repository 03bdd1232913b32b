#include "metrics_one_vs_rest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "metrics_ranking.h"
#include "parallel.h"

/* Classes ranked at the same time, and how many rows these may have together (24 bytes each). */
#define MAX_SLOTS 32
#define MAX_SLOT_ROWS ((int64_t)1 << 22)

/* What one thread needs to rank a class. */
typedef struct Slot {
    const PfOneVsRest *rows;
    int class;
    double auc;
    PfRanking *ranking;
    double *influence; /* (count) */
} Slot;

static void rank_class(void *context, int64_t index)
{
    Slot *slot = (Slot *)context + index;
    const PfOneVsRest *rows = slot->rows;
    int column = rows->classes == 2 ? 0 : slot->class;
    pf_ranking_clear(slot->ranking);
    for (int64_t i = 0; i < rows->count; i++)
        pf_ranking_put(slot->ranking, *pf_columns_at(rows->scores, i, column), (int32_t)i,
                       rows->labels[i] == slot->class);
    pf_ranking_sort(slot->ranking);
    slot->auc = pf_ranking_auc(slot->ranking);
    memset(slot->influence, 0, (size_t)rows->count * sizeof *slot->influence);
    pf_ranking_auc_influence(slot->ranking, slot->auc, slot->influence);
}

/* Sums over the classes. */
typedef struct Sums {
    int64_t *support;  /* (classes) */
    double *influence; /* (count) of each row */
    double auc;
    int classes;
} Sums;

/* The first class from c on that has rows and is not all rows; the number of classes if none. */
static int next_class(const PfOneVsRest *rows, const int64_t *support, int c)
{
    while (c < rows->classes && (support[c] == 0 || support[c] == rows->count)) c++;
    return c;
}

/* Influences in the order of the classes, however many slots there are. */
static void add_slot(const Slot *slot, Sums *sums)
{
    sums->auc += slot->auc;
    sums->classes++;
    for (int64_t i = 0; i < slot->rows->count; i++) sums->influence[i] += slot->influence[i];
}

static void rank_classes(Slot *slots, int slot_count, int threads, Sums *sums)
{
    const PfOneVsRest *rows = slots->rows;
    int c = next_class(rows, sums->support, rows->classes == 2);
    while (c < rows->classes) {
        int used = 0;
        for (; used < slot_count && c < rows->classes; c = next_class(rows, sums->support, c + 1))
            slots[used++].class = c;
        pf_parallel_for(used, threads, rank_class, slots);
        for (int s = 0; s < used; s++) add_slot(&slots[s], sums);
    }
}

/* As many as there are threads, but not for ever so many rows. */
static int slots_wanted(const PfOneVsRest *rows, int threads)
{
    int64_t slots = threads > 0 ? threads : pf_processor_count();
    if (slots * rows->count > MAX_SLOT_ROWS) slots = MAX_SLOT_ROWS / rows->count;
    if (slots > MAX_SLOTS) slots = MAX_SLOTS;
    return slots < 1 ? 1 : slots > rows->classes ? rows->classes : (int)slots;
}

static int allocate_slots(const PfOneVsRest *rows, Slot *slots, int count, PfError *err)
{
    for (int s = 0; s < count; s++) {
        slots[s].rows = rows;
        slots[s].influence = pf_calloc((size_t)rows->count, sizeof(double), err);
        if (!slots[s].influence || pf_ranking_new(rows->count, &slots[s].ranking, err)) return -1;
    }
    return 0;
}

static int allocate_sums(const PfOneVsRest *rows, Sums *sums, PfError *err)
{
    sums->influence = pf_calloc((size_t)rows->count, sizeof *sums->influence, err);
    sums->support = pf_calloc((size_t)rows->classes, sizeof *sums->support, err);
    if (!sums->influence || !sums->support) return -1;
    for (int64_t i = 0; i < rows->count; i++) sums->support[rows->labels[i]]++;
    return 0;
}

int pf_one_vs_rest_auc(const PfOneVsRest *rows, int threads, double *auc, PfInterval *interval,
                       PfError *err)
{
    Slot slots[MAX_SLOTS] = {{0}};
    Sums sums = {0};
    int count = slots_wanted(rows, threads);
    int failed = allocate_sums(rows, &sums, err) || allocate_slots(rows, slots, count, err);
    if (!failed) {
        rank_classes(slots, count, threads, &sums);
        double error = pf_influence_standard_error(sums.influence, rows->count) / sums.classes;
        *auc = sums.classes ? sums.auc / sums.classes : (double)NAN;
        *interval = pf_interval_logit(*auc, error);
    }
    for (int s = 0; s < count; s++) {
        pf_ranking_free(&slots[s].ranking);
        free(slots[s].influence);
    }
    free(sums.influence);
    free(sums.support);
    return failed ? -1 : 0;
}

#include "train/metrics/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/thread/parallel.h"

/* ---- columns ---- */

int pf_columns_add(PfColumns *table, float **row, PfError *err)
{
    int64_t blocks = table->rows / PF_COLUMNS_BLOCK + 1;
    int64_t needed = blocks * PF_COLUMNS_BLOCK * table->columns;
    *row = NULL;
    if (table->dropped) return 0;
    if (table->max_values && needed > table->max_values) {
        pf_columns_free(table);
        table->dropped = true;
        return 0;
    }
    if (pf_grow(&table->values, &table->capacity, (size_t)needed, sizeof *table->values, err))
        return -1;
    *row = table->values + (pf_columns_at(table, table->rows++, 0) - table->values);
    return 0;
}

void pf_columns_free(PfColumns *table)
{
    free(table->values);
    table->values = NULL;
    table->capacity = 0;
}

/* ---- the scores of one class or label ---- */

/* The sort key is the upper half of an item: three digits of eleven bits. */
#define KEY_SHIFT 32
#define DIGIT_BITS 11
#define DIGITS 3
#define BUCKETS (1 << DIGIT_BITS)

struct PfRanking {
    int64_t count, positives;
    uint64_t *items;   /* key << 32 | row << 1 | positive */
    uint64_t *scratch; /* as large */
};

int pf_ranking_new(int64_t capacity, PfRanking **out, PfError *err)
{
    PfRanking *ranking = pf_calloc(1, sizeof *ranking, err);
    if (!ranking) return -1;
    ranking->items = pf_alloc_aligned((size_t)capacity, sizeof(uint64_t), err);
    ranking->scratch = pf_alloc_aligned((size_t)capacity, sizeof(uint64_t), err);
    if (!ranking->items || !ranking->scratch) {
        pf_ranking_free(&ranking);
        return -1;
    }
    *out = ranking;
    return 0;
}

void pf_ranking_free(PfRanking **ranking)
{
    if (!*ranking) return;
    free((*ranking)->items);
    free((*ranking)->scratch);
    free(*ranking);
    *ranking = NULL;
}

void pf_ranking_clear(PfRanking *ranking)
{
    ranking->count = ranking->positives = 0;
}

/* Unsigned integers in the order of the numbers; -0 is 0. */
static uint32_t sort_key(float score)
{
    uint32_t bits;
    score += 0.0f;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? ~bits : bits | (uint32_t)1 << 31;
}

static uint32_t key_of(uint64_t item)
{
    return (uint32_t)(item >> KEY_SHIFT);
}

void pf_ranking_put(PfRanking *ranking, float score, int32_t row, bool positive)
{
    uint64_t tag = (uint64_t)(uint32_t)row << 1 | positive;
    ranking->items[ranking->count++] = (uint64_t)sort_key(score) << KEY_SHIFT | tag;
    ranking->positives += positive;
}

static unsigned digit_of(uint64_t item, int digit)
{
    return (unsigned)(item >> (KEY_SHIFT + digit * DIGIT_BITS)) & (BUCKETS - 1);
}

/* One stable pass; ends[b] is how many items bucket b has. */
static void sort_by_digit(PfRanking *ranking, int digit, int64_t *ends)
{
    int64_t start = 0;
    for (int b = 0; b < BUCKETS; b++) {
        int64_t size = ends[b];
        ends[b] = start;
        start += size;
    }
    for (int64_t i = 0; i < ranking->count; i++) {
        uint64_t item = ranking->items[i];
        ranking->scratch[ends[digit_of(item, digit)]++] = item;
    }
    uint64_t *sorted = ranking->scratch;
    ranking->scratch = ranking->items;
    ranking->items = sorted;
}

void pf_ranking_sort(PfRanking *ranking)
{
    int64_t sizes[DIGITS][BUCKETS] = {{0}};
    for (int64_t i = 0; i < ranking->count; i++)
        for (int d = 0; d < DIGITS; d++) sizes[d][digit_of(ranking->items[i], d)]++;
    for (int d = 0; d < DIGITS; d++) sort_by_digit(ranking, d, sizes[d]);
}

float pf_ranking_score(const PfRanking *ranking, int64_t rank)
{
    uint32_t key = key_of(ranking->items[rank]);
    uint32_t bits = key >> 31 ? key & ~((uint32_t)1 << 31) : ~key;
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

/* Rows of equal score. */
typedef struct Ties {
    int64_t first, end; /* ranks */
    int64_t positives, negatives;
    int64_t positives_below, negatives_below;
} Ties;

/* The next higher ties after *ties, which starts as {0}; false where there are none. */
static bool next_ties(const PfRanking *ranking, Ties *ties)
{
    if (ties->end == ranking->count) return false;
    ties->first = ties->end;
    ties->positives_below += ties->positives;
    ties->negatives_below += ties->negatives;
    ties->positives = 0;
    uint32_t key = key_of(ranking->items[ties->first]);
    while (ties->end < ranking->count && key_of(ranking->items[ties->end]) == key)
        ties->positives += (int64_t)(ranking->items[ties->end++] & 1);
    ties->negatives = ties->end - ties->first - ties->positives;
    return true;
}

static int64_t negatives_of(const PfRanking *ranking)
{
    return ranking->count - ranking->positives;
}

double pf_ranking_auc(const PfRanking *ranking)
{
    int64_t positives = ranking->positives, negatives = negatives_of(ranking);
    int64_t twice = 0; /* the pairs in order, times two */
    Ties ties = {0};
    if (!positives || !negatives) return (double)NAN;
    while (next_ties(ranking, &ties))
        twice += ties.positives * (2 * ties.negatives_below + ties.negatives);
    return (double)twice / 2 / ((double)positives * (double)negatives);
}

/* sqrt(n/(n-1)) / n: from a row's distance to the mean of n rows to its influence
 * on that mean, such that squares add up to s^2/n. */
static double influence_scale(int64_t n)
{
    return n > 1 ? sqrt((double)n / (double)(n - 1)) / (double)n : (double)NAN;
}

/* A positive row's part of the AUC is the share of negatives below it; a negative
 * row's the share of positives above it; both have the AUC as their mean. */
void pf_ranking_auc_influence(const PfRanking *ranking, double auc, double *influence)
{
    int64_t positives = ranking->positives, negatives = negatives_of(ranking);
    double scales[2] = {influence_scale(negatives), influence_scale(positives)};
    double per_positive = 1 / (double)positives, per_negative = 1 / (double)negatives;
    Ties ties = {0};
    while (next_ties(ranking, &ties)) {
        double below = (double)ties.negatives_below + 0.5 * (double)ties.negatives;
        double above = (double)(positives - ties.positives_below) - 0.5 * (double)ties.positives;
        double moves[2] = {scales[0] * (above * per_positive - auc),
                           scales[1] * (below * per_negative - auc)};
        for (int64_t i = ties.first; i < ties.end; i++) {
            unsigned tag = (unsigned)ranking->items[i];
            influence[tag >> 1] += moves[tag & 1];
        }
    }
}

double pf_ranking_average_precision(const PfRanking *ranking)
{
    double sum = 0;
    Ties ties = {0};
    if (!ranking->positives) return (double)NAN;
    while (next_ties(ranking, &ties)) {
        double taken = (double)(ranking->count - ties.first);
        double right = (double)(ranking->positives - ties.positives_below);
        sum += (double)ties.positives * right / taken;
    }
    return sum / (double)ranking->positives;
}

/* ---- several classes ---- */

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
    int64_t slots = threads > 0 ? threads : pf_parallel_processor_count();
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

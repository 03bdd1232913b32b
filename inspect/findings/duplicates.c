#include "inspect/findings/duplicates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/cache/equal_images.h"
#include "inspect/findings/hash_pairs.h"

/* Fewer rows say nothing about how similar different images are. */
#define LEAST_ROWS 20
#define CHANCE 0.1
#define FAR 10 /* neighbours: the tenth and the fifth */
#define MIDDLE 5

typedef struct Link {
    float similarity;
    int32_t a, b; /* a < b */
    bool by_pixels;
} Link;

typedef struct Grouping {
    const PfRows *rows;
    const PfNeighbours *neighbours;
    uint32_t *equal; /* (rows) the first row of the same bytes */
    Link *links;
    size_t link_count, link_capacity;
    int32_t *parent;    /* (rows) of the tree that a row is in; its root stands for the group */
    float *similarity;  /* (rows) of roots */
    uint8_t *by_pixels; /* (rows) of roots */
} Grouping;

/* ---- the threshold ---- */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double log_distance(float similarity)
{
    return 0.5 * log(fmax(1e-12, 2 - 2 * (double)similarity));
}

/* The median over the rows that have FAR neighbours, whose number is *count; room: (rows). */
static double median_over_rows(const PfNeighbours *neighbours, double (*value)(const float *),
                               float *room, int64_t *count)
{
    *count = 0;
    for (int64_t i = 0; i < neighbours->count && neighbours->k >= FAR; i++)
        if (neighbours->index[i * neighbours->k + FAR - 1] >= 0)
            room[(*count)++] = (float)value(neighbours->similarity + i * neighbours->k);
    qsort(room, (size_t)*count, sizeof *room, compare_floats);
    return *count ? (double)room[*count / 2] : NAN;
}

static double nearest_of(const float *similarity)
{
    return (double)similarity[0];
}

static double far_of(const float *similarity)
{
    return log_distance(similarity[FAR - 1]);
}

static double growth_of(const float *similarity)
{
    return log_distance(similarity[FAR - 1]) - log_distance(similarity[MIDDLE - 1]);
}

static int choose_threshold(const Grouping *grouping, double threshold, PfDuplicates *out,
                            PfError *err)
{
    const PfNeighbours *neighbours = grouping->neighbours;
    float *room = pf_calloc((size_t)grouping->rows->count, sizeof *room, err);
    int64_t count;
    if (!room) return -1;
    out->typical = median_over_rows(neighbours, nearest_of, room, &count);
    double far = median_over_rows(neighbours, far_of, room, &count);
    double growth = median_over_rows(neighbours, growth_of, room, &count);
    free(room);
    out->dimension = count >= LEAST_ROWS && growth > 0 ? log(2) / growth : NAN;
    out->threshold_given = threshold > 0;
    out->threshold = out->threshold_given ? threshold : PF_DUPLICATES_MOST;
    if (out->threshold_given || isnan(out->dimension)) return 0;
    /* The share of the volume, as a share of the distance. */
    double share = -expm1(log1p(-CHANCE / (double)count) / (FAR - 1));
    double r = exp(far + log(share) / out->dimension);
    out->threshold = fmin(PF_DUPLICATES_MOST, fmax(PF_DUPLICATES_LEAST, 1 - r * r / 2));
    return 0;
}

/* ---- links ---- */

static int add_link(Grouping *grouping, float similarity, int32_t a, int32_t b, bool by_pixels,
                    PfError *err)
{
    if (pf_grow(&grouping->links, &grouping->link_capacity, grouping->link_count + 1,
                sizeof *grouping->links, err))
        return -1;
    grouping->links[grouping->link_count++] =
        (Link){similarity, a < b ? a : b, a < b ? b : a, by_pixels};
    return 0;
}

static int list_links(Grouping *grouping, double threshold, PfError *err)
{
    const PfNeighbours *neighbours = grouping->neighbours;
    for (int64_t i = 0; i < grouping->rows->count; i++) {
        if (grouping->equal[i] != i &&
            add_link(grouping, 1, (int32_t)grouping->equal[i], (int32_t)i, false, err))
            return -1;
        for (int j = 0; j < neighbours->k; j++) {
            int64_t place = i * neighbours->k + j;
            if (neighbours->index[place] < 0 || (double)neighbours->similarity[place] < threshold)
                break;
            if (add_link(grouping, neighbours->similarity[place], (int32_t)i,
                         neighbours->index[place], false, err))
                return -1;
        }
    }
    return 0;
}

/* room: (2, features). */
static int similarity_of(const PfRows *rows, const PfHashPair *pair, float *room, float *out,
                         PfError *err)
{
    double sum = 0;
    if (pf_rows_unit_block(rows, pair->a, 1, room, err) ||
        pf_rows_unit_block(rows, pair->b, 1, room + rows->features, err))
        return -1;
    for (int64_t f = 0; f < rows->features; f++)
        sum += (double)room[f] * (double)room[rows->features + f];
    *out = (float)sum;
    return 0;
}

/* Pixels that are alike, whatever the network makes of them. */
static int list_pixel_links(Grouping *grouping, const uint64_t *hashes, PfDuplicates *out,
                            PfError *err)
{
    const PfRows *rows = grouping->rows;
    PfHashPair *pairs = NULL;
    int64_t count = 0;
    for (int64_t i = 0; i < rows->count && hashes; i++) out->hashed_rows += hashes[i] != 0;
    if (!out->hashed_rows) return 0;
    out->hash_bits =
        rows->count > PF_DUPLICATES_MANY ? PF_DUPLICATES_BITS_OF_MANY : PF_DUPLICATES_BITS;
    float *room = pf_calloc(2 * (size_t)rows->features, sizeof *room, err);
    int failed = !room || pf_hash_pairs_find(rows, hashes, out->hash_bits, &pairs, &count, err);
    for (int64_t i = 0; i < count && !failed; i++) {
        float similarity;
        if (grouping->equal[pairs[i].a] == grouping->equal[pairs[i].b]) continue;
        failed = similarity_of(rows, &pairs[i], room, &similarity, err) ||
                 add_link(grouping, similarity, pairs[i].a, pairs[i].b,
                          (double)similarity < out->threshold, err);
    }
    free(pairs);
    free(room);
    return failed ? -1 : 0;
}

/* The most similar first. */
static int compare_links(const void *a, const void *b)
{
    const Link *x = a, *y = b;
    if (x->similarity != y->similarity) return x->similarity < y->similarity ? 1 : -1;
    if (x->a != y->a) return x->a < y->a ? -1 : 1;
    return (x->b > y->b) - (x->b < y->b);
}

static int32_t root_of(int32_t *parent, int32_t row)
{
    while (parent[row] != row) row = parent[row] = parent[parent[row]];
    return row;
}

/* Kruskal's way to the tree of the strongest links. */
static int join(Grouping *grouping, PfError *err)
{
    size_t count = (size_t)grouping->rows->count;
    grouping->parent = pf_calloc(count, sizeof *grouping->parent, err);
    grouping->similarity = pf_calloc(count, sizeof *grouping->similarity, err);
    grouping->by_pixels = pf_calloc(count, sizeof *grouping->by_pixels, err);
    if (!grouping->parent || !grouping->similarity || !grouping->by_pixels) return -1;
    for (size_t i = 0; i < count; i++) {
        grouping->parent[i] = (int32_t)i;
        grouping->similarity[i] = 1;
    }
    if (grouping->link_count)
        qsort(grouping->links, grouping->link_count, sizeof *grouping->links, compare_links);
    for (size_t i = 0; i < grouping->link_count; i++) {
        const Link *link = &grouping->links[i];
        int32_t a = root_of(grouping->parent, link->a), b = root_of(grouping->parent, link->b);
        if (a == b) continue;
        if (a > b) {
            int32_t lower = b;
            b = a, a = lower;
        }
        grouping->parent[b] = a;
        grouping->similarity[a] = link->similarity;
        grouping->by_pixels[a] |= grouping->by_pixels[b] | link->by_pixels;
    }
    return 0;
}

/* ---- groups ---- */

/* Members of all groups, group by group in the order of their first rows, which are their roots. */
static int list_members(Grouping *grouping, PfDuplicates *out, PfError *err)
{
    int64_t count = grouping->rows->count;
    int32_t *sizes = pf_calloc((size_t)count, sizeof *sizes, err);
    int64_t *places = pf_calloc((size_t)count, sizeof *places, err);
    int failed = !sizes || !places;
    for (int64_t i = 0; i < count && !failed; i++) sizes[root_of(grouping->parent, (int32_t)i)]++;
    for (int64_t i = 0; i < count && !failed; i++)
        if (sizes[i] > 1) out->group_count++, out->member_count += sizes[i];
    if (!failed) {
        out->groups = pf_calloc((size_t)out->group_count, sizeof *out->groups, err);
        out->members = pf_calloc((size_t)out->member_count, sizeof *out->members, err);
        failed = !out->groups || !out->members;
    }
    int64_t group = 0, place = 0;
    for (int64_t i = 0; i < count && !failed; i++) {
        int32_t root = root_of(grouping->parent, (int32_t)i);
        if (sizes[root] < 2) continue;
        if (root == i) {
            out->groups[group++] = (PfDuplicateGroup){.first = place,
                                                      .count = sizes[i],
                                                      .similarity = grouping->similarity[i],
                                                      .by_pixels = grouping->by_pixels[i]};
            places[i] = place;
            place += sizes[i];
        }
        out->members[places[root]++] = (int32_t)i;
    }
    free(sizes);
    free(places);
    return failed ? -1 : 0;
}

static void describe(const Grouping *grouping, PfDuplicates *out)
{
    const PfRows *rows = grouping->rows;
    for (int64_t g = 0; g < out->group_count; g++) {
        PfDuplicateGroup *group = &out->groups[g];
        const int32_t *members = out->members + group->first;
        int32_t label = -1;
        group->is_exact = true;
        for (int64_t m = 0; m < group->count; m++) {
            int32_t own = rows->labels ? rows->labels[members[m]] : -1;
            group->is_exact &= grouping->equal[members[m]] == grouping->equal[members[0]];
            group->crosses_splits |= rows->splits[members[m]] != rows->splits[members[0]];
            group->has_two_labels |= label >= 0 && own >= 0 && own != label;
            if (label < 0) label = own;
        }
        if (group->is_exact) group->similarity = 1;
        out->exact_groups += group->is_exact;
        out->pixel_groups += group->by_pixels;
        out->leak_groups += group->crosses_splits;
        out->two_label_groups += group->has_two_labels;
    }
}

static int compare_groups(const void *a, const void *b)
{
    const PfDuplicateGroup *x = a, *y = b;
    if (x->crosses_splits != y->crosses_splits) return x->crosses_splits ? -1 : 1;
    if (x->has_two_labels != y->has_two_labels) return x->has_two_labels ? -1 : 1;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    if (x->similarity != y->similarity) return x->similarity > y->similarity ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

int pf_duplicates_find(const PfRows *rows, const PfNeighbours *neighbours, const uint64_t *hashes,
                       double threshold, PfDuplicates *out, PfError *err)
{
    Grouping grouping = {.rows = rows, .neighbours = neighbours};
    grouping.equal = pf_calloc((size_t)rows->count, sizeof *grouping.equal, err);
    int failed = !grouping.equal ||
                 pf_equal_images_find((const uint8_t(*)[PF_DIGEST_SIZE])rows->files.digests,
                                      rows->count, grouping.equal, err) ||
                 choose_threshold(&grouping, threshold, out, err) ||
                 list_links(&grouping, out->threshold, err) ||
                 list_pixel_links(&grouping, hashes, out, err) || join(&grouping, err) ||
                 list_members(&grouping, out, err);
    if (!failed) {
        describe(&grouping, out);
        if (out->group_count)
            qsort(out->groups, (size_t)out->group_count, sizeof *out->groups, compare_groups);
        out->status.done = true;
    }
    free(grouping.equal);
    free(grouping.links);
    free(grouping.parent);
    free(grouping.similarity);
    free(grouping.by_pixels);
    return failed ? -1 : 0;
}

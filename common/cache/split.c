#include "common/cache/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/json.h"
#include "common/base/memory.h"

const char *const pf_split_names[PF_SPLIT_COUNT] = {"train", "val", "test"};
const char *const pf_split_val_keys_names[] = {"find", "first", "second"};

/* A number in [0, 1). */
static double position_of(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}

static PfSplit side_of(double position, double val, double test)
{
    return position < test ? PF_SPLIT_TEST : position < test + val ? PF_SPLIT_VAL : PF_SPLIT_TRAIN;
}

/* ---- by key ---- */

uint64_t pf_split_key(const uint8_t digest[PF_DIGEST_SIZE], uint64_t group)
{
    uint64_t key = 0;
    for (int i = 0; i < 8 && !group; i++) key = key << 8 | digest[i];
    return group ? group : key;
}

uint64_t pf_split_group(const char *name)
{
    uint64_t hash = pf_digest_xxh64_text(name);
    return hash ? hash : 1;
}

/* A key that images of a class have. */
typedef struct Member {
    uint64_t key;
    int32_t class;
    int32_t unit; /* number of the key, ascending */
} Member;

typedef struct Units {
    Member *members; /* (member_count) by key, then class; each pair once */
    Member *sorted;  /* the same by class, then key */
    int64_t member_count;
    int64_t *first; /* (unit_count + 1) of each unit's members */
    uint8_t *sides; /* (unit_count) PfSplit */
    int64_t unit_count;
    int64_t *sizes; /* (classes, PF_SPLIT_COUNT) units; class -1 is the first */
} Units;

static int by_key(const void *left, const void *right)
{
    const Member *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return (a->class > b->class) - (a->class < b->class);
}

static int by_class(const void *left, const void *right)
{
    const Member *a = left, *b = right;
    if (a->class != b->class) return a->class < b->class ? -1 : 1;
    return (a->key > b->key) - (a->key < b->key);
}

static int64_t *size_of(const Units *units, int32_t class, PfSplit side)
{
    return &units->sizes[((int64_t) class + 1) * PF_SPLIT_COUNT + side];
}

/* Sorts the members, drops those that are there already, and numbers their keys. */
static void number_units(Units *units, int64_t count)
{
    Member *members = units->members;
    if (count) qsort(members, (size_t)count, sizeof *members, by_key);
    for (int64_t i = 0; i < count; i++) {
        int64_t n = units->member_count;
        bool is_new = !n || members[i].key != members[n - 1].key;
        if (!is_new && members[i].class == members[n - 1].class) continue;
        if (is_new) units->first[units->unit_count++] = n;
        members[n] = members[i];
        members[n].unit = (int32_t)(units->unit_count - 1);
        units->member_count++;
    }
    units->first[units->unit_count] = units->member_count;
}

static void draw_units(Units *units, double val, double test)
{
    for (int64_t u = 0; u < units->unit_count; u++) {
        uint64_t key = units->members[units->first[u]].key;
        units->sides[u] = (uint8_t)side_of(position_of(key), val, test);
        for (int64_t m = units->first[u]; m < units->first[u + 1]; m++)
            ++*size_of(units, units->members[m].class, (PfSplit)units->sides[u]);
    }
}

/* Whether another class would have nothing left on that side. */
static bool is_last_of_another(const Units *units, int32_t unit, int32_t class, PfSplit side)
{
    for (int64_t m = units->first[unit]; m < units->first[unit + 1]; m++)
        if (units->members[m].class != class && *size_of(units, units->members[m].class, side) < 2)
            return true;
    return false;
}

/* Whether the unit cannot go: an earlier side is not taken from another class for the sake of a
 * later one. */
static bool is_needed(const Units *units, int32_t unit, int32_t class, PfSplit from, PfSplit to)
{
    return from < to && is_last_of_another(units, unit, class, from);
}

/* Of the class's members on the side `from`, the nearest in hash order to the side `to`; -1 where
 * none can go. In that order test comes before val and val before train. */
static int32_t nearest_unit(const Units *units, const Member *members, int64_t count, PfSplit from,
                            PfSplit to)
{
    for (int64_t i = 0; i < count; i++) {
        const Member *member = &members[to > from ? i : count - 1 - i];
        if (units->sides[member->unit] == from &&
            !is_needed(units, member->unit, member->class, from, to))
            return member->unit;
    }
    return -1;
}

static void move_unit(Units *units, int32_t unit, PfSplit to)
{
    for (int64_t m = units->first[unit]; m < units->first[unit + 1]; m++) {
        int32_t class = units->members[m].class;
        --*size_of(units, class, (PfSplit)units->sides[unit]);
        ++*size_of(units, class, to);
    }
    units->sides[unit] = (uint8_t)to;
}

/* members: (count) of one class. Whether one of them was moved. */
static bool fill_side(Units *units, const Member *members, int64_t count, PfSplit empty)
{
    int donor = -1;
    const int64_t *sizes = size_of(units, members->class, PF_SPLIT_TRAIN);
    for (int side = 0; side < PF_SPLIT_COUNT; side++)
        if (sizes[side] > (side < (int)empty) && (donor < 0 || sizes[side] > sizes[donor]))
            donor = side;
    int32_t unit = donor < 0 ? -1 : nearest_unit(units, members, count, (PfSplit)donor, empty);
    if (unit >= 0) move_unit(units, unit, empty);
    return unit >= 0;
}

/* Once for each class; how many units were moved. */
static int fill_classes(Units *units, const double wanted[PF_SPLIT_COUNT])
{
    int moved = 0;
    for (int64_t first = 0, end; first < units->member_count; first = end) {
        const Member *members = &units->sorted[first];
        for (end = first + 1;
             end < units->member_count && units->sorted[end].class == members->class;)
            end++;
        for (int side = 0; side < PF_SPLIT_COUNT; side++)
            if (wanted[side] > 0 && !*size_of(units, members->class, (PfSplit)side))
                moved += fill_side(units, members, end - first, (PfSplit)side);
    }
    return moved;
}

/* A class may lose on a later side what another one gains on an earlier one, and then looks for it
 * again: every round has more classes on an earlier side than the last, so that there is an end. */
static void fill_sides(Units *units, double val, double test)
{
    const double wanted[PF_SPLIT_COUNT] = {1.0 - val - test, val, test};
    memcpy(units->sorted, units->members, (size_t)units->member_count * sizeof *units->sorted);
    if (units->member_count)
        qsort(units->sorted, (size_t)units->member_count, sizeof *units->sorted, by_class);
    while (fill_classes(units, wanted)) continue;
}

static int allocate_units(Units *units, int64_t count, int32_t classes, PfError *err)
{
    size_t n = (size_t)count;
    *units = (Units){
        .members = pf_calloc(n, sizeof *units->members, err),
        .sorted = pf_calloc(n, sizeof *units->sorted, err),
        .first = pf_calloc(n + 1, sizeof *units->first, err),
        .sides = pf_calloc(n, 1, err),
        .sizes = pf_calloc(((size_t)classes + 1) * PF_SPLIT_COUNT, sizeof *units->sizes, err),
    };
    return units->members && units->sorted && units->first && units->sides && units->sizes ? 0 : -1;
}

static void free_units(Units *units)
{
    free(units->members);
    free(units->sorted);
    free(units->first);
    free(units->sides);
    free(units->sizes);
}

static uint8_t side_of_key(const Units *units, uint64_t key)
{
    int64_t low = 0, high = units->unit_count;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (units->members[units->first[middle]].key <= key)
            low = middle;
        else
            high = middle;
    }
    return units->sides[low];
}

static void draw_filled(Units *units, const uint64_t *keys, const int32_t *classes, int64_t count,
                        double val, double test, uint8_t *splits)
{
    for (int64_t i = 0; i < count; i++)
        units->members[i] =
            (Member){.key = keys[i], .class = classes && classes[i] >= 0 ? classes[i] : -1};
    number_units(units, count);
    draw_units(units, val, test);
    fill_sides(units, val, test);
    for (int64_t i = 0; i < count; i++) splits[i] = side_of_key(units, keys[i]);
}

int pf_split_by_key(const uint64_t *keys, const int32_t *classes, int64_t count, double val,
                    double test, bool fill, uint8_t *splits, PfError *err)
{
    int32_t class_count = 0;
    for (int64_t i = 0; i < count; i++) {
        splits[i] = (uint8_t)side_of(position_of(keys[i]), val, test);
        if (classes && classes[i] >= class_count) class_count = classes[i] + 1;
    }
    if (!fill || !count) return 0;
    Units units;
    int failed = allocate_units(&units, count, class_count, err);
    if (!failed) draw_filled(&units, keys, classes, count, val, test, splits);
    free_units(&units);
    return failed;
}

bool pf_split_is_by_path(const char *provenance)
{
    cJSON *object = pf_json_read(provenance);
    bool is_said = cJSON_HasObjectItem(object, PF_SPLIT_BY_KEY);
    cJSON_Delete(object);
    return !is_said;
}

/* ---- by path ---- */

typedef struct Entry {
    int32_t group;
    double position; /* hash as a number in [0, 1) */
    int64_t index;
} Entry;

static int by_group_and_position(const void *left, const void *right)
{
    const Entry *a = left, *b = right;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->position != b->position) return a->position < b->position ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* Gives the empty side an image of the largest other side; an earlier side
 * keeps its last one. Sides are runs in hash order, so moving their borders is
 * all it takes. */
static void fill_empty_side(int64_t sizes[PF_SPLIT_COUNT], int empty)
{
    int donor = -1;
    for (int side = 0; side < PF_SPLIT_COUNT; side++)
        if (sizes[side] > (side < empty) && (donor < 0 || sizes[side] > sizes[donor])) donor = side;
    if (donor < 0) return;
    sizes[donor]--;
    sizes[empty]++;
}

/* entries: one class in hash order. */
static void split_group(const Entry *entries, int64_t count, double val, double test,
                        uint8_t *splits)
{
    static const PfSplit order[] = {PF_SPLIT_TEST, PF_SPLIT_VAL, PF_SPLIT_TRAIN};
    const double wanted[PF_SPLIT_COUNT] = {1.0 - val - test, val, test};
    int64_t sizes[PF_SPLIT_COUNT] = {0};
    for (int64_t i = 0; i < count; i++) {
        sizes[side_of(entries[i].position, val, test)]++;
    }
    for (int side = 0; side < PF_SPLIT_COUNT; side++)
        if (wanted[side] > 0 && !sizes[side]) fill_empty_side(sizes, side);
    for (int i = 0; i < PF_SPLIT_COUNT; i++)
        for (int64_t n = sizes[order[i]]; n > 0; n--)
            splits[(entries++)->index] = (uint8_t)order[i];
}

int pf_split_by_path_hash(const uint64_t *hashes, const int32_t *groups, int64_t count, double val,
                          double test, uint8_t *splits, PfError *err)
{
    Entry *entries = pf_calloc((size_t)count, sizeof *entries, err);
    if (!entries && count) return -1;
    for (int64_t i = 0; i < count; i++)
        entries[i] = (Entry){
            .group = groups && groups[i] >= 0 ? groups[i] : -1,
            .position = position_of(hashes[i]),
            .index = i,
        };
    if (count) qsort(entries, (size_t)count, sizeof *entries, by_group_and_position);
    for (int64_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && entries[end].group == entries[first].group;) end++;
        split_group(entries + first, end - first, val, test, splits);
    }
    free(entries);
    return 0;
}

int pf_split_by_hash(const char *const *keys, const int32_t *groups, int64_t count, double val,
                     double test, uint8_t *splits, PfError *err)
{
    uint64_t *hashes = pf_calloc((size_t)count, sizeof *hashes, err);
    int failed = !hashes && count;
    for (int64_t i = 0; i < count && !failed; i++) hashes[i] = pf_digest_xxh64_text(keys[i]);
    if (!failed) failed = pf_split_by_path_hash(hashes, groups, count, val, test, splits, err);
    free(hashes);
    return failed ? -1 : 0;
}

/* ---- a second draw ---- */

/* Standard deviations: chance does it once in three million caches. */
#define DRAWN_DEVIATIONS 5

typedef struct Place {
    uint64_t key;
    bool is_held_out;
} Place;

/* Of equal keys train comes first, which does not speak for a draw. */
static int by_place(const void *left, const void *right)
{
    const Place *a = left, *b = right;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->is_held_out - b->is_held_out;
}

/* places: (count) ascending. */
static bool places_are_drawn(const Place *places, int64_t count)
{
    double held_out = 0, train = 0, below = 0; /* below: pairs whose held-out key is the lower */
    for (int64_t i = 0; i < count; i++) {
        if (i && !by_place(&places[i - 1], &places[i])) continue;
        if (places[i].is_held_out) held_out++;
        if (!places[i].is_held_out) train++, below += held_out;
    }
    double pairs = held_out * train;
    double deviation = sqrt(pairs * (held_out + train + 1) / 12);
    return pairs > 0 && (below == pairs || below - pairs / 2 >= DRAWN_DEVIATIONS * deviation);
}

int pf_split_is_drawn(const uint64_t *keys, const uint8_t *splits, int64_t count, bool *is_drawn,
                      PfError *err)
{
    Place *places = pf_calloc((size_t)count, sizeof *places, err);
    if (!places && count) return -1;
    for (int64_t i = 0; i < count; i++) places[i] = (Place){keys[i], splits[i] != PF_SPLIT_TRAIN};
    if (count) qsort(places, (size_t)count, sizeof *places, by_place);
    *is_drawn = places_are_drawn(places, count);
    free(places);
    return 0;
}

uint64_t pf_split_second_key(uint64_t key)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(key >> (56 - 8 * i));
    return pf_digest_xxh64(bytes, sizeof bytes);
}

#include "common/base/hash_index.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/digest.h"
#include "common/base/memory.h"

int pf_hash_index_init(PfHashIndex *index, int64_t capacity, PfError *err)
{
    size_t slots = 16;
    *index = (PfHashIndex){0};
    if (capacity >= PF_HASH_EMPTY)
        return pf_fail(err, PF_EXIT_FAILED, "%lld images are too many; at most %lld can be told",
                       (long long)capacity, (long long)PF_HASH_EMPTY - 1);
    while (slots < 2 * (size_t)capacity) slots *= 2;
    index->slots = pf_alloc_aligned(slots, sizeof *index->slots, err);
    if (!index->slots) return -1;
    memset(index->slots, 0xff, slots * sizeof *index->slots); /* PF_HASH_EMPTY */
    index->mask = slots - 1;
    return 0;
}

void pf_hash_index_free(PfHashIndex *index)
{
    free(index->slots);
    *index = (PfHashIndex){0};
}

/* ==== texts ==== */

static uint64_t hash_of(const char *text, size_t length)
{
    uint8_t digest[16];
    uint64_t hash;
    pf_digest_xxh128(text, length, digest);
    memcpy(&hash, digest, sizeof hash);
    return hash;
}

/* Where the text is, or where it would go. */
static uint32_t *find_slot(const PfTextIndex *index, const char *text, size_t length)
{
    uint32_t *slot = pf_hash_index_first(&index->slots, hash_of(text, length));
    while (*slot != PF_HASH_EMPTY &&
           (strncmp(index->texts[*slot], text, length) || index->texts[*slot][length]))
        slot = pf_hash_index_next(&index->slots, slot);
    return slot;
}

int64_t pf_text_index_find(const PfTextIndex *index, const char *text, size_t length)
{
    if (!index->room) return -1;
    uint32_t *slot = find_slot(index, text, length);
    return *slot == PF_HASH_EMPTY ? -1 : (int64_t)*slot;
}

static int make_room(PfTextIndex *index, size_t room, PfError *err)
{
    PfHashIndex slots;
    if (pf_hash_index_init(&slots, (int64_t)room, err)) return -1;
    pf_hash_index_free(&index->slots);
    index->slots = slots;
    index->room = room;
    for (size_t i = 0; i < index->count; i++)
        *find_slot(index, index->texts[i], strlen(index->texts[i])) = (uint32_t)i;
    return 0;
}

int pf_text_index_add(PfTextIndex *index, const char *text, PfError *err)
{
    if (index->count == INT32_MAX)
        return pf_fail(err, PF_EXIT_FAILED, "more than %d different texts", INT32_MAX);
    if (index->count == index->room && make_room(index, 2 * index->room + 32, err)) return -1;
    if (pf_grow(&index->texts, &index->capacity, index->count + 1, sizeof *index->texts, err))
        return -1;
    *find_slot(index, text, strlen(text)) = (uint32_t)index->count;
    index->texts[index->count++] = text;
    return 0;
}

/* ---- sorting ---- */

typedef struct Entry {
    const char *text;
    int (*compare)(const char *a, const char *b);
    uint32_t number;
} Entry;

static int compare_entries(const void *a, const void *b)
{
    const Entry *left = a, *right = b;
    return left->compare(left->text, right->text);
}

int pf_text_index_sort(PfTextIndex *index, int (*compare)(const char *a, const char *b),
                       int32_t *new_numbers, PfError *err)
{
    Entry *entries = pf_calloc(index->count, sizeof *entries, err);
    if (!entries) return -1;
    for (size_t i = 0; i < index->count; i++)
        entries[i] = (Entry){index->texts[i], compare, (uint32_t)i};
    qsort(entries, index->count, sizeof *entries, compare_entries);
    for (size_t i = 0; i < index->count; i++) {
        index->texts[i] = entries[i].text;
        if (new_numbers) new_numbers[entries[i].number] = (int32_t)i;
    }
    free(entries);
    return index->count ? make_room(index, index->room, err) : 0;
}

void pf_text_index_free(PfTextIndex *index)
{
    free(index->texts);
    pf_hash_index_free(&index->slots);
    *index = (PfTextIndex){0};
}

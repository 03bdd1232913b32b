/* Which image of a run is the first with its content. */
#include <stdlib.h>
#include <string.h>

#include "common/base/hash_index.h"
#include "common/base/memory.h"
#include "extract/pipeline/internal.h"

typedef struct Reject {
    int64_t place;
    char *reason;
} Reject;

struct PfContents {
    pthread_mutex_t lock;
    uint8_t (*digests)[PF_DIGEST_SIZE]; /* per place; where it has claimed */
    PfHashIndex first;                  /* of a digest: its first place */
    Reject *rejects;                    /* in the order of places */
    size_t reject_count, reject_capacity;
};

int pf_contents_new(int64_t places, PfContents **out, PfError *err)
{
    PfContents *contents = *out = pf_calloc(1, sizeof *contents, err);
    if (!contents) return -1;
    pthread_mutex_init(&contents->lock, NULL);
    contents->digests = pf_calloc((size_t)places, sizeof *contents->digests, err);
    if (contents->digests && !pf_hash_index_init(&contents->first, places, err)) return 0;
    pf_contents_free(out);
    return -1;
}

void pf_contents_free(PfContents **contents)
{
    PfContents *closing = *contents;
    if (!closing) return;
    for (size_t i = 0; i < closing->reject_count; i++) free(closing->rejects[i].reason);
    pthread_mutex_destroy(&closing->lock);
    pf_hash_index_free(&closing->first);
    free(closing->rejects);
    free(closing->digests);
    free(closing);
    *contents = NULL;
}

/* The slot of the place that has this digest, or the empty one where it belongs.
 * Caller holds the lock. */
static uint32_t *find_slot(const PfContents *contents, const uint8_t digest[PF_DIGEST_SIZE])
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    uint32_t *slot = pf_hash_index_first(&contents->first, hash);
    while (*slot != PF_HASH_EMPTY && memcmp(contents->digests[*slot], digest, PF_DIGEST_SIZE))
        slot = pf_hash_index_next(&contents->first, slot);
    return slot;
}

bool pf_contents_claim(PfContents *contents, int64_t place, const uint8_t digest[PF_DIGEST_SIZE])
{
    pthread_mutex_lock(&contents->lock);
    memcpy(contents->digests[place], digest, PF_DIGEST_SIZE);
    uint32_t *slot = find_slot(contents, digest);
    bool is_first = *slot == PF_HASH_EMPTY || (int64_t)*slot >= place;
    if (is_first) *slot = (uint32_t)place;
    pthread_mutex_unlock(&contents->lock);
    return is_first;
}

int64_t pf_contents_first(PfContents *contents, const uint8_t digest[PF_DIGEST_SIZE])
{
    pthread_mutex_lock(&contents->lock);
    int64_t place = *find_slot(contents, digest);
    pthread_mutex_unlock(&contents->lock);
    return place;
}

int pf_contents_reject(PfContents *contents, int64_t place, const char *reason, PfError *err)
{
    pthread_mutex_lock(&contents->lock);
    char *copy = pf_strdup(reason, err);
    int failed = !copy || pf_grow(&contents->rejects, &contents->reject_capacity,
                                  contents->reject_count + 1, sizeof *contents->rejects, err);
    if (!failed) contents->rejects[contents->reject_count++] = (Reject){place, copy};
    pthread_mutex_unlock(&contents->lock);
    if (failed) free(copy);
    return failed ? -1 : 0;
}

static int compare_rejects(const void *a, const void *b)
{
    int64_t left = ((const Reject *)a)->place, right = ((const Reject *)b)->place;
    return (left > right) - (left < right);
}

const char *pf_contents_reason(PfContents *contents, int64_t place)
{
    Reject key = {.place = place}, *found = NULL;
    pthread_mutex_lock(&contents->lock);
    if (contents->reject_count)
        found =
            bsearch(&key, contents->rejects, contents->reject_count, sizeof key, compare_rejects);
    const char *reason = found ? found->reason : NULL;
    pthread_mutex_unlock(&contents->lock);
    return reason;
}

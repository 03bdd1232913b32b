#include "inspect/neighbours/candidates.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

/* Bits of floats in an order that integers have, too: negative ones turned round. */
static uint32_t ordered_bits(float value)
{
    uint32_t bits;
    value += 0.0f; /* -0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float similarity_of(uint64_t key)
{
    uint32_t ordered = (uint32_t)(key >> 32);
    uint32_t bits = ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

uint64_t pf_candidates_key(float similarity, int32_t row)
{
    return (uint64_t)ordered_bits(similarity) << 32 | (uint32_t)~row;
}

int pf_candidates_new(int64_t rows, int k, PfCandidates *out, PfError *err)
{
    *out = (PfCandidates){.k = k, .capacity = 2 * k};
    out->keys = pf_alloc_large((size_t)rows * (size_t)out->capacity, sizeof *out->keys, err);
    out->count = pf_calloc((size_t)rows, sizeof *out->count, err);
    out->worst = pf_calloc((size_t)rows, sizeof *out->worst, err);
    if (!out->keys || !out->count || !out->worst) return -1;
    for (int64_t i = 0; i < rows; i++) out->worst[i] = -INFINITY;
    return 0;
}

void pf_candidates_free(PfCandidates *candidates)
{
    free(candidates->keys);
    free(candidates->count);
    free(candidates->worst);
    *candidates = (PfCandidates){0};
}

/* Orders keys so that the first k are the largest; keys differ. */
static void select_largest(uint64_t *keys, int count, int k)
{
    int low = 0, high = count - 1;
    while (low < high) {
        uint64_t pivot = keys[low + (high - low) / 2];
        int i = low, j = high;
        while (i <= j) {
            while (keys[i] > pivot) i++;
            while (keys[j] < pivot) j--;
            if (i > j) break;
            uint64_t key = keys[i];
            keys[i++] = keys[j];
            keys[j--] = key;
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

void pf_candidates_keep_best(PfCandidates *candidates, int64_t row)
{
    uint64_t *keys = candidates->keys + row * candidates->capacity, least;
    int k = candidates->k;
    if (candidates->count[row] < k) return;
    select_largest(keys, candidates->count[row], k);
    least = keys[0];
    for (int i = 1; i < k; i++) least = keys[i] < least ? keys[i] : least;
    candidates->count[row] = k;
    candidates->worst[row] = similarity_of(least);
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

void pf_candidates_finish(PfCandidates *candidates, int64_t row, int32_t *index, float *similarity)
{
    uint64_t *keys = candidates->keys + row * candidates->capacity;
    pf_candidates_keep_best(candidates, row);
    int count = candidates->count[row];
    qsort(keys, (size_t)count, sizeof *keys, compare_keys);
    for (int i = 0; i < candidates->k; i++) {
        index[i] = i < count ? (int32_t) ~(uint32_t)keys[i] : -1;
        similarity[i] = i < count ? fminf(similarity_of(keys[i]), 1) : 0;
    }
}

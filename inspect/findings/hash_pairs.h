/* Images whose pixels are alike: pairs of rows whose perceptual hashes (common/cache/
 * perceptual_hash.h) differ in a few bits only, as they are or mirrored.
 *
 * Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing (2012): of hashes
 * that differ in less than eight bits, one of four quarters differs in at most one, so that the 17
 * such values of each quarter are looked up. */
#ifndef PF_INSPECT_FINDINGS_HASH_PAIRS_H
#define PF_INSPECT_FINDINGS_HASH_PAIRS_H

#include "inspect/rows/rows.h"

#define PF_HASH_PAIRS_MOST_BITS 7

typedef struct PfHashPair {
    int32_t a, b; /* rows, a < b */
} PfHashPair;

/* Of rows with a hash. Not all pairs, but so many that what all pairs link is linked, but for
 * crowds: of rows of one hash, or of its mirrored one, each with the first, and of a hash at most
 * 32 pairs with others. bits: up to PF_HASH_PAIRS_MOST_BITS. *pairs: (*count) by a, then b; owned
 * by the caller. */
int pf_hash_pairs_find(const PfRows *rows, const uint64_t *hashes, int bits, PfHashPair **pairs,
                       int64_t *count, PfError *err);

#endif

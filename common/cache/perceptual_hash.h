/* The perceptual hash that a cache holds of each image: 64 signs of its lowest spatial frequencies,
 * which compressing anew, resizing and brightening leave nearly all as they are.
 *
 * Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions (2010), of whose
 * method by the discrete cosine transform it takes the signs instead of comparing with the median:
 * then mirroring an image turns known bits around.
 *
 * The luminance, 299 R + 587 G + 114 B, is averaged over 32 x 32 cells of the image; c(v, u) is
 * their two-dimensional DCT-II, v counting vertical and u horizontal half waves. The coefficients
 * come by v + u, and of equal v + u by v, without c(0, 0); the first 64 of them give the bits from
 * the lowest on: 1 where the coefficient is above 0. */
#ifndef PF_COMMON_CACHE_PERCEPTUAL_HASH_H
#define PF_COMMON_CACHE_PERCEPTUAL_HASH_H

#include <stdint.h>

#define PF_PERCEPTUAL_HASH_BITS 64

/* The bits of odd u. */
#define PF_PERCEPTUAL_HASH_ODD_COLUMNS UINT64_C(0xaa955552aaa554a9)

/* The hash of the image mirrored left to right. 0, which stands for none, stays 0. */
static inline uint64_t pf_perceptual_hash_mirror(uint64_t hash)
{
    return hash ? hash ^ PF_PERCEPTUAL_HASH_ODD_COLUMNS : 0;
}

static inline int pf_perceptual_hash_distance(uint64_t a, uint64_t b)
{
    return __builtin_popcountll(a ^ b);
}

#endif

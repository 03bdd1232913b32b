/* Luminance of RGB pixels, in whole numbers. */
#ifndef PF_EXTRACT_IMAGE_LUMINANCE_H
#define PF_EXTRACT_IMAGE_LUMINANCE_H

#include <stdbool.h>
#include <stdint.h>

/* The same operations on wider vectors: every number is the same. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(PF_SANITIZED)
#define PF_IMAGE_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define PF_IMAGE_CLONES
#endif

/* pixels: (n, 3). 299 R + 587 G + 114 B of each is added to sums (n), or written there. 32 bits
 * hold the sum of 8,000 pixels. */
void pf_luminance_add(const uint8_t *pixels, int64_t n, bool is_first, int32_t *sums);

#endif

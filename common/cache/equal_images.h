/* Images of equal bytes: on both sides of a split, or under two labels, where they make a head
 * look better or worse than it is. */
#ifndef PF_COMMON_CACHE_EQUAL_IMAGES_H
#define PF_COMMON_CACHE_EQUAL_IMAGES_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* first: (count) for each row the first one of the same bytes, which may be itself, as it is of
 * rows whose digest is zeros. */
int pf_equal_images_find(const uint8_t (*digests)[PF_DIGEST_SIZE], int64_t count, uint32_t *first,
                         PfError *err);

/* The rows that no split may part: for each the first of the same group, or, of rows without one
 * (0), of the same bytes. */
int pf_equal_images_find_together(const uint8_t (*digests)[PF_DIGEST_SIZE], const uint64_t *groups,
                                  int64_t count, uint32_t *first, PfError *err);

typedef struct PfEqualImages {
    int64_t val_in_train, test_in_train, test_in_val; /* rows of the one that are in the other */
    int64_t two_labels; /* images, each counted once, that rows of different labels are of */
} PfEqualImages;

/* splits: (count) PfSplit, other numbers for rows that do not count; NULL: all are in train.
 * labels: (count), negative for rows without one; NULL: there are none. */
int pf_equal_images_count(const uint8_t (*digests)[PF_DIGEST_SIZE], const uint8_t *splits,
                          const int32_t *labels, int64_t count, PfEqualImages *out, PfError *err);

#define PF_EQUAL_IMAGES_TEXT 240
/* "12 images of val are also in train (equal bytes); 3 images stand under two labels", into text,
 * which is returned; "" where there are none. */
const char *pf_equal_images_text(const PfEqualImages *equal, char text[PF_EQUAL_IMAGES_TEXT]);
/* As the member "equal_images" of a result. */
void pf_equal_images_add(cJSON *json, const PfEqualImages *equal);

#endif

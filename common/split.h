/* Train, validation and test by hash of the path.
 *
 * An image's place depends on its relative path (or whatever key is given) and
 * hardly on its neighbours, so it stays where it is when images are added, the
 * folder moves or the order changes. */
#ifndef PF_SPLIT_H
#define PF_SPLIT_H

#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

/* keys: (count) relative paths. groups: (count) class indices, anything
 * negative is a class of its own; NULL where there are no classes. val, test:
 * wanted fractions, val + test < 1. Fills splits: (count) PfSplit.
 *
 * The hash in [0, 1) decides: below test, test; below test + val, val; else
 * train. Then, class by class, a wanted side that stayed empty is given the
 * image whose hash is nearest: train first, then val, then test, and a later
 * side gives its last image to an earlier one. So a class of one image is
 * trained on, one of two is trained on and validated. */
int pf_split_by_hash(const char *const *keys, const int32_t *groups, int64_t count, double val,
                     double test, uint8_t *splits, PfError *err);

#endif

/* Train, validation and test by hash: of an image's bytes, or of a group that it belongs to.
 *
 * An image's side depends on its key and hardly on its neighbours, so it stays where it is when
 * images are added, renamed or moved, and parts of a dataset agree without knowing each other. */
#ifndef PF_COMMON_CACHE_SPLIT_H
#define PF_COMMON_CACHE_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

extern const char *const pf_split_names[PF_SPLIT_COUNT]; /* "train", "val", "test" */

/* What decides the side of an image: its group (a hash, 0: none), else its bytes. Zeros, where
 * nobody knows them, give 0. */
uint64_t pf_split_key(const uint8_t digest[PF_DIGEST_SIZE], uint64_t group);
/* The hash that stands for a group's name; never 0. */
uint64_t pf_split_group(const char *name);

/* keys: (count) of the images; equal ones are on one side, whatever their classes are. classes:
 * (count) class indices, anything negative is a class of its own; NULL where there are none. val,
 * test: wanted fractions, val + test < 1. Fills splits: (count) PfSplit.
 *
 * The key as a number in [0, 1) decides: below test, test; below test + val, val; else train. With
 * `fill`, for which keys has to be of all images, a wanted side on which a class has none is then
 * given the nearest key of that class, as long as no other class loses its last one on an earlier
 * side by that: train first, then val, then test, and a later side gives its last key to an earlier
 * one. */
int pf_split_by_key(const uint64_t *keys, const int32_t *classes, int64_t count, double val,
                    double test, bool fill, uint8_t *splits, PfError *err);

/* In a cache's provenance: "content" or "group". A cache that does not say was made when sides were
 * drawn by paths, and keeps them. */
#define PF_SPLIT_BY_KEY "split_by"
/* Whether the provenance, JSON, does not say. */
bool pf_split_is_by_path(const char *provenance);

/* How sides were drawn before, and are in caches made then: by the hash of the path, image by
 * image. keys: (count) relative paths. groups: (count) class indices, anything
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
/* The same of the paths' hashes. */
int pf_split_by_path_hash(const uint64_t *hashes, const int32_t *groups, int64_t count, double val,
                          double test, uint8_t *splits, PfError *err);

/* By what the rows that train validates on are drawn, where its cache has none. */
typedef enum PfValKeys {
    PF_VAL_KEYS_FIND,   /* as pf_split_is_drawn says */
    PF_VAL_KEYS_FIRST,  /* the keys themselves */
    PF_VAL_KEYS_SECOND, /* pf_split_second_key of them */
} PfValKeys;
/* In a model's record, by PfValKeys; one without it was made when the first ones were all. */
extern const char *const pf_split_val_keys_names[];

/* Whether rows were held out by these keys, or hashes of paths: a test part that was drawn takes
 * the lowest ones, so that a second draw below a threshold finds none left. keys, splits: (count).
 * *is_drawn: there are held-out rows and rows of train, and all keys of those are below all keys of
 * these; or, as a class that would have had none was given one from further up, so many are below
 * that chance would not do it: Mann and Whitney's U (1947) is five standard deviations from its
 * mean. Equal keys of one side count once. */
int pf_split_is_drawn(const uint64_t *keys, const uint8_t *splits, int64_t count, bool *is_drawn,
                      PfError *err);
/* Uniform again among keys of any range; equal for equal keys. */
uint64_t pf_split_second_key(uint64_t key);

#endif

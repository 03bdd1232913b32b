/* Features in memory, their classes, and which rows belong to which split.
 *
 * Filled from a cache, or by hand (tests): everything after it works on plain
 * arrays and never sees HDF5. */
#ifndef PF_FEATURE_TABLE_H
#define PF_FEATURE_TABLE_H

#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfFeatureTable {
    int64_t rows, features;
    float *x;         /* (rows, features) row-major; maps are flattened; owned */
    int32_t *classes; /* (rows) class index, -1 unlabelled; owned */
    uint8_t *splits;  /* (rows) PfSplit; owned */
    int class_count;
    const char *const *class_names; /* (class_count) lent by the cache; NULL by hand */
    const char *const *paths;       /* (rows) lent by the cache; NULL where not read */

    /* Filled by pf_feature_table_index: the labelled rows of each split, ascending. */
    int32_t *split_rows[PF_SPLIT_COUNT]; /* owned */
    int64_t split_counts[PF_SPLIT_COUNT];
    double val;            /* fraction of the train rows that index moved to val; 0: none */
    int64_t unlabelled;    /* rows left out because they have no class */
    int untrained_classes; /* classes that have rows, but none in train */
} PfFeatureTable;

/* Room for rows x features; every row unlabelled and in train, x not set. */
int pf_feature_table_new(int64_t rows, int64_t features, int class_count, PfFeatureTable **out,
                         PfError *err);
void pf_feature_table_free(PfFeatureTable **table);

/* Makes the row lists from classes and splits. Where no labelled row is in val,
 * the fraction val of the train rows is moved there by hash of their paths,
 * class by class (split.h); val = 0 or no paths: there will be none. Fails where
 * nothing can be learned: no labels, no train rows, one class only. name: of the
 * cache, for messages. */
int pf_feature_table_index(PfFeatureTable *table, const char *name, double val, PfError *err);

#define PF_DEFAULT_VAL 0.2

typedef struct PfFeatureTableConfig {
    const char *tap;    /* NULL: the only one; of several the last with one axis */
    const char *target; /* NULL: the only class target */
    double val;         /* as pf_feature_table_index; negative: PF_DEFAULT_VAL; given (0 or more)
                           it is an error if the cache has a val part of its own */
    int threads;        /* 0 = all processors */
} PfFeatureTableConfig;

/* Which tap and target the config means. */
int pf_feature_table_choose(const PfCache *cache, const PfFeatureTableConfig *config, int *tap,
                            int *target, PfError *err);

/* Reads labels, splits and, where a val part has to be chosen, paths; indexes;
 * then reads the features and checks that all are finite. The cache must stay
 * open as long as the table is used. */
int pf_feature_table_load(PfCache *cache, int tap, int target, const PfFeatureTableConfig *config,
                          PfFeatureTable **out, PfError *err);

/* First row with a feature that is NaN or infinite, or -1. */
int64_t pf_feature_table_find_not_finite(const PfFeatureTable *table, int threads);

#endif

/* Features, what is to be learned of them, and which rows belong to which split.
 *
 * Filled from a cache, or by hand (tests): everything after it works on plain arrays and never
 * sees HDF5. Features that are too large for memory stay in the cache, and a batch loader
 * (batch_loader.h) fetches them. */
#ifndef PF_TRAIN_FEATURES_FEATURE_TABLE_H
#define PF_TRAIN_FEATURES_FEATURE_TABLE_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cache/equal_images.h"
#include "common/cache/split.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"
#include "train/features/task.h"

/* Time of the threads that read ahead, summed. */
typedef struct PfStreamSeconds {
    _Atomic int64_t read_nanoseconds, unpack_nanoseconds;
} PfStreamSeconds;

/* Where features are that are not in memory, and what is done to rows on their way. All lent. */
typedef struct PfFeatureStream {
    PfCache *cache;
    int tap;
    int views;                                /* of each row; 0 and 1: no axis of them */
    int64_t window_rows;                      /* of each of two windows */
    int threads;                              /* that decompress; 0 = all processors */
    const volatile sig_atomic_t *interrupted; /* nonzero ends a pass; may be NULL */
    const float *mean, *scale;                /* (features) x' = (x - mean) * scale; or NULL */
    bool l2;                                  /* each row to length 1 */
    int part, parts; /* of processes that train together, each of which looks through its rows */
    PfStreamSeconds *seconds; /* added to; may be NULL */
} PfFeatureStream;

typedef struct PfFeatureTable {
    int64_t rows, features;
    int views;           /* of each row, at least 1; the first is the centre, which rows are seen by
                            unless they are learned from */
    int drawn_views;     /* of these, training passes draw among the first so many */
    float *x;            /* (rows, views, features) row-major; maps are flattened; owned; NULL where
                            streamed */
    int64_t limit_bytes; /* what x might have taken (feature_memory.h); 0: filled by hand */
    PfFeatureStream *stream; /* owned; NULL where x holds them */
    uint8_t *splits;         /* (rows) PfSplit; owned */
    PfTask *tasks;           /* (task_count) owned */
    int task_count;
    const char *const *paths; /* (rows) lent by the cache; NULL where not read */
    uint64_t *keys;  /* (rows) what decides which rows are validated on (split.h); NULL: the paths
                        do; owned */
    bool has_groups; /* some keys are of groups */
    bool by_number;  /* all keys are the rows' numbers: the cache says nothing else of them */
    uint32_t *alike; /* (rows) the first row of the same group or bytes; NULL: all differ; owned */
    bool joins_val;  /* train and val rows will be dealt out anew: what is counted below takes them
                        for one part, train */
    PfEqualImages equal; /* of the rows that any task has something of, as the splits are */

    /* Filled by pf_feature_table_index: the rows of each split that any task has something
     * of, ascending. */
    int32_t *split_rows[PF_SPLIT_COUNT]; /* owned */
    int64_t split_counts[PF_SPLIT_COUNT];
    double val;                 /* fraction of the train rows that index moved to val; 0: none */
    PfValKeys val_keys;         /* by what; FIND: index finds out, where it draws */
    int64_t unlabelled;         /* rows left out because no task has anything of them */
    int untrained_classes;      /* classes, of all tasks, that have rows, but none in train */
    const char *untrained_name; /* of one of them, lent by its task; NULL: it has none */
} PfFeatureTable;

/* Room for rows x views x features and the tasks, which the caller still initialises
 * (pf_task_init); every row is in train, x not set. */
int pf_feature_table_new(int64_t rows, int views, int64_t features, int task_count,
                         PfFeatureTable **out, PfError *err);
/* The same with features that stay where they are. stream: copied. */
int pf_feature_table_new_streamed(const PfFeatureStream *stream, int task_count,
                                  PfFeatureTable **out, PfError *err);
void pf_feature_table_free(PfFeatureTable **table);

/* Makes the row lists from tasks and splits. Where no row that a task has is in val,
 * the fraction val of the train rows is moved there by their keys, or, where there are none,
 * by hash of their paths, class by class of the first task of classes; where test rows were drawn
 * by these already, by the second ones (split.h). val = 0, or neither keys nor paths: there will be
 * none. Fails where nothing can be learned: no labels, no
 * train rows, a task of one class only. name: of the cache, for messages. */
int pf_feature_table_index(PfFeatureTable *table, const char *name, double val, PfError *err);

/* Rows of the train and val parts become val where in_val[i], else train; rows: (count), as
 * the lists have them now. The lists are made anew. Fails as pf_feature_table_index does. */
int pf_feature_table_reassign(PfFeatureTable *table, const char *name, const int32_t *rows,
                              const uint8_t *in_val, int64_t count, PfError *err);

/* The first task of classes, or NULL. */
const PfTask *pf_feature_table_class_task(const PfFeatureTable *table);

#define PF_DEFAULT_VAL 0.2

typedef struct PfFeatureTableConfig {
    const char *targets; /* comma-separated; NULL: the only one, or the only one of classes */
    const char *const *target_names; /* (target_count) the same where they are known one by one;
                                        NULL: as targets says */
    int target_count;
    int views;            /* that training draws from, of those that the cache has; 0: all */
    double val;           /* as pf_feature_table_index; negative: PF_DEFAULT_VAL; given (0 or more)
                             it is an error if the cache has a val part of its own */
    bool joins_val;       /* as PfFeatureTable.joins_val */
    PfValKeys val_keys;   /* as a model that is there has them; 0: as pf_split_is_drawn says */
    int threads;          /* 0 = all processors */
    int64_t memory_bytes; /* that the features may take; 0: half of the machine's */
    int64_t batch_rows;   /* of the largest batch that will be asked for */
    int part, parts;      /* of processes that train together: this one's number, and how many */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
    PfStreamSeconds *stream_seconds;          /* where streamed: PfFeatureStream.seconds */
} PfFeatureTableConfig;

/* The tap of that name; NULL: the only one, or of several the last with one axis (that of views
 * not counted). */
int pf_feature_table_choose_tap(const PfCache *cache, const char *name, int *tap, PfError *err);

/* Whether the cache has those targets, comma-separated, each once. A list that is the name of a
 * target as a whole is that target. */
int pf_feature_table_check_targets(const PfCache *cache, const char *targets, PfError *err);

/* Reads the targets as tasks, the splits and, where a val part has to be chosen, the paths, and
 * indexes them; then, where there is memory enough, reads the features and checks that all are
 * finite. Where there is not, they are streamed, and pf_stream_normalize checks. The cache must
 * stay open as long as the table is used. */
int pf_feature_table_load(PfCache *cache, int tap, const PfFeatureTableConfig *config,
                          PfFeatureTable **out, PfError *err);

/* The same without the features, whose tap is any: which row is of which split, and the tasks. */
int pf_feature_table_load_rows(PfCache *cache, const PfFeatureTableConfig *config,
                               PfFeatureTable **out, PfError *err);

/* First row with a feature that is NaN or infinite, or -1. */
int64_t pf_feature_table_find_not_finite(const PfFeatureTable *table, int threads);

/* Whether any of count floats is NaN or infinite. */
int pf_feature_table_any_not_finite(const float *values, int64_t count);
/* Fails with what is wrong with the features of that row. */
int pf_feature_table_fail_not_finite(PfCache *cache, int tap, int64_t row, PfError *err);

#endif

/* The rows of a cache that are inspected: their features, labels, splits and names.
 *
 * Unlike what train reads (train/features), rows need no labels, and rows whose features are broken
 * are told apart instead of refused. Features that are too large for memory stay in the cache. */
#ifndef PF_INSPECT_ROWS_ROWS_H
#define PF_INSPECT_ROWS_ROWS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cache/image_file.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"

typedef struct PfRowsConfig {
    const char *tap;      /* NULL: the only one, or of several the last with one axis */
    const char *target;   /* of classes; NULL: the only one */
    int64_t memory_bytes; /* that the features may take; 0: half of the machine's */
    int threads;          /* 0 = all processors */
    const volatile sig_atomic_t *interrupted; /* may be NULL */
} PfRowsConfig;

typedef struct PfRows {
    PfCache *cache; /* lent */
    int tap;
    int views; /* of each image in the cache; the first is what is inspected */
    int64_t count, features;
    float *x;              /* (count, features), zeros where broken; owned; NULL: streamed */
    uint8_t *broken;       /* (count) 1: a feature is NaN or infinite; 2: all are zero; owned */
    int64_t broken_count;  /* rows with NaN or infinity */
    int64_t zero_count;    /* rows of zeros alone, which have no direction */
    double *mean, *spread; /* (features) mean and standard deviation over sound rows; owned */
    const char *target;    /* name; NULL: there are no classes. Lent by the cache */
    const char *const *classes; /* (class_count) names, lent by the cache */
    int class_count;
    int32_t *labels; /* (count) -1: none; NULL: no row has one; owned */
    uint8_t *splits; /* (count) PfSplit; owned */
    bool has_splits; /* not all are in one */
    uint32_t *alike; /* (count) of each the first of the same group or bytes; owned */
    PfImageFiles files;
    int64_t memory_bytes; /* that neighbours and the like may take beside the features */
    int threads;
    const volatile sig_atomic_t *interrupted;
} PfRows;

/* Reads them; the cache must stay open. Free with pf_rows_free, on failure too. */
int pf_rows_read(PfCache *cache, const PfRowsConfig *config, PfRows *out, PfError *err);
void pf_rows_free(PfRows *rows);

/* Rows [first, first + count) as they are, with zeros in the place of broken ones. out: (count,
 * features). From one thread at a time. */
int pf_rows_block(const PfRows *rows, int64_t first, int64_t count, float *out, PfError *err);
/* The same, each row scaled to length 1. */
int pf_rows_unit_block(const PfRows *rows, int64_t first, int64_t count, float *out, PfError *err);

/* The row's path, or what it is called whose cache has none. */
const char *pf_rows_name(const PfRows *rows, int64_t row, char name[PF_ROW_NAME_SIZE]);

/* Fails with PF_EXIT_INTERRUPTED once the user has asked for the end. */
int pf_rows_check_interrupt(const PfRows *rows, PfError *err);

#endif

/* How far an image's features lie from those that a head was trained on.
 *
 * A model keeps some train rows, evenly spread over them, each scaled to length 1 (of standardised
 * features after that), and the quantiles of the distances from train rows to the nearest of these
 * that is not itself or like it: what is usual. An image's novelty is the percentile of its own
 * distance among them, 0 to 100: of new images that are like the train rows, as many as P in a
 * hundred have one below P. (Nearest neighbours: Sun, Ming, Zhu, Li, ICML 2022; quantiles of rows
 * left out, as in conformal prediction.) */
#ifndef PF_TRAIN_HEAD_NOVELTY_H
#define PF_TRAIN_HEAD_NOVELTY_H

#include "common/model/model_file.h"
#include "common/thread/thread_pool.h"
#include "train/features/batch_loader.h"

/* So many rows are kept, and at most so many numbers (a megabyte). */
#define PF_NOVELTY_ROWS 512
#define PF_NOVELTY_NUMBERS ((int64_t)1 << 18)
/* Rows whose distances the quantiles are of, at most. */
#define PF_NOVELTY_MEASURED 4096
#define PF_NOVELTY_QUANTILES 101

typedef struct PfNovelty {
    int64_t rows, features;
    float *vectors;      /* (rows, features) owned */
    float *mean, *scale; /* (features) x' = (x - mean) * scale before all else; owned; or NULL */
    float quantiles[PF_NOVELTY_QUANTILES]; /* ascending distances */
} PfNovelty;

/* Fails (PF_EXIT_FAILED) where there are fewer than 20 rows, or so many features that so many rows
 * would not fit: for before the training. */
int pf_novelty_check(int64_t rows, int64_t features, PfError *err);

/* rows: (count) ascending, as the loader gives them, standardised by mean and scale (NULL: not).
 * alike: as in pf_row_choice_fold. Fails as pf_novelty_check does. The same for any
 * number of threads. Free with pf_novelty_free. */
int pf_novelty_measure(PfBatchLoader *loader, int64_t features, const int32_t *rows, int64_t count,
                       const uint32_t *alike, const float *mean, const float *scale,
                       PfThreadPool *pool, PfNovelty **out, PfError *err);
void pf_novelty_free(PfNovelty **novelty);

/* ---- in a model: tensors novelty.vectors, novelty.mean, novelty.scale, and "novelty" ---- */

#define PF_NOVELTY_TENSORS 3
/* Adds to tensors, which lend what the novelty holds; returns how many. */
size_t pf_novelty_tensors(const PfNovelty *novelty, PfNamedTensor tensors[PF_NOVELTY_TENSORS]);
cJSON *pf_novelty_json(const PfNovelty *novelty);
/* A model without it is refused with a hint (PF_EXIT_USAGE). */
int pf_novelty_read(const PfModel *model, int64_t features, PfNovelty **out, PfError *err);

/* x: (features), as the head takes them. room: (features) scratch. */
double pf_novelty_percentile(const PfNovelty *novelty, const float *x, float *room);

#endif

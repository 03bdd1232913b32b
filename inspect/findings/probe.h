/* Linear heads on the rows that are inspected: softmax regression to its optimum by train's L-BFGS,
 * on features of mean 0 and deviation 1. They say what features tell of classes: probabilities for
 * label errors, accuracies of few images, uncertainty. */
#ifndef PF_INSPECT_FINDINGS_PROBE_H
#define PF_INSPECT_FINDINGS_PROBE_H

#include "common/thread/thread_pool.h"
#include "inspect/rows/rows.h"
#include "permafrost/error.h"
#include "train/features/batch_loader.h"
#include "train/head/head_network.h"

typedef struct PfProbe {
    const PfRows *rows; /* lent */
    PfFeatureTable *table;
    PfThreadPool *pool;
    PfBatchLoader loader;
    float *mean, *scale; /* (features) */
} PfProbe;

/* Rows must have labels, of two classes at least. Takes as much memory again as the features, where
 * those are in memory. Free with pf_probe_free, on failure too. */
int pf_probe_new(const PfRows *rows, PfProbe *out, PfError *err);
void pf_probe_free(PfProbe *probe);

/* A head that has learned from these rows (ascending, sound, with labels). Free it with
 * pf_head_network_free. */
int pf_probe_fit(PfProbe *probe, const int32_t *rows, int64_t count, PfHeadNetwork **out,
                 PfError *err);
/* Probabilities of all classes for these rows (ascending): row i's go to
 * probabilities + rows[i] * classes. */
int pf_probe_predict(PfProbe *probe, PfHeadNetwork *network, const int32_t *rows, int64_t count,
                     float *probabilities, PfError *err);

/* The class of the highest probability; of equal ones the first. */
int32_t pf_probe_best(const float *probabilities, int classes);

/* The rows that keep(context, row) says, ascending; malloc'ed. */
int pf_probe_choose(const PfRows *rows, bool (*keep)(const void *context, int64_t row),
                    const void *context, int32_t **out, int64_t *count, PfError *err);

/* Whether a row is sound and has a label; context: the PfRows. */
bool pf_probe_is_labelled(const void *rows, int64_t row);

#endif

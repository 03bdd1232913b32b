/* Fine-tuning: a suffix of the network as the trunk in front of a head.
 *
 * Of several ranks each computes its part of every batch. Their features are gathered, so that all
 * have those of the whole batch: head, losses, metrics and whatever else goes by features are the
 * same computation everywhere, as in one process. Gradients of the suffix are summed
 * (permafrost/suffix.h), so that it stays the same, too. */
#ifndef PF_TRAIN_FINETUNE_FINETUNE_H
#define PF_TRAIN_FINETUNE_FINETUNE_H

#include "permafrost/suffix.h"
#include "train/features/batch_loader.h"
#include "train/finetune/finetune_network.h"
#include "train/finetune/suffix_loader.h"
#include "train/fit/head_batch.h"

typedef struct PfSuffixOptimizerConfig {
    PfOptimizerKind kind; /* not L-BFGS */
    int nesterov;
    double learning_rate, weight_decay, momentum; /* weight_decay: of tensors that decay */
    PfThreadPool *pool;                           /* NULL: the calling thread alone */
} PfSuffixOptimizerConfig;

typedef struct PfFinetune PfFinetune;

int pf_finetune_open(const PfCache *cache, const PfFinetuneOptions *options, PfFinetune **out,
                     PfError *err);
void pf_finetune_close(PfFinetune **finetune);

/* All lent until close. */
const PfFinetuneNetwork *pf_finetune_network(const PfFinetune *finetune);
const PfSuffixTensor *pf_finetune_tensors(const PfFinetune *finetune, size_t *count);
const PfSuffixSeconds *pf_finetune_seconds(const PfFinetune *finetune);
/* Of a row of what the head takes, and how many numbers that is. */
const PfShape *pf_finetune_shape(const PfFinetune *finetune);
int64_t pf_finetune_features(const PfFinetune *finetune);

/* The suffix as it was opened, and an optimiser without steps: *trunk is lent until the next
 * begin or close. */
int pf_finetune_begin(PfFinetune *finetune, const PfSuffixOptimizerConfig *config,
                      const PfTrunk **trunk, PfError *err);
/* The suffix becomes what it was when the trunk was last told to keep it. */
int pf_finetune_end(PfFinetune *finetune, PfError *err);

/* Of several ranks: fails unless all have the same weights, to the last bit. */
int pf_finetune_compare_ranks(PfFinetune *finetune, PfError *err);
/* From now on loaders compute all rows here: the other ranks are done. */
void pf_finetune_go_alone(PfFinetune *finetune);

/* Features of rows that `rows`, lent, has the maps of; of several ranks, which read, ask and end
 * together, each reads its part of them. */
int pf_finetune_loader(PfFinetune *finetune, PfBatchLoader *rows, PfBatchLoader *out, PfError *err);

#endif

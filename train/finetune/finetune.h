/* Fine-tuning: a suffix of the network as the trunk in front of a head. */
#ifndef PF_TRAIN_FINETUNE_FINETUNE_H
#define PF_TRAIN_FINETUNE_FINETUNE_H

#include "permafrost/suffix.h"
#include "train/features/batch_loader.h"
#include "train/finetune/finetune_network.h"
#include "train/fit/head_batch.h"

typedef struct PfSuffixOptimizerConfig {
    PfOptimizerKind kind; /* not L-BFGS */
    int nesterov;
    double learning_rate, weight_decay, momentum; /* weight_decay: of tensors that decay */
    PfThreadPool *pool;                           /* NULL: the calling thread alone */
} PfSuffixOptimizerConfig;

/* Where the time of a fine-tuning goes. */
typedef struct PfSuffixSeconds {
    double read; /* waiting for rows */
    double forward, backward, step;
    double evaluate; /* forward alone: validation, metrics */
} PfSuffixSeconds;

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

/* Features of rows that `rows`, lent, has the maps of. */
int pf_finetune_loader(PfFinetune *finetune, PfBatchLoader *rows, PfBatchLoader *out, PfError *err);

#endif

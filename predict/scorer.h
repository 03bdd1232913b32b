/* A model file's head, applied to features. */
#ifndef PF_SCORER_H
#define PF_SCORER_H

#include "model_file.h"
#include "permafrost/tensor.h"

typedef struct PfScorer {
    int64_t features;
    int class_count;
    const char **classes; /* (class_count) lent by the model; the array is owned */
    const char *tap;      /* lent by the model */
    int unit_length;      /* features are scaled to length 1 first (train --normalize l2) */
    struct PfHead *head;
    float *rows, *logits; /* scratch for one batch */
    int64_t capacity;     /* rows that fit */
} PfScorer;

/* The head of the model's first target. The model must stay open. */
int pf_scorer_new(const PfModel *model, PfScorer **out, PfError *err);
void pf_scorer_free(PfScorer **scorer);

/* features: (count, scorer->features) of a float dtype. *probabilities: (count,
 * class_count), lent until the next call. */
int pf_scorer_score(PfScorer *scorer, int64_t count, const void *features, PfDtype dtype,
                    const float **probabilities, PfError *err);

/* Indices of the k largest of (class_count) probabilities, largest first; equal
 * ones in class order. */
void pf_scorer_top(const PfScorer *scorer, const float *probabilities, int k, int *indices);

#endif

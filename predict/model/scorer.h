/* A model file's head, applied to features. */
#ifndef PF_PREDICT_MODEL_SCORER_H
#define PF_PREDICT_MODEL_SCORER_H

#include <stdbool.h>

#include "common/model/crop_geometry.h"
#include "common/model/model_file.h"
#include "permafrost/feature_cache.h"
#include "permafrost/tensor.h"
#include "train/head/head_network.h"
#include "train/head/novelty.h"

/* One of the things that the model predicts. */
typedef struct PfScorerTarget {
    const char *name; /* lent by the model */
    PfTargetKind kind;
    int outputs, first;   /* its columns are [first, first + outputs) */
    const char **classes; /* (outputs) of classes and labels, lent by the model, or by
                             class_text; the array is owned; NULL for numbers */
} PfScorerTarget;

typedef struct PfScorer {
    int64_t features;
    PfScorerTarget *targets; /* (target_count) owned */
    int target_count;
    int outputs;      /* of all targets */
    const char *tap;  /* lent by the model */
    bool unit_length; /* features are scaled to length 1 first (train --normalize l2) */
    PfHeadNetwork *network;
    PfHeadPass *pass; /* of `capacity` rows */
    char *class_text; /* of --class-map, which classes lie in; owned, or NULL */
    float *rows;
    bool keeps_logits;  /* for whoever evaluates */
    float *logits;      /* (capacity, outputs) of the last call, where they are kept: classes and
                           labels before they become probabilities; owned */
    PfNovelty *novelty; /* NULL: not asked for; owned */
    float *room;        /* (features) for it */
    int64_t capacity;
} PfScorer;

/* The model must stay open. */
int pf_scorer_new(const PfModel *model, PfScorer **out, PfError *err);
void pf_scorer_free(PfScorer **scorer);

/* features: (count, scorer->features) of a float dtype. *outputs: (count,
 * scorer->outputs), lent until the next call: probabilities of classes and labels, numbers
 * in the target's units, points in pixels of the crop. */
int pf_scorer_score(PfScorer *scorer, int64_t count, const void *features, PfDtype dtype,
                    const float **outputs, PfError *err);

/* Whether all features of row `index` of that call are finite. Of others the outputs say nothing.
 */
bool pf_scorer_is_finite(const PfScorer *scorer, int64_t index);

/* From now on rows have a novelty. Fails where the model has none. */
int pf_scorer_want_novelty(PfScorer *scorer, const PfModel *model, PfError *err);
/* Of row `index` of the last call of pf_scorer_score: 0 to 100; NaN where it is not wanted. */
double pf_scorer_novelty(const PfScorer *scorer, int64_t index);

/* One image's outputs, with points moved from its crop to the image; out: (outputs). */
void pf_scorer_to_image(const PfScorer *scorer, const PfCropFrame *frame, const float *outputs,
                        float *out);

/* Indices of the k largest of `count` probabilities, largest first; equal
 * ones in class order. k: from 1 to count. */
void pf_scorer_top(const float *probabilities, int count, int k, int *indices);

#endif

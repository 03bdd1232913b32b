/* The kinds of targets that a head can learn, one row each.
 *
 * To add a kind, write a row in target_kind.c with its functions, and its metrics if none of those
 * there are fit it (metrics.h); the cache has the word of a kind (pf_target_kind_name) and its
 * storage. Then name it in the losses that serve it (PF_LOSSES in loss.h). A row without a column
 * that it needs does not compile, or fails pf_target_kinds_check, which train begins with. */
#ifndef PF_TRAIN_FEATURES_TARGET_KIND_H
#define PF_TRAIN_FEATURES_TARGET_KIND_H

#include "common/model/crop_geometry.h"
#include "permafrost/feature_cache.h"
#include "train/kernels/loss.h"
#include "train/metrics/metrics.h"

typedef enum PfScoreKind {
    PF_SCORE_ACCURACY = 1, /* share of what is right: of classes, or of labels on their side */
    PF_SCORE_R2,           /* 1 - squared error / spread */
} PfScoreKind;

/* Where the truth of every row is read to. */
typedef struct PfTargetRows {
    int64_t rows;
    int outputs;
    int32_t *labels;     /* (rows) of kinds that have classes; else NULL */
    float *values;       /* (rows, outputs) of other kinds; else NULL */
    PfCropFrame *frames; /* (rows) where the image's crop lies, which read allocates for what is
                            learned in crop coordinates; else NULL */
} PfTargetRows;

typedef struct PfTargetTraits {
    const char *holds;   /* "classes", "numbers": what is said of it where a loss does not fit */
    PfLossKind loss;     /* where none is asked for */
    bool has_classes;    /* a row has the index of one output (PfTask.labels); else a value for each
                            output (PfTask.values) */
    bool is_scaled;      /* learned in units of its own spread (PfTask.center, .scale) */
    bool is_of_one_view; /* the truth is that of the first view of an image, not of others */
    PfScoreKind score;   /* what heads are ranked by */
    const char *score_name; /* of a single target: "accuracy", "score" */
    const PfMetrics *metrics;
    /* Columns of the head. */
    int (*outputs)(const PfCacheTarget *target);
    /* The cache's target `index`; what it allocates in rows belongs to the caller. */
    int (*read)(PfCache *cache, int index, PfTargetRows *rows, PfError *err);
    /* " with 3 classes", into text. */
    void (*describe)(int outputs, char *text, size_t size);
} PfTargetTraits;

const PfTargetTraits *pf_target_traits(PfTargetKind kind);

/* Whether each kind's row and each loss's is complete, and each kind's default loss serves it. */
int pf_target_kinds_check(PfError *err);

/* "classes or labels": what the targets hold that it serves, into text, which is returned. */
#define PF_TARGET_KINDS_SERVED_TEXT 64
const char *pf_target_kinds_served(PfLossKind loss, char text[PF_TARGET_KINDS_SERVED_TEXT]);
/* "mse or huber": the words of losses for that kind that are convex and have a curvature, into
 * text, which is returned. */
#define PF_TARGET_KIND_LOSSES_TEXT 128
const char *pf_target_kind_convex_losses(PfTargetKind kind, char text[PF_TARGET_KIND_LOSSES_TEXT]);

#endif

/* A task: one thing that a head is to predict, with its columns of the head's
 * output, its truth for every row, and its loss.
 *
 * What a row does not have (label -1, value NaN) counts in no loss and in no score. */
#ifndef PF_TRAIN_FEATURES_TASK_H
#define PF_TRAIN_FEATURES_TASK_H

#include <stdint.h>

#include "common/model/crop_geometry.h"
#include "permafrost/error.h"
#include "permafrost/feature_cache.h"
#include "train/kernels/loss.h"

typedef struct PfTask {
    const char *name; /* lent */
    PfTargetKind kind;
    PfLossKind loss;            /* one that serves the kind */
    double loss_parameter;      /* of numbers in units of the target's spread */
    double weight;              /* of this loss in the sum over tasks */
    int outputs;                /* columns: classes, labels or numbers */
    const char *const *classes; /* (outputs) names of classes or labels, lent; NULL for numbers */
    int64_t rows;
    int32_t *labels; /* (rows) class, -1 missing; NULL for other kinds; owned */
    float *values; /* (rows, outputs) labels 0/1 or numbers, NaN missing; NULL for classes; owned */
    float *class_weights; /* (outputs) of classes, or NULL: all 1; owned */
    /* Numbers are learned in units of their own spread: values = (y - center) / scale. */
    float *center, *scale; /* (outputs) NULL but for numbers; owned */
    PfCropFrame *frames;   /* (rows) of key points, which are learned in crop coordinates; owned */
} PfTask;

/* Every entry missing. Free what it holds with pf_task_free. */
int pf_task_init(PfTask *task, const char *name, PfTargetKind kind, int outputs, int64_t rows,
                 PfError *err);
void pf_task_free(PfTask *task);

/* Columns of the head's output: of all the tasks together. */
int64_t pf_task_outputs(const PfTask *tasks, int task_count);

/* How many classes it has, 0 of other kinds; and the row's, -1 where it has none. */
int pf_task_class_count(const PfTask *task);
int32_t pf_task_class(const PfTask *task, int64_t row);

/* Whether any entry of the row is there. */
bool pf_task_has(const PfTask *task, int64_t row);

/* Centers and scales numbers by mean and standard deviation of the rows given
 * (a column that does not vary keeps scale 1). Nothing for other kinds. */
int pf_task_standardize(PfTask *task, const int32_t *rows, int64_t count, PfError *err);

/* scikit-learn's "balanced": count / (classes * count of the class) over the rows given. */
int pf_task_balance(PfTask *task, const int32_t *rows, int64_t count, PfError *err);

/* Learned units back to the target's: outputs (n, outputs), `stride` apart, of table rows
 * rows[0..n), become y = value * scale + center, and of key points the image's pixels. Nothing for
 * classes and labels. */
void pf_task_to_target_units(const PfTask *task, const int32_t *rows, int64_t n, float *outputs,
                             int64_t stride);

/* ---- loss ---- */

/* Sums over rows. loss / weight is the mean loss. */
typedef struct PfTaskSum {
    double loss;
    double weight;  /* of the entries that are there: torch's denominators */
    double entries; /* how many there are */
    double right;   /* classes and labels: right ones; numbers: sum of squared errors */
} PfTaskSum;

/* What the mean loss over these rows divides by. */
double pf_task_weight(const PfTask *task, const int32_t *rows, int64_t n);

/* Truth of a batch's rows, side by side. Zero it; any number of gathers; then free. */
typedef struct PfTaskTruth {
    int64_t n;
    int32_t *labels; /* (n) */
    float *values;   /* (n, outputs) */
    size_t label_capacity, value_capacity;
} PfTaskTruth;

int pf_task_gather(const PfTask *task, const int32_t *rows, int64_t n, PfTaskTruth *truth,
                   PfError *err);
void pf_task_truth_free(PfTaskTruth *truth);

/* A task's columns of the outputs of several heads, for the rows of a truth. */
typedef struct PfTaskColumns {
    float *outputs;      /* of the first row and head */
    int64_t stride;      /* between rows */
    int64_t head_stride; /* between heads */
    int heads;
    const float *smoothing; /* (heads) label smoothing of classes, or NULL for none */
    const float *scale;     /* (heads) NULL: outputs stay; else they become scale * d (sum of
                               losses) / d output */
} PfTaskColumns;

/* Adds to sums[h * sum_stride] for every head. */
void pf_task_losses(const PfTask *task, const PfTaskTruth *truth, const PfTaskColumns *columns,
                    PfTaskSum *sums, int64_t sum_stride);

/* One number for how good a head is, higher is better, at most 1: accuracy of
 * classes and labels, R2 of numbers (1 - squared error / spread), as scikit-learn's score().
 * spread: sum of squared deviations from the mean over the rows that sum was taken of. */
double pf_task_score(const PfTask *task, const PfTaskSum *sum, double spread);
/* Loss and score of several tasks as one: the weighted sum of the mean losses, and the mean
 * of the scores there are (NaN where there is none). sums, spreads: (task_count). */
void pf_task_sums_finish(const PfTask *tasks, int task_count, const PfTaskSum *sums,
                         const double *spreads, double *loss, double *score);
/* That spread, over the entries that are there. */
double pf_task_spread(const PfTask *task, const int32_t *rows, int64_t count);

#endif

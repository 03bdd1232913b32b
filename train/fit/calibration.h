/* Temperature scaling (Guo, Pleiss, Sun, Weinberger, ICML 2017): logits of classes and labels are
 * divided by one number, which makes the log loss on rows that the head was not fitted to least.
 * The labels that are predicted stay the same; how sure they are told to be changes.
 *
 * The number goes into the last layer's weights and biases, so that whatever uses the head is
 * calibrated. */
#ifndef PF_TRAIN_FIT_CALIBRATION_H
#define PF_TRAIN_FIT_CALIBRATION_H

#include <stdbool.h>

#include "train/fit/head_trainer.h"

/* Of one task, over the rows that were added. */
typedef struct PfCalibrationTask {
    float *logits;   /* (rows, outputs) owned */
    int32_t *labels; /* (rows) of classes; owned; else NULL */
    float *values;   /* (rows, outputs) of labels; owned; else NULL */
    int64_t rows;
    double temperature; /* 1: nothing to calibrate */
    bool is_open;       /* all rows are right: the surer the better, and no temperature is best */
    double loss_before, loss_after, error_before, error_after; /* mean log loss; ECE (15 bins) */
} PfCalibrationTask;

typedef struct PfCalibration {
    int task_count;
    PfCalibrationTask *tasks; /* (task_count) owned */
    int64_t rows;             /* that chose */
    int folds;                /* whose heads said it out of fold; 0: the val rows did */
} PfCalibration;

/* Fails (PF_EXIT_USAGE) where no task is of classes or labels: for before the training. */
int pf_calibration_check(const PfTask *tasks, int task_count, PfError *err);

/* Fails as pf_calibration_check does. Free with pf_calibration_free. */
int pf_calibration_new(const PfTask *tasks, int task_count, PfCalibration **out, PfError *err);
void pf_calibration_free(PfCalibration **calibration);

/* The network's logits of the rows. network: one head. */
int pf_calibration_add(PfCalibration *calibration, PfHeadNetwork *network,
                       const PfTrainingData *data, const int32_t *rows, int64_t count,
                       PfThreadPool *pool, PfError *err);
/* Finds the temperatures: the same ones for any number of threads. pool: NULL for one. */
int pf_calibration_fit(PfCalibration *calibration, const PfTask *tasks, PfThreadPool *pool,
                       PfError *err);
/* Divides the last layer of a head by them. */
void pf_calibration_apply(const PfCalibration *calibration, const PfTask *tasks,
                          PfHeadNetwork *network);

#endif

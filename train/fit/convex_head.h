/* Linear heads trained to the optimum by L-BFGS: logistic and softmax regression,
 * ridge regression, and what Huber's loss makes of it.
 *
 * The objective is
 *     sum over tasks of weight * mean loss  +  weight_decay / 2 * |W|^2
 * over all train rows, biases free. scikit-learn's LogisticRegression(C) is
 * weight_decay = 1 / (C n), its Ridge(alpha) weight_decay = 2 alpha / n. Where the configuration
 * has decays of its tasks, each task's columns of W have their own. */
#ifndef PF_TRAIN_FIT_CONVEX_HEAD_H
#define PF_TRAIN_FIT_CONVEX_HEAD_H

#include "train/fit/head_trainer.h"

/* Whether these losses, on such a head, have one optimum that can be found; else an error
 * with a hint. */
int pf_convex_head_check(const PfTask *tasks, int task_count, const PfHeadSpec *spec, PfError *err);

/* As pf_head_trainer_run, one head after the other; config->epochs bounds the iterations. Of the
 * settings weight_decay and label_smoothing count. A history has one entry, its epoch the number of
 * iterations. */
int pf_convex_head_train(const PfTrainingData *data, const PfHeadBatchConfig *config,
                         const PfHeadBatchObserver *observer, PfHeadBatchResult *out, PfError *err);

#endif

/* What TensorBoard shows of a run: --tensorboard. */
#ifndef PF_TRAIN_REPORT_TENSORBOARD_H
#define PF_TRAIN_REPORT_TENSORBOARD_H

#include "train/report/result.h"

/* Whether the folder can be made and written to, found out before the training. */
int pf_tensorboard_check(const char *folder, PfError *err);

/* Into options->tensorboard:
 *   best/         the winner's scalars of each epoch, its metrics, its confusion matrix as an
 * image, and up to PF_TENSORBOARD_ROWS rows of features for the projector head-NNN/     of a sweep,
 * each head's settings (hparams) and what came of them */
#define PF_TENSORBOARD_ROWS 10000
int pf_tensorboard_write(const PfTrainOptions *options, const PfTrainRun *run, PfError *err);

#endif

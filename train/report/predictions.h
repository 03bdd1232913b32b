/* --predictions FILE: a line for every val and test row, or, with folds, for every row by the head
 * that has not seen it. */
#ifndef PF_TRAIN_REPORT_PREDICTIONS_H
#define PF_TRAIN_REPORT_PREDICTIONS_H

#include "train/features/feature_table.h"
#include "train/fit/evaluation.h"
#include "train/settings/options.h"

/* path,split[,fold] and for each target
 *
 *     classes   true,predicted,probability
 *     labels    true,predicted             "indoor;people"
 *     numbers   true,predicted             of several true_0,predicted_0,true_1, ...
 *     points    true_x0,predicted_x0,true_y0, ...   pixels of the whole image
 *
 * of several targets with the name in front: "age_true". */
typedef struct PfPredictionsFile PfPredictionsFile;

/* Begins the file of options->predictions, which nobody sees before commit; "-" is stdout. Both
 * are lent until the end. */
int pf_predictions_open(const PfTrainOptions *options, PfCache *cache, PfPredictionsFile **out,
                        PfError *err);

/* Which rows the sink writes from now on. tasks: (count) what the outputs are of, lent. fold: -1:
 * of none. */
void pf_predictions_begin_part(PfPredictionsFile *file, const PfTask *tasks, int count,
                               PfSplit split, int fold);
/* Gives an evaluation the means to write its rows. */
PfEvaluationSink pf_predictions_sink(PfPredictionsFile *file);

/* Both free. */
int pf_predictions_commit(PfPredictionsFile **file, PfError *err);
void pf_predictions_abandon(PfPredictionsFile **file);

#endif

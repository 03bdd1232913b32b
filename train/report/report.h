/* What train says of what it does, for people, on stderr; what came out is in result_tables.h. */
#ifndef PF_TRAIN_REPORT_REPORT_H
#define PF_TRAIN_REPORT_REPORT_H

#include "common/base/log.h"
#include "train/report/result.h"

/* While the training runs: of a single head a table of epochs of at most about
 * twenty lines, however many there are; of many a bar. */
typedef struct PfTrainingLines {
    const PfTrainOptions *options;
    int epochs; /* of the single head; 0 where there are many, or L-BFGS */
    int heads;
    PfProgress progress;
} PfTrainingLines;

/* What is going to be trained on what, once the first features are loaded. */
void pf_report_plan(const PfCache *cache, const PfTrainOptions *options, const PfSweep *sweep,
                    const PfFeatureTable *table);

void pf_training_lines_start(PfTrainingLines *lines, const PfTrainOptions *options,
                             const PfSweep *sweep, const PfFeatureTable *table);
/* done: heads, or of one head its steps; of total. */
void pf_training_lines_step(PfTrainingLines *lines, int64_t done, int64_t total);
void pf_training_lines_epoch(PfTrainingLines *lines, const PfHeadEpoch *epoch);
void pf_training_lines_end(PfTrainingLines *lines);
/* Below the table: the epoch that was best in the end, and is kept. */
void pf_training_lines_best(const PfTrainingLines *lines, const PfTrainRun *run);

/* What a search chose, by which rows, and how flat its optimum is. */
void pf_report_search(const PfTrainRun *run);
/* What calibrating changed, and the rows that were asked. */
void pf_report_calibration(const PfTrainRun *run);
/* Warns of targets that the head knows no better than their mean or largest class does. */
void pf_report_baseline(const PfTrainRun *run);
/* The last line: how good, which epoch, where the time went, the model's path (or NULL). */
void pf_report_end(const PfTrainRun *run, const char *model_path);

#endif

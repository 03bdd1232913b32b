/* What train says: lines for people on stderr, and the result as JSON. */
#ifndef PF_REPORT_H
#define PF_REPORT_H

#include <cjson/cJSON.h>

#include "head_trainer.h"
#include "progress.h"
#include "train_run.h"

/* The table of epochs while the training runs: at most about twenty lines,
 * whatever the number of epochs, and a bar on a terminal. */
typedef struct PfEpochTable {
    int epochs;
    PfProgress progress;
} PfEpochTable;

void pf_epoch_table_start(PfEpochTable *table, int epochs, int64_t steps);
void pf_epoch_table_step(PfEpochTable *table, int64_t done);
void pf_epoch_table_add(PfEpochTable *table, const PfEpochStats *stats);
void pf_epoch_table_end(PfEpochTable *table);

/* What is going to be trained on what; before the training. */
void pf_report_plan(const PfTrainRun *run);
/* Splits, classes, confusion matrix; the per-class part is of test where there
 * is one, else of val. */
void pf_report_summary(const PfTrainRun *run);
/* The last line: accuracy, best epoch, where the time went, the model's path (or NULL). */
void pf_report_end(const PfTrainRun *run, const char *model_path);

/* The result as docs/train.md describes it; NULL where memory is short. Free
 * with cJSON_Delete. */
cJSON *pf_report_json(const PfTrainRun *run);
/* The settings that the result came from, as "config" in the result JSON and in
 * the model's metadata. */
cJSON *pf_report_config(const PfTrainRun *run);
/* Loss, accuracy and macro averages of a split. */
cJSON *pf_report_metrics(const PfMetrics *metrics);

#endif

/* The result of a run as JSON, and every head of it as a line of comma-separated values:
 * docs/train.md describes them. */
#ifndef PF_TRAIN_RESULT_H
#define PF_TRAIN_RESULT_H

#include <cjson/cJSON.h>

#include "train/train_run.h"

/* NULL where memory is short. Free with cJSON_Delete. */
cJSON *pf_result_json(const PfTrainRun *run);
/* The winner's settings: "config" in the result and in the model's metadata. */
cJSON *pf_result_config(const PfTrainRun *run);
/* A split's numbers, of several targets by name. */
cJSON *pf_result_split(const PfTrainRun *run, PfSplit split, bool with_details);

/* malloc'ed text: a header, then a line a head. NULL where memory is short. */
char *pf_result_csv(const PfTrainRun *run);

#endif

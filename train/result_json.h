/* The result of a run as JSON: docs/train.md describes it. */
#ifndef PF_RESULT_JSON_H
#define PF_RESULT_JSON_H

#include <cjson/cJSON.h>

#include "train_run.h"

/* NULL where memory is short. Free with cJSON_Delete. */
cJSON *pf_result_json(const PfTrainRun *run);
/* The winner's settings: "config" in the result and in the model's metadata. */
cJSON *pf_result_config(const PfTrainRun *run);
/* A split's numbers, of several targets by name. */
cJSON *pf_result_split(const PfTrainRun *run, PfSplit split, int with_details);

#endif

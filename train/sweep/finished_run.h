/* Whether a run of train has been done already, by what its model says of itself: then there is
 * nothing to do. */
#ifndef PF_TRAIN_SWEEP_FINISHED_RUN_H
#define PF_TRAIN_SWEEP_FINISHED_RUN_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "permafrost/feature_cache.h"
#include "train/settings/options.h"

/* What makes a run the same one: {"cache": its seal, "options": what the command line says of the
 * training, "files": size and date of the files that options name, "permafrost": the version}. It
 * goes into the model's metadata as "run". NULL of a cache without a seal, whose content nothing
 * names, and where memory is short. The caller deletes it. */
cJSON *pf_finished_run_record(const PfTrainOptions *options, const PfCache *cache);

/* {"csv": "SIZE DATE", "predictions": ...}: what those files are now, which are written before the
 * model. It goes into the metadata as "tables". The caller deletes it. */
cJSON *pf_finished_run_tables(const PfTrainOptions *options);

/* Its name in the result JSON: the first 16 hex digits of the SHA-256 of the record. */
#define PF_FINISHED_RUN_NAME_SIZE 17
void pf_finished_run_name(const cJSON *record, char name[PF_FINISHED_RUN_NAME_SIZE]);

/* *is_finished: the model at -o is of this run, what --json names is its result, which meets every
 * --assert, what --csv and --predictions name was written with it, and nothing else is asked for; a
 * line says so. Where something of that is not there, a line says what. Where the model is of
 * another run of the same cache, a line says in which options they differ. Nothing is written.
 * Fails as an assertion does. */
int pf_finished_run_look(const PfTrainOptions *options, const PfCache *cache, bool *is_finished,
                         PfError *err);

#endif

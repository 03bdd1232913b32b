/* How a model came about, which train notes in its metadata as "made":
 *
 *   {"date": "2026-01-31T12:00:00Z", "permafrost": "0.1.0", "command": "train photos.h5 ...",
 *    "cache": {"path": absolute, "rows", "seal": 32 hex digits where it has one,
 *              "date", "permafrost", "command", "dataset", "runtime" where the cache says so}}
 *
 * Models of before have none of it. The date is SOURCE_DATE_EPOCH's, where that is set
 * (reproducible-builds.org), so that the same command makes the same file again. */
#ifndef PF_COMMON_MODEL_MODEL_RECORD_H
#define PF_COMMON_MODEL_MODEL_RECORD_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "permafrost/error.h"

#define PF_MODEL_RECORD_KEY "made"

/* All lent. */
typedef struct PfModelRecord {
    const char *command;    /* that train was called by */
    const char *cache_path; /* absolute */
    const uint8_t *seal;    /* (16) the cache's pf_cache_content, or NULL */
    int64_t rows;
    const char *provenance; /* of the cache, JSON */
} PfModelRecord;

/* Before the work whose record will be wanted: whether SOURCE_DATE_EPOCH is a number (else
 * PF_EXIT_USAGE). */
int pf_model_record_check(PfError *err);

/* NULL, and err filled, where SOURCE_DATE_EPOCH is no number. Free with cJSON_Delete. */
cJSON *pf_model_record_new(const PfModelRecord *record, PfError *err);

#endif

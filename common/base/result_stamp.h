/* What every result as JSON says first: of which form it is, when and by which command it came
 * about, and by which versions. docs/schema describes the forms. */
#ifndef PF_COMMON_BASE_RESULT_STAMP_H
#define PF_COMMON_BASE_RESULT_STAMP_H

#include <cjson/cJSON.h>

#include "permafrost/error.h"

/* Grows with every change that a reader would stumble over: a member that is gone, or means
 * something else. New members do not count. */
#define PF_RESULT_SCHEMA_VERSION 1

/* "schema_version", "created" (UTC), "command" as a shell takes it, and "versions": {"permafrost",
 * "runtime": what ran the network, unless it is NULL}. Adds nothing where memory is short, which
 * pf_json_finish() tells. */
void pf_result_stamp_add(cJSON *json, int argc, char **argv, const char *runtime);

/* The words of a command line as a shell takes them, addresses without what may be a secret;
 * malloc'ed, or NULL where memory is short. */
char *pf_result_stamp_command(int argc, char **argv);

#endif

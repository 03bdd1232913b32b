/* Conditions on the result JSON: "val.accuracy>=0.95". */
#ifndef PF_TRAIN_METRICS_ASSERTION_H
#define PF_TRAIN_METRICS_ASSERTION_H

#include <cjson/cJSON.h>

#include "permafrost/error.h"

typedef struct PfAssertion {
    const char *text;   /* as given; lent */
    char path[64];      /* "val.accuracy", "epochs.0.val_loss" */
    char comparison[3]; /* ">=", "<=", ">", "<", "==" */
    double bound;
} PfAssertion;

/* Usage error where text is not PATH, comparison, number. */
int pf_assertion_parse(const char *text, PfAssertion *out, PfError *err);

/* Fails with PF_EXIT_ASSERT where the condition does not hold; as a usage error, with the keys
 * there are, where the result has no number at its path. */
int pf_assertion_check(const PfAssertion *assertion, const cJSON *result, PfError *err);

#endif

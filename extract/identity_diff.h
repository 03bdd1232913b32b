/* Where two identities differ, in words. */
#ifndef PF_IDENTITY_DIFF_H
#define PF_IDENTITY_DIFF_H

#include <cjson/cJSON.h>

#include "permafrost/error.h"

/* Compares two objects, either of which may be NULL, and members that are objects member by
 * member; "taps" of the outermost is left out. The number of differences, -1 on failure.
 * *notes, to be freed: a line for each, "\n  preprocess.crop: LEFT 224, RIGHT 192". */
int pf_identity_diff(const cJSON *left, const char *left_has, const cJSON *right,
                     const char *right_has, char **notes, PfError *err);

#endif

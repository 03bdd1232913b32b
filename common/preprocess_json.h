/* Preprocessing as JSON, in cache identities and model files. */
#ifndef PF_PREPROCESS_JSON_H
#define PF_PREPROCESS_JSON_H

#include <cjson/cJSON.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"

/* No image is resized or cropped to more pixels a side. */
#define PF_SIDE_MAX 16384

/* {"resize", "crop", "squash", "interpolation", "mean", "std"}, and "fast_decode" where it is on:
 * what was made before there was such a thing is exact. The caller's. */
cJSON *pf_preprocess_to_json(const PfPreprocess *preprocess);
/* The reverse; object may be NULL, which fails. */
int pf_preprocess_from_json(const cJSON *object, PfPreprocess *out, PfError *err);

const char *pf_interpolation_name(PfInterpolation interpolation);

#endif

/* Preprocessing as JSON, in cache identities and model files. */
#ifndef PF_COMMON_MODEL_PREPROCESS_JSON_H
#define PF_COMMON_MODEL_PREPROCESS_JSON_H

#include <cjson/cJSON.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"

/* No image is resized or cropped to more pixels a side. */
#define PF_SIDE_MAX 16384

/* {"resize", "crop", "squash", "interpolation", "mean", "std"}, and what came later where it is not
 * what was done before it existed: "fast_decode", true; "exif", "apply"; "resize_order",
 * "pillow13"; "keep_truncated", true; "background", [R, G, B]. The caller's. */
cJSON *pf_preprocess_json_new(const PfPreprocess *preprocess);
/* The reverse; object may be NULL, which fails. */
int pf_preprocess_json_read(const cJSON *object, PfPreprocess *out, PfError *err);

/* Sets exif and resize_order alone: ignored and Pillow 12's where object (may be NULL) does not
 * say. Fails where it says something unheard of. */
int pf_preprocess_json_read_later(const cJSON *object, PfPreprocess *out, PfError *err);

const char *pf_preprocess_json_interpolation_name(PfInterpolation interpolation);
const char *pf_preprocess_json_resize_order_name(PfResizeOrder order); /* "pillow12", "pillow13" */

#endif

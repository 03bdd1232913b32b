/* What a model is, and whether its file is whole. */
#ifndef PF_PREDICT_INFO_H
#define PF_PREDICT_INFO_H

#include "permafrost/error.h"

/* Prints on stdout what the model file says of itself: for people, or its metadata as JSON with
 * "file": {"path", "bytes", "tensors", "numbers"}. */
int pf_info_print(const char *path, const char *json, PfError *err);

/* Says on stdout that the file is whole, or fails: that it opens, that shapes and extents of its
 * tensors fit, that all numbers are finite, and its digest, where it has one. */
int pf_info_verify(const char *path, PfError *err);

#endif

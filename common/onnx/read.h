/* The bytes of an ONNX file, read into a model. */
#ifndef PF_COMMON_ONNX_READ_H
#define PF_COMMON_ONNX_READ_H

#include "common/onnx/model.h"

/* Reads the message of (size) bytes, which are lent. folder: descriptor of its folder, lent, or -1
 * where external data is refused. Free with pf_onnx_model_free. */
int pf_onnx_model_new(const char *path, const void *bytes, size_t size, int folder,
                      PfOnnxModel **out, PfError *err);

#endif

/* Writing .safetensors files: the header, then the tensors' bytes.
 * Reading them is pf_weights_open (weights.h). */
#ifndef PF_COMMON_WEIGHTS_SAFETENSORS_H
#define PF_COMMON_WEIGHTS_SAFETENSORS_H

#include <stddef.h>

#include "permafrost/error.h"
#include "permafrost/tensor.h"

/* Writes `tensors` in the order given, with distinct names, and the pairs
 * keys[i] -> values[i] as the file's metadata. The whole file or none: it is
 * written beside path and renamed. */
int pf_safetensors_write(const char *path, const PfNamedTensor *tensors, size_t tensor_count,
                         const char *const *keys, const char *const *values, size_t pair_count,
                         PfError *err);

#endif

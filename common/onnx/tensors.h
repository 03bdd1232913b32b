/* Tensors as a model holds them: bytes, lists of numbers, or another file. */
#ifndef PF_COMMON_ONNX_TENSORS_H
#define PF_COMMON_ONNX_TENSORS_H

#include "common/onnx/reader.h"

/* Takes a TensorProto. Its numbers are lent from the message or the model. */
int pf_onnx_take_tensor(PfOnnxReader *reader, PfWire wire, PfOnnxTensor *tensor, const char **name);
/* ONNX's name of a type of numbers: "float16", or "unknown". */
const char *pf_onnx_type_name(uint64_t type);

#endif

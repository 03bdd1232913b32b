/* Numbers of tensors that lie in files beside the model. */
#ifndef PF_COMMON_ONNX_EXTERNAL_H
#define PF_COMMON_ONNX_EXTERNAL_H

#include "common/onnx/reader.h"

/* Where the numbers of a tensor lie, as its entries say. */
typedef struct PfOnnxPlace {
    const char *tensor;   /* its name, for messages */
    const char *location; /* NULL: not said */
    uint64_t offset, length;
    bool has_length;
} PfOnnxPlace;

/* Takes one entry of a tensor's external_data. */
int pf_onnx_take_entry(PfOnnxReader *reader, PfWire wire, PfOnnxPlace *place);

/* Points the tensor to its `bytes` bytes there. A file is opened when it is named first. */
int pf_onnx_place_external(PfOnnxReader *reader, const PfOnnxPlace *place, size_t bytes,
                           PfOnnxTensor *tensor);

#endif

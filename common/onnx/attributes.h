/* The attributes of nodes. */
#ifndef PF_COMMON_ONNX_ATTRIBUTES_H
#define PF_COMMON_ONNX_ATTRIBUTES_H

#include "common/onnx/reader.h"

/* Takes an AttributeProto. One that refers to an attribute of a function's call which that does not
 * have is_absent. */
int pf_onnx_take_attribute(PfOnnxReader *reader, PfWire wire, PfOnnxSetting *setting);

#endif

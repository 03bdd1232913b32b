/* What a graph declares: its inputs, of which one is the image, and its outputs. */
#ifndef PF_COMMON_ONNX_DECLARED_H
#define PF_COMMON_ONNX_DECLARED_H

#include "common/onnx/reader.h"

/* Takes a ValueInfoProto. Initialisers have been read: an input that is one of them is its default,
 * which is what is used. */
int pf_onnx_take_input(PfOnnxReader *reader, PfWire wire);
/* The same of an output, for which there is room. Nodes have been read. */
int pf_onnx_take_output(PfOnnxReader *reader, PfWire wire);

#endif

/* Resize: which numbers of an axis make which of another size, and with which weights. */
#ifndef PF_COMMON_ONNX_RESIZE_H
#define PF_COMMON_ONNX_RESIZE_H

#include "common/onnx/folding.h"

typedef struct PfOnnxResize {
    PfOnnxDims out;
    double scales[PF_ONNX_MAX_RANK]; /* of each axis; where sizes are said, they say it */
} PfOnnxResize;

/* What the step makes of a shape. Its sizes or scales must be constants. */
int pf_onnx_resized(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                    PfOnnxResize *resize, PfError *err);
/* Whether it changes that axis. */
bool pf_onnx_resizes(const PfOnnxResize *resize, const PfOnnxDims *in, int axis);
/* The weights of an axis: (out, in), or (in, out) with is_turned. Lent from the model. */
PfOnnxTensor *pf_onnx_resize_weights(PfOnnxModel *model, const PfOnnxStep *step,
                                     const PfOnnxResize *resize, const PfOnnxDims *in, int axis,
                                     bool is_turned, PfError *err);

/* Of a constant: for the table of folds. */
int pf_onnx_fold_resize(PfOnnxFold *fold);

#endif

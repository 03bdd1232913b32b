/* Constants, and what is computed from nothing but constants and shapes: the sizes that Reshape,
 * Slice and Expand take, and rearranged weights. */
#ifndef PF_COMMON_ONNX_FOLD_H
#define PF_COMMON_ONNX_FOLD_H

#include "common/onnx/constants.h"

/* Where the step's output is known, makes it a constant, and the step gone. */
int pf_onnx_fold(PfOnnxModel *model, PfOnnxStep *step, PfError *err);

/* Whether there are steps of that type that can be. */
bool pf_onnx_knows_fold(const char *type);

/* ---- for those that fold and those that translate ---- */

/* An axis counted from the end where it is below 0. Fails unless it is one of `rank`. */
int pf_onnx_axis(const PfOnnxModel *model, const PfOnnxStep *step, int64_t axis, int rank, int *out,
                 PfError *err);

/* A list of integers: the attribute of that name, or else the constant input of that index. *count
 * -1 where there is neither. out has PF_ONNX_MAX_RANK entries. */
int pf_onnx_list(const PfOnnxModel *model, const PfOnnxStep *step, const char *name, int input,
                 int64_t *out, int *count, PfError *err);

/* The constant that an input is; NULL where it is none, or left out. */
const PfOnnxTensor *pf_onnx_constant(const PfOnnxModel *model, const PfOnnxStep *step, int input);

/* The shape that numpy broadcasts two to. */
int pf_onnx_broadcast(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *a,
                      const PfOnnxDims *b, PfOnnxDims *out, PfError *err);

/* What Reshape, Flatten, Squeeze, Unsqueeze, Transpose and Slice make of a shape. */
int pf_onnx_reshaped(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                     PfOnnxDims *out, PfError *err);
int pf_onnx_transposed(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                       int axes[PF_ONNX_MAX_RANK], PfOnnxDims *out, PfError *err);

/* Slices of one axis each: count numbers from start on, every step-th, or backwards. */
typedef struct PfOnnxCut {
    int axis;
    int64_t start, count, step;
} PfOnnxCut;
int pf_onnx_cuts(const PfOnnxModel *model, const PfOnnxStep *step, const PfOnnxDims *in,
                 PfOnnxCut cuts[PF_ONNX_MAX_RANK], int *count, PfError *err);

/* Whether pf_onnx_reshaped knows the step. */
bool pf_onnx_is_reshape(const PfOnnxStep *step);

#endif

/* Where the numbers of a value come from, if reshapes, permutes, slices and a factor have done no
 * more than arrange and scale what an earlier node has. */
#ifndef PF_COMMON_ONNX_VIEWS_H
#define PF_COMMON_ONNX_VIEWS_H

#include "common/onnx/build.h"

#define PF_ONNX_MAX_STRIDES 16

/* A run of places `stride` numbers apart. */
typedef struct PfOnnxStride {
    int64_t size, stride;
    int axis; /* of the view: whose index this is a part of */
} PfOnnxStride;

/* An array as (factor times) numbers of a node: the one at (i, j, ...) lies at `offset` plus, for
 * each part of an index, that times its stride. Parts stand from the first axis to the last. */
typedef struct PfOnnxView {
    int node;
    int64_t offset;
    PfOnnxStride strides[PF_ONNX_MAX_STRIDES];
    int count;
    double factor;
} PfOnnxView;

/* The node's value itself. */
PfOnnxView pf_onnx_view(const PfOnnxBuild *build, int node);

/* Replaces the view by one of the node's input: 1. 0 where the node computes something, or where
 * strides cannot say it; the view is unchanged then. */
int pf_onnx_view_through(const PfOnnxBuild *build, PfOnnxView *view);

/* The one stride of that axis of the view, if it has but one; 0 for an axis of one place; else -1.
 */
int64_t pf_onnx_view_stride(const PfOnnxView *view, int axis);

#endif

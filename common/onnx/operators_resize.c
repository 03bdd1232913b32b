/* Other sizes of maps: see build.h. */
#include "common/onnx/build.h"
#include "common/onnx/resize.h"

/* Rows and columns are resized by a product with the weights of each. */
static int translate_resize(PfOnnxBuild *build)
{
    PfOnnxModel *model = build->model;
    PfOnnxResize resize;
    PfOnnxDims dims;
    int node, weights;
    if (pf_onnx_take(build, 0, &node, &dims) ||
        pf_onnx_resized(model, build->step, &dims, &resize, build->err))
        return -1;
    for (int axis = 0; axis < dims.rank; axis++) {
        if (!pf_onnx_resizes(&resize, &dims, axis)) continue;
        const bool is_column = axis == 3;
        if (dims.rank != 4 || axis < 2 || dims.sizes[0] != 1)
            return pf_onnx_refuse(build, "expected other sizes of rows and columns of maps (1, c, "
                                         "h, w) alone");
        const PfOnnxTensor *tensor =
            pf_onnx_resize_weights(model, build->step, &resize, &dims, axis, is_column, build->err);
        if (!tensor || pf_onnx_add_parameter(build, tensor, 3, &weights) ||
            pf_onnx_add_pair(build, PF_OP_MATMUL, is_column ? node : weights,
                             is_column ? weights : node, &node))
            return -1;
    }
    return pf_onnx_give(build, 0, node, &resize.out);
}

/* clang-format off */
const PfOnnxRow pf_onnx_resize_rows[] = {
    {"Resize", PF_ONNX_OLDEST_OPSET, PF_ONNX_NEWEST_OPSET,
     " antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside extrapolation_value "
     "keep_aspect_ratio_policy mode nearest_mode ", translate_resize},
    {.type = NULL},
};
/* clang-format on */

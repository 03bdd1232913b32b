/* The functions that stand in the columns of the table of operations, ops.c. What each column means
 * is said in ops.h. */
#ifndef PF_COMMON_ARCH_OP_COLUMNS_H
#define PF_COMMON_ARCH_OP_COLUMNS_H

#include "common/arch/ops.h"

#define UNUSED __attribute__((unused)) /* of what a column takes and a row does not need */

/* ---- shapes: op_shapes.c ---- */

#define PF_SHAPE_COLUMN(name)                                                                      \
    int name(const PfNode *node, const PfShape *in, PfShape *out, PfError *err)

PF_SHAPE_COLUMN(pf_op_shape_same); /* of operations on each number, and of the input */
PF_SHAPE_COLUMN(pf_op_shape_conv);
PF_SHAPE_COLUMN(pf_op_shape_batch_norm);
PF_SHAPE_COLUMN(pf_op_shape_pool);
PF_SHAPE_COLUMN(pf_op_shape_adaptive_pool);
PF_SHAPE_COLUMN(pf_op_shape_pad);
PF_SHAPE_COLUMN(pf_op_shape_pad_same);
PF_SHAPE_COLUMN(pf_op_shape_channel_shuffle);
PF_SHAPE_COLUMN(pf_op_shape_linear);
PF_SHAPE_COLUMN(pf_op_shape_layer_norm);
PF_SHAPE_COLUMN(pf_op_shape_attention);
PF_SHAPE_COLUMN(pf_op_shape_broadcast);
PF_SHAPE_COLUMN(pf_op_shape_flatten);
PF_SHAPE_COLUMN(pf_op_shape_reshape);
PF_SHAPE_COLUMN(pf_op_shape_permute);
PF_SHAPE_COLUMN(pf_op_shape_slice);
PF_SHAPE_COLUMN(pf_op_shape_concat);
PF_SHAPE_COLUMN(pf_op_shape_mean);
PF_SHAPE_COLUMN(pf_op_shape_matmul);
PF_SHAPE_COLUMN(pf_op_shape_parameter);
PF_SHAPE_COLUMN(pf_op_shape_positions);
PF_SHAPE_COLUMN(pf_op_shape_token_map);
PF_SHAPE_COLUMN(pf_op_shape_pad_behind);
PF_SHAPE_COLUMN(pf_op_shape_crop);
PF_SHAPE_COLUMN(pf_op_shape_window_attention);
PF_SHAPE_COLUMN(pf_op_shape_rotate);

/* ---- ONNX: op_onnx.c, and of what depends on the size of maps, op_onnx_grids.c ---- */

/* Most need only some of it. */
#define PF_ONNX_COLUMN(name)                                                                       \
    int name(UNUSED const PfNode *node, UNUSED const PfShape *in, UNUSED PfOnnxNodes *out,         \
             UNUSED PfError *err)

PF_ONNX_COLUMN(pf_op_onnx_unchanged);
PF_ONNX_COLUMN(pf_op_onnx_conv);
PF_ONNX_COLUMN(pf_op_onnx_batch_norm);
PF_ONNX_COLUMN(pf_op_onnx_relu);
PF_ONNX_COLUMN(pf_op_onnx_sigmoid);
PF_ONNX_COLUMN(pf_op_onnx_tanh);
PF_ONNX_COLUMN(pf_op_onnx_max_pool);
PF_ONNX_COLUMN(pf_op_onnx_adaptive_pool);
PF_ONNX_COLUMN(pf_op_onnx_flatten);
PF_ONNX_COLUMN(pf_op_onnx_linear);
PF_ONNX_COLUMN(pf_op_onnx_add);
PF_ONNX_COLUMN(pf_op_onnx_subtract);
PF_ONNX_COLUMN(pf_op_onnx_multiply);
PF_ONNX_COLUMN(pf_op_onnx_divide);
PF_ONNX_COLUMN(pf_op_onnx_layer_norm);
PF_ONNX_COLUMN(pf_op_onnx_layer_norm_2d);
PF_ONNX_COLUMN(pf_op_onnx_softmax);
PF_ONNX_COLUMN(pf_op_onnx_attention);
PF_ONNX_COLUMN(pf_op_onnx_matmul);
PF_ONNX_COLUMN(pf_op_onnx_clip);
PF_ONNX_COLUMN(pf_op_onnx_hard_sigmoid);
PF_ONNX_COLUMN(pf_op_onnx_hard_swish);
PF_ONNX_COLUMN(pf_op_onnx_silu);
PF_ONNX_COLUMN(pf_op_onnx_gelu);
PF_ONNX_COLUMN(pf_op_onnx_gelu_tanh);
PF_ONNX_COLUMN(pf_op_onnx_quick_gelu);
PF_ONNX_COLUMN(pf_op_onnx_avg_pool);
PF_ONNX_COLUMN(pf_op_onnx_pad);
PF_ONNX_COLUMN(pf_op_onnx_pad_same);
PF_ONNX_COLUMN(pf_op_onnx_channel_shuffle);
PF_ONNX_COLUMN(pf_op_onnx_reshape);
PF_ONNX_COLUMN(pf_op_onnx_permute);
PF_ONNX_COLUMN(pf_op_onnx_slice);
PF_ONNX_COLUMN(pf_op_onnx_concat);
PF_ONNX_COLUMN(pf_op_onnx_mean);
PF_ONNX_COLUMN(pf_op_onnx_parameter);
PF_ONNX_COLUMN(pf_op_onnx_sqrt);
PF_ONNX_COLUMN(pf_op_onnx_exp);
PF_ONNX_COLUMN(pf_op_onnx_log);
PF_ONNX_COLUMN(pf_op_onnx_erf);
PF_ONNX_COLUMN(pf_op_onnx_negate);
PF_ONNX_COLUMN(pf_op_onnx_abs);
PF_ONNX_COLUMN(pf_op_onnx_reciprocal);
PF_ONNX_COLUMN(pf_op_onnx_leaky_relu);
PF_ONNX_COLUMN(pf_op_onnx_elu);
PF_ONNX_COLUMN(pf_op_onnx_power);
PF_ONNX_COLUMN(pf_op_onnx_maximum);
PF_ONNX_COLUMN(pf_op_onnx_minimum);
PF_ONNX_COLUMN(pf_op_onnx_reduce_sum);
PF_ONNX_COLUMN(pf_op_onnx_reduce_max);
PF_ONNX_COLUMN(pf_op_onnx_positions);
PF_ONNX_COLUMN(pf_op_onnx_token_map);
PF_ONNX_COLUMN(pf_op_onnx_pad_behind);
PF_ONNX_COLUMN(pf_op_onnx_crop);
PF_ONNX_COLUMN(pf_op_onnx_window_attention);
PF_ONNX_COLUMN(pf_op_onnx_rotate);

#endif

/* A graph of ours while it is made from the steps of an ONNX file. Others use network.h.
 *
 * The file is read for one image: a value's shape here is the one that ONNX has for a batch of 1,
 * without its leading 1. What reshapes the batch into another axis is so just another shape, and
 * what would mix images is refused where it names the axis of the batch. */
#ifndef PF_COMMON_ONNX_BUILD_H
#define PF_COMMON_ONNX_BUILD_H

#include "common/arch/family.h"
#include "common/onnx/fold.h"
#include "common/onnx/model.h"

typedef struct PfOnnxBuild {
    PfOnnxModel *model;
    PfArchBuilder builder;
    PfShape *shapes; /* (nodes) */
    size_t shape_capacity;
    PfTextIndex names, wanted; /* of nodes; before they are made unique */
    int *counts;               /* (wanted) the last that was put behind each */
    size_t count_capacity;
    PfNamedTensor *tensors;
    PfTextIndex tensor_names; /* (tensor_count) */
    size_t tensor_count, tensor_capacity;
    const PfOnnxStep *step;           /* that is being translated */
    char base[PF_NODE_NAME_SIZE - 8]; /* what its nodes are called */
    int first;                        /* its first node */
    PfError *err;
} PfOnnxBuild;

/* ---- nodes: build.c ---- */

/* Adds a node that takes `input`; the pointer is valid until the next addition. NULL with a
 * failure. */
PfNode *pf_onnx_add(PfOnnxBuild *build, PfOp op, int input, int *index);
/* Checks the node's shape once its fields are filled. */
int pf_onnx_settle(PfOnnxBuild *build, int index);
/* The node is the step's output of that index, whose dims are those of ONNX; where its shape has
 * other axes of 1, a reshape follows. */
int pf_onnx_give(PfOnnxBuild *build, int output, int index, const PfOnnxDims *dims);
/* The output is a node that is there. */
int pf_onnx_give_same(PfOnnxBuild *build, int output, int node, const PfOnnxDims *dims);

/* An input of the step: its node and its dims. A constant becomes a parameter. */
int pf_onnx_take(PfOnnxBuild *build, int input, int *node, PfOnnxDims *dims);
/* The node's value with so many axes: axes of 1 come in front. *node is replaced. */
int pf_onnx_widen(PfOnnxBuild *build, int *node, int rank);
/* A node of our shape. *node is replaced. */
int pf_onnx_reshape(PfOnnxBuild *build, int *node, const PfShape *shape);
/* A parameter that holds the constant, with so many axes. */
int pf_onnx_add_parameter(PfOnnxBuild *build, const PfOnnxTensor *tensor, int rank, int *node);
/* A parameter that holds one number. */
int pf_onnx_put_number(PfOnnxBuild *build, double number, int rank, int *node);
/* A parameter of that shape whose numbers are all one. */
int pf_onnx_put_numbers(PfOnnxBuild *build, float number, const PfShape *shape, int *node);
/* An operation of one input that needs no more. *node is replaced. */
int pf_onnx_add_plain(PfOnnxBuild *build, PfOp op, int *node);
/* The two values as one, broadcast. dims: of the result, which its shape may lack axes of 1 of. */
int pf_onnx_add_pair(PfOnnxBuild *build, PfOp op, int left, int right, int *node);

/* A tensor of the node's: which: "weight". Its numbers are lent. */
int pf_onnx_set_tensor(PfOnnxBuild *build, int node, const char *which, const PfOnnxTensor *tensor,
                       const PfShape *shape);
/* A constant input, of `rank` axes and numbers with a fraction. NULL with a failure. */
const PfOnnxTensor *pf_onnx_take_weights(PfOnnxBuild *build, int input, int rank);
bool pf_onnx_has_input(const PfOnnxBuild *build, int input);

/* Our shape for ONNX's dims. Fails where that has too many axes. */
int pf_onnx_shape(PfOnnxBuild *build, const PfOnnxDims *dims, PfShape *shape);
/* Our axis for ONNX's of a value of that shape. Fails where it is the axis of the batch. */
int pf_onnx_our_axis(PfOnnxBuild *build, const PfOnnxDims *dims, int64_t axis, int *ours);
bool pf_onnx_drops_axis(const PfOnnxDims *dims);

bool pf_onnx_shape_is(const PfOnnxBuild *build, int node, const PfShape *shape);
/* Whether the node is a parameter, or a reshape of one, whose numbers *tensor then has. */
bool pf_onnx_node_tensor(const PfOnnxBuild *build, int node, PfOnnxTensor *tensor);

#define pf_onnx_refuse(build, ...)                                                                 \
    pf_onnx_fail((build)->model, (build)->step, (build)->err, __VA_ARGS__)

/* ---- the table of operators: translate.c ---- */

typedef struct PfOnnxRow {
    const char *type;
    int since, until;     /* opsets in which it is read as here */
    const char *settings; /* those that are understood, with blanks around each */
    int (*translate)(PfOnnxBuild *build);
} PfOnnxRow;

/* On maps: operators_maps.c; on numbers: operators_numbers.c; on rows: operators_rows.c;
 * arrangements: operators_shapes.c; norms: operators_norms.c; other sizes: operators_resize.c. Rows
 * end with a type of NULL. */
extern const PfOnnxRow pf_onnx_map_rows[], pf_onnx_number_rows[], pf_onnx_row_rows[],
    pf_onnx_shape_rows[], pf_onnx_norm_rows[], pf_onnx_resize_rows[];

/* The input, then every step that is not gone. side: of the image. */
int pf_onnx_translate(PfOnnxBuild *build, int side);

/* ---- patterns: simplify.c ---- */

/* Steps that together are one operation become one: x * sigmoid(x), GELU from Erf, LayerNorm from
 * its pieces, hard swish. Constants have been folded. Inner values that are used elsewhere stay. */
int pf_onnx_simplify(PfOnnxModel *model, PfError *err);

/* ---- attention: attention.c ---- */

/* In the graph that has been made, products of heads with a softmax between them become
 * PF_OP_ATTENTION; what only they took goes, and cannot be a tap. */
int pf_onnx_fuse_attention(PfOnnxBuild *build);

#endif

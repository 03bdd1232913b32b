/* What is known of the operations of networks: one row for each PfOp, in ops.c.
 *
 * A new operation is a value of PfOp and a row. Shapes, parameters, random weights, the TorchScript
 * that libtorch runs, ONNX files and costs all come from the rows. Beside them only
 * common/engine/ asks for the operation: for how it is computed in C. */
#ifndef PF_COMMON_ARCH_OPS_H
#define PF_COMMON_ARCH_OPS_H

#include <stdbool.h>

#include "permafrost/arch.h"

#define PF_PARAMETER_NAME_SIZE (PF_NODE_NAME_SIZE + 16)

/* How the numbers of a tensor are drawn. */
typedef enum PfDistribution {
    PF_INITIAL_CONSTANT,
    PF_INITIAL_NORMAL,
    PF_INITIAL_UNIFORM
} PfDistribution;

typedef struct PfInitialValues {
    PfDistribution distribution;
    double scale; /* the constant, the standard deviation, or the largest absolute value */
} PfInitialValues;

/* A tensor that an operation reads from the weight file. */
typedef struct PfOpParameter {
    const char *name; /* behind the module's name and a dot: "weight"; "": the module is its name */
    bool needs_bias;  /* only nodes with `bias` have it */
    bool is_buffer;   /* a running statistic: not trained, not counted */
    PfShape (*shape)(const PfNode *node);
    PfInitialValues (*initial)(const PfNode *node); /* as torch.nn's module draws it */
} PfOpParameter;

typedef enum PfOnnxKind { PF_ONNX_INT, PF_ONNX_INTS, PF_ONNX_FLOAT } PfOnnxKind;

typedef struct PfOnnxAttribute {
    const char *name; /* static */
    PfOnnxKind kind;
    int64_t ints[PF_MAX_RANK + 1]; /* (count); an integer: the first */
    int count;
    float number;
} PfOnnxAttribute;

/* One ONNX node. inputs are words with blanks between them: "0" and "1" are the operation's inputs,
 * "inputs" all of them, "before" is what the node before this one gives, "#2" what the second of
 * the operation gives, "$2" its second constant, "image" the network's input, "itself" the
 * parameter that has no name of its own, and any other is a parameter ("weight"), which is left out
 * where the operation's node has none of that name. Texts are static. */
typedef struct PfOnnxNode {
    const char *type; /* "Conv" */
    const char *inputs;
    PfOnnxAttribute attributes[6]; /* (attribute_count) */
    int attribute_count;
} PfOnnxNode;

typedef enum PfOnnxConstantKind {
    PF_ONNX_NUMBER,
    PF_ONNX_INTEGERS,  /* a short list */
    PF_ONNX_INDICES,   /* an array of integers */
    PF_ONNX_NUMBERS,   /* an array of floats */
    PF_ONNX_POSITIONS, /* the operation's parameter, resized as pf_positions_resize does it to the
                          grid (ints[0], ints[1]) */
} PfOnnxConstantKind;

typedef struct PfOnnxConstant {
    PfOnnxConstantKind kind;
    float number;
    int64_t ints[PF_MAX_RANK + 2]; /* (count) */
    int count;
    PfShape shape;    /* of arrays */
    int64_t *indices; /* owned */
    float *numbers;   /* owned */
} PfOnnxConstant;

#define PF_ONNX_MOST_NODES 24
#define PF_ONNX_MOST_CONSTANTS 14

/* An operation as ONNX says it. The last node gives its value; without nodes it is that of input 0,
 * unchanged. */
typedef struct PfOnnxNodes {
    PfOnnxNode nodes[PF_ONNX_MOST_NODES]; /* (count) */
    int count;
    PfOnnxConstant constants[PF_ONNX_MOST_CONSTANTS]; /* (constant_count) */
    int constant_count;
} PfOnnxNodes;

void pf_onnx_nodes_free(PfOnnxNodes *nodes);

typedef struct PfOpRow {
    const char *name;                /* "conv", for messages */
    const char *class_name;          /* torch.nn's: "Conv2d"; "" where there is none */
    bool keeps_values;               /* outside of training its output holds its input's numbers, in
                                        their order */
    const PfOpParameter *parameters; /* in torch's order; a name of NULL ends them */

    /* Shape of the output, batch axis left out. in: shapes of the node's inputs; of a node without
     * inputs, of the image. */
    int (*shape)(const PfNode *node, const PfShape *in, PfShape *out, PfError *err);

    /* Of one image, as torchinfo counts them. output: the node's shape. */
    int64_t (*multiply_adds)(const PfNode *node, const PfShape *output);

    /* The TorchScript expression of the node's value, which must not change its inputs. Words in
     * braces stand for
     *   {0} {1}                           values of the inputs
     *   {weight} {bias} ...               the row's parameters; None where the node has none
     *   {module}                          the module that holds them
     *   {inputs}                          values of all inputs, with commas between
     *   {for_each_image}                  the row's only parameter, once for each image where the
     *                                     file's has a leading axis of 1
     *   {positions}                       the row's only parameter, resized, once for each image
     *   {kernel} {stride} {padding} {dilation}   the two numbers, with a comma between
     *   {pads}                            those of torch's pad: left, right, above, below
     *   {same_pads}                       the same, as they follow from the input's size
     *   {behind_pads}                     those of a map (h, w, c), whose sides become multiples
     *   {window}                          the first of {kernel}
     *   {axis} {axes} {shape}             counted with the batch axis; its sizes
     *   {momentum}                        0.1 where the node's is 0
     *   {end}                             behind the last that a slice takes
     *   {groups} {pool_size} {eps} {dropout} ...   other fields of the node */
    const char *script;

    /* Fills *out, which is empty, for images of the size that `in` comes of; it is freed with
     * pf_onnx_nodes_free also where this fails. */
    int (*onnx)(const PfNode *node, const PfShape *in, PfOnnxNodes *out, PfError *err);
} PfOpRow;

/* Static. */
const PfOpRow *pf_op_row(PfOp op);

/* The parameter of that name ("weight") in the row of an operation, or NULL. */
const PfOpParameter *pf_op_find_parameter(PfOp op, const char *name);
/* Whether the node has that parameter of its operation. */
bool pf_node_has_parameter(const PfNode *node, const PfOpParameter *parameter);

/* Whether the node takes only the size of its input number k, 0..input_count - 1, and none of its
 * values: a rotation of the map of its patches. */
bool pf_node_takes_size_alone(const PfNode *node, int k);

/* "layer1.0.conv1.weight" for the parameter "weight" of a node. */
void pf_node_parameter_name(const PfNode *node, const char *parameter,
                            char name[PF_PARAMETER_NAME_SIZE]);

/* As torch.nn's module of that operation draws the parameter, whatever network it is in. */
PfInitialValues pf_op_initial_values(const PfNode *node, const PfOpParameter *parameter);

/* Rows and columns that a pad or pad_same puts around a map (c, h, w): above, left, below, right.
 */
void pf_node_pads(const PfNode *node, const PfShape *map, int pads[4]);

/* Which row of the table of biases of windows, side x side pixels, is for the distance of two. */
int64_t pf_window_distance(int64_t side, int64_t query, int64_t key);

/* Shapes of a node's inputs, taken from those of all nodes; in has PF_NODE_MAX_INPUTS entries. */
void pf_node_input_shapes(const PfNode *node, const PfShape *shapes, PfShape *in);

/* Multiply-adds of a node for one image: those of a linear layer for each of its rows, and those of
 * attention and of products of values. torchinfo, and with it pf_node_multiply_adds, counts a
 * linear layer once and the others not at all. shapes: of all nodes; output: of this one. */
int64_t pf_node_whole_multiply_adds(const PfNode *node, const PfShape *shapes,
                                    const PfShape *output);

/* Marks what feeds the taps: needed[] of node_count. last: the last of their nodes; may be NULL. */
int pf_arch_mark_taps(const PfArch *arch, const char *const *taps, int tap_count,
                      unsigned char *needed, int *last, PfError *err);

/* The sum of these for one image (side x side) up to the taps; what several taps share counts once.
 */
int pf_arch_multiply_adds(const PfArch *arch, int side, const char *const *taps, int tap_count,
                          int64_t *out, PfError *err);

#endif

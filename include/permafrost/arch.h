/* A network as plain data: a graph of nodes in topological order.
 *
 * From this one description come shapes, parameter and multiply-add counts,
 * the tensors a weight file must hold, taps, cuts, and the TorchScript that
 * runs. Nothing here needs libtorch. */
#ifndef PERMAFROST_ARCH_H
#define PERMAFROST_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"
#include "permafrost/tensor.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Node names, tap names. */
#define PF_NODE_NAME_SIZE 64
#define PF_NODE_MAX_INPUTS 64

/* Shapes are those of one image, the batch axis left out: maps (c, h, w) or (h, w, c), tokens (n,
 * c), vectors (c). Channels of an operation are its shape's first axis where it says maps (c, h,
 * w), else the last. */
typedef enum PfOp {
    PF_OP_INPUT, /* normalised pixels (3, h, w) */
    /* Maps (c, h, w). */
    PF_OP_CONV,       /* parameters: weight (out, in/groups, kh, kw), bias (out) if bias */
    PF_OP_BATCH_NORM, /* weight, bias, running_mean, running_var (c) */
    PF_OP_MAX_POOL,
    PF_OP_AVG_POOL,          /* windows; zeros of the padding count if count_padding */
    PF_OP_ADAPTIVE_AVG_POOL, /* to (c, pool_size, pool_size) */
    PF_OP_PAD,               /* pads[] rows and columns of `value` around a map */
    PF_OP_LAYER_NORM_2D,     /* over the channels of each pixel; weight, bias (c) */
    /* Vectors, and rows of tokens and of maps (h, w, c): over the last axis. */
    PF_OP_LINEAR,     /* weight (out, in), bias (out) if bias; (h, w, c) and (n, c) stay as many */
    PF_OP_LAYER_NORM, /* weight, bias (c) */
    PF_OP_SOFTMAX,    /* over `axis` */
    PF_OP_ATTENTION,  /* of queries, keys, values (n, c), which are cut into `heads`: each head's
                         softmax(scale * q k^T) v, side by side */
    /* Each number by itself. */
    PF_OP_RELU,
    PF_OP_CLIP, /* to low ... high */
    PF_OP_SIGMOID,
    PF_OP_HARD_SIGMOID, /* clip(x / 6 + 1/2, 0, 1) */
    PF_OP_HARD_SWISH,   /* x * hard_sigmoid(x) */
    PF_OP_SILU,         /* x * sigmoid(x) */
    PF_OP_GELU,         /* x * (1 + erf(x / sqrt 2)) / 2 */
    PF_OP_GELU_TANH,    /* its approximation by tanh */
    PF_OP_QUICK_GELU,   /* x * sigmoid(1.702 x) */
    PF_OP_TANH,
    PF_OP_DROPOUT, /* identity outside training */
    /* Two values, whose shapes are broadcast from the last axis on, as numpy does. */
    PF_OP_ADD,
    PF_OP_SUBTRACT,
    PF_OP_MULTIPLY,
    PF_OP_DIVIDE,
    /* The same numbers otherwise arranged. */
    PF_OP_FLATTEN, /* (c, h, w) -> (c*h*w) */
    PF_OP_RESHAPE, /* to `shape`, in row-major order; a size of -1 is what remains */
    PF_OP_PERMUTE, /* axis i of the output is axis axes[i] of the input */
    PF_OP_SLICE,   /* along `axis`: `count` from `start` on, every `step`-th */
    PF_OP_CONCAT,  /* of all inputs, along `axis` */
    /* Others. */
    PF_OP_MEAN,      /* over axes[], which become 1, or vanish unless keep_axes */
    PF_OP_MATMUL,    /* of the last two axes; those before are broadcast */
    PF_OP_PARAMETER, /* no input: the tensor called `module`, of `shape`; with leading_one the
                        file's has an axis of 1 before that */
    /* What general graphs are made of. */
    PF_OP_SQRT, /* each number by itself */
    PF_OP_EXP,
    PF_OP_LOG,
    PF_OP_ERF,
    PF_OP_NEGATE,
    PF_OP_ABS,
    PF_OP_RECIPROCAL,
    PF_OP_LEAKY_RELU, /* x < 0: value * x */
    PF_OP_ELU,        /* x < 0: value * (exp(x) - 1) */
    PF_OP_POWER,      /* two values, broadcast: the first to the power of the second */
    PF_OP_MAXIMUM,
    PF_OP_MINIMUM,
    PF_OP_REDUCE_SUM, /* as mean */
    PF_OP_REDUCE_MAX,
    PF_OP_POSITIONS, /* position embeddings: the tensor called `module`, of `shape` (start + side *
                        side, c), made for the grid of a map (c, h, w), of which only the size is
                        taken: (start + h * w, c); common/arch/positions.h says how */
    PF_OP_PAD_SAME,  /* zeros around a map, of which windows of kernel[] at distances of stride[]
                        make ceil(size / stride) outputs, as TensorFlow pads: of an odd number more
                        below and at the right */
    PF_OP_CHANNEL_SHUFFLE, /* of a map whose channels lie in `groups`: the first of each group, the
                              second of each, ... */
    PF_OP_TOKEN_MAP,  /* tokens (h * w, c) as a map (c, h, w), as large as the second input's */
    PF_OP_PAD_BEHIND, /* rows and columns of zeros below and at the right of a map (h, w, c), of
                         which h and w become multiples of kernel[] */
    PF_OP_CROP,       /* a map (h, w, c), cut below and at the right to the second input's (h, w) */
    PF_OP_WINDOW_ATTENTION, /* of a map (h, w, 3 c), queries, keys, values, within each window of
                               kernel[]: softmax(scale q k^T + bias) v, (h, w, c). The windows lie
                               `start` pixels lower and further right, those at the end go on at the
                               beginning; but not along an axis of one window. Bias: of the tensor
                               called `module`, of `shape` ((2 kernel - 1)^2, heads), a row for each
                               distance; -100 more where the beginning lies between the two */
    PF_OP_ROTATE, /* tokens (n, c), cut into `heads`: those of the patches of a map (c, h, w), which
                     are the last h * w, are turned by angles that their places make, the numbers i
                     and i + d / 2 of a head's d together. An angle is 2 pi y / value^(i / (d / 4))
                     for i < d / 4, then the same of x; y and x are the middles of patches in a map
                     from -1 to 1 */
    PF_OP_COUNT,  /* how many there are */
} PfOp;

#define PF_TO_THE_END (-1)

typedef struct PfNode {
    char name[PF_NODE_NAME_SIZE];   /* as torchvision's create_feature_extractor names it:
                                       "layer4.1.relu_1" */
    char module[PF_NODE_NAME_SIZE]; /* state_dict prefix of its parameters and torchinfo row:
                                       "layer4.1.relu"; "" for add, flatten. One that ends in "_" is
                                       followed by a parameter's name without a dot:
                                       "attn.in_proj_" */
    PfOp op;
    int inputs[PF_NODE_MAX_INPUTS]; /* indices of earlier nodes */
    int input_count;
    int in_channels, out_channels; /* conv, linear (features), norms (both equal) */
    int kernel[2], stride[2], padding[2], dilation[2]; /* conv, pools, pads and windows
                                                          (no padding): along y and x */
    int groups;                                        /* conv, channel_shuffle */
    int ceil_mode;     /* pools: a last window that begins inside counts */
    int count_padding; /* avg_pool */
    int pads[4];       /* pad: above, left, below, right */
    int pool_size;     /* adaptive_avg_pool */
    int bias;          /* conv, linear */
    int heads;         /* attention, of windows too; rotate */
    int axis;          /* softmax, slice, concat; of the shape without the batch axis, 0 or more */
    int axes[PF_MAX_RANK], axis_count; /* permute; mean, reduce: ascending */
    int keep_axes;                     /* mean, reduce */
    int64_t start, count, step;        /* slice, whose count may be PF_TO_THE_END; positions: start,
                                          of tokens that stay; window_attention: its shift */
    int align_corners;                 /* positions */
    int antialias;                     /* positions */
    PfShape shape;                     /* reshape, parameter, window_attention */
    int leading_one;                   /* parameter; -1: the file's lacks the first axis of `shape`,
                                          which is 1 */
    int is_aside;    /* nothing but a tap reads it, and it is not its module's last node */
    float eps;       /* norms */
    float momentum;  /* batch norm: a batch's share of the running statistics in
                        training; 0: 0.1 */
    float dropout;   /* dropout probability in training */
    float scale;     /* attention */
    float low, high; /* clip */
    float value;     /* pad, leaky_relu, elu; rotate: base of the periods */
} PfNode;

/* How pixels become the network's input; belongs to the weights. */
typedef enum PfInterpolation { PF_BILINEAR, PF_BICUBIC } PfInterpolation;

/* In which order images are resized along their two axes: as Pillow 12 does it, or as 13. */
typedef enum PfResizeOrder { PF_PILLOW12, PF_PILLOW13, PF_RESIZE_ORDERS } PfResizeOrder;

typedef struct PfPreprocess {
    int resize; /* shorter side becomes this many pixels; 0 keeps the image's size */
    int crop;   /* centre crop of crop x crop; the network's input side */
    int squash; /* resize straight to crop x crop, aspect ratio given up */
    PfInterpolation interpolation; /* antialiased, as Pillow's */
    float mean[3], std[3];         /* RGB, of pixels scaled to 0..1 */
    int fast_decode; /* large JPEGs are decoded at a half, a quarter or an eighth of their size */
    int exif;        /* turned as their EXIF orientation says, before anything else */
    PfResizeOrder resize_order;
    int keep_truncated;    /* JPEGs that end early are taken as far as they go */
    int has_background;    /* transparency is laid over background; else it is dropped */
    uint8_t background[3]; /* RGB */
} PfPreprocess;

/* A set of published weights. */
typedef struct PfWeightsEntry {
    const char *name; /* "IMAGENET1K_V1" */
    const char *file; /* "resnet18-f37072fd.pth": stem, then the first 8 hex digits of its SHA-256;
                         of a name without them the file is taken unchecked */
    const char *url;  /* of the folder that holds the file, ending in a slash */
    PfPreprocess preprocess;
    const char *licence; /* SPDX identifier, "Apache-2.0", or a few words; NULL: not known here */
    const char *timm; /* timm's spelling, "vit_small_patch14_dinov2.lvd142m"; NULL: it has none */
    const char *hub;  /* repository of the Hugging Face hub that holds the same weights,
                         "timm/vit_small_patch14_dinov2.lvd142m"; NULL: none */
} PfWeightsEntry;

typedef struct PfArch {
    char name[32];           /* "resnet18" */
    char family[32];         /* torchvision's class: "ResNet", "VGG" */
    const char *block_class; /* class of its blocks: "BasicBlock"; NULL where it has none */
    PfNode *nodes;           /* owned; nodes[0] is the input */
    int node_count;
    const char *default_tap; /* what a linear head is trained on: "avgpool" */
    int patch;               /* what sides of images are multiples of; 0: of nothing */
    const char *blocks; /* what its blocks are called but for their number: "blocks." stands for it
                           in taps and cuts; NULL: nothing does */
    PfPreprocess preprocess;       /* for weights that no table knows */
    const PfWeightsEntry *weights; /* published weights, best known first; static */
    int weights_count;
} PfArch;

/* Builds the network of that name ("resnet18", "vgg16_bn", "resnet18_w16").
 * Unknown name: -1, usage error that lists what there is. Free with pf_arch_free. */
int pf_arch_new(const char *name, PfArch **out, PfError *err);
void pf_arch_free(PfArch **arch);
/* NULL-terminated list of the known names; static. */
const char *const *pf_arch_names(void);

/* Index of the node a tap means: a node's own name, or a module prefix, which
 * is the last node under it that is not aside ("layer3" -> "layer3.1.relu_1"). -1 with the
 * nearest names in the message if there is none. "" is an error; the input is
 * node 0 and its tap is "input". */
int pf_arch_find_tap(const PfArch *arch, const char *tap, int *node, PfError *err);

/* Output shape of every node, batch axis left out: (c, h, w), (n, c), (features).
 * shapes has node_count entries. Fails where an image of that size becomes
 * empty on the way, and says where. */
int pf_arch_infer_shapes(const PfArch *arch, int input_height, int input_width, PfShape *shapes,
                         PfError *err);

/* The shape a tap is stored with: trailing 1x1 spatial axes are dropped. */
PfShape pf_arch_stored_shape(PfShape shape);

/* A tensor that a node needs from the weight file. */
typedef struct PfParameter {
    int node;
    const char *of;                    /* which of its operation's: "running_mean"; static */
    char name[PF_NODE_NAME_SIZE + 16]; /* "layer1.0.bn1.running_mean" */
    PfShape shape;
    int is_buffer; /* running statistics: no gradient, not counted as parameters */
} PfParameter;

/* Parameters of the nodes that feed node `last` (inclusive; node_count - 1 for all but those that
 * only taps aside read, which have none of their own), in node order, each once. Writes the
 * malloc'ed list to *out, which the caller frees, and its length to *count. */
int pf_arch_parameters(const PfArch *arch, int last, PfParameter **out, int *count, PfError *err);

/* The same for the nodes that are marked; needed has node_count entries. */
int pf_arch_marked_parameters(const PfArch *arch, const unsigned char *needed, PfParameter **out,
                              int *count, PfError *err);

/* needed[i] = 1 if node i feeds node `last` or is it. needed has node_count entries. */
void pf_arch_mark_needed(const PfArch *arch, int last, unsigned char *needed);

/* The node before `module` ("layer4", "layer4.1", "features.24"): where the nodes under that name
 * take values from outside, which must be one node (sizes do not count). "all": the input, 0. */
int pf_arch_find_cut(const PfArch *arch, const char *module, int *cut, PfError *err);

/* behind[i] = 1 if node i lies between cut and last, or is last. Fails where `last` takes values
 * that do not come through the cut (sizes of maps may). behind has node_count entries. */
int pf_arch_mark_behind(const PfArch *arch, int cut, int last, unsigned char *behind, PfError *err);

/* needed[i] = 1 if node i lies behind node start and one of the outputs is it or needs it. An
 * output that is start itself needs nothing. Fails as pf_arch_mark_behind does. needed has
 * node_count entries. */
int pf_arch_mark_outputs(const PfArch *arch, int start, const int *outputs, int output_count,
                         unsigned char *needed, PfError *err);

/* Trainable numbers of a node (buffers not counted). */
int64_t pf_node_parameter_count(const PfNode *node);
/* Multiply-adds for one image as torchinfo counts them: parameters (bias
 * included) times output positions for conv, parameters for the rest. */
int64_t pf_node_multiply_adds(const PfNode *node, const PfShape *output);
const char *pf_op_class_name(PfOp op); /* torch.nn class: "Conv2d"; "" where there is none */

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif

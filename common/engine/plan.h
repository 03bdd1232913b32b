/* How a built-in network is computed on a processor: steps over maps with channels last, decided
 * once from the graph, its weights and the taps, by shapes alone. */
#ifndef PF_COMMON_ENGINE_PLAN_H
#define PF_COMMON_ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/conv/attention.h"
#include "common/conv/convolution.h"
#include "common/conv/window_attention.h"
#include "permafrost/backbone.h"

/* Images that a thread takes through the network at a time. */
enum { PF_ENGINE_GROUP = 16 };

typedef enum PfStepKind {
    PF_STEP_PIXELS,      /* normalised pixels: y */
    PF_STEP_CONVOLUTION, /* and linear: of rows 1 x 1, else as large as its map */
    PF_STEP_MAX_POOL,
    PF_STEP_AVERAGE_POOL, /* to a size */
    PF_STEP_AVERAGE_WINDOWS,
    PF_STEP_PAD,
    PF_STEP_POINTWISE,  /* batch norms, sums and activations that nothing before could take in */
    PF_STEP_COPY,       /* x, otherwise arranged, becomes y or some part of it */
    PF_STEP_PART,       /* x, its norm and activation, becomes some channels of y */
    PF_STEP_ARITHMETIC, /* x and sum, broadcast: added, multiplied, ... as the node says */
    PF_STEP_FUNCTION,   /* of each number of x, as the node says */
    PF_STEP_REDUCE,     /* means, sums, maxima over axes of x */
    PF_STEP_SOFTMAX,
    PF_STEP_PRODUCT,    /* of the matrices x and sum */
    PF_STEP_LAYER_NORM, /* of each row of channels */
    PF_STEP_ATTENTION,
    PF_STEP_WINDOW_ATTENTION,
    PF_STEP_ROTATE, /* patches among the tokens of x */
    PF_STEP_STORE   /* x becomes a tap's output */
} PfStepKind;

/* What one step makes and others read. In memory it is rows of channels, whatever its axes: a map
 * (c, h, w) and a map (h, w, c) both are (height * width) pixels, tokens (n, c) a map of height n
 * and width 1, a vector (c) one pixel. `shape` is what the network has, and `channels_first` where
 * in it the channels are: reading a map as tokens, or with its axes exchanged, moves nothing. What
 * is no such rows (shapes of other axes) lies as one pixel of all its numbers, in row-major order.
 *
 * A view has the numbers of another value, its source, as another shape. In each, the numbers in
 * row-major order of the shape are (channels, height, width) with channels first, else (height,
 * width, channels); what is read flat ((c, h, w) as (c * h * w), by a linear layer) may keep the
 * rows of its source. Before an operation's step is made, pf_engine_prepare has copied whatever
 * does not lie as its kernel takes it. */
typedef struct PfEngineValue {
    PfShape shape;
    bool channels_first; /* (c, h, w) and (c, n): their order in shape is not that in memory */
    int64_t channels, height, width;
    int64_t stride;  /* floats of a pixel: channels, filled up to a multiple of 16 with zeros, or
                        what an activation makes of zeros; of pixels of the image, 3; of
                        views, their source's */
    int64_t begin;   /* floats of each image before the first: of views; 0 */
    int source;      /* the value that it is a view of: itself, if none; never a view */
    int node;        /* of the parameter that it is: the same for all images; -1: none */
    int64_t grid[2]; /* of position embeddings: the height and width of their map */
    float *numbers;  /* parameters: owned; NULL before pf_engine_plan_weights */
    int first, last; /* sources: steps: where it is made, where it is read last */
    int home;        /* sources: the value in whose memory it lies: itself, or what its sum takes */
    int64_t ring;  /* 0; or how many of its rows there is room for, of one image: see PfEngineStep's
                      `ahead` */
    bool whole;    /* home: room for all images of a group, else for early_images */
    size_t offset; /* home: of the arena's beginning, in bytes */
} PfEngineValue;

enum { PF_ENGINE_LOOPS = PF_MAX_RANK + 1 };

/* Loops over up to three values at once, the last one innermost: over y, x and sum. */
typedef struct PfEngineLoops {
    int rank;
    int64_t sizes[PF_ENGINE_LOOPS];
    int64_t strides[3][PF_ENGINE_LOOPS]; /* floats */
    int64_t begins[3];                   /* floats from each image's first number on */
} PfEngineLoops;

typedef struct PfEngineStep {
    PfStepKind kind;
    int x, sum, y; /* values; -1: none. Attention: x are its queries, sum its keys */
    int values;    /* attention: its values */
    PfActivation activation;
    int factor;  /* pointwise: the value, (c, 1, 1), whose channels those of x are multiplied with
                    before anything else; -1: none */
    int node;    /* of the graph: convolution, linear, pool; -1 */
    int pads[4]; /* pad; convolution, pools: above, left, below, right: the node's padding, and a
                    pad's before it that was taken in */
    bool count_padding; /* average windows: so do zeros around the map */
    int64_t grid[2];    /* rotate: height and width of the patches' map */
    int norm;           /* batch norm of the graph that is folded in; -1: none */
    int folded[2];      /* sums and products with a parameter for each channel, behind the norm */
    int folded_count;
    int tap; /* store */
    PfConvolution *convolution;
    float *scale, *shift; /* layer norm, pointwise with a norm: (stride of x) each; window
                             attention: scale: its biases, see window_attention.h; rotate: cosines
                             and sines, (patches, half a head) */
    /* Convolution: rows of x are made by the step before this one when they are needed, so many at
     * a time, image by image: what is wide between the two never leaves the caches. 0: x is there.
     * The step before does nothing by itself: it is a 1 x 1 convolution, and this one is of each
     * channel by itself; or it multiplies with a factor, and this one is 1 x 1. */
    int64_t ahead;
    bool fill; /* y becomes zeros before: its channels that are filled up are not written */
    /* Of part, the channel where it begins; of copy and arithmetic, over all numbers of y; of
     * reduce, of x; of softmax, with its axis last; of product, over matrices, then rows of x,
     * columns of x, columns of sum. */
    PfEngineLoops loops;
} PfEngineStep;

typedef struct PfEnginePlan {
    const PfArch *arch; /* lent */
    PfEngineStep *steps;
    int step_count;
    PfEngineValue *values;
    int value_count;
    PfTapInfo *taps;
    int tap_count;
    /* The first steps, whose maps are large, are done for so many images of a group, then for the
     * next ones; the others for the whole group. */
    int early_steps, early_images;
    size_t maps_bytes, scratch_bytes; /* the arena that each thread needs: maps, then scratch */
    size_t weight_bytes;              /* packed, for all threads */
    int height, width;                /* of the image */
    bool has_few_images;              /* they are one group at most */
    float pixels[3][256];             /* what a byte becomes: (byte / 255 - mean) / std */
    bool bf16; /* weights, with what is folded in, parameters, pixels and what every step makes are
                  rounded to bfloat16; sums within a step are float32 */
    PfDtype output_dtype;
} PfEnginePlan;

/* threads: for packing weights. The tensors of config are read and not kept, but where it says that
 * images are few: large ones are then packed while the plan runs. Its arch is lent for as long as
 * the plan lives. Free with pf_engine_plan_free. */
int pf_engine_plan_new(const PfBackboneConfig *config, int threads, PfEnginePlan **out,
                       PfError *err);
void pf_engine_plan_free(PfEnginePlan **plan);

/* Bytes of a value's maps of one image. */
size_t pf_engine_value_bytes(const PfEngineValue *value);

/* The value in whose memory it lies. */
int pf_engine_home(const PfEnginePlan *plan, int value);

/* What an attention's step computes of one image, without its places. */
PfAttention pf_engine_attention(const PfEnginePlan *plan, const PfEngineStep *step);
PfWindowAttention pf_engine_window_attention(const PfEnginePlan *plan, const PfEngineStep *step);

/* ---- its parts, in this order ---- */

/* Steps, values and taps from the graph. A batch norm goes into the convolution before it, a sum
 * into the later of the two steps that it adds, an activation into the step before it: where what
 * is between is no tap and nothing else reads it; so do sums and products with a parameter for each
 * channel. Dropout, flatten and pools to the size that is
 * there make no step. */
int pf_engine_plan_steps(PfEnginePlan *plan, const PfBackboneConfig *config, PfError *err);

/* Which values are made row by row. Lifetimes of what they are made of get longer. */
void pf_engine_choose_rings(PfEnginePlan *plan);

/* Where values lie, a view in its source: no two that live at the same time overlap, but a sum
 * takes the place of what it adds to where that is read last. */
int pf_engine_plan_memory(PfEnginePlan *plan, PfError *err);

/* Fails where a part of the arena would need so many bytes that there cannot be as many. Sums of
 * two numbers that pass do not overflow. */
int pf_engine_check_bytes(const PfEnginePlan *plan, size_t bytes, PfError *err);

/* Bytes of scratch that the loops of a step need. */
size_t pf_engine_loops_scratch(const PfEnginePlan *plan, const PfEngineStep *step);

/* Weights, with norms folded in, packed. */
int pf_engine_plan_weights(PfEnginePlan *plan, const PfBackboneConfig *config, int threads,
                           PfError *err);

#endif

/* The part of a network behind a cut, learning.
 *
 * Everything before the cut is a constant of the images, so its output is read
 * from a cache: rows of the cut's map go in, rows of features come out, and
 * gradients come back. Loss, head and optimiser are the caller's: the parameters
 * are lent to it as plain arrays, whatever device computes. */
#ifndef PERMAFROST_SUFFIX_H
#define PERMAFROST_SUFFIX_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/arch.h"
#include "permafrost/error.h"
#include "permafrost/ranks.h"
#include "permafrost/script.h"
#include "permafrost/tensor.h"

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

typedef struct PfSuffixConfig {
    /* Either a graph with its tensors (those of the nodes behind the cut; may hold more) ... */
    const PfArch *arch;
    const PfNamedTensor *tensors;
    size_t tensor_count;
    /* ... or the user's own TorchScript file. Its method forward_from_<cut> (dots as
     * underscores) takes the cut's rows and returns what forward does; for the cut
     * "input", forward itself, which takes normalised pixels. tensors, if any, take the place of
     * the file's own of those names. */
    PfScript torchscript;

    const char *cut;               /* tap whose rows come in; "input": pixels */
    const char *output;            /* tap whose rows come out; behind the cut */
    int input_height, input_width; /* of the whole network's input */
    float mean[3], std[3];         /* for the cut "input": (pixel / 255 - mean) / std, RGB */
    int bf16;             /* computes under autocast to bfloat16; parameters stay float32 */
    int train_batch_norm; /* batch norm learns its statistics and uses the batch's; else it uses the
                             running ones as they are. Its weight and bias learn either way */
    const char *device;   /* "auto", "cpu", "cuda", "cuda:1" */
    int threads;          /* CPU threads; 0 = all cores */
    int local_rank;       /* "auto" takes this GPU of several */
    PfRanks *ranks; /* backward() sums gradients over these; lent until close(). NULL: alone */
} PfSuffixConfig;

/* A tensor of the suffix under its state_dict name. values and gradient are row-major float32
 * arrays in the caller's reach. */
typedef struct PfSuffixTensor {
    char name[PF_NODE_NAME_SIZE + 16]; /* "layer4.0.conv1.weight" */
    PfShape shape;
    float *values;
    float *gradient; /* of the last backward(); NULL: a buffer (running statistics) */
    int decays;      /* weight decay is for it: neither a bias nor of a norm */
} PfSuffixTensor;

typedef struct PfSuffix PfSuffix; /* the plugin's own */

/* All functions: 0, or -1 with err filled. One caller at a time. */
typedef struct PfSuffixPlugin {
    /* On success *out is the caller's, to be given to close(). */
    int (*open)(const PfSuffixConfig *config, PfSuffix **out, PfError *err);

    /* Shapes of a row, batch axis left out: what goes in, channels first ("input": (3,h,w)),
     * and what comes out, trailing 1x1 dropped. Lent until close(). */
    const PfShape *(*input_shape)(const PfSuffix *suffix);
    const PfShape *(*output_shape)(const PfSuffix *suffix);

    /* "libtorch 1.13.0, oneDNN 2.6.3, cpu, 2 threads"; lent until close(). */
    const char *(*describe)(const PfSuffix *suffix);

    /* rows: (n, input_shape), of "input" pixels 0..255; features: (n, output_shape). As in
     * eval mode, nothing is remembered. The features of a row do not depend on the rows beside it,
     * nor on n, beyond rounding. */
    int (*forward)(PfSuffix *suffix, const float *rows, int64_t n, float *features, PfError *err);

    /* The same while learning; dropout is drawn from the seed. Remembers what backward needs. */
    int (*forward_training)(PfSuffix *suffix, const float *rows, int64_t n, uint64_t dropout_seed,
                            float *features, PfError *err);

    /* derivative: (n, output_shape) of the loss by the features of the last forward_training().
     * Fills (not adds to) the gradients of all parameters. Of several ranks each has rows of its
     * own, perhaps none, and all get the sum of their gradients, the same to the last bit. */
    int (*backward)(PfSuffix *suffix, const float *derivative, PfError *err);

    /* Every tensor of the suffix; the list and its arrays are lent until close(). Parameters first.
     */
    const PfSuffixTensor *(*tensors)(const PfSuffix *suffix, size_t *count);

    /* Takes over the values that the caller has changed. */
    int (*commit)(PfSuffix *suffix, PfError *err);

    /* Frees it and sets *suffix to NULL. */
    void (*close)(PfSuffix **suffix);
} PfSuffixPlugin;

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif

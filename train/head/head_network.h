/* Heads of one shape, side by side: parameters, forward pass and gradients.
 *
 * H heads share the features and differ in their parameters. A layer's parameters
 * are one matrix (rows, H * width); head h has columns [h * width, (h + 1) * width). Its rows
 * are the weights by input (as torch's Linear.weight transposed), then the bias,
 * then, where the layer is normalised, scale and shift. The first layer is one
 * product for all heads. Every number of a head comes out the same, to the
 * last bit, whatever other heads are beside it and on any number of threads. */
#ifndef PF_TRAIN_HEAD_HEAD_NETWORK_H
#define PF_TRAIN_HEAD_HEAD_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"
#include "train/head/checkpoint.h"
#include "train/head/head_layer.h"

typedef struct PfHeadLayer {
    int64_t inputs, width; /* of one head */
    int64_t columns;       /* heads * width */
    int64_t rows;          /* inputs + 1, or + 3 where normalised */
    float *parameters;     /* (rows, columns); owned */
    float *running;        /* batch norm: (2, columns) running mean and variance; owned */
} PfHeadLayer;

typedef struct PfHeadNetwork {
    PfHeadSpec spec;
    int64_t features, outputs; /* of one head */
    int heads, layer_count;
    PfHeadLayer layers[PF_MAX_HIDDEN + 1];
} PfHeadNetwork;

/* Initial values as torch.nn.Linear's, uniform in +-1/sqrt(inputs), drawn from
 * seeds[h] for head h. */
int pf_head_network_new(const PfHeadSpec *spec, int64_t features, int64_t outputs, int heads,
                        const uint64_t *seeds, PfHeadNetwork **out, PfError *err);
/* Of the same shape, for `heads` heads, whose values are still to be copied in. */
int pf_head_network_new_like(const PfHeadNetwork *network, int heads, PfHeadNetwork **out,
                             PfError *err);
void pf_head_network_free(PfHeadNetwork **network);
/* Head `from` of source over head `to` of network; the shapes are equal. */
void pf_head_network_copy_head(PfHeadNetwork *network, int to, const PfHeadNetwork *source,
                               int from);

/* From heads that took x' = (x - mean) * scale, (features) each, to heads that take x. */
void pf_head_network_fold(PfHeadNetwork *network, const float *mean, const float *scale);

/* Registers all parameters and running statistics, under names that begin with prefix. */
int pf_head_network_checkpoint(PfHeadNetwork *network, const char *prefix, PfCheckpoint *checkpoint,
                               PfError *err);

/* Room for passes of up to `capacity` rows, and the gradients. */
typedef struct PfHeadPass PfHeadPass;
int pf_head_pass_new(const PfHeadNetwork *network, int64_t capacity, bool with_gradients,
                     PfHeadPass **out, PfError *err);
void pf_head_pass_free(PfHeadPass **pass);

/* x: (n, features), lent until backward is done. outputs: (n, heads * outputs), lent until
 * the next call; the caller may turn it into gradients in place. */
float *pf_head_forward(PfHeadNetwork *network, PfHeadPass *pass, const float *x, int64_t n,
                       PfThreadPool *pool);
/* The same while training: dropout masks drawn from dropout_seed, batch statistics
 * used and the running ones moved (torch's momentum 0.1). */
float *pf_head_forward_training(PfHeadNetwork *network, PfHeadPass *pass, const float *x, int64_t n,
                                uint64_t dropout_seed, PfThreadPool *pool);
/* After forward_training: the outputs, by now their gradients, back to the parameters. */
void pf_head_backward(const PfHeadNetwork *network, PfHeadPass *pass, PfThreadPool *pool);
/* After backward, of one head: the gradient of x, (n, features). */
void pf_head_input_gradient(const PfHeadNetwork *network, const PfHeadPass *pass, float *out,
                            PfThreadPool *pool);
/* Gradients of a layer, laid out as its parameters. */
float *pf_head_gradient(PfHeadPass *pass, int layer);

#endif

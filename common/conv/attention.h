/* Attention: of each head softmax(scale q k^T) v, side by side. Scores of a few queries at a time
 * stay in the cache. Every output is the same to the last bit whatever the batch, the number of
 * threads and the instruction set. */
#ifndef PF_COMMON_CONV_ATTENTION_H
#define PF_COMMON_CONV_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

/* Of one image. q, k and v may be parts of the same rows. Fast where a head has a multiple of 16
 * channels. */
typedef struct PfAttention {
    int64_t heads, queries, keys; /* keys: and values */
    int64_t width, value_width;   /* channels of a head: of q and k; of v and y */
    float scale;
    const float *bias;      /* (heads, queries, keys), added to the scaled products; NULL: none */
    const float *q, *k, *v; /* tokens, each (heads, width or value_width) */
    int64_t q_row, k_row, v_row, y_row; /* floats from one token to the next */
    float *y; /* none of the others. What is behind its heads' channels in a row becomes zeros */
} PfAttention;

/* Bytes that pf_attention_run needs, 64-byte aligned; of it only the sizes are read. */
size_t pf_attention_scratch(const PfAttention *attention);
void pf_attention_run(const PfAttention *attention, void *scratch);

#endif

/* Convolutions of frozen networks: float32, one group, maps with channels last. Along
 * with each its bias, a sum of residual networks, and the ReLU.
 *
 * Every output is the same to the last bit whatever the batch, the number of threads
 * and the processor's instruction set: sums have one order. */
#ifndef PF_CONVOLUTION_H
#define PF_CONVOLUTION_H

#include <stddef.h>
#include <stdint.h>

#include "convolution_config.h"
#include "permafrost/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether this processor has the instructions with which these are fast. Without, all
 * works, slowly. */
int pf_convolution_is_fast(void);

int pf_convolution_new(const PfConvolutionConfig *config, PfConvolution **out, PfError *err);
void pf_convolution_free(PfConvolution **convolution);

/* A batch is computed in so many pieces, each on any thread. */
int64_t pf_convolution_pieces(const PfConvolution *convolution, const PfConvolutionMaps *maps);
/* Bytes that each running piece needs, 64-byte aligned. */
size_t pf_convolution_scratch(const PfConvolution *convolution);
void pf_convolution_run(const PfConvolution *convolution, const PfConvolutionMaps *maps,
                        int64_t piece, void *scratch);

#ifdef __cplusplus
}
#endif

#endif

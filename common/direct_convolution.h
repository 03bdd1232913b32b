/* Convolutions of convolution.h by their definition: matrix products whose rows are
 * the pixels that each weight meets, found by address and never copied (M. Dukhan,
 * "The Indirect Convolution Algorithm", 2019). */
#ifndef PF_DIRECT_CONVOLUTION_H
#define PF_DIRECT_CONVOLUTION_H

#include <stddef.h>

#include "convolution_config.h"
#include "permafrost/error.h"

typedef struct PfDirectConvolution PfDirectConvolution;

int pf_direct_new(const PfConvolutionConfig *config, PfDirectConvolution **out, PfError *err);
void pf_direct_free(PfDirectConvolution **direct);

/* As in convolution.h. */
int64_t pf_direct_pieces(const PfDirectConvolution *direct, const PfConvolutionMaps *maps);
size_t pf_direct_scratch(const PfDirectConvolution *direct);
void pf_direct_run(const PfDirectConvolution *direct, const PfConvolutionMaps *maps, int64_t piece,
                   void *scratch);

#endif

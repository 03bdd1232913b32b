#include "convolution.h"

#include <stdlib.h>
#include <string.h>

#include "direct_convolution.h"
#include "memory.h"
#include "packed_convolution.h"
#include "winograd.h"

int pf_convolution_is_fast(void)
{
    return pf_convolution_kernels() != &pf_convolution_plain;
}

int pf_convolution_new(const PfConvolutionConfig *config, PfConvolution **out, PfError *err)
{
    PfConvolution *convolution = pf_calloc(1, sizeof *convolution, err);
    if (!convolution) return -1;
    const size_t in = (size_t)config->in_channels, n = (size_t)config->out_channels;
    convolution->config = *config;
    convolution->way = pf_winograd_suits(config) ? &pf_winograd : &pf_direct_convolution;
    convolution->kernels = pf_convolution_kernels();
    const size_t per_pair = (size_t)convolution->way->weights_per_pair(config);
    convolution->weight = pf_alloc_aligned(per_pair * in * n, sizeof(float), err);
    convolution->bias = pf_calloc(n, sizeof(float), err);
    convolution->zeros = pf_calloc(in, sizeof(float), err);
    if (!convolution->weight || !convolution->bias || !convolution->zeros) {
        pf_convolution_free(&convolution);
        return -1;
    }
    if (config->bias) memcpy(convolution->bias, config->bias, n * sizeof(float));
    convolution->way->pack(convolution, config);
    convolution->config.weight = convolution->config.bias = NULL;
    *out = convolution;
    return 0;
}

void pf_convolution_free(PfConvolution **convolution)
{
    if (!*convolution) return;
    free((*convolution)->weight);
    free((*convolution)->bias);
    free((*convolution)->zeros);
    free(*convolution);
    *convolution = NULL;
}

int64_t pf_convolution_pieces(const PfConvolution *convolution, const PfConvolutionMaps *maps)
{
    return convolution->way->pieces(convolution, maps);
}

size_t pf_convolution_scratch(const PfConvolution *convolution)
{
    return convolution->way->scratch(convolution);
}

void pf_convolution_run(const PfConvolution *convolution, const PfConvolutionMaps *maps,
                        int64_t piece, void *scratch)
{
    convolution->way->run(convolution, maps, piece, scratch);
}

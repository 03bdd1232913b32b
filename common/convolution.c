#include "convolution.h"

#include <stdlib.h>

#include "convolution_kernels.h"
#include "direct_convolution.h"
#include "memory.h"
#include "winograd.h"

/* One of the two. */
struct PfConvolution {
    PfWinograd *winograd;
    PfDirectConvolution *direct;
};

int pf_convolution_is_fast(void)
{
    return pf_convolution_kernels() != &pf_convolution_plain;
}

int pf_convolution_new(const PfConvolutionConfig *config, PfConvolution **out, PfError *err)
{
    PfConvolution *convolution = pf_calloc(1, sizeof *convolution, err);
    if (!convolution) return -1;
    int rc = pf_winograd_suits(config) ? pf_winograd_new(config, &convolution->winograd, err)
                                       : pf_direct_new(config, &convolution->direct, err);
    if (rc) {
        pf_convolution_free(&convolution);
        return -1;
    }
    *out = convolution;
    return 0;
}

void pf_convolution_free(PfConvolution **convolution)
{
    if (!*convolution) return;
    pf_winograd_free(&(*convolution)->winograd);
    pf_direct_free(&(*convolution)->direct);
    free(*convolution);
    *convolution = NULL;
}

int64_t pf_convolution_pieces(const PfConvolution *convolution, const PfConvolutionMaps *maps)
{
    return convolution->winograd ? pf_winograd_pieces(convolution->winograd, maps)
                                 : pf_direct_pieces(convolution->direct, maps);
}

size_t pf_convolution_scratch(const PfConvolution *convolution)
{
    return convolution->winograd ? pf_winograd_scratch(convolution->winograd)
                                 : pf_direct_scratch(convolution->direct);
}

void pf_convolution_run(const PfConvolution *convolution, const PfConvolutionMaps *maps,
                        int64_t piece, void *scratch)
{
    if (convolution->winograd)
        pf_winograd_run(convolution->winograd, maps, piece, scratch);
    else
        pf_direct_run(convolution->direct, maps, piece, scratch);
}

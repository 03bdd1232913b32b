#include "direct_convolution.h"

#include <stdlib.h>
#include <string.h>

#include "convolution_kernels.h"
#include "memory.h"

#define PIECE 96 /* pixels of y in a piece; 48 to 384 are as good */
#define PANEL 64 /* output channels that are computed together */

struct PfDirectConvolution {
    PfConvolutionConfig config; /* without the caller's memory */
    float *weight;              /* panels, each (kernel, in_channels, its width) */
    float *bias;
    float *zeros; /* (in_channels): a pixel outside the map */
    const PfConvolutionKernels *kernels;
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Weights of each pair of channels. */
static int64_t kernel_size(const PfConvolutionConfig *config)
{
    return config->kernel[0] * config->kernel[1];
}

/* ---- weights ---- */

static void pack_weights(const PfConvolutionConfig *config, float *to)
{
    const int64_t *strides = config->strides;
    for (int64_t first = 0; first < config->out_channels; first += PANEL) {
        const int64_t width = smaller(PANEL, config->out_channels - first);
        for (int64_t place = 0; place < kernel_size(config); place++) {
            const float *from = config->weight + first * strides[0] +
                                place / config->kernel[1] * strides[2] +
                                place % config->kernel[1] * strides[3];
            for (int64_t c = 0; c < config->in_channels; c++)
                for (int64_t k = 0; k < width; k++) *to++ = from[c * strides[1] + k * strides[0]];
        }
    }
}

int pf_direct_new(const PfConvolutionConfig *config, PfDirectConvolution **out, PfError *err)
{
    PfDirectConvolution *direct = pf_calloc(1, sizeof *direct, err);
    if (!direct) return -1;
    const size_t in = (size_t)config->in_channels, n = (size_t)config->out_channels;
    direct->config = *config;
    direct->kernels = pf_convolution_kernels();
    direct->weight = pf_alloc_aligned((size_t)kernel_size(config) * in * n, sizeof(float), err);
    direct->bias = pf_calloc(n, sizeof(float), err);
    direct->zeros = pf_calloc(in, sizeof(float), err);
    if (!direct->weight || !direct->bias || !direct->zeros) {
        pf_direct_free(&direct);
        return -1;
    }
    if (config->bias) memcpy(direct->bias, config->bias, n * sizeof(float));
    pack_weights(config, direct->weight);
    direct->config.weight = direct->config.bias = NULL;
    *out = direct;
    return 0;
}

void pf_direct_free(PfDirectConvolution **direct)
{
    if (!*direct) return;
    free((*direct)->weight);
    free((*direct)->bias);
    free((*direct)->zeros);
    free(*direct);
    *direct = NULL;
}

/* ---- running ---- */

typedef struct Grid {
    const PfConvolutionMaps *maps;
    int64_t height, width; /* of y */
} Grid;

static Grid grid_of(const PfDirectConvolution *direct, const PfConvolutionMaps *maps)
{
    return (Grid){maps, pf_convolution_outputs(&direct->config, 0, maps->height),
                  pf_convolution_outputs(&direct->config, 1, maps->width)};
}

static int64_t pixels_of(const Grid *grid)
{
    return grid->maps->count * grid->height * grid->width;
}

int64_t pf_direct_pieces(const PfDirectConvolution *direct, const PfConvolutionMaps *maps)
{
    Grid grid = grid_of(direct, maps);
    return (pixels_of(&grid) + PIECE - 1) / PIECE;
}

size_t pf_direct_scratch(const PfDirectConvolution *direct)
{
    return (size_t)kernel_size(&direct->config) * PIECE * sizeof(const float *);
}

/* The pixel of x that weight (i, j) of the kernel meets at (y, x) of one map of y. */
static const float *find_pixel(const PfDirectConvolution *direct, const PfConvolutionMaps *maps,
                               int64_t map, int64_t y, int64_t x)
{
    if (y < 0 || y >= maps->height || x < 0 || x >= maps->width) return direct->zeros;
    return maps->x + ((map * maps->height + y) * maps->width + x) * direct->config.in_channels;
}

/* pixels: (kernel, PIECE), of `count` pixels of y from `first` on */
static void find_pixels(const PfDirectConvolution *direct, const Grid *grid, int64_t first,
                        int64_t count, const float **pixels)
{
    const PfConvolutionConfig *config = &direct->config;
    for (int64_t p = 0; p < count; p++) {
        const int64_t row = (first + p) / grid->width, map = row / grid->height;
        const int64_t y = row % grid->height * config->stride[0] - config->padding[0];
        const int64_t x = (first + p) % grid->width * config->stride[1] - config->padding[1];
        for (int64_t i = 0; i < config->kernel[0]; i++)
            for (int64_t j = 0; j < config->kernel[1]; j++)
                pixels[(i * config->kernel[1] + j) * PIECE + p] =
                    find_pixel(direct, grid->maps, map, y + i * config->dilation[0],
                               x + j * config->dilation[1]);
    }
}

/* product: of one panel; all but its factors and its end are set */
static void multiply_panel(const PfDirectConvolution *direct, PfProduct *product,
                           const float *const *pixels, const float *panel, const float *bias)
{
    const int64_t places = kernel_size(&direct->config);
    for (int64_t place = 0; place < places; place++) {
        product->v = pixels + place * PIECE;
        product->u = panel + place * product->depth * product->width;
        product->bias = place == places - 1 ? bias : NULL;
        direct->kernels->multiply(product);
        product->from = product->m;
    }
}

void pf_direct_run(const PfDirectConvolution *direct, const PfConvolutionMaps *maps, int64_t piece,
                   void *scratch)
{
    const Grid grid = grid_of(direct, maps);
    const int64_t first = piece * PIECE, count = smaller(PIECE, pixels_of(&grid) - first);
    const int64_t channels = direct->config.out_channels;
    const float **pixels = scratch, *panel = direct->weight;
    find_pixels(direct, &grid, first, count, pixels);
    PfProduct product = {.rows = count,
                         .depth = direct->config.in_channels,
                         .m_row = channels,
                         .relu = direct->config.relu,
                         .bf16 = direct->config.bf16};
    for (int64_t k = 0; k < channels; k += PANEL) {
        product.width = smaller(PANEL, channels - k);
        product.m = maps->y + first * channels + k;
        product.from = maps->sum ? maps->sum + first * channels + k : NULL;
        multiply_panel(direct, &product, (const float *const *)pixels, panel, direct->bias + k);
        panel += kernel_size(&direct->config) * product.depth * product.width;
    }
}

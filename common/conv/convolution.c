#include "common/conv/convolution.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/conv/internal.h"

int64_t pf_convolution_outputs(const PfConvolutionConfig *config, int axis, int64_t size)
{
    return pf_window_outputs(size + config->more_padding[axis], config->kernel[axis],
                             config->stride[axis], config->padding[axis], config->dilation[axis]);
}

bool pf_convolution_is_fast(void)
{
    return pf_conv_kernels() != &pf_conv_kernels_plain;
}

static const PfConvolutionWay *choose_way(const PfConvolutionConfig *config)
{
    if (config->groups > 1)
        return pf_convolution_depthwise_suits(config) ? &pf_convolution_depthwise
                                                      : &pf_convolution_grouped;
    if (config->in_channels % 16) return &pf_convolution_gathered;
    return pf_convolution_winograd_suits(config) ? &pf_convolution_winograd
                                                 : &pf_convolution_direct;
}

static size_t packed_bytes(const PfConvolution *convolution)
{
    const PfConvolutionConfig *config = &convolution->config;
    return (size_t)(convolution->way->weight_rows(config) * config->out_channels) * sizeof(float);
}

/* Winograd's weights of more bytes, four times what the file has, are not kept where few maps come:
 * most of the time would go into memory that the system has to clear. */
enum { FLEETING_BYTES = 4 << 20 };

static bool is_fleeting(const PfConvolution *convolution, const PfConvolutionConfig *config)
{
    return config->weight && config->weight_stays && convolution->way == &pf_convolution_winograd &&
           packed_bytes(convolution) > FLEETING_BYTES;
}

/* The caller's weights are packed while it runs. */
static int keep_config(PfConvolution *convolution, const PfConvolutionConfig *config, PfError *err)
{
    const size_t n = (size_t)config->out_channels;
    convolution->config.weight = config->weight;
    if (!config->scale) return 0;
    convolution->scale = pf_calloc(n, sizeof *convolution->scale, err);
    if (!convolution->scale) return -1;
    memcpy(convolution->scale, config->scale, n * sizeof *convolution->scale);
    convolution->config.scale = convolution->scale;
    return 0;
}

static int pack_weights(PfConvolution *convolution, const PfConvolutionConfig *config, PfError *err)
{
    if (!config->weight) return 0;
    if (is_fleeting(convolution, config)) return keep_config(convolution, config, err);
    convolution->owned = pf_alloc_large(packed_bytes(convolution), 1, err);
    if (!convolution->owned) return -1;
    convolution->weight = convolution->owned;
    for (int64_t i = 0; i < pf_convolution_panels(convolution); i++)
        pf_convolution_pack(convolution, config, i);
    return 0;
}

int pf_convolution_new(const PfConvolutionConfig *config, PfConvolution **out, PfError *err)
{
    PfConvolution *convolution = pf_calloc(1, sizeof *convolution, err);
    if (!convolution) return -1;
    const size_t in = (size_t)config->in_channels, n = (size_t)config->out_channels;
    convolution->config = *config;
    convolution->way = choose_way(config);
    convolution->kernels = pf_conv_kernels();
    convolution->config.weight = convolution->config.bias = NULL;
    convolution->config.scale = NULL;
    convolution->bias = pf_calloc(n, sizeof(float), err);
    convolution->zeros = pf_calloc(in, sizeof(float), err);
    if (!convolution->bias || !convolution->zeros || pack_weights(convolution, config, err)) {
        pf_convolution_free(&convolution);
        return -1;
    }
    if (config->bias) memcpy(convolution->bias, config->bias, n * sizeof(float));
    *out = convolution;
    return 0;
}

void pf_convolution_free(PfConvolution **convolution)
{
    if (!*convolution) return;
    free((*convolution)->owned);
    free((*convolution)->scale);
    free((*convolution)->bias);
    free((*convolution)->zeros);
    free(*convolution);
    *convolution = NULL;
}

size_t pf_convolution_weight_bytes(const PfConvolution *convolution)
{
    return convolution->config.weight ? 0 : packed_bytes(convolution);
}

void pf_convolution_lend(PfConvolution *convolution, float *packed)
{
    convolution->weight = packed;
}

int64_t pf_convolution_panels(const PfConvolution *convolution)
{
    return pf_convolution_panel_count(&convolution->config);
}

void pf_convolution_pack(PfConvolution *convolution, const PfConvolutionConfig *config,
                         int64_t panel)
{
    convolution->way->pack(convolution, config, panel * PF_CONVOLUTION_PANEL);
}

void pf_convolution_square(const PfConvolutionConfig *config, int64_t k, int64_t c, int64_t place,
                           float *to, int64_t row)
{
    const int64_t y = place / config->kernel[1], x = place % config->kernel[1];
    if (config->strides[0] < config->strides[1]) { /* along memory, either way */
        for (int64_t i = 0; i < 16; i++)
            for (int64_t j = 0; j < 16; j++)
                to[i * row + j] = pf_convolution_weight(config, k + j, c + i, y, x);
    } else {
        for (int64_t j = 0; j < 16; j++)
            for (int64_t i = 0; i < 16; i++)
                to[i * row + j] = pf_convolution_weight(config, k + j, c + i, y, x);
    }
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

/* ==== by the definition ==== */

#define PIECE 102 /* pixels of y in a piece; 48 to 384 are as good */

/* Places of the kernel. */
static int64_t kernel_size(const PfConvolutionConfig *config)
{
    return config->kernel[0] * config->kernel[1];
}

/* ---- weights ---- */

static int64_t weight_rows(const PfConvolutionConfig *config)
{
    return kernel_size(config) * config->in_channels;
}

static void pack(PfConvolution *direct, const PfConvolutionConfig *config, int64_t k)
{
    const int64_t width = pf_convolution_panel_width(config, k), channels = config->in_channels;
    const int64_t strip = direct->kernels->strip;
    float *panel = direct->weight + k * weight_rows(config);
    for (int64_t i = 0; i < width; i += 16) {
        const int64_t row =
            pf_product_u(strip, channels, width, 1, i) - pf_product_u(strip, channels, width, 0, i);
        for (int64_t c = 0; c < channels; c += 16)
            for (int64_t place = 0; place < kernel_size(config); place++)
                pf_convolution_square(config, k + i, c, place,
                                      panel + place * channels * width +
                                          pf_product_u(strip, channels, width, c, i),
                                      row);
    }
}

/* ---- running ---- */

typedef struct Grid {
    const PfConvolutionMaps *maps;
    int64_t height, width; /* of y */
} Grid;

static Grid grid_of(const PfConvolution *direct, const PfConvolutionMaps *maps)
{
    return (Grid){maps, pf_convolution_outputs(&direct->config, 0, maps->height),
                  pf_convolution_outputs(&direct->config, 1, maps->width)};
}

static int64_t pixels_of(const Grid *grid)
{
    return grid->maps->count * grid->height * grid->width;
}

static int64_t pieces(const PfConvolution *direct, const PfConvolutionMaps *maps)
{
    Grid grid = grid_of(direct, maps);
    return pf_convolution_share(pixels_of(&grid), PIECE).count *
           pf_convolution_splits(direct, maps);
}

static size_t scratch_bytes(const PfConvolution *direct)
{
    return (size_t)kernel_size(&direct->config) * PIECE * sizeof(const float *);
}

/* Whether each pixel of y is made of the same one of x. */
static bool is_pixelwise(const PfConvolutionConfig *config)
{
    return kernel_size(config) == 1 && config->stride[0] * config->stride[1] == 1 &&
           !config->padding[0] && !config->padding[1] && !config->more_padding[0] &&
           !config->more_padding[1];
}

/* pixels: (kernel, PIECE), of `count` pixels of y from `first` on */
static void find_pixels(const PfConvolution *direct, const Grid *grid, int64_t first, int64_t count,
                        const float **pixels)
{
    const PfConvolutionConfig *config = &direct->config;
    const float *x = grid->maps->x + first * config->in_channels;
    if (is_pixelwise(config)) {
        for (int64_t p = 0; p < count; p++) pixels[p] = x + p * config->in_channels;
        return;
    }
    int64_t row = first / grid->width, column = first % grid->width;
    for (int64_t p = 0; p < count; p++, column++) {
        if (column == grid->width) {
            column = 0;
            row++;
        }
        const int64_t map = row / grid->height;
        const int64_t top = row % grid->height * config->stride[0] - config->padding[0];
        const int64_t left = column * config->stride[1] - config->padding[1];
        for (int64_t i = 0; i < config->kernel[0]; i++)
            for (int64_t j = 0; j < config->kernel[1]; j++)
                pixels[(i * config->kernel[1] + j) * PIECE + p] =
                    pf_convolution_pixel(direct, grid->maps, map, top + i * config->dilation[0],
                                         left + j * config->dilation[1]);
    }
}

/* product: of one panel; all but its factors and its end are set */
static void multiply_panel(const PfConvolution *direct, PfProduct *product,
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

/* From each pixel of x to that of the next piece, where all are in one row; else 0. */
static int64_t to_next_piece(const PfConvolution *direct, int64_t count)
{
    return is_pixelwise(&direct->config) ? count * direct->config.in_channels : 0;
}

static void run(const PfConvolution *direct, const PfConvolutionMaps *maps, int64_t piece,
                void *scratch)
{
    const Grid grid = grid_of(direct, maps);
    const int64_t size = pf_convolution_share(pixels_of(&grid), PIECE).size;
    const int64_t splits = pf_convolution_splits(direct, maps), part = piece % splits;
    const int64_t first = piece / splits * size, count = pf_min(size, pixels_of(&grid) - first);
    const int64_t channels = direct->config.out_channels;
    const int64_t end = pf_convolution_split(direct, splits, part + 1);
    const float **pixels = scratch;
    find_pixels(direct, &grid, first, count, pixels);
    PfProduct product = {.rows = count,
                         .depth = direct->config.in_channels,
                         .filled = direct->config.filled_channels,
                         .v_step = is_pixelwise(&direct->config) ? direct->config.in_channels : 0,
                         .m_row = channels,
                         .cut = pf_activation_cut(&direct->config.activation),
                         .bf16 = direct->config.bf16};
    for (int64_t k = pf_convolution_split(direct, splits, part); k < end;
         k += PF_CONVOLUTION_PANEL) {
        product.width = pf_convolution_panel_width(&direct->config, k);
        product.next = k + PF_CONVOLUTION_PANEL < channels ? 0 : to_next_piece(direct, count);
        product.m = maps->y + first * channels + k;
        product.from = maps->sum ? maps->sum + first * channels + k : NULL;
        multiply_panel(direct, &product, (const float *const *)pixels,
                       direct->weight + k * weight_rows(&direct->config), direct->bias + k);
        pf_convolution_activate(direct, count, product.width, product.m);
    }
}

const PfConvolutionWay pf_convolution_direct = {.weight_rows = weight_rows,
                                                .pack = pack,
                                                .pieces = pieces,
                                                .scratch = scratch_bytes,
                                                .run = run};

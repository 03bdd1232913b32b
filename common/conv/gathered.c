/* Convolutions of few channels: see internal.h. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/conv/internal.h"

/* Pixels of y in a piece: their rows stay in the first-level cache. */
#define PIECE 48

/* Numbers of a row, filled up with zeros to what products take. */
static int64_t depth_of(const PfConvolutionConfig *config)
{
    const int64_t values = config->kernel[0] * config->kernel[1] * config->in_channels;
    return (values + 15) / 16 * 16;
}

/* ---- weights ---- */

/* Of value i of a row, which is zero where that is past the kernel. */
static float weight_at(const PfConvolutionConfig *config, int64_t i, int64_t k)
{
    const int64_t place = i / config->in_channels, c = i % config->in_channels;
    const int64_t y = place / config->kernel[1], x = place % config->kernel[1];
    return y < config->kernel[0] ? pf_convolution_weight(config, k, c, y, x) : 0;
}

static void pack(PfConvolution *gathered, const PfConvolutionConfig *config, int64_t first)
{
    const int64_t width = pf_convolution_panel_width(config, first), depth = depth_of(config);
    float *to = gathered->weight + first * depth;
    if (!first) gathered->finite = true;
    for (int64_t i = 0; i < depth; i++)
        for (int64_t k = 0; k < width; k++) {
            const float weight = weight_at(config, i, first + k);
            to[pf_product_u(gathered->kernels->strip, depth, width, i, k)] = weight;
            gathered->finite &= isfinite(weight) != 0;
        }
}

/* ---- running ---- */

/* A batch, the part of it that one piece is, and the piece's memory. */
typedef struct Piece {
    const PfConvolution *gathered;
    const PfConvolutionMaps *maps;
    int64_t height, width; /* of y */
    int64_t first, count;  /* pixels of y */
    float *rows;           /* (PIECE, depth) */
    float *inside;         /* (depth, PF_CONVOLUTION_PANEL): weights that meet the map */
    const float **begins;  /* (PIECE): of rows */
} Piece;

static int64_t pixels_of(const PfConvolution *gathered, const PfConvolutionMaps *maps)
{
    return maps->count * pf_convolution_outputs(&gathered->config, 0, maps->height) *
           pf_convolution_outputs(&gathered->config, 1, maps->width);
}

static int64_t pieces(const PfConvolution *gathered, const PfConvolutionMaps *maps)
{
    return (pixels_of(gathered, maps) + PIECE - 1) / PIECE;
}

static size_t scratch_bytes(const PfConvolution *gathered)
{
    const int64_t numbers = depth_of(&gathered->config) * (PIECE + PF_CONVOLUTION_PANEL);
    return (size_t)numbers * sizeof(float) + PIECE * sizeof(const float *);
}

/* Where the window of a pixel of y begins in its map. */
typedef struct Corner {
    int64_t map, y, x;
} Corner;

static Corner corner_of(const Piece *piece, int64_t pixel)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    const int64_t row = pixel / piece->width;
    return (Corner){row / piece->height,
                    row % piece->height * config->stride[0] - config->padding[0],
                    pixel % piece->width * config->stride[1] - config->padding[1]};
}

static bool is_inside(const Piece *piece, int64_t y, int64_t x)
{
    return y >= 0 && y < piece->maps->height && x >= 0 && x < piece->maps->width;
}

/* The far end of the window, too, is inside. */
static bool is_whole(const Piece *piece, Corner corner)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    return is_inside(piece, corner.y, corner.x) &&
           is_inside(piece, corner.y + (config->kernel[0] - 1) * config->dilation[0],
                     corner.x + (config->kernel[1] - 1) * config->dilation[1]);
}

/* Eight at a time, of which the last ones may be copied twice: a few instructions, no loop over
 * what is left. */
static void copy(float *to, const float *from, int64_t count)
{
    enum { AT_ONCE = 8 };
    const size_t bytes = AT_ONCE * sizeof *to;
    if (count < AT_ONCE) {
        for (int64_t i = 0; i < count; i++) to[i] = from[i];
        return;
    }
    for (int64_t i = 0; i + AT_ONCE <= count; i += AT_ONCE) memcpy(to + i, from + i, bytes);
    memcpy(to + count - AT_ONCE, from + count - AT_ONCE, bytes);
}

/* A window whose rows lie in one piece each. */
static void gather_rows(const Piece *piece, Corner corner, float *to)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    const int64_t values = config->kernel[1] * config->in_channels;
    for (int64_t i = 0; i < config->kernel[0]; i++, to += values)
        copy(to,
             pf_convolution_pixel(piece->gathered, piece->maps, corner.map,
                                  corner.y + i * config->dilation[0], corner.x),
             values);
}

static void gather_pixels(const Piece *piece, Corner corner, float *to)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    for (int64_t i = 0; i < config->kernel[0]; i++)
        for (int64_t j = 0; j < config->kernel[1]; j++, to += config->in_channels)
            copy(to,
                 pf_convolution_pixel(piece->gathered, piece->maps, corner.map,
                                      corner.y + i * config->dilation[0],
                                      corner.x + j * config->dilation[1]),
                 config->in_channels);
}

static void gather(const Piece *piece)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    const int64_t depth = depth_of(config);
    const int64_t values = config->kernel[0] * config->kernel[1] * config->in_channels;
    Corner corner = corner_of(piece, piece->first);
    int64_t column = piece->first % piece->width;
    for (int64_t p = 0; p < piece->count; p++) {
        float *to = piece->rows + p * depth;
        piece->begins[p] = to;
        if (config->dilation[1] == 1 && is_whole(piece, corner))
            gather_rows(piece, corner, to);
        else
            gather_pixels(piece, corner, to);
        for (int64_t i = values; i < depth; i++) to[i] = 0;
        corner.x += config->stride[1];
        if (++column < piece->width) continue;
        column = 0;
        corner = corner_of(piece, piece->first + p + 1);
    }
}

/* Rows of u become zeros. */
static void clear_rows(const Piece *piece, const PfProduct *product, int64_t first, int64_t count)
{
    const int64_t strip = piece->gathered->kernels->strip;
    for (int64_t row = first; row < first + count; row++)
        for (int64_t column = 0; column < product->width; column += strip) {
            const int64_t numbers = pf_min(strip, product->width - column);
            memset(piece->inside + pf_product_u(strip, product->depth, product->width, row, column),
                   0, (size_t)numbers * sizeof *piece->inside);
        }
}

/* Of a pixel at the border: u with zeros where a weight meets no pixel of the map. */
static const float *weights_inside(const Piece *piece, const PfProduct *product, Corner corner)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    memcpy(piece->inside, product->u,
           (size_t)(product->depth * product->width) * sizeof *piece->inside);
    for (int64_t i = 0; i < config->kernel[0] * config->kernel[1]; i++) {
        const int64_t y = corner.y + i / config->kernel[1] * config->dilation[0];
        const int64_t x = corner.x + i % config->kernel[1] * config->dilation[1];
        if (!is_inside(piece, y, x))
            clear_rows(piece, product, i * config->in_channels, config->in_channels);
    }
    return piece->inside;
}

/* Pixel by pixel, where zeros around the map would meet weights that are not finite. */
static void multiply_carefully(const Piece *piece, const PfProduct *product)
{
    for (int64_t p = 0; p < piece->count; p++) {
        const Corner corner = corner_of(piece, piece->first + p);
        PfProduct one = *product;
        one.rows = 1;
        one.v += p;
        one.m += p * one.m_row;
        if (one.from) one.from += p * one.m_row;
        if (!is_whole(piece, corner)) one.u = weights_inside(piece, product, corner);
        piece->gathered->kernels->multiply(&one);
    }
}

/* Where the rows of the first window begin in x, into piece->begins, which has room for them. */
static PfWindows find_windows(const Piece *piece)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    const Corner corner = corner_of(piece, piece->first);
    for (int64_t i = 0; i < config->kernel[0]; i++)
        piece->begins[i] = pf_convolution_pixel(piece->gathered, piece->maps, corner.map,
                                                corner.y + i * config->dilation[0], corner.x);
    return (PfWindows){.rows = config->kernel[0],
                       .length = config->kernel[1] * config->in_channels,
                       .step = config->stride[1] * config->in_channels};
}

/* are_whole: windows are taken from the map as they lie there. */
static void run_pixels(const Piece *piece, bool are_whole)
{
    const PfConvolution *gathered = piece->gathered;
    const PfConvolutionConfig *config = &gathered->config;
    const int64_t depth = depth_of(config), channels = config->out_channels;
    const int64_t values = config->kernel[0] * config->kernel[1] * config->in_channels;
    PfWindows windows = {0};
    if (are_whole)
        windows = find_windows(piece);
    else
        gather(piece);
    PfProduct product = {.rows = piece->count,
                         .depth = depth,
                         .filled = depth - values,
                         .v_step = depth,
                         .v = piece->begins,
                         .u = gathered->weight,
                         .m_row = channels,
                         .cut = pf_activation_cut(&config->activation),
                         .bf16 = config->bf16};
    for (int64_t k = 0; k < channels; k += PF_CONVOLUTION_PANEL) {
        product.width = pf_convolution_panel_width(config, k);
        product.m = piece->maps->y + piece->first * channels + k;
        product.from = piece->maps->sum ? piece->maps->sum + piece->first * channels + k : NULL;
        product.bias = gathered->bias + k;
        if (are_whole)
            gathered->kernels->multiply_windows(&product, &windows);
        else if (gathered->finite)
            gathered->kernels->multiply(&product);
        else
            multiply_carefully(piece, &product);
        pf_convolution_activate(gathered, product.rows, product.width, product.m);
        product.u += depth * product.width;
    }
}

/* How many windows from this one of the piece on are side by side, inside the map, and their rows
 * in one piece each. */
static int64_t whole_windows(const Piece *piece, int64_t at)
{
    const PfConvolutionConfig *config = &piece->gathered->config;
    const int64_t pixel = piece->first + at, column = pixel % piece->width;
    const Corner corner = corner_of(piece, pixel);
    if (config->dilation[1] != 1 || config->kernel[0] > PIECE || !is_whole(piece, corner)) return 0;
    const int64_t inside =
        (piece->maps->width - config->kernel[1] - corner.x) / config->stride[1] + 1;
    return pf_min(pf_min(inside, piece->width - column), piece->count - at);
}

static void run(const PfConvolution *gathered, const PfConvolutionMaps *maps, int64_t index,
                void *scratch)
{
    const PfConvolutionConfig *config = &gathered->config;
    Piece piece = {.gathered = gathered,
                   .maps = maps,
                   .height = pf_convolution_outputs(config, 0, maps->height),
                   .width = pf_convolution_outputs(config, 1, maps->width),
                   .first = index * PIECE,
                   .begins = scratch};
    piece.count = pf_min(PIECE, pixels_of(gathered, maps) - piece.first);
    piece.rows = (float *)(piece.begins + PIECE);
    piece.inside = piece.rows + PIECE * depth_of(config);
    if (!gathered->finite) {
        run_pixels(&piece, false);
        return;
    }
    for (int64_t at = 0; at < piece.count;) {
        const int64_t whole = whole_windows(&piece, at);
        Piece part = piece;
        part.first += at;
        part.count = whole;
        if (!whole) do
                part.count++;
            while (at + part.count < piece.count && !whole_windows(&piece, at + part.count));
        run_pixels(&part, whole > 0);
        at += part.count;
    }
}

const PfConvolutionWay pf_convolution_gathered = {
    .weight_rows = depth_of, .pack = pack, .pieces = pieces, .scratch = scratch_bytes, .run = run};

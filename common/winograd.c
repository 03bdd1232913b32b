#include "winograd.h"

#include <stdlib.h>
#include <string.h>

#include "convolution_kernels.h"
#include "memory.h"

/* Tiles of a piece: enough that weights are read seldom, few enough that one panel's
 * values stay in the second-level cache. */
#define PIECE 64
#define PANEL 64 /* output channels that are multiplied, and transformed back, together */
/* Between points, so that the 36 of them do not fall on the same lines of the cache. */
#define GAP 16
#define TILE 4

struct PfWinograd {
    int64_t in_channels, out_channels;
    int64_t padding[2];
    int relu, bf16;
    float *weight; /* panels, each (36, in_channels, its width) */
    float *bias;
    float *zeros; /* (in_channels): a pixel outside the map */
    const PfConvolutionKernels *kernels;
};

/* ---- when ---- */

static int is_pair(const int64_t pair[2], int64_t value)
{
    return pair[0] == value && pair[1] == value;
}

/* Tiles along an axis of y. */
static int64_t tiles_along(int64_t outputs)
{
    return (outputs + TILE - 1) / TILE;
}

/* How many multiplications of the definition each of ours replaces: 4, less what
 * tiles waste that reach beyond the map. */
static double saving(int64_t height, int64_t width)
{
    const double whole = (double)(tiles_along(height) * TILE * tiles_along(width) * TILE);
    return 4 * (double)(height * width) / whole;
}

int pf_winograd_suits(const PfConvolutionConfig *config)
{
    if (!is_pair(config->kernel, 3) || !is_pair(config->stride, 1) || !is_pair(config->dilation, 1))
        return 0;
    const int64_t height = pf_convolution_outputs(config, 0, config->map[0]);
    const int64_t width = pf_convolution_outputs(config, 1, config->map[1]);
    return height > 0 && width > 0 && saving(height, width) >= 2;
}

/* ---- weights ---- */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t panel_width(const PfWinograd *winograd, int64_t k)
{
    return smaller(PANEL, winograd->out_channels - k);
}

/* w: (3, 3, 16), of one input channel and 16 output channels from k on */
static void gather_weights(const PfConvolutionConfig *config, int64_t k, int64_t c, float *w)
{
    const int64_t *strides = config->strides;
    const float *from = config->weight + k * strides[0] + c * strides[1];
    for (int y = 0; y < 3; y++)
        for (int x = 0; x < 3; x++)
            for (int i = 0; i < 16; i++)
                *w++ = from[i * strides[0] + y * strides[2] + x * strides[3]];
}

static void pack_weights(PfWinograd *winograd, const PfConvolutionConfig *config)
{
    const int64_t channels = config->in_channels;
    float *panel = winograd->weight, w[3 * 3 * 16];
    for (int64_t k = 0; k < config->out_channels; k += PANEL) {
        const int64_t width = panel_width(winograd, k);
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < width; i += 16) {
                gather_weights(config, k + i, c, w);
                winograd->kernels->winograd_weights(w, panel + c * width + i, channels * width);
            }
        panel += PF_WINOGRAD_POINTS * channels * width;
    }
}

int pf_winograd_new(const PfConvolutionConfig *config, PfWinograd **out, PfError *err)
{
    PfWinograd *winograd = pf_calloc(1, sizeof *winograd, err);
    if (!winograd) return -1;
    const size_t in = (size_t)config->in_channels, n = (size_t)config->out_channels;
    winograd->in_channels = config->in_channels;
    winograd->out_channels = config->out_channels;
    memcpy(winograd->padding, config->padding, sizeof winograd->padding);
    winograd->relu = config->relu;
    winograd->bf16 = config->bf16;
    winograd->kernels = pf_convolution_kernels();
    winograd->weight = pf_alloc_aligned(PF_WINOGRAD_POINTS * in * n, sizeof(float), err);
    winograd->bias = pf_calloc(n, sizeof(float), err);
    winograd->zeros = pf_calloc(in, sizeof(float), err);
    if (!winograd->weight || !winograd->bias || !winograd->zeros) {
        pf_winograd_free(&winograd);
        return -1;
    }
    if (config->bias) memcpy(winograd->bias, config->bias, n * sizeof(float));
    pack_weights(winograd, config);
    *out = winograd;
    return 0;
}

void pf_winograd_free(PfWinograd **winograd)
{
    if (!*winograd) return;
    free((*winograd)->weight);
    free((*winograd)->bias);
    free((*winograd)->zeros);
    free(*winograd);
    *winograd = NULL;
}

/* ---- running ---- */

/* What is the same for all of a batch's tiles. */
typedef struct Grid {
    const PfConvolutionMaps *maps;
    int64_t height, width; /* of y */
    int64_t rows, columns; /* of tiles, in one map */
} Grid;

typedef struct Place {
    int64_t map, y, x; /* of the tile's first output */
} Place;

static Grid grid_of(const PfWinograd *winograd, const PfConvolutionMaps *maps)
{
    Grid grid = {.maps = maps,
                 .height = maps->height + 2 * winograd->padding[0] - 2,
                 .width = maps->width + 2 * winograd->padding[1] - 2};
    grid.rows = tiles_along(grid.height);
    grid.columns = tiles_along(grid.width);
    return grid;
}

static int64_t tiles_of(const Grid *grid)
{
    return grid->maps->count * grid->rows * grid->columns;
}

static Place place_of(const Grid *grid, int64_t tile)
{
    const int64_t column = tile % grid->columns, row = tile / grid->columns;
    return (Place){row / grid->rows, TILE * (row % grid->rows), TILE * column};
}

int64_t pf_winograd_pieces(const PfWinograd *winograd, const PfConvolutionMaps *maps)
{
    Grid grid = grid_of(winograd, maps);
    return (tiles_of(&grid) + PIECE - 1) / PIECE;
}

/* Distances between points in the scratch memory. */
static int64_t input_point(const PfWinograd *winograd)
{
    return PIECE * winograd->in_channels + GAP;
}

static const int64_t output_point = PIECE * PANEL + GAP;

size_t pf_winograd_scratch(const PfWinograd *winograd)
{
    const int64_t count = PF_WINOGRAD_POINTS * (input_point(winograd) + output_point);
    return (size_t)count * sizeof(float);
}

static void find_input(const PfWinograd *winograd, const Grid *grid, Place place,
                       PfWinogradInputTile *tile)
{
    const PfConvolutionMaps *maps = grid->maps;
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            const int64_t y = place.y - winograd->padding[0] + i,
                          x = place.x - winograd->padding[1] + j;
            const int is_inside = y >= 0 && y < maps->height && x >= 0 && x < maps->width;
            tile->pixels[6 * i + j] =
                is_inside ? maps->x + ((place.map * maps->height + y) * maps->width + x) *
                                          winograd->in_channels
                          : winograd->zeros;
        }
}

static void find_output(const PfWinograd *winograd, const Grid *grid, Place place, int64_t k,
                        PfWinogradOutputTile *tile)
{
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++) {
            const int64_t y = place.y + i, x = place.x + j;
            tile->pixels[TILE * i + j] =
                y < grid->height && x < grid->width
                    ? grid->maps->y +
                          ((place.map * grid->height + y) * grid->width + x) *
                              winograd->out_channels +
                          k
                    : NULL;
        }
}

static void transform_inputs(const PfWinograd *winograd, const Grid *grid, int64_t first,
                             int64_t count, float *values)
{
    PfWinogradInputTile tile = {.channels = winograd->in_channels, .point = input_point(winograd)};
    for (int64_t t = 0; t < count; t++) {
        find_input(winograd, grid, place_of(grid, first + t), &tile);
        tile.out = values + t * winograd->in_channels;
        winograd->kernels->winograd_input_tile(&tile);
    }
}

static void multiply_points(const PfWinograd *winograd, const float *values, int64_t count,
                            const float *panel, int64_t width, float *products)
{
    const float *rows[PIECE];
    for (int64_t t = 0; t < count; t++) rows[t] = values + t * winograd->in_channels;
    PfProduct product = {
        .rows = count, .depth = winograd->in_channels, .v = rows, .width = width, .m_row = width};
    for (int point = 0; point < PF_WINOGRAD_POINTS; point++) {
        product.offset = point * input_point(winograd);
        product.u = panel + point * winograd->in_channels * width;
        product.m = products + point * output_point;
        winograd->kernels->multiply(&product);
    }
}

static void transform_outputs(const PfWinograd *winograd, const Grid *grid, int64_t first,
                              int64_t count, int64_t k, const float *products)
{
    PfWinogradOutputTile tile = {.point = output_point,
                                 .channels = panel_width(winograd, k),
                                 .bias = winograd->bias + k,
                                 .base = grid->maps->y,
                                 .sum = grid->maps->sum,
                                 .relu = winograd->relu,
                                 .bf16 = winograd->bf16};
    for (int64_t t = 0; t < count; t++) {
        find_output(winograd, grid, place_of(grid, first + t), k, &tile);
        tile.in = products + t * tile.channels;
        winograd->kernels->winograd_output_tile(&tile);
    }
}

void pf_winograd_run(const PfWinograd *winograd, const PfConvolutionMaps *maps, int64_t piece,
                     void *scratch)
{
    const Grid grid = grid_of(winograd, maps);
    const int64_t first = piece * PIECE, count = smaller(PIECE, tiles_of(&grid) - first);
    float *values = scratch, *products = values + PF_WINOGRAD_POINTS * input_point(winograd);
    const float *panel = winograd->weight;
    transform_inputs(winograd, &grid, first, count, values);
    for (int64_t k = 0; k < winograd->out_channels; k += PANEL) {
        const int64_t width = panel_width(winograd, k);
        multiply_points(winograd, values, count, panel, width, products);
        transform_outputs(winograd, &grid, first, count, k, products);
        panel += PF_WINOGRAD_POINTS * winograd->in_channels * width;
    }
}

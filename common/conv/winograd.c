/* Convolutions of 3 x 3 by Winograd's minimal filtering: see internal.h. */
#include <stdbool.h>

#include "common/base/integers.h"
#include "common/conv/internal.h"

/* Tiles of a piece: enough that weights are read seldom, few enough that one panel's
 * values stay in the second-level cache. */
#define PIECE 72
/* Between points, so that the 36 of them do not fall on the same lines of the cache. */
#define GAP 16
#define TILE 4

/* ---- when ---- */

static bool is_pair(const int64_t pair[2], int64_t value)
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

bool pf_convolution_winograd_suits(const PfConvolutionConfig *config)
{
    if (config->in_channels % 16 || !is_pair(config->kernel, 3) || !is_pair(config->stride, 1) ||
        !is_pair(config->dilation, 1))
        return false;
    const int64_t height = pf_convolution_outputs(config, 0, config->map[0]);
    const int64_t width = pf_convolution_outputs(config, 1, config->map[1]);
    return height > 0 && width > 0 && saving(height, width) >= 2;
}

/* ---- weights ---- */

static int64_t weight_rows(const PfConvolutionConfig *config)
{
    return PF_WINOGRAD_POINTS * config->in_channels;
}

enum { PLACES = 9, SQUARES = 16 * PLACES * 16 };

/* Whether an output channel's weights lie as they do in files: in one piece. */
static bool lie_in_rows(const PfConvolutionConfig *config)
{
    const int64_t *strides = config->strides;
    return strides[1] == PLACES && strides[2] == 3 && strides[3] == 1;
}

/* Of four output channels, whose numbers leave in one store: (16 input channels, places) each,
 * `step` apart, with a factor each. */
static void interleave(const float *from, int64_t step, const double scale[4], float *to)
{
    for (int64_t i = 0; i < 16 * PLACES; i++, to += 16) {
        to[0] = (float)((double)from[i] * scale[0]);
        to[1] = (float)((double)from[i + step] * scale[1]);
        to[2] = (float)((double)from[i + 2 * step] * scale[2]);
        to[3] = (float)((double)from[i + 3 * step] * scale[3]);
    }
}

/* Weights of 16 output channels from k on and 16 input channels from c on, as they are to be
 * packed: (input channels, places, output channels). */
static void read_squares(const PfConvolutionConfig *config, int64_t k, int64_t c, float w[SQUARES])
{
    static const double ones[] = {1, 1, 1, 1};
    if (!lie_in_rows(config)) {
        for (int place = 0; place < PLACES; place++)
            pf_convolution_square(config, k, c, place, w + 16 * place, 16 * PLACES);
        return;
    }
    for (int64_t j = 0; j < 16; j += 4)
        interleave(config->weight + (k + j) * config->strides[0] + c * PLACES, config->strides[0],
                   config->scale ? config->scale + k + j : ones, w + j);
}

/* panel: (rows, its width) */
static void pack_panel(const PfConvolution *winograd, const PfConvolutionConfig *config, int64_t k,
                       float *panel)
{
    const int64_t channels = config->in_channels, width = pf_convolution_panel_width(config, k);
    float w[SQUARES];
    for (int64_t c = 0; c < channels; c += 16)
        for (int64_t i = 0; i < width; i += 16) {
            read_squares(config, k + i, c, w);
            for (int64_t j = 0; j < 16; j++)
                winograd->kernels->winograd_weights(
                    w + j * 16 * PLACES,
                    panel + pf_product_u(winograd->kernels->strip, channels, width, c + j, i),
                    channels * width);
        }
}

static void pack(PfConvolution *winograd, const PfConvolutionConfig *config, int64_t k)
{
    pack_panel(winograd, config, k, winograd->weight + k * weight_rows(config));
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

static Grid grid_of(const PfConvolution *winograd, const PfConvolutionMaps *maps)
{
    Grid grid = {.maps = maps,
                 .height = pf_convolution_outputs(&winograd->config, 0, maps->height),
                 .width = pf_convolution_outputs(&winograd->config, 1, maps->width)};
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

static int64_t pieces(const PfConvolution *winograd, const PfConvolutionMaps *maps)
{
    const Grid grid = grid_of(winograd, maps);
    return pf_convolution_share(tiles_of(&grid), PIECE).count *
           pf_convolution_splits(winograd, maps);
}

/* Distances between points in the scratch memory. */
static int64_t input_point(const PfConvolution *winograd)
{
    return PIECE * winograd->config.in_channels + GAP;
}

static const int64_t output_point = PIECE * PF_CONVOLUTION_PANEL + GAP;

/* Numbers of the scratch memory before a panel that is packed while running. */
static int64_t scratch_points(const PfConvolution *winograd)
{
    return PF_WINOGRAD_POINTS * (input_point(winograd) + output_point);
}

static size_t scratch_bytes(const PfConvolution *winograd)
{
    const int64_t panel =
        winograd->weight ? 0 : weight_rows(&winograd->config) * PF_CONVOLUTION_PANEL;
    return (size_t)(scratch_points(winograd) + panel) * sizeof(float);
}

/* The panel whose first output channel is k. */
static const float *panel_of(const PfConvolution *winograd, int64_t k, float *scratch)
{
    if (winograd->weight) return winograd->weight + k * weight_rows(&winograd->config);
    float *panel = scratch + scratch_points(winograd);
    pack_panel(winograd, &winograd->config, k, panel);
    return panel;
}

static void find_input(const PfConvolution *winograd, const Grid *grid, Place place,
                       PfWinogradInputTile *tile)
{
    const int64_t y = place.y - winograd->config.padding[0];
    const int64_t x = place.x - winograd->config.padding[1];
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++)
            tile->pixels[6 * i + j] =
                pf_convolution_pixel(winograd, grid->maps, place.map, y + i, x + j);
}

static void find_output(const PfConvolution *winograd, const Grid *grid, Place place, int64_t k,
                        PfWinogradOutputTile *tile)
{
    for (int i = 0; i < TILE; i++)
        for (int j = 0; j < TILE; j++) {
            const int64_t y = place.y + i, x = place.x + j;
            tile->pixels[TILE * i + j] =
                y < grid->height && x < grid->width
                    ? grid->maps->y +
                          ((place.map * grid->height + y) * grid->width + x) *
                              winograd->config.out_channels +
                          k
                    : NULL;
        }
}

static void transform_inputs(const PfConvolution *winograd, const Grid *grid, int64_t first,
                             int64_t count, float *values)
{
    PfWinogradInputTile tile = {.next = TILE * winograd->config.in_channels,
                                .channels = winograd->config.in_channels,
                                .point = input_point(winograd),
                                .block = 16};
    for (int64_t t = 0; t < count; t++) {
        find_input(winograd, grid, place_of(grid, first + t), &tile);
        tile.out = values + t * winograd->config.in_channels;
        winograd->kernels->winograd_input_tile(&tile);
    }
}

static void multiply_points(const PfConvolution *winograd, const float *values, int64_t count,
                            const float *panel, int64_t width, float *products)
{
    const float *rows[PIECE];
    for (int64_t t = 0; t < count; t++) rows[t] = values + t * winograd->config.in_channels;
    PfProduct product = {.rows = count,
                         .depth = winograd->config.in_channels,
                         .v_step = winograd->config.in_channels,
                         .v = rows,
                         .width = width,
                         .m_row = width};
    for (int point = 0; point < PF_WINOGRAD_POINTS; point++) {
        product.offset = point * input_point(winograd);
        product.next = (point + 1) % PF_WINOGRAD_POINTS * input_point(winograd);
        product.u = panel + point * winograd->config.in_channels * width;
        product.m = products + point * output_point;
        winograd->kernels->multiply(&product);
    }
}

static void transform_outputs(const PfConvolution *winograd, const Grid *grid, int64_t first,
                              int64_t count, int64_t k, const float *products)
{
    PfWinogradOutputTile tile = {.point = output_point,
                                 .next = TILE * winograd->config.out_channels,
                                 .channels = pf_convolution_panel_width(&winograd->config, k),
                                 .bias = winograd->bias + k,
                                 .base = grid->maps->y,
                                 .sum = grid->maps->sum,
                                 .cut = pf_activation_cut(&winograd->config.activation),
                                 .bf16 = winograd->config.bf16};
    for (int64_t t = 0; t < count; t++) {
        find_output(winograd, grid, place_of(grid, first + t), k, &tile);
        tile.in = products + t * tile.channels;
        winograd->kernels->winograd_output_tile(&tile);
        for (int i = 0; i < TILE * TILE; i++)
            if (tile.pixels[i]) pf_convolution_activate(winograd, 1, tile.channels, tile.pixels[i]);
    }
}

static void run(const PfConvolution *winograd, const PfConvolutionMaps *maps, int64_t piece,
                void *scratch)
{
    const Grid grid = grid_of(winograd, maps);
    const int64_t size = pf_convolution_share(tiles_of(&grid), PIECE).size;
    const int64_t splits = pf_convolution_splits(winograd, maps), part = piece % splits;
    const int64_t first = piece / splits * size, count = pf_min(size, tiles_of(&grid) - first);
    const int64_t end = pf_convolution_split(winograd, splits, part + 1);
    float *values = scratch, *products = values + PF_WINOGRAD_POINTS * input_point(winograd);
    transform_inputs(winograd, &grid, first, count, values);
    for (int64_t k = pf_convolution_split(winograd, splits, part); k < end;
         k += PF_CONVOLUTION_PANEL) {
        const int64_t width = pf_convolution_panel_width(&winograd->config, k);
        multiply_points(winograd, values, count, panel_of(winograd, k, scratch), width, products);
        transform_outputs(winograd, &grid, first, count, k, products);
    }
}

const PfConvolutionWay pf_convolution_winograd = {.weight_rows = weight_rows,
                                                  .pack = pack,
                                                  .pieces = pieces,
                                                  .scratch = scratch_bytes,
                                                  .run = run};

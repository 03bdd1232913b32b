/* Gradients by weights as outer products, of 3 x 3 at the points of Winograd's algorithm: the
 * gradient by a weight at a point is the sum over all tiles of x's value there times that of the
 * gradient by y, and the transforms of convolution.h are turned round. */
#include "common/conv/weight_gradient.h"

#include <string.h>

#include "common/base/integers.h"
#include "common/conv/internal.h"

/* Channels of x and of y in a piece. What a piece copies or transforms of x another one does, too,
 * which has other channels of y: the more of them together the less of that. */
#define BLOCK 128
/* Steps of the sum, tiles or pixels of y, whose values lie in the scratch memory at a time. */
#define STEPS 64
/* Where a batch has enough steps it is taken in parts, so that there are about so many pieces. */
#define PIECES 16
#define LEAST_STEPS 128 /* of a part */
/* Between points, so that they do not fall on the same lines of the cache. */
#define GAP 16
#define LARGEST_KERNEL 36 /* places */
#define TILE 4

/* One piece: the sums of some of x's and y's channels over a part of the batch. */
typedef struct Piece {
    const PfWeightGradient *work;
    const PfConvKernels *kernels;
    bool by_winograd;
    int64_t points;                   /* of x's values and of sums */
    int64_t height, width;            /* of y */
    int64_t rows, columns;            /* of steps, in one map */
    int64_t part, first, end;         /* steps */
    int64_t c, in, k, out;            /* the first channels, and how many: of x and of y */
    float *values, *gradients, *sums; /* each (points, ...) */
    int64_t value, gradient, sum;     /* from a point to the next */
    const float *zeros;               /* (BLOCK) */
} Piece;

/* ---- shapes ---- */

static int64_t places(const PfConvolutionConfig *config)
{
    return config->kernel[0] * config->kernel[1];
}

static int64_t ceiling(int64_t count, int64_t size)
{
    return (count + size - 1) / size;
}

bool pf_weight_gradient_suits(const PfConvolutionConfig *config)
{
    return config->in_channels % 16 == 0 && config->out_channels % 16 == 0 &&
           places(config) <= LARGEST_KERNEL;
}

static Piece shape_of(const PfWeightGradient *work)
{
    const PfConvolutionConfig *config = work->config;
    Piece piece = {.work = work,
                   .by_winograd = pf_convolution_winograd_suits(config),
                   .height = pf_convolution_outputs(config, 0, work->height),
                   .width = pf_convolution_outputs(config, 1, work->width)};
    piece.points = piece.by_winograd ? PF_WINOGRAD_POINTS : places(config);
    piece.rows = piece.by_winograd ? ceiling(piece.height, TILE) : piece.height;
    piece.columns = piece.by_winograd ? ceiling(piece.width, TILE) : piece.width;
    piece.value = STEPS * BLOCK + GAP;
    piece.gradient = piece.by_winograd ? piece.value : 0;
    piece.sum = BLOCK * BLOCK + GAP;
    return piece;
}

static int64_t steps_of(const Piece *piece)
{
    return piece->work->count * piece->rows * piece->columns;
}

/* Pieces of a part. */
static int64_t blocks_of(const PfConvolutionConfig *config)
{
    return ceiling(config->in_channels, BLOCK) * ceiling(config->out_channels, BLOCK);
}

int64_t pf_weight_gradient_parts(const PfWeightGradient *work)
{
    const Piece shape = shape_of(work);
    return pf_max(1, pf_min(PIECES / blocks_of(work->config), steps_of(&shape) / LEAST_STEPS));
}

int64_t pf_weight_gradient_pieces(const PfWeightGradient *work)
{
    return pf_weight_gradient_parts(work) * blocks_of(work->config);
}

static int64_t gradient_count(const Piece *shape)
{
    return shape->by_winograd ? shape->points * shape->gradient : STEPS * BLOCK;
}

size_t pf_weight_gradient_scratch(const PfWeightGradient *work)
{
    const Piece shape = shape_of(work);
    const int64_t numbers =
        shape.points * (shape.value + shape.sum) + gradient_count(&shape) + BLOCK;
    return (size_t)numbers * sizeof(float);
}

static Piece piece_of(const PfWeightGradient *work, int64_t index, float *scratch)
{
    const PfConvolutionConfig *config = work->config;
    const int64_t across = ceiling(config->in_channels, BLOCK), blocks = blocks_of(config);
    const int64_t parts = pf_weight_gradient_parts(work);
    Piece piece = shape_of(work);
    piece.kernels = pf_conv_kernels();
    piece.part = index / blocks;
    piece.first = piece.part * steps_of(&piece) / parts;
    piece.end = (piece.part + 1) * steps_of(&piece) / parts;
    piece.c = index % blocks % across * BLOCK;
    piece.k = index % blocks / across * BLOCK;
    piece.in = pf_min(BLOCK, config->in_channels - piece.c);
    piece.out = pf_min(BLOCK, config->out_channels - piece.k);
    piece.values = scratch;
    piece.sums = piece.values + piece.points * piece.value;
    piece.gradients = piece.sums + piece.points * piece.sum;
    memset(piece.sums, 0, (size_t)(piece.points * piece.sum) * sizeof(float));
    float *zeros = piece.gradients + gradient_count(&piece);
    memset(zeros, 0, BLOCK * sizeof(float));
    piece.zeros = zeros;
    return piece;
}

/* ---- factors ---- */

/* The step's place among a map's. */
typedef struct Place {
    int64_t map, y, x;
} Place;

static Place place_of(const Piece *piece, int64_t step)
{
    const int64_t row = step / piece->columns;
    return (Place){row / piece->rows, row % piece->rows, step % piece->columns};
}

/* The piece's channels of a pixel of x, or zeros around the map. */
static const float *input_pixel(const Piece *piece, int64_t map, int64_t y, int64_t x)
{
    const PfWeightGradient *work = piece->work;
    if (y < 0 || y >= work->height || x < 0 || x >= work->width) return piece->zeros;
    return work->x + ((map * work->height + y) * work->width + x) * work->config->in_channels +
           piece->c;
}

static const float *output_pixel(const Piece *piece, int64_t map, int64_t y, int64_t x)
{
    if (y >= piece->height || x >= piece->width) return piece->zeros;
    return piece->work->gradient +
           ((map * piece->height + y) * piece->width + x) * piece->work->config->out_channels +
           piece->k;
}

/* at: of this step, blocks of 16 channels STEPS steps apart */
static void transform(const Piece *piece, Place place, float *values, float *gradients)
{
    const int64_t *padding = piece->work->config->padding, y = TILE * place.y, x = TILE * place.x;
    PfWinogradInputTile input = {.next = TILE * piece->work->config->in_channels,
                                 .channels = piece->in,
                                 .out = values,
                                 .point = piece->value,
                                 .block = 16 * STEPS};
    PfWinogradGradientTile output = {
        .channels = piece->out, .out = gradients, .point = piece->gradient, .block = 16 * STEPS};
    for (int i = 0; i < 36; i++)
        input.pixels[i] =
            input_pixel(piece, place.map, y - padding[0] + i / 6, x - padding[1] + i % 6);
    for (int i = 0; i < TILE * TILE; i++)
        output.pixels[i] = output_pixel(piece, place.map, y + i / TILE, x + i % TILE);
    piece->kernels->winograd_input_tile(&input);
    piece->kernels->winograd_gradient_tile(&output);
}

static void copy_blocks(float *to, const float *from, int64_t channels)
{
    for (int64_t c = 0; c < channels; c += 16) memcpy(to + c * STEPS, from + c, 16 * sizeof *to);
}

static void copy(const Piece *piece, Place place, float *values, float *gradients)
{
    const PfConvolutionConfig *config = piece->work->config;
    const int64_t y = place.y * config->stride[0] - config->padding[0];
    const int64_t x = place.x * config->stride[1] - config->padding[1];
    for (int64_t i = 0; i < piece->points; i++)
        copy_blocks(values + i * piece->value,
                    input_pixel(piece, place.map, y + i / config->kernel[1] * config->dilation[0],
                                x + i % config->kernel[1] * config->dilation[1]),
                    piece->in);
    copy_blocks(gradients, output_pixel(piece, place.map, place.y, place.x), piece->out);
}

/* ---- sums ---- */

static void add_products(const Piece *piece, int64_t steps)
{
    PfOuterProduct product = {.steps = steps,
                              .rows = piece->out,
                              .columns = piece->in,
                              .a_block = 16 * STEPS,
                              .b_block = 16 * STEPS};
    for (int64_t i = 0; i < piece->points; i++) {
        product.a = piece->gradients + i * piece->gradient;
        product.b = piece->values + i * piece->value;
        product.m = piece->sums + i * piece->sum;
        piece->kernels->outer(&product);
    }
}

static void store(const Piece *piece)
{
    const PfConvolutionConfig *config = piece->work->config;
    const int64_t channels = config->in_channels;
    for (int64_t k = 0; k < piece->out; k++) {
        const float *sums = piece->sums + k * piece->in;
        float *to =
            piece->work->sums +
            (piece->part * config->out_channels + piece->k + k) * places(config) * channels +
            piece->c;
        for (int64_t c = 0; piece->by_winograd && c < piece->in; c += 16)
            piece->kernels->winograd_weight_gradient(sums + c, piece->sum, to + c, channels);
        for (int64_t i = 0; !piece->by_winograd && i < piece->points; i++)
            memcpy(to + i * channels, sums + i * piece->sum, (size_t)piece->in * sizeof *to);
    }
}

void pf_weight_gradient_run(const PfWeightGradient *work, int64_t index, void *scratch)
{
    const Piece piece = piece_of(work, index, scratch);
    for (int64_t first = piece.first; first < piece.end; first += STEPS) {
        const int64_t steps = pf_min(STEPS, piece.end - first);
        for (int64_t i = 0; i < steps; i++)
            (piece.by_winograd ? transform : copy)(&piece, place_of(&piece, first + i),
                                                   piece.values + 16 * i, piece.gradients + 16 * i);
        add_products(&piece, steps);
    }
    store(&piece);
}

/* Convolutions of groups: see internal.h. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/conv/internal.h"

/* ---- weights: (outputs / 16, kernel, inputs of a group, 16) ---- */

static int64_t weight_rows(const PfConvolutionConfig *config)
{
    return config->kernel[0] * config->kernel[1] * config->group_inputs;
}

/* Of number i of an output's row; zero of outputs that are filled up. */
static float weight_at(const PfConvolutionConfig *config, int64_t k, int64_t i)
{
    const int64_t place = i / config->group_inputs, c = i % config->group_inputs;
    if (k >= config->groups * config->group_outputs) return 0;
    return pf_convolution_weight(config, k, c, place / config->kernel[1],
                                 place % config->kernel[1]);
}

static void pack(PfConvolution *grouped, const PfConvolutionConfig *config, int64_t begin)
{
    const int64_t end = begin + pf_convolution_panel_width(config, begin);
    float *to = grouped->weight + begin * weight_rows(config);
    if (!begin) grouped->finite = true;
    for (int64_t first = begin; first < end; first += 16)
        for (int64_t i = 0; i < weight_rows(config); i++)
            for (int64_t k = first; k < first + 16; k++) {
                *to = weight_at(config, k, i);
                grouped->finite &= isfinite(*to++) != 0;
            }
}

/* ---- pieces: 16 outputs of all pixels of a map ---- */

/* Outputs of one group, from `begin` up to `end` of the 16. */
typedef struct Members {
    int64_t begin, end;
    int64_t from; /* the channel that the group begins with; -1: filled up, zeros */
} Members;

enum { QUADS = 4 };

/* One of them. Rows of the map that a row of outputs takes are in `spread`, each where its number
 * modulo `kept` says, `row` floats apart: (columns, inputs of a group, 16), with zeros around the
 * map. */
typedef struct Piece {
    const PfConvolution *grouped;
    const PfConvolutionMaps *maps;
    int64_t height, width; /* of y */
    int64_t map, first;    /* first: of the outputs */
    Members members[16];
    int member_count;
    bool by_quads;        /* groups of outputs begin at multiples of four */
    int64_t quads[QUADS]; /* then: the channel that each four's group begins with */
    int64_t kept, columns, row;
    int64_t next;    /* the first row of the map that is not spread yet */
    const float **x; /* (kernel) */
    float *spread;
} Piece;

static int64_t pieces(const PfConvolution *grouped, const PfConvolutionMaps *maps)
{
    return maps->count * (grouped->config.out_channels / 16);
}

static int64_t kept_rows(const PfConvolutionConfig *config)
{
    return (config->kernel[0] - 1) * config->dilation[0] + 1;
}

/* Of the map and the padding, as far as windows reach. */
static int64_t columns_of(const PfConvolutionConfig *config, int64_t width)
{
    return (pf_convolution_outputs(config, 1, width) - 1) * config->stride[1] +
           (config->kernel[1] - 1) * config->dilation[1] + 1;
}

/* Floats of a row, and behind it what may be written too far. */
static int64_t row_of(const PfConvolutionConfig *config, int64_t width)
{
    return (columns_of(config, width) * config->group_inputs + 1) * 16;
}

static size_t scratch_bytes(const PfConvolution *grouped)
{
    const PfConvolutionConfig *config = &grouped->config;
    return (size_t)(kept_rows(config) * row_of(config, config->map[1])) * sizeof(float) +
           (size_t)config->kernel[0] * sizeof(const float *);
}

static void find_members(Piece *piece)
{
    const PfConvolutionConfig *config = &piece->grouped->config;
    for (int64_t i = 0; i < 16; i = piece->members[piece->member_count++].end) {
        const int64_t group = (piece->first + i) / config->group_outputs;
        const int64_t end = (group + 1) * config->group_outputs - piece->first;
        piece->members[piece->member_count] =
            group < config->groups ? (Members){i, pf_min(16, end), group * config->group_inputs}
                                   : (Members){i, 16, -1};
    }
}

static void find_quads(Piece *piece)
{
    piece->by_quads = true;
    for (int i = 0; i < piece->member_count; i++) {
        const Members *members = &piece->members[i];
        piece->by_quads &= members->from >= 0 && members->begin % 4 == 0;
        for (int64_t lane = members->begin; lane < members->end; lane++)
            piece->quads[lane / 4] = members->from;
    }
}

/* ---- spreading ---- */

typedef float Four __attribute__((vector_size(16)));

static void store_four(float value, float *to)
{
    const Four four = {value, value, value, value};
    memcpy(to, &four, sizeof four);
}

/* to: (inputs of a group, 16). */
static void spread_quads(const Piece *piece, const float *pixel, float *to)
{
    const int64_t inputs = piece->grouped->config.group_inputs;
    const float *from[QUADS];
    for (int i = 0; i < QUADS; i++) from[i] = pixel + piece->quads[i];
    for (int64_t c = 0; c < inputs; c++, to += 16) {
        store_four(from[0][c], to);
        store_four(from[1][c], to + 4);
        store_four(from[2][c], to + 8);
        store_four(from[3][c], to + 12);
    }
}

/* Four outputs at a time. What is written too far is written over by what comes behind. */
static void spread_pixel(const Piece *piece, const float *pixel, float *to)
{
    const int64_t inputs = piece->grouped->config.group_inputs;
    if (piece->by_quads) {
        spread_quads(piece, pixel, to);
        return;
    }
    for (int64_t c = 0; c < inputs; c++, to += 16)
        for (int i = 0; i < piece->member_count; i++) {
            const Members *members = &piece->members[i];
            const float value = members->from < 0 ? 0 : pixel[members->from + c];
            for (int64_t lane = members->begin; lane < members->end; lane += 4)
                store_four(value, to + lane);
        }
}

static float *spread_row_of(const Piece *piece, int64_t row)
{
    return piece->spread + row % piece->kept * piece->row;
}

static void spread_row(const Piece *piece, int64_t row)
{
    const PfConvolutionConfig *config = &piece->grouped->config;
    const int64_t pixel = config->group_inputs * 16;
    float *to = spread_row_of(piece, row);
    for (int64_t column = 0; column < piece->columns; column++, to += pixel) {
        const int64_t x = column - config->padding[1];
        if (x < 0 || x >= piece->maps->width)
            memset(to, 0, (size_t)pixel * sizeof *to);
        else
            spread_pixel(piece,
                         pf_convolution_pixel(piece->grouped, piece->maps, piece->map, row, x), to);
    }
}

/* Those up to `end` that are not yet there, from `begin` on, where the window is: what lies between
 * its rows belongs to the next windows. */
static void spread_rows(Piece *piece, int64_t begin, int64_t end)
{
    for (int64_t row = pf_max(begin, piece->next); row < end; row++) spread_row(piece, row);
    piece->next = pf_max(end, piece->next);
}

/* ---- running ---- */

/* Pixel by pixel, where zeros around the map would meet weights that are not finite. */
static void multiply_carefully(const Piece *piece, const PfLanewise *row)
{
    const PfConvolutionConfig *config = &piece->grouped->config;
    for (int64_t x = 0, at = 0; x < row->pixels; x++) {
        const PfConvolutionSpan columns = pf_convolution_inside(config, 1, x, piece->maps->width);
        const int64_t begin = x * row->step + columns.begin * row->column;
        PfLanewise one = *row;
        one.pixels = 1;
        one.columns = columns.end - columns.begin;
        for (int64_t i = 0; i < one.rows; i++) piece->x[i] += begin - at;
        at = begin;
        one.weight += columns.begin * one.depth * 16;
        one.y += x * one.y_step;
        if (one.sum) one.sum += x * one.y_step;
        piece->grouped->kernels->lanewise(&one);
    }
}

static void run_row(Piece *piece, int64_t y)
{
    const PfConvolution *grouped = piece->grouped;
    const PfConvolutionConfig *config = &grouped->config;
    const PfConvolutionSpan rows = pf_convolution_inside(config, 0, y, piece->maps->height);
    const int64_t top = y * config->stride[0] - config->padding[0];
    const int64_t pixel = config->group_inputs * 16, channels = config->out_channels;
    const int64_t at = (piece->map * piece->height + y) * piece->width * channels + piece->first;
    if (rows.begin < rows.end)
        spread_rows(piece, pf_max(top, 0), top + (rows.end - 1) * config->dilation[0] + 1);
    for (int64_t i = rows.begin; i < rows.end; i++)
        piece->x[i - rows.begin] = spread_row_of(piece, top + i * config->dilation[0]);
    const PfLanewise what = {.pixels = piece->width,
                             .channels = 16,
                             .rows = rows.end - rows.begin,
                             .columns = config->kernel[1],
                             .depth = config->group_inputs,
                             .x = piece->x,
                             .step = config->stride[1] * pixel,
                             .column = config->dilation[1] * pixel,
                             .weight = grouped->weight + piece->first * weight_rows(config) +
                                       rows.begin * config->kernel[1] * pixel,
                             .weight_row = config->kernel[1] * pixel,
                             .bias = grouped->bias + piece->first,
                             .sum = piece->maps->sum ? piece->maps->sum + at : NULL,
                             .y = piece->maps->y + at,
                             .y_step = channels,
                             .cut = pf_activation_cut(&config->activation),
                             .bf16 = config->bf16};
    if (grouped->finite)
        grouped->kernels->lanewise(&what);
    else
        multiply_carefully(piece, &what);
    pf_convolution_activate(grouped, what.pixels, what.channels, what.y);
}

static void run(const PfConvolution *grouped, const PfConvolutionMaps *maps, int64_t index,
                void *scratch)
{
    const PfConvolutionConfig *config = &grouped->config;
    const int64_t blocks = config->out_channels / 16;
    Piece piece = {.grouped = grouped,
                   .maps = maps,
                   .height = pf_convolution_outputs(config, 0, maps->height),
                   .width = pf_convolution_outputs(config, 1, maps->width),
                   .map = index / blocks,
                   .first = index % blocks * 16,
                   .kept = kept_rows(config),
                   .columns = columns_of(config, maps->width),
                   .row = row_of(config, maps->width),
                   .spread = scratch};
    piece.x = (const float **)(piece.spread + piece.kept * piece.row);
    find_members(&piece);
    find_quads(&piece);
    for (int64_t y = 0; y < piece.height; y++) run_row(&piece, y);
}

const PfConvolutionWay pf_convolution_grouped = {.weight_rows = weight_rows,
                                                 .pack = pack,
                                                 .pieces = pieces,
                                                 .scratch = scratch_bytes,
                                                 .run = run};

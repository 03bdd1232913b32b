/* Convolutions of each channel by itself: see internal.h. */
#include <stdbool.h>

#include "common/base/integers.h"
#include "common/conv/internal.h"

bool pf_convolution_depthwise_suits(const PfConvolutionConfig *config)
{
    return config->groups > 1 && config->group_inputs == 1 && config->group_outputs == 1 &&
           config->in_channels == config->out_channels && config->in_channels % 16 == 0;
}

/* ---- weights: (channels / 16, kernel, 16) ---- */

static int64_t weight_rows(const PfConvolutionConfig *config)
{
    return config->kernel[0] * config->kernel[1];
}

static void pack(PfConvolution *depthwise, const PfConvolutionConfig *config, int64_t begin)
{
    const int64_t width = config->kernel[1], places = config->kernel[0] * width;
    const int64_t end = begin + pf_convolution_panel_width(config, begin);
    float *to = depthwise->weight + begin * places;
    for (int64_t first = begin; first < end; first += 16)
        for (int64_t place = 0; place < places; place++)
            for (int64_t k = first; k < first + 16; k++)
                *to++ = k < config->groups
                            ? pf_convolution_weight(config, k, 0, place / width, place % width)
                            : 0;
}

/* ---- running ---- */

static int64_t pieces(const PfConvolution *depthwise, const PfConvolutionMaps *maps)
{
    return maps->count * pf_convolution_outputs(&depthwise->config, 0, maps->height);
}

static size_t scratch_bytes(const PfConvolution *depthwise)
{
    return (size_t)depthwise->config.kernel[0] * sizeof(const float *);
}

/* A row of outputs, whose windows reach over `rows` of the kernel. */
typedef struct Row {
    const PfConvolution *depthwise;
    const PfConvolutionMaps *maps;
    int64_t index, map, top; /* of all rows; top: in the map, where the windows begin */
    int64_t width;           /* of y */
    PfConvolutionSpan rows;
    const float **x; /* (kernel) */
} Row;

/* Where a row of the map begins. */
static const float *row_of(const Row *row, int64_t y)
{
    const PfConvolutionMaps *maps = row->maps;
    const int64_t room = maps->rows ? maps->rows : maps->height;
    return maps->x +
           (row->map * room + y % room) * maps->width * row->depthwise->config.in_channels;
}

/* Outputs from `first` up to `end`, whose windows reach over the same columns of the kernel. */
static void run_part(const Row *row, int64_t first, int64_t end, PfConvolutionSpan columns)
{
    const PfConvolution *depthwise = row->depthwise;
    const PfConvolutionConfig *config = &depthwise->config;
    const int64_t channels = config->in_channels, places = weight_rows(config);
    const int64_t at = (row->index * row->width + first) * channels;
    const int64_t left =
        first * config->stride[1] - config->padding[1] + columns.begin * config->dilation[1];
    for (int64_t i = row->rows.begin; i < row->rows.end; i++)
        row->x[i] = row_of(row, row->top + i * config->dilation[0]) + left * channels;
    const int64_t below = row->top + (config->kernel[0] - 1) * config->dilation[0] + 1;
    const int64_t map_row = row->maps->width * channels;
    /* Rows in a ring have just been made. */
    const bool fetches = !row->maps->rows && below < row->maps->height;
    const PfLanewise part = {
        .pixels = end - first,
        .channels = channels,
        .rows = row->rows.end - row->rows.begin,
        .columns = columns.end - columns.begin,
        .depth = 1,
        .x = row->x + row->rows.begin,
        .step = config->stride[1] * channels,
        .column = config->dilation[1] * channels,
        .next = fetches ? row_of(row, below) + left * channels : NULL,
        .next_rows = fetches ? pf_min(config->stride[0], row->maps->height - below) : 0,
        .next_row = map_row,
        .weight = depthwise->weight + (row->rows.begin * config->kernel[1] + columns.begin) * 16,
        .weight_row = config->kernel[1] * 16,
        .weight_vector = places * 16,
        .bias = depthwise->bias,
        .sum = row->maps->sum ? row->maps->sum + at : NULL,
        .y = row->maps->y + at,
        .y_step = channels,
        .cut = pf_activation_cut(&config->activation),
        .bf16 = config->bf16};
    (part.pixels == 1 ? depthwise->kernels->lanewise_deep : depthwise->kernels->lanewise)(&part);
    pf_convolution_activate(depthwise, part.pixels, channels, part.y);
}

/* Outputs whose windows reach over the sides of the map one by one, the others together. */
static void run(const PfConvolution *depthwise, const PfConvolutionMaps *maps, int64_t piece,
                void *scratch)
{
    const PfConvolutionConfig *config = &depthwise->config;
    const int64_t height = pf_convolution_outputs(config, 0, maps->height);
    const Row row = {.depthwise = depthwise,
                     .maps = maps,
                     .index = piece,
                     .map = piece / height,
                     .top = piece % height * config->stride[0] - config->padding[0],
                     .width = pf_convolution_outputs(config, 1, maps->width),
                     .rows = pf_convolution_inside(config, 0, piece % height, maps->height),
                     .x = scratch};
    const int64_t last =
        maps->width - 1 + config->padding[1] - (config->kernel[1] - 1) * config->dilation[1];
    for (int64_t first = 0, end; first < row.width; first = end) {
        const PfConvolutionSpan columns = pf_convolution_inside(config, 1, first, maps->width);
        const bool whole = columns.end - columns.begin == config->kernel[1];
        end = whole ? pf_min(row.width, last / config->stride[1] + 1) : first + 1;
        run_part(&row, first, end, columns);
    }
}

const PfConvolutionWay pf_convolution_depthwise = {.weight_rows = weight_rows,
                                                   .pack = pack,
                                                   .pieces = pieces,
                                                   .scratch = scratch_bytes,
                                                   .run = run};

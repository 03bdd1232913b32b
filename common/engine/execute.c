#include "common/engine/execute.h"

#include <string.h>

#include "common/base/integers.h"
#include "common/conv/attention.h"
#include "common/conv/average_pool.h"
#include "common/conv/kernels.h"
#include "common/conv/pad.h"
#include "common/conv/window_pool.h"
#include "common/engine/loops.h"

/* Some of a group's images in the early steps, all of them in the others. */
typedef struct Run {
    const PfEnginePlan *plan;
    const PfEngineImages *images;
    char *arena;
    const PfEngineTeam *team; /* NULL: none */
    int64_t first, count;
} Run;

/* Rows of a map. */
typedef struct RowSpan {
    int64_t first, count;
} RowSpan;

/* Where a value's maps of these images lie; NULL for none. */
static float *maps_of(const Run *run, int value)
{
    if (value < 0) return NULL;
    const PfEnginePlan *plan = run->plan;
    const PfEngineValue *of = &plan->values[value], *source = &plan->values[of->source];
    const PfEngineValue *home = &plan->values[source->home];
    const size_t before = home->whole ? (size_t)run->first * pf_engine_value_bytes(source) : 0;
    if (source->node >= 0) return source->numbers + of->begin;
    return (float *)(void *)(run->arena + home->offset + before) + of->begin;
}

/* Floats from one image of it to the next. */
static int64_t image_stride(const Run *run, int value)
{
    const PfEngineValue *source = &run->plan->values[run->plan->values[value].source];
    return source->node >= 0 ? 0 : source->height * source->width * source->stride;
}

static void normalise(const Run *run, const PfEngineStep *step)
{
    const PfEnginePlan *plan = run->plan;
    const int64_t area = (int64_t)plan->height * plan->width;
    const uint8_t *pixels = run->images->pixels + 3 * area * run->first;
    float *y = maps_of(run, step->y);
    for (int64_t i = 0; i < 3 * area * run->count; i += 3)
        for (int c = 0; c < 3; c++) y[i + c] = plan->pixels[c][pixels[i + c]];
}

static void pool_windows(const Run *run, const PfEngineStep *step)
{
    const PfNode *node = &run->plan->arch->nodes[step->node];
    const PfEngineValue *x = &run->plan->values[step->x], *y = &run->plan->values[step->y];
    PfWindowPool pool = {.averages = step->kind == PF_STEP_AVERAGE_WINDOWS,
                         .count_padding = step->count_padding,
                         .channels = x->stride,
                         .outputs = {y->height, y->width},
                         .height = x->height,
                         .width = x->width,
                         .x = maps_of(run, step->x),
                         .y = maps_of(run, step->y)};
    for (int axis = 0; axis < 2; axis++) {
        pool.kernel[axis] = node->kernel[axis];
        pool.stride[axis] = node->stride[axis];
        pool.dilation[axis] = pool.averages ? 1 : node->dilation[axis];
        pool.padding[axis] = step->pads[axis];
        pool.padding_behind[axis] = step->pads[axis + 2];
    }
    pf_window_pool_run(&pool, 0, run->count * y->height);
}

static void pad(const Run *run, const PfEngineStep *step)
{
    const PfNode *node = &run->plan->arch->nodes[step->node];
    const PfEngineValue *x = &run->plan->values[step->x];
    const PfPad padding = {.channels = x->channels,
                           .stride = x->stride,
                           .count = run->count,
                           .height = x->height,
                           .width = x->width,
                           .pads = {step->pads[0], step->pads[1], step->pads[2], step->pads[3]},
                           .value = node->value,
                           .x = maps_of(run, step->x),
                           .y = maps_of(run, step->y)};
    pf_pad_run(&padding);
}

static void pool_averages(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *x = &run->plan->values[step->x];
    const PfAveragePool pool = {.channels = x->stride,
                                .count = run->count,
                                .height = x->height,
                                .width = x->width,
                                .size = run->plan->values[step->y].height,
                                .x = maps_of(run, step->x),
                                .y = maps_of(run, step->y)};
    pf_average_pool_run(&pool);
}

static void compute_pixels(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *y = &run->plan->values[step->y];
    PfPointwise pointwise = {.pixels = run->count * y->height * y->width,
                             .channels = y->stride,
                             .x = maps_of(run, step->x),
                             .scale = step->scale,
                             .shift = step->shift,
                             .sum = maps_of(run, step->sum),
                             .y = maps_of(run, step->y),
                             .x_step = y->stride,
                             .y_step = y->stride,
                             .activation = step->activation,
                             .bf16 = run->plan->bf16};
    pf_conv_kernels()->pointwise(&pointwise);
}

/* Rows of an image are multiplied with its channels of factor, and become y. */
static void multiply_rows(const Run *run, const PfEngineStep *step, int64_t image, RowSpan rows,
                          float *y)
{
    const PfEngineValue *x = &run->plan->values[step->x];
    const float *from = maps_of(run, step->x), *sum = maps_of(run, step->sum);
    const int64_t at = (image * x->height + rows.first) * x->width * x->stride;
    const PfPointwise pointwise = {.pixels = rows.count * x->width,
                                   .channels = x->stride,
                                   .x = from + at,
                                   .scale = maps_of(run, step->factor) +
                                            image * image_stride(run, step->factor),
                                   .sum = sum ? sum + at : NULL,
                                   .y = y,
                                   .x_step = x->stride,
                                   .y_step = x->stride,
                                   .activation = step->activation,
                                   .bf16 = run->plan->bf16};
    pf_conv_kernels()->pointwise(&pointwise);
}

/* Each image is multiplied with channels of its own. */
static void multiply_pixels(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *y = &run->plan->values[step->y];
    for (int64_t i = 0; i < run->count; i++)
        multiply_rows(run, step, i, (RowSpan){0, y->height},
                      maps_of(run, step->y) + i * image_stride(run, step->y));
}

static void compute_each(const Run *run, const PfEngineStep *step)
{
    if (run->plan->values[step->y].ring) return;
    (step->factor < 0 ? compute_pixels : multiply_pixels)(run, step);
}

/* ---- convolutions ---- */

static void run_pieces(const Run *run, const PfEngineStep *step, const PfConvolutionMaps *maps)
{
    const int64_t pieces = pf_convolution_pieces(step->convolution, maps);
    for (int64_t piece = 0; piece < pieces; piece++)
        pf_convolution_run(step->convolution, maps, piece, run->arena + run->plan->maps_bytes);
}

/* Rows of an image, of the step before one that has them made. */
static void make_rows(const Run *run, const PfEngineStep *before, int64_t image, RowSpan rows)
{
    const PfEngineValue *x = &run->plan->values[before->x], *y = &run->plan->values[before->y];
    float *to = maps_of(run, before->y) + rows.first % y->ring * y->width * y->stride;
    if (before->kind == PF_STEP_POINTWISE) {
        multiply_rows(run, before, image, rows, to);
        return;
    }
    const PfConvolutionMaps maps = {.count = 1,
                                    .height = rows.count,
                                    .width = y->width,
                                    .x = maps_of(run, before->x) +
                                         (image * x->height + rows.first) * x->width * x->stride,
                                    .y = to};
    run_pieces(run, before, &maps);
}

/* An image whose rows of x are made as they are needed. maps: of y and sum those of the image. */
static void convolve_windows(const Run *run, const PfEngineStep *step, int64_t image,
                             const PfConvolutionMaps *maps)
{
    const PfNode *node = &run->plan->arch->nodes[step->node];
    const int64_t window = (node->kernel[0] - 1) * node->dilation[0] + 1;
    int64_t made = 0;
    for (int64_t row = 0; row < run->plan->values[step->y].height; row++) {
        const int64_t end = pf_min(row * node->stride[0] - step->pads[0] + window, maps->height);
        for (; made < end; made += step->ahead)
            make_rows(run, step - 1, image,
                      (RowSpan){made, pf_min(step->ahead, maps->height - made)});
        pf_convolution_run(step->convolution, maps, row, run->arena + run->plan->maps_bytes);
    }
}

static void convolve_pixels(const Run *run, const PfEngineStep *step, int64_t image,
                            const PfConvolutionMaps *maps)
{
    const int64_t row = maps->width * run->plan->values[step->y].stride;
    PfConvolutionMaps some = *maps;
    some.rows = 0;
    for (int64_t made = 0; made < maps->height; made += some.height) {
        some.height = pf_min(step->ahead, maps->height - made);
        some.y = maps->y + made * row;
        some.sum = maps->sum ? maps->sum + made * row : NULL;
        make_rows(run, step - 1, image, (RowSpan){made, some.height});
        run_pieces(run, step, &some);
    }
}

static void convolve_behind(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *x = &run->plan->values[step->x];
    const bool is_pixelwise = run->plan->arch->nodes[step->node].groups < 2;
    PfConvolutionMaps maps = {.count = 1,
                              .height = x->height,
                              .width = x->width,
                              .x = maps_of(run, step->x),
                              .sum = maps_of(run, step->sum),
                              .y = maps_of(run, step->y),
                              .rows = x->ring};
    for (int64_t image = 0; image < run->count; image++) {
        (is_pixelwise ? convolve_pixels : convolve_windows)(run, step, image, &maps);
        maps.y += image_stride(run, step->y);
        if (maps.sum) maps.sum += image_stride(run, step->sum);
    }
}

/* Pieces of a convolution, of which each of `threads` takes every so many-th. */
typedef struct Pieces {
    const PfEnginePlan *plan;
    const PfConvolution *convolution;
    const PfConvolutionMaps *maps;
    int64_t count;
    int threads;
    void *const *arenas; /* (threads) */
} Pieces;

static void run_share(void *context, int64_t thread)
{
    const Pieces *pieces = context;
    char *scratch = (char *)pieces->arenas[thread] + pieces->plan->maps_bytes;
    for (int64_t piece = thread; piece < pieces->count; piece += pieces->threads)
        pf_convolution_run(pieces->convolution, pieces->maps, piece, scratch);
}

/* With a team there are pieces for all of it, if need be of some output channels each. */
static void run_all(const Run *run, const PfEngineStep *step, PfConvolutionMaps maps)
{
    void *const own[] = {run->arena};
    Pieces pieces = {.plan = run->plan,
                     .convolution = step->convolution,
                     .maps = &maps,
                     .count = pf_convolution_pieces(step->convolution, &maps),
                     .threads = run->team ? run->team->threads : 1,
                     .arenas = run->team ? run->team->arenas : own};
    if (pieces.count < pieces.threads) {
        maps.splits = (pieces.threads + pieces.count - 1) / pieces.count;
        pieces.count = pf_convolution_pieces(step->convolution, &maps);
    }
    pf_thread_pool_for(run->team ? run->team->pool : NULL, pieces.threads, run_share, &pieces);
}

static void convolve(const Run *run, const PfEngineStep *step)
{
    if (run->plan->values[step->y].ring) return;
    if (step->ahead) {
        convolve_behind(run, step);
        return;
    }
    const PfEngineValue *x = &run->plan->values[step->x];
    const PfConvolutionMaps maps = {.count = run->count,
                                    .height = x->height,
                                    .width = x->width,
                                    .x = maps_of(run, step->x),
                                    .sum = maps_of(run, step->sum),
                                    .y = maps_of(run, step->y)};
    run_all(run, step, maps);
}

/* ---- loops ---- */

static void run_loops(const Run *run, const PfEngineStep *step)
{
    const PfNode *node = &run->plan->arch->nodes[step->node];
    const PfEngineValue *y = &run->plan->values[step->y];
    PfLoopMaps maps = {.x = maps_of(run, step->x),
                       .sum = maps_of(run, step->sum),
                       .y = maps_of(run, step->y),
                       .scratch = run->arena + run->plan->maps_bytes};
    if (step->fill) memset(maps.y, 0, (size_t)run->count * pf_engine_value_bytes(y));
    for (int64_t i = 0; i < run->count; i++) {
        switch (step->kind) {
        case PF_STEP_COPY: pf_loops_copy(&step->loops, &maps); break;
        case PF_STEP_ARITHMETIC: pf_loops_combine(&step->loops, node->op, &maps); break;
        case PF_STEP_REDUCE: pf_loops_reduce(&step->loops, node->op, y, &maps); break;
        case PF_STEP_SOFTMAX: pf_loops_softmax(&step->loops, &maps); break;
        default: pf_loops_multiply_matrices(&step->loops, &maps);
        }
        maps.x += image_stride(run, step->x);
        if (maps.sum) maps.sum += image_stride(run, step->sum);
        maps.y += image_stride(run, step->y);
    }
}

/* Channels that fill up a pixel stay zeros, whatever the function makes of them. */
static void apply(const Run *run, const PfEngineStep *step)
{
    const PfNode *node = &run->plan->arch->nodes[step->node];
    const PfEngineValue *y = &run->plan->values[step->y];
    const float *from = maps_of(run, step->x);
    float *to = maps_of(run, step->y);
    for (int64_t p = 0; p < run->count * y->height * y->width; p++) {
        const int64_t at = p * y->stride;
        pf_loops_apply(node->op, node->value, from + at, to + at, y->channels);
        for (int64_t c = y->channels; c < y->stride; c++) to[at + c] = 0;
    }
}

/* Pixels of x lie side by side, those of y do not. */
static void compute_part(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *x = &run->plan->values[step->x], *y = &run->plan->values[step->y];
    const int64_t begin = step->loops.begins[0];
    const PfPointwise pointwise = {.pixels = run->count * y->height * y->width,
                                   .channels = x->channels,
                                   .x = maps_of(run, step->x),
                                   .scale = step->scale + begin,
                                   .shift = step->shift + begin,
                                   .y = maps_of(run, step->y) + begin,
                                   .x_step = x->stride,
                                   .y_step = y->stride,
                                   .activation = step->activation,
                                   .bf16 = run->plan->bf16};
    pf_conv_kernels()->pointwise(&pointwise);
}

/* ---- rows ---- */

static void norm_rows(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *x = &run->plan->values[step->x], *y = &run->plan->values[step->y];
    const PfLayerNorm norm = {.rows = run->count * y->height * y->width,
                              .channels = y->channels,
                              .x = maps_of(run, step->x),
                              .x_row = x->stride,
                              .weight = step->scale,
                              .bias = step->shift,
                              .eps = run->plan->arch->nodes[step->node].eps,
                              .y = maps_of(run, step->y),
                              .y_row = y->stride};
    pf_conv_kernels()->layer_norm(&norm);
}

static void attend(const Run *run, const PfEngineStep *step)
{
    PfAttention attention = pf_engine_attention(run->plan, step);
    attention.q = maps_of(run, step->x);
    attention.k = maps_of(run, step->sum);
    attention.v = maps_of(run, step->values);
    attention.y = maps_of(run, step->y);
    for (int64_t i = 0; i < run->count; i++) {
        pf_attention_run(&attention, run->arena + run->plan->maps_bytes);
        attention.q += image_stride(run, step->x);
        attention.k += image_stride(run, step->sum);
        attention.v += image_stride(run, step->values);
        attention.y += image_stride(run, step->y);
    }
}

static void attend_in_windows(const Run *run, const PfEngineStep *step)
{
    PfWindowAttention attention = pf_engine_window_attention(run->plan, step);
    attention.x = maps_of(run, step->x);
    attention.y = maps_of(run, step->y);
    for (int64_t i = 0; i < run->count; i++) {
        pf_window_attention_run(&attention, run->arena + run->plan->maps_bytes);
        attention.x += image_stride(run, step->x);
        attention.y += image_stride(run, step->y);
    }
}

/* Of one token, each head's pairs. */
static void rotate_row(const float *x, int heads, int64_t half, const float *cosines,
                       const float *sines, float *y)
{
    for (int h = 0; h < heads; h++, x += 2 * half, y += 2 * half)
        for (int64_t i = 0; i < half; i++) {
            y[i] = x[i] * cosines[i] - x[half + i] * sines[i];
            y[half + i] = x[half + i] * cosines[i] + x[i] * sines[i];
        }
}

static void rotate(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *x = &run->plan->values[step->x], *y = &run->plan->values[step->y];
    const int heads = run->plan->arch->nodes[step->node].heads;
    const int64_t half = y->channels / heads / 2;
    const int64_t first = y->height - step->grid[0] * step->grid[1];
    for (int64_t i = 0; i < run->count; i++) {
        const float *from = maps_of(run, step->x) + i * image_stride(run, step->x);
        float *to = maps_of(run, step->y) + i * image_stride(run, step->y);
        for (int64_t row = 0; row < y->height; row++, from += x->stride, to += y->stride) {
            if (row < first)
                memcpy(to, from, (size_t)y->channels * sizeof *to);
            else
                rotate_row(from, heads, half, step->scale + (row - first) * half,
                           step->shift + (row - first) * half, to);
            memset(to + y->channels, 0, (size_t)(y->stride - y->channels) * sizeof *to);
        }
    }
}

/* ---- outputs ---- */

static void write_numbers(PfDtype dtype, void *outputs, int64_t at, const float *from,
                          int64_t count)
{
    if (dtype == PF_DTYPE_F16)
        pf_f16_from_f32_array((uint16_t *)outputs + at, from, (size_t)count);
    else
        for (int64_t i = 0; i < count; i++) ((float *)outputs)[at + i] = from[i];
}

/* x: (pixels, stride) to (channels, pixels), `at` numbers behind the beginning. */
static void store_channels(const PfEngineValue *value, const float *x, PfDtype dtype, void *outputs,
                           int64_t at)
{
    float row[64]; /* of one channel; the pixels that many channels take stay in the cache */
    const int64_t area = value->height * value->width, step = sizeof row / sizeof *row;
    for (int64_t first = 0; first < area; first += step) {
        const int64_t count = pf_min(step, area - first);
        for (int64_t c = 0; c < value->channels; c++) {
            for (int64_t p = 0; p < count; p++) row[p] = x[(first + p) * value->stride + c];
            write_numbers(dtype, outputs, at + c * area + first, row, count);
        }
    }
}

/* x: (pixels, stride) to what its shape says, `at` numbers behind the beginning. */
static void store_image(const PfEngineValue *value, const float *x, PfDtype dtype, void *outputs,
                        int64_t at)
{
    const int64_t area = value->height * value->width;
    if (value->channels_first && area > 1) {
        store_channels(value, x, dtype, outputs, at);
        return;
    }
    for (int64_t p = 0; p < area; p++)
        write_numbers(dtype, outputs, at + p * value->channels, x + p * value->stride,
                      value->channels);
}

static void store(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *value = &run->plan->values[step->x];
    const int64_t row = value->channels * value->height * value->width;
    const float *x = maps_of(run, step->x);
    for (int64_t i = 0; i < run->count; i++)
        store_image(value, x + i * image_stride(run, step->x), run->plan->output_dtype,
                    run->images->outputs[step->tap], (run->images->first + run->first + i) * row);
}

/* ---- the whole ---- */

static void (*const kinds[])(const Run *run, const PfEngineStep *step) = {
    [PF_STEP_PIXELS] = normalise,
    [PF_STEP_CONVOLUTION] = convolve,
    [PF_STEP_MAX_POOL] = pool_windows,
    [PF_STEP_AVERAGE_POOL] = pool_averages,
    [PF_STEP_AVERAGE_WINDOWS] = pool_windows,
    [PF_STEP_PAD] = pad,
    [PF_STEP_POINTWISE] = compute_each,
    [PF_STEP_PART] = compute_part,
    [PF_STEP_LAYER_NORM] = norm_rows,
    [PF_STEP_ATTENTION] = attend,
    [PF_STEP_WINDOW_ATTENTION] = attend_in_windows,
    [PF_STEP_ROTATE] = rotate,
    [PF_STEP_STORE] = store,
    [PF_STEP_COPY] = run_loops,
    [PF_STEP_ARITHMETIC] = run_loops,
    [PF_STEP_REDUCE] = run_loops,
    [PF_STEP_SOFTMAX] = run_loops,
    [PF_STEP_PRODUCT] = run_loops,
    [PF_STEP_FUNCTION] = apply,
};

/* Whether what steps of this kind make has to be rounded when they are done: others only move,
 * choose or store numbers, or round on the way. */
static bool rounds_behind(PfStepKind kind)
{
    switch (kind) {
    case PF_STEP_AVERAGE_POOL:
    case PF_STEP_AVERAGE_WINDOWS:
    case PF_STEP_PAD: /* its value may be any */
    case PF_STEP_ARITHMETIC:
    case PF_STEP_FUNCTION:
    case PF_STEP_REDUCE:
    case PF_STEP_SOFTMAX:
    case PF_STEP_PRODUCT:
    case PF_STEP_LAYER_NORM:
    case PF_STEP_WINDOW_ATTENTION:
    case PF_STEP_ROTATE:
    case PF_STEP_ATTENTION: return true;
    case PF_STEP_PIXELS: /* of a table of rounded numbers */
    case PF_STEP_CONVOLUTION:
    case PF_STEP_POINTWISE:
    case PF_STEP_PART:
    case PF_STEP_MAX_POOL:
    case PF_STEP_COPY:
    case PF_STEP_STORE: return false;
    }
    return false;
}

static void round_numbers(const Run *run, const PfEngineStep *step)
{
    const PfEngineValue *y = &run->plan->values[step->y];
    pf_conv_kernels()->activate(&(PfActivate){.bf16 = true,
                                              .rows = run->count * y->height * y->width,
                                              .width = y->stride,
                                              .y = maps_of(run, step->y),
                                              .row = y->stride});
}

static void run_steps(const Run *run, int first, int end)
{
    for (int s = first; s < end; s++) {
        const PfEngineStep *step = &run->plan->steps[s];
        kinds[step->kind](run, step);
        if (run->plan->bf16 && rounds_behind(step->kind)) round_numbers(run, step);
    }
}

void pf_engine_execute(const PfEnginePlan *plan, const PfEngineImages *images, void *arena,
                       const PfEngineTeam *team)
{
    Run run = {.plan = plan, .images = images, .arena = arena, .team = team};
    for (; run.first < images->count; run.first += run.count) {
        run.count = pf_min(plan->early_images, images->count - run.first);
        run_steps(&run, 0, plan->early_steps);
    }
    run.first = 0;
    run.count = images->count;
    run_steps(&run, plan->early_steps, plan->step_count);
}

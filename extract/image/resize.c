#include "extract/image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "extract/image/resize_internal.h"

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Keys' cubic convolution with a = -0.5, in Pillow's order of operations. */
static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

/* One axis of a box. */
typedef struct Span {
    double from, length;
} Span;

static Span across(const PfResize *resize)
{
    const PfBox *box = &resize->box;
    return box->width > 0 ? (Span){box->x, box->width} : (Span){0, resize->in_width};
}

static Span down(const PfResize *resize)
{
    const PfBox *box = &resize->box;
    return box->width > 0 ? (Span){box->y, box->height} : (Span){0, resize->in_height};
}

/* Whether pixels come out as they are. */
static bool is_identity(Span part, int out_size)
{
    return part.from == 0 && part.length == out_size;
}

/* A resampling filter stretched by the reduction. */
typedef struct Filter {
    double (*weight)(double x);
    double from;    /* the first output's left edge, in input pixels */
    double scale;   /* input pixels per output pixel */
    double stretch; /* the same, but at least 1: enlarging does not narrow the filter */
    double support; /* half its width, in input pixels */
    int in_size;
} Filter;

static Filter make_filter(PfInterpolation interpolation, int in_size, Span part, int out_size)
{
    Filter filter = {.weight = interpolation == PF_BICUBIC ? bicubic : bilinear,
                     .from = part.from,
                     .scale = part.length / out_size,
                     .in_size = in_size};
    filter.stretch = filter.scale < 1.0 ? 1.0 : filter.scale;
    filter.support = (interpolation == PF_BICUBIC ? 2.0 : 1.0) * filter.stretch;
    return filter;
}

/* The inputs [*begin, *end) that output `index` is made of. */
static void find_window(const Filter *filter, int index, int *begin, int *end)
{
    double center = filter->from + (index + 0.5) * filter->scale;
    *begin = (int)(center - filter->support + 0.5);
    if (*begin < 0) *begin = 0;
    *end = (int)(center + filter->support + 0.5);
    if (*end > filter->in_size) *end = filter->in_size;
}

static int32_t fixed_point(double weight)
{
    double scaled = weight * (1 << PF_RESIZE_BITS);
    return (int32_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

/* coefficients[0 .. end - begin) of output `index`. */
static void fill_window(const Filter *filter, int index, int begin, int end, int32_t *coefficients)
{
    double center = filter->from + (index + 0.5) * filter->scale;
    double narrow = 1.0 / filter->stretch, sum = 0.0;
    for (int x = begin; x < end; x++) sum += filter->weight((x - center + 0.5) * narrow);
    for (int x = begin; x < end; x++) {
        double weight = filter->weight((x - center + 0.5) * narrow);
        coefficients[x - begin] = fixed_point(sum != 0.0 ? weight / sum : weight);
    }
}

static int longest_window(const Filter *filter, int from, int count)
{
    int longest = 0;
    for (int i = from; i < from + count; i++) {
        int begin, end;
        find_window(filter, i, &begin, &end);
        if (end - begin > longest) longest = end - begin;
    }
    return longest;
}

static void split_coefficients(PfResizeAxis *axis)
{
    size_t taps = (size_t)axis->taps, groups = (taps + 3) / 4;
    memset(axis->split, 0, (size_t)axis->count * groups * 8 * sizeof *axis->split);
    for (size_t i = 0; i < (size_t)axis->count; i++)
        for (size_t t = 0; t < taps; t++) {
            int32_t coefficient = axis->coefficients[i * taps + t];
            int16_t *group = axis->split + (i * groups + t / 4) * 8 + t % 4;
            group[0] = (int16_t)(coefficient & ((1 << PF_RESIZE_SPLIT_BITS) - 1));
            group[4] = (int16_t)(coefficient >> PF_RESIZE_SPLIT_BITS);
        }
}

/* Fills the axis for outputs [from, from + count). Every window is `taps` long;
 * at the far end it begins earlier, with zeros in front. */
static int fill_axis(PfResizeAxis *axis, const Filter *filter, int from, int count, int taps,
                     PfError *err)
{
    size_t total = (size_t)count * (size_t)taps;
    size_t split_total = (size_t)count * (size_t)((taps + 3) / 4) * 8;
    if (pf_grow(&axis->first, &axis->first_capacity, (size_t)count, sizeof *axis->first, err) ||
        pf_grow(&axis->coefficients, &axis->coefficients_capacity, total,
                sizeof *axis->coefficients, err) ||
        pf_grow(&axis->split, &axis->split_capacity, split_total, sizeof *axis->split, err))
        return -1;
    axis->count = count;
    axis->taps = taps;
    memset(axis->coefficients, 0, total * sizeof *axis->coefficients);
    for (int i = 0; i < count; i++) {
        int begin, end;
        find_window(filter, from + i, &begin, &end);
        int first = begin + taps <= filter->in_size ? begin : filter->in_size - taps;
        axis->first[i] = first;
        int32_t *coefficients = axis->coefficients + (size_t)i * (size_t)taps;
        fill_window(filter, from + i, begin, end, coefficients + (begin - first));
    }
    split_coefficients(axis);
    return 0;
}

/* A block of RGB rows. */
typedef struct Rows {
    const uint8_t *bytes;
    size_t stride;
} Rows;

static size_t stride_of(const PfResize *resize)
{
    return resize->in_stride ? resize->in_stride : 3 * (size_t)resize->in_width;
}

/* Fills the horizontal axis for the kept part. *kernels becomes the plain ones where rows are too
 * short for what they are. */
static int plan_across(const PfResize *resize, const PfResizeKernels **kernels, PfResizeAxis *axis,
                       PfError *err)
{
    Filter filter =
        make_filter(resize->interpolation, resize->in_width, across(resize), resize->out_width);
    int taps = longest_window(&filter, resize->kept.x, resize->kept.width);
    int multiple = (*kernels)->tap_multiple;
    int rounded = (taps + multiple - 1) / multiple * multiple;
    if (rounded <= resize->in_width)
        taps = rounded;
    else
        *kernels = &pf_resize_kernels_plain;
    return fill_axis(axis, &filter, resize->kept.x, resize->kept.width, taps, err);
}

static int plan_down(const PfResize *resize, PfResizeAxis *axis, PfError *err)
{
    Filter filter =
        make_filter(resize->interpolation, resize->in_height, down(resize), resize->out_height);
    int taps = longest_window(&filter, resize->kept.y, resize->kept.height);
    return fill_axis(axis, &filter, resize->kept.y, resize->kept.height, taps, err);
}

/* Resizes `count` rows of the image, from row `first` on, to out. */
static int horizontal_pass(const PfResize *resize, const PfResizeKernels *kernels, int first,
                           int count, uint8_t *out, size_t out_stride, PfResizeAxis *axis,
                           PfError *err)
{
    if (plan_across(resize, &kernels, axis, err)) return -1;
    size_t in_stride = stride_of(resize);
    for (int y = first; y < first + count; y++, out += out_stride) {
        const uint8_t *row = resize->in + (size_t)y * in_stride;
        if (y + 1 == resize->in_height) kernels = &pf_resize_kernels_plain; /* reads no further */
        kernels->horizontal(axis, row, out);
    }
    return 0;
}

/* in: the rows from axis->first[0] on. */
static void vertical_pass(const PfResizeAxis *axis, const PfResizeKernels *kernels, Rows in,
                          uint8_t *out, size_t out_stride, size_t bytes)
{
    for (int i = 0; i < axis->count; i++, out += out_stride) {
        const uint8_t *row = in.bytes + (size_t)(axis->first[i] - axis->first[0]) * in.stride;
        kernels->vertical(axis, i, row, in.stride, out, bytes);
    }
}

static void copy_rows(Rows in, int count, uint8_t *out, size_t out_stride, size_t bytes)
{
    for (int y = 0; y < count; y++, out += out_stride)
        memcpy(out, in.bytes + (size_t)y * in.stride, bytes);
}

/* The image from a row and a column on. */
static Rows image_rows(const PfResize *resize, int row, int column)
{
    size_t stride = stride_of(resize);
    return (Rows){resize->in + (size_t)row * stride + 3 * (size_t)column, stride};
}

/* The vertical pass, and before it the horizontal one on the rows it reads. */
static int resize_height(const PfResize *resize, const PfResizeKernels *kernels, uint8_t *out,
                         size_t out_stride, PfResizeScratch *scratch, PfError *err)
{
    const PfRect *kept = &resize->kept;
    PfResizeAxis *axis = &scratch->vertical;
    if (plan_down(resize, axis, err)) return -1;
    int first = axis->first[0], count = axis->first[axis->count - 1] + axis->taps - first;
    size_t bytes = 3 * (size_t)kept->width;
    Rows in = image_rows(resize, first, kept->x);
    if (!is_identity(across(resize), resize->out_width)) {
        if (pf_grow(&scratch->rows, &scratch->rows_capacity, (size_t)count * bytes, 1, err) ||
            horizontal_pass(resize, kernels, first, count, scratch->rows, bytes,
                            &scratch->horizontal, err))
            return -1;
        in = (Rows){scratch->rows, bytes};
    }
    vertical_pass(axis, kernels, in, out, out_stride, bytes);
    return 0;
}

/* The horizontal pass, and before it the vertical one on the columns it reads. */
static int resize_height_first(const PfResize *resize, const PfResizeKernels *kernels, uint8_t *out,
                               size_t out_stride, PfResizeScratch *scratch, PfError *err)
{
    enum { READ_BEHIND_ROW = 4 }; /* by the horizontal kernel */
    const PfRect *kept = &resize->kept;
    const PfResizeKernels *across_kernels = kernels;
    PfResizeAxis *axis = &scratch->horizontal;
    if (plan_across(resize, &across_kernels, axis, err) ||
        plan_down(resize, &scratch->vertical, err))
        return -1;
    int first = axis->first[0], count = axis->first[axis->count - 1] + axis->taps - first;
    size_t bytes = 3 * (size_t)count;
    if (pf_grow(&scratch->rows, &scratch->rows_capacity,
                (size_t)kept->height * bytes + READ_BEHIND_ROW, 1, err))
        return -1;
    vertical_pass(&scratch->vertical, kernels,
                  image_rows(resize, scratch->vertical.first[0], first), scratch->rows, bytes,
                  bytes);
    for (int i = 0; i < axis->count; i++) axis->first[i] -= first;
    for (int y = 0; y < kept->height; y++, out += out_stride)
        across_kernels->horizontal(axis, scratch->rows + (size_t)y * bytes, out);
    return 0;
}

/* Pillow 13 goes by the image's own size, also where a box is given. */
static bool is_height_first(const PfResize *resize)
{
    int64_t narrower = (int64_t)resize->in_width - resize->out_width;
    int64_t lower = (int64_t)resize->in_height - resize->out_height;
    return resize->order != PF_PILLOW12 && lower > 0 && lower > 2 * narrower;
}

static int resize_with(const PfResize *resize, const PfResizeKernels *kernels, uint8_t *out,
                       size_t out_stride, PfResizeScratch *scratch, PfError *err)
{
    const PfRect *kept = &resize->kept;
    bool is_down = !is_identity(down(resize), resize->out_height);
    bool is_across = !is_identity(across(resize), resize->out_width);
    if (is_down && is_across && is_height_first(resize))
        return resize_height_first(resize, kernels, out, out_stride, scratch, err);
    if (is_down) return resize_height(resize, kernels, out, out_stride, scratch, err);
    if (is_across)
        return horizontal_pass(resize, kernels, kept->y, kept->height, out, out_stride,
                               &scratch->horizontal, err);
    copy_rows(image_rows(resize, kept->y, kept->x), kept->height, out, out_stride,
              3 * (size_t)kept->width);
    return 0;
}

int pf_resize(const PfResize *resize, uint8_t *out, size_t out_stride, PfResizeScratch *scratch,
              PfError *err)
{
    const PfResizeKernels *avx2 = pf_resize_kernels_avx2();
    return resize_with(resize, avx2 ? avx2 : &pf_resize_kernels_plain, out, out_stride, scratch,
                       err);
}

int pf_resize_plain(const PfResize *resize, uint8_t *out, size_t out_stride,
                    PfResizeScratch *scratch, PfError *err)
{
    return resize_with(resize, &pf_resize_kernels_plain, out, out_stride, scratch, err);
}

static void free_axis(PfResizeAxis *axis)
{
    free(axis->first);
    free(axis->coefficients);
    free(axis->split);
}

void pf_resize_scratch_free(PfResizeScratch *scratch)
{
    free_axis(&scratch->horizontal);
    free_axis(&scratch->vertical);
    free(scratch->rows);
    *scratch = (PfResizeScratch){0};
}

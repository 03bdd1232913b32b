/* weight_gradient.h, and the gradient by the input as a convolution by turned weights, against
 * their definitions in double precision, on random shapes: odd sizes, strides, dilation, more
 * channels than are computed together, and so many steps that they are taken in parts. Every set of
 * kernels computes the same bits, and nothing is written but the result. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conv/internal.h"
#include "common/conv/weight_gradient.h"
#include "tests/unit/conv_sets.h"

/* Of the largest. As in test_convolution.c: the transforms add a few times what plain sums err
 * by; one product left out is off by a hundredth. */
#define TOLERANCE 1e-5

enum { CASES = 16 };
static const float poison = 1e30f;

typedef struct Case {
    PfConvolutionConfig config;
    PfWeightGradient work;
    int64_t height, width; /* of y */
    int64_t weights, parts;
    GuardedFloats weight, x, gradient, sums;
    double *expected; /* by weights, then by x */
} Case;

static int64_t inputs_of(const Case *c)
{
    return c->work.count * c->work.height * c->work.width * c->config.in_channels;
}

static int64_t outputs_of(const Case *c)
{
    return c->work.count * c->height * c->width * c->config.out_channels;
}

/* A quarter with the steps for two parts, a quarter with the channels for two blocks, half of each
 * by Winograd's algorithm. */
static void draw_shape(PfRandom *random, int i, Case *c)
{
    PfConvolutionConfig *config = &c->config;
    const int is_any = i % 2, is_long = i % 8 == 0 || i % 8 == 5;
    const int is_wide = i % 8 == 3 || i % 8 == 6;
    config->in_channels = 16 * (is_wide ? between(random, 9, 10) : between(random, 1, 3));
    config->out_channels = 16 * (is_wide ? between(random, 9, 10) : between(random, 1, 3));
    for (int axis = 0; axis < 2; axis++) {
        config->kernel[axis] = is_any ? between(random, 1, 5) : 3;
        config->stride[axis] = is_any ? between(random, 1, 3) : 1;
        config->dilation[axis] = is_any ? between(random, 1, 2) : 1;
        config->padding[axis] = between(random, 0, 2);
        config->map[axis] = is_long ? 31 : between(random, 9, 15);
    }
    c->work.count = is_long ? 5 : between(random, 1, 3);
}

static void open_case(int i, Case *c)
{
    PfRandom random = pf_random_seeded(11, (uint64_t)i);
    PfConvolutionConfig *config = &c->config;
    draw_shape(&random, i, c);
    const int64_t in = config->in_channels, row = config->kernel[1] * in;
    const int64_t strides[] = {config->kernel[0] * row, 1, row, in};
    memcpy(config->strides, strides, sizeof strides);
    c->height = pf_convolution_outputs(config, 0, config->map[0]);
    c->width = pf_convolution_outputs(config, 1, config->map[1]);
    c->work.config = config;
    c->work.height = config->map[0];
    c->work.width = config->map[1];
    c->weights = config->out_channels * strides[0];
    c->parts = pf_weight_gradient_parts(&c->work);
    c->weight = random_guarded(&random, c->weights, 1, 0);
    c->x = random_guarded(&random, inputs_of(c), 1, 0);
    c->gradient = random_guarded(&random, outputs_of(c), 1, 0);
    c->sums = guarded_floats((size_t)(c->parts * c->weights), poison);
    c->work.x = c->x.values;
    c->work.gradient = c->gradient.values;
    c->work.sums = c->sums.values;
    c->expected = calloc((size_t)(c->weights + inputs_of(c)), sizeof *c->expected);
    ck_assert_ptr_nonnull(c->expected);
}

static void close_case(Case *c)
{
    guarded_floats_free(&c->weight);
    guarded_floats_free(&c->x);
    guarded_floats_free(&c->gradient);
    guarded_floats_free(&c->sums);
    free(c->expected);
}

/* ---- the definition ---- */

/* Of one place of the kernel, where it meets the map, and one pixel of y. */
static void add_pixel(const Case *c, const float *gradient, int64_t input, int64_t place)
{
    const int64_t in = c->config.in_channels;
    double *by_x = c->expected + c->weights + input;
    for (int64_t k = 0; k < c->config.out_channels; k++) {
        const int64_t at = k * c->config.strides[0] + place * in;
        for (int64_t i = 0; i < in; i++) {
            c->expected[at + i] += (double)gradient[k] * (double)c->work.x[input + i];
            by_x[i] += (double)gradient[k] * (double)c->weight.values[at + i];
        }
    }
}

static void compute_expected(Case *c)
{
    const PfConvolutionConfig *config = &c->config;
    for (int64_t p = 0; p < c->work.count * c->height * c->width; p++) {
        const int64_t map = p / c->width / c->height, row = p / c->width % c->height;
        for (int64_t i = 0; i < config->kernel[0] * config->kernel[1]; i++) {
            const int64_t y = row * config->stride[0] - config->padding[0] +
                              i / config->kernel[1] * config->dilation[0];
            const int64_t x = p % c->width * config->stride[1] - config->padding[1] +
                              i % config->kernel[1] * config->dilation[1];
            if (y < 0 || y >= c->work.height || x < 0 || x >= c->work.width) continue;
            add_pixel(c, c->work.gradient + p * config->out_channels,
                      ((map * c->work.height + y) * c->work.width + x) * config->in_channels, i);
        }
    }
}

static void check_close(const char *what, const Case *c, const double *expected, const float *found,
                        int64_t count)
{
    double largest = 0, error = 0;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(expected[i]));
        error = fmax(error, fabs(expected[i] - (double)found[i]));
        assert_each(!isnan(found[i]), "%s: NaN at %ld", what, (long)i);
    }
    assert_each(error <= TOLERANCE * largest, "%s: error %g of %g, %ld to %ld channels, %ld x %ld",
                what, error, largest, (long)c->config.in_channels, (long)c->config.out_channels,
                (long)c->work.height, (long)c->work.width);
}

/* ---- running ---- */

static void run(Case *c, const char *kernels)
{
    PfError error = {0};
    setenv("PF_KERNELS", kernels, 1);
    for (int64_t i = 0; i < c->parts * c->weights; i++) c->work.sums[i] = poison;
    const size_t bytes = pf_weight_gradient_scratch(&c->work);
    float *scratch = pf_alloc_aligned(1, bytes, &error);
    for (int64_t piece = pf_weight_gradient_pieces(&c->work) - 1; piece >= 0; piece--) {
        memset(scratch, 0xff, bytes); /* NaNs */
        pf_weight_gradient_run(&c->work, piece, scratch);
    }
    free(scratch);
    unsetenv("PF_KERNELS");
}

START_TEST(is_the_gradient_by_definition)
{
    Case c = {0};
    open_case(_i, &c);
    ck_assert(pf_weight_gradient_suits(&c.config));
    compute_expected(&c);
    run(&c, "plain");
    for (int64_t part = 1; part < c.parts; part++)
        for (int64_t i = 0; i < c.weights; i++) c.work.sums[i] += c.work.sums[part * c.weights + i];
    check_close("by weights", &c, c.expected, c.work.sums, c.weights);
    close_case(&c);
}
END_TEST

START_TEST(every_set_of_kernels_computes_the_same_bits)
{
    Case c = {0};
    open_case(_i, &c);
    const int64_t count = c.parts * c.weights;
    float *first = calloc((size_t)count, sizeof *first);
    ck_assert_ptr_nonnull(first);
    for (int s = 0; s < conv_set_count(); s++) {
        run(&c, conv_set(s)->name);
        keep_or_compare(s, first, c.work.sums, count);
    }
    free(first);
    close_case(&c);
}
END_TEST

START_TEST(every_way_is_tried)
{
    int by_winograd = 0, in_parts = 0, in_blocks = 0;
    for (int i = 0; i < CASES; i++) {
        Case c = {0};
        open_case(i, &c);
        by_winograd += pf_convolution_winograd_suits(&c.config);
        in_parts += c.parts > 1;
        in_blocks += pf_weight_gradient_pieces(&c.work) >= 4 * c.parts;
        close_case(&c);
    }
    ck_assert_int_ge(by_winograd, CASES / 4);
    ck_assert_int_le(by_winograd, 3 * CASES / 4);
    ck_assert_int_ge(in_parts, CASES / 8);
    ck_assert_int_ge(in_blocks, CASES / 8);
}
END_TEST

/* ---- by the input ---- */

/* Of stride 1: the kernel turned round, maps with zeros as wide as it reached beyond them. */
static PfConvolutionConfig turned(const Case *c)
{
    const PfConvolutionConfig *config = &c->config;
    PfConvolutionConfig around = *config;
    around.in_channels = config->out_channels;
    around.out_channels = config->in_channels;
    around.strides[0] = config->strides[1];
    around.strides[1] = config->strides[0];
    around.weight = c->weight.values;
    for (int axis = 0; axis < 2; axis++) {
        around.weight += (config->kernel[axis] - 1) * config->strides[2 + axis];
        around.strides[2 + axis] = -config->strides[2 + axis];
        around.padding[axis] =
            config->dilation[axis] * (config->kernel[axis] - 1) - config->padding[axis];
        around.map[axis] = axis ? c->width : c->height;
    }
    return around;
}

/* Into memory of the caller's, panels and pieces from the last on. */
static void convolve(const Case *c, PfConvolutionConfig config, int64_t splits, float *y)
{
    PfError error = {0};
    PfConvolution *convolution = NULL;
    PfConvolutionConfig shape = config;
    PfConvolutionMaps maps = {.count = c->work.count,
                              .height = c->height,
                              .width = c->width,
                              .x = c->work.gradient,
                              .y = y,
                              .splits = splits};
    shape.weight = NULL;
    ck_assert_int_eq(pf_convolution_new(&shape, &convolution, &error), 0);
    float *packed = pf_alloc_aligned(1, pf_convolution_weight_bytes(convolution), &error);
    pf_convolution_lend(convolution, packed);
    for (int64_t panel = pf_convolution_panels(convolution) - 1; panel >= 0; panel--)
        pf_convolution_pack(convolution, &config, panel);
    float *scratch = pf_alloc_aligned(1, pf_convolution_scratch(convolution), &error);
    for (int64_t piece = pf_convolution_pieces(convolution, &maps) - 1; piece >= 0; piece--)
        pf_convolution_run(convolution, &maps, piece, scratch);
    free(scratch);
    free(packed);
    pf_convolution_free(&convolution);
}

START_TEST(turned_weights_give_the_gradient_by_the_input)
{
    Case c = {0};
    open_case(_i, &c);
    const int64_t count = inputs_of(&c);
    float *found = calloc((size_t)count, sizeof *found),
          *split = calloc((size_t)count, sizeof *split);
    int is_one = 1;
    for (int axis = 0; axis < 2; axis++)
        is_one &= c.config.stride[axis] == 1 &&
                  c.config.padding[axis] <= c.config.dilation[axis] * (c.config.kernel[axis] - 1);
    if (is_one) {
        compute_expected(&c);
        convolve(&c, turned(&c), 0, found);
        check_close("by the input", &c, c.expected + c.weights, found, count);
        convolve(&c, turned(&c), 2, split);
        assert_each(!memcmp(found, split, (size_t)count * sizeof *found), "split, it differs");
    }
    free(found);
    free(split);
    close_case(&c);
}
END_TEST

START_TEST(odd_channels_and_large_kernels_are_refused)
{
    PfConvolutionConfig config = {.in_channels = 32, .out_channels = 32, .kernel = {3, 3}};
    ck_assert(pf_weight_gradient_suits(&config));
    config.in_channels = 24;
    ck_assert(!pf_weight_gradient_suits(&config));
    config.in_channels = 32;
    config.out_channels = 8;
    ck_assert(!pf_weight_gradient_suits(&config));
    config.out_channels = 32;
    config.kernel[0] = config.kernel[1] = 7;
    ck_assert(!pf_weight_gradient_suits(&config));
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("weight_gradient");
    TCase *cases = tcase_create("weight_gradient");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, is_the_gradient_by_definition, 0, CASES);
    tcase_add_loop_test(cases, every_set_of_kernels_computes_the_same_bits, 0, CASES);
    tcase_add_test(cases, every_way_is_tried);
    tcase_add_loop_test(cases, turned_weights_give_the_gradient_by_the_input, 0, CASES);
    tcase_add_test(cases, odd_channels_and_large_kernels_are_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

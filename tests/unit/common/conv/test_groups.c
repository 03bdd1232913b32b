/* Convolutions of groups against the definition, on random shapes: each channel by itself, and
 * groups of any sizes; maps between unreadable pages. Every set of kernels computes the same bits,
 * and what is not finite reaches exactly the outputs that it should. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conv/convolution.h"
#include "common/conv/internal.h"
#include "tests/unit/common/conv/activation_definition.h"
#include "tests/unit/conv_sets.h"

/* Of the largest sum before the activation: they are plain ones. */
#define TOLERANCE 2e-6

enum { CASES = 60 };
static const float poison = 1e30f;

typedef struct Case {
    PfConvolutionConfig config;
    PfConvolutionMaps maps;
    int64_t height, width, inputs, outputs; /* height, width: of y */
    GuardedFloats weight, bias, x, sum, y;
    float *first; /* what the first set of kernels gave */
    double *scale;
} Case;

static void draw_shape(PfRandom *random, PfConvolutionConfig *config)
{
    static const int64_t known[] = {3, 4, 5, 8, 16, 24, 32};
    const int is_depthwise = (int)between(random, 0, 1);
    config->groups = between(random, 2, is_depthwise ? 130 : 12);
    config->group_inputs = is_depthwise ? 1 : known[between(random, 0, 6)];
    config->group_outputs = is_depthwise            ? 1
                            : between(random, 0, 1) ? config->group_inputs
                                                    : between(random, 1, 20);
    config->in_channels = (config->groups * config->group_inputs + 15) / 16 * 16;
    config->out_channels = (config->groups * config->group_outputs + 15) / 16 * 16;
    for (int axis = 0; axis < 2; axis++) {
        config->kernel[axis] = between(random, 1, is_depthwise ? 7 : 4);
        config->stride[axis] = between(random, 1, 3);
        config->dilation[axis] = between(random, 1, 4) == 1 ? 2 : 1;
        config->padding[axis] = between(random, 0, 4);
        config->more_padding[axis] = between(random, 0, 2) - pf_min(1, config->padding[axis]);
    }
}

/* Windows of rows two apart that begin between them: of two or three inputs and outputs each. */
static void draw_dilated(PfRandom *random, PfConvolutionConfig *config)
{
    config->groups = between(random, 2, 12);
    config->group_inputs = config->group_outputs = between(random, 2, 3);
    config->in_channels = config->out_channels =
        (config->groups * config->group_inputs + 15) / 16 * 16;
    for (int axis = 0; axis < 2; axis++) {
        config->kernel[axis] = between(random, 2, 4);
        config->stride[axis] = 1;
        config->dilation[axis] = 2;
        config->padding[axis] = 1;
    }
}

static void open_case(PfRandom *random, void (*shape)(PfRandom *, PfConvolutionConfig *), Case *c)
{
    PfConvolutionConfig *config = &c->config;
    PfConvolutionMaps *maps = &c->maps;
    do {
        shape(random, config);
        maps->height = config->map[0] = between(random, 1, 17);
        maps->width = config->map[1] = between(random, 1, 17);
        c->height = pf_convolution_outputs(config, 0, maps->height);
        c->width = pf_convolution_outputs(config, 1, maps->width);
    } while (c->height < 1 || c->width < 1);
    const int64_t places = config->kernel[0] * config->kernel[1];
    const int64_t strides[] = {config->group_inputs * places, places, config->kernel[1], 1};
    memcpy(config->strides, strides, sizeof strides);
    config->activation = random_activation(random);
    maps->count = between(random, 1, 3);
    c->inputs = maps->count * maps->height * maps->width * config->in_channels;
    c->outputs = maps->count * c->height * c->width * config->out_channels;
    c->weight = random_guarded(random, config->groups * config->group_outputs * strides[0], 1, 0);
    c->bias = random_guarded(random, config->out_channels, 1, 0);
    c->x = random_guarded(random, c->inputs, 1, 0);
    c->sum = random_guarded(random, c->outputs, 1, 0);
    c->y = guarded_floats((size_t)c->outputs, poison);
    c->first = calloc((size_t)c->outputs, sizeof(float));
    c->scale = calloc((size_t)config->out_channels, sizeof *c->scale);
    for (int64_t k = 0; k < config->out_channels; k++) c->scale[k] = pf_random_normal(random);
    config->weight = c->weight.values;
    if (between(random, 0, 2)) config->bias = c->bias.values;
    if (between(random, 0, 1)) config->scale = c->scale;
    if (between(random, 0, 1)) maps->sum = c->sum.values;
    maps->x = c->x.values;
    maps->y = c->y.values;
}

static void close_case(Case *c)
{
    guarded_floats_free(&c->weight);
    guarded_floats_free(&c->bias);
    guarded_floats_free(&c->x);
    guarded_floats_free(&c->sum);
    guarded_floats_free(&c->y);
    free(c->first);
    free(c->scale);
}

/* ---- the definition ---- */

static double product(const Case *c, int64_t map, int64_t y, int64_t x, int64_t k)
{
    const PfConvolutionConfig *config = &c->config;
    const int64_t group = k / config->group_outputs;
    double total = 0;
    if (group >= config->groups) return 0;
    for (int64_t i = 0; i < config->kernel[0] * config->kernel[1]; i++) {
        const int64_t at[] = {i / config->kernel[1], i % config->kernel[1]};
        const int64_t row =
            y * config->stride[0] - config->padding[0] + at[0] * config->dilation[0];
        const int64_t column =
            x * config->stride[1] - config->padding[1] + at[1] * config->dilation[1];
        if (row < 0 || row >= c->maps.height || column < 0 || column >= c->maps.width) continue;
        const float *pixel =
            c->maps.x +
            ((map * c->maps.height + row) * c->maps.width + column) * config->in_channels +
            group * config->group_inputs;
        for (int64_t in = 0; in < config->group_inputs; in++)
            total += (double)pixel[in] *
                     (double)config->weight[k * config->strides[0] + in * config->strides[1] + i];
    }
    return config->scale ? total * config->scale[k] : total;
}

/* Before the activation. */
static double sum_at(const Case *c, int64_t i)
{
    const int64_t k = i % c->config.out_channels, pixel = i / c->config.out_channels;
    double value = product(c, pixel / (c->width * c->height), pixel / c->width % c->height,
                           pixel % c->width, k);
    if (c->config.bias) value += (double)c->config.bias[k];
    if (c->maps.sum) value += (double)c->maps.sum[i];
    return value;
}

/* ---- running ---- */

static void run(Case *c, const char *kernels)
{
    PfConvolution *convolution = NULL;
    PfError error = {0};
    setenv("PF_KERNELS", kernels, 1);
    ck_assert_int_eq(pf_convolution_new(&c->config, &convolution, &error), 0);
    for (int64_t i = 0; i < c->outputs; i++) c->maps.y[i] = poison;
    const size_t bytes = pf_convolution_scratch(convolution);
    GuardedFloats scratch = guarded_floats((bytes + 3) / 4 / 16 * 16 + 16, 0);
    for (int64_t piece = pf_convolution_pieces(convolution, &c->maps) - 1; piece >= 0; piece--) {
        memset(scratch.values, 0xff, bytes); /* NaNs */
        pf_convolution_run(convolution, &c->maps, piece, scratch.values);
    }
    guarded_floats_free(&scratch);
    pf_convolution_free(&convolution);
    unsetenv("PF_KERNELS");
}

static void check_values(const Case *c, const char *kernels)
{
    double largest = 0;
    for (int64_t i = 0; i < c->outputs; i++) {
        const double sum = sum_at(c, i);
        if (isfinite(sum)) largest = fmax(largest, fabs(sum));
    }
    for (int64_t i = 0; i < c->outputs; i++) {
        const double expected = activated(&c->config.activation, sum_at(c, i)),
                     found = (double)c->maps.y[i];
        assert_each(is_near(found, expected, TOLERANCE * largest),
                    "%s: %g at %ld, not %g: groups of %ld to %ld, %ld x %ld", kernels, found,
                    (long)i, expected, (long)c->config.group_inputs, (long)c->config.group_outputs,
                    (long)c->config.kernel[0], (long)c->config.kernel[1]);
    }
}

static void check_all_sets(Case *c, int is_finite)
{
    for (int s = 0; s < conv_set_count(); s++) {
        run(c, conv_set(s)->name);
        check_values(c, conv_set(s)->name);
        if (is_finite) keep_or_compare(s, c->first, c->maps.y, c->outputs);
    }
}

START_TEST(is_the_convolution_by_definition)
{
    PfRandom random = pf_random_seeded(31, (uint64_t)_i);
    Case c = {0};
    open_case(&random, draw_shape, &c);
    check_all_sets(&c, 1);
    close_case(&c);
}
END_TEST

START_TEST(rows_between_those_of_a_window_count)
{
    PfRandom random = pf_random_seeded(34, (uint64_t)_i);
    Case c = {0};
    open_case(&random, draw_dilated, &c);
    check_all_sets(&c, 1);
    close_case(&c);
}
END_TEST

/* Two values of x, not among the channels that are filled up. */
static void break_inputs(PfRandom *random, Case *c)
{
    const PfConvolutionConfig *config = &c->config;
    for (int i = 0; i < 2; i++) {
        const int64_t pixel = between(random, 0, c->inputs / config->in_channels - 1);
        const int64_t channel = between(random, 0, config->groups * config->group_inputs - 1);
        c->x.values[pixel * config->in_channels + channel] = not_finite(random);
    }
}

static void break_weights(PfRandom *random, Case *c)
{
    const int64_t count = c->config.groups * c->config.group_outputs * c->config.strides[0];
    break_some(random, c->weight.values, count, 2);
}

/* Neither the next group nor the outputs that are filled up see it, nor does the border. */
START_TEST(what_is_not_finite_stays_in_its_group)
{
    PfRandom random = pf_random_seeded(32, (uint64_t)_i);
    Case c = {0};
    open_case(&random, draw_shape, &c);
    if (_i % 2)
        break_inputs(&random, &c);
    else
        break_weights(&random, &c);
    check_all_sets(&c, 0);
    close_case(&c);
}
END_TEST

START_TEST(rounds_to_bfloat16)
{
    PfRandom random = pf_random_seeded(33, (uint64_t)_i);
    Case c = {0};
    open_case(&random, draw_shape, &c);
    c.config.bf16 = true;
    c.config.activation.kind = PF_ACTIVATION_RELU;
    run(&c, pf_conv_kernels()->name);
    for (int64_t i = 0; i < c.outputs; i++) {
        uint32_t bits;
        memcpy(&bits, &c.maps.y[i], sizeof bits);
        assert_each(!(bits & 0xffff), "%a is not a bfloat16", (double)c.maps.y[i]);
    }
    close_case(&c);
}
END_TEST

/* Of each map only the rows that a row of outputs takes are there, the others NaN. */
static void run_in_ring(const Case *c, int64_t rows, PfConvolution *convolution, float *ring)
{
    const PfConvolutionConfig *config = &c->config;
    const int64_t row = c->maps.width * config->in_channels;
    PfConvolutionMaps maps = c->maps;
    GuardedFloats scratch =
        guarded_floats((pf_convolution_scratch(convolution) + 3) / 4 / 16 * 16 + 16, 0);
    maps.count = 1;
    maps.rows = rows;
    maps.x = ring;
    for (int64_t i = 0; i < c->maps.count * c->height; i++) {
        const int64_t map = i / c->height, top = i % c->height * config->stride[0];
        for (int64_t at = 0; at < rows * row; at++) ring[at] = NAN;
        for (int64_t k = 0; k < config->kernel[0]; k++) {
            const int64_t y = top - config->padding[0] + k * config->dilation[0];
            if (y < 0 || y >= maps.height) continue;
            memcpy(ring + y % rows * row, c->maps.x + (map * maps.height + y) * row,
                   (size_t)row * sizeof *ring);
        }
        const int64_t outputs = c->height * c->width * config->out_channels;
        maps.y = c->maps.y + map * outputs;
        maps.sum = c->maps.sum ? c->maps.sum + map * outputs : NULL;
        pf_convolution_run(convolution, &maps, i % c->height, scratch.values);
    }
    guarded_floats_free(&scratch);
}

START_TEST(rows_may_take_turns_in_one_place)
{
    PfRandom random = pf_random_seeded(34, (uint64_t)_i);
    PfConvolution *convolution = NULL;
    PfError error = {0};
    Case c = {0};
    open_case(&random, draw_shape, &c);
    while (!pf_convolution_depthwise_suits(&c.config)) {
        close_case(&c);
        c = (Case){0};
        open_case(&random, draw_shape, &c);
    }
    const size_t bytes = (size_t)c.outputs * sizeof(float);
    run(&c, pf_conv_kernels()->name);
    memcpy(c.first, c.maps.y, bytes);
    for (int64_t i = 0; i < c.outputs; i++) c.maps.y[i] = poison;
    const int64_t window = (c.config.kernel[0] - 1) * c.config.dilation[0] + 1;
    const int64_t rows = window + between(&random, 0, 3);
    GuardedFloats ring = guarded_floats((size_t)(rows * c.maps.width * c.config.in_channels), 0);
    ck_assert_int_eq(pf_convolution_new(&c.config, &convolution, &error), 0);
    run_in_ring(&c, rows, convolution, ring.values);
    ck_assert_msg(!memcmp(c.first, c.maps.y, bytes), "other bits from a ring of %ld rows",
                  (long)rows);
    pf_convolution_free(&convolution);
    guarded_floats_free(&ring);
    close_case(&c);
}
END_TEST

START_TEST(every_kind_is_tried)
{
    int depthwise = 0, narrow = 0, uneven = 0;
    for (uint64_t i = 0; i < CASES; i++) {
        PfRandom random = pf_random_seeded(31, i);
        Case c = {0};
        open_case(&random, draw_shape, &c);
        depthwise += pf_convolution_depthwise_suits(&c.config);
        narrow += c.config.group_outputs < 16 && c.config.group_inputs > 1;
        uneven += c.config.group_outputs != c.config.group_inputs;
        close_case(&c);
    }
    ck_assert_int_ge(depthwise, CASES / 4);
    ck_assert_int_ge(narrow, CASES / 8);
    ck_assert_int_ge(uneven, CASES / 8);
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("groups");
    TCase *cases = tcase_create("groups"), *rings = tcase_create("rings");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, rows_between_those_of_a_window_count, 0, 8);
    tcase_add_loop_test(cases, is_the_convolution_by_definition, 0, CASES);
    tcase_add_loop_test(cases, what_is_not_finite_stays_in_its_group, 0, CASES / 2);
    tcase_add_loop_test(cases, rounds_to_bfloat16, 0, 4);
    tcase_add_test(cases, every_kind_is_tried);
    suite_add_tcase(suite, cases);
    tcase_set_timeout(rings, 300);
    tcase_add_loop_test(rings, rows_may_take_turns_in_one_place, 0, CASES / 2);
    suite_add_tcase(suite, rings);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

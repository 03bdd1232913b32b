/* convolution.h against the definition of a convolution, on random shapes, half of
 * them such that Winograd's algorithm computes them, and some of few channels: every set
 * of kernels computes the same bits, in one piece or many, and nothing is written but the
 * result. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/conv/convolution.h"
#include "common/conv/internal.h"
#include "tests/unit/common/conv/activation_definition.h"
#include "tests/unit/conv_sets.h"

/* Largest error over the largest result. Random sums of 9 * 64 products lose some
 * 3e-7 in float32 however they are taken; the transforms add a few times that, and
 * with 576 channels as much again. A product left out is off by a hundredth. */
#define TOLERANCE 8e-6

enum { CASES = 20, LONG_CASES = 60 };
static const float poison = 1e30f;

/* With PF_LONG=1 in the environment, more of them. */
static int case_count(void)
{
    return getenv("PF_LONG") ? LONG_CASES : CASES;
}

typedef struct Case {
    PfConvolutionConfig config;
    PfConvolutionMaps maps;
    int64_t height, width; /* of y */
    GuardedFloats weight, bias, x, sum, y;
    float *expected;
    double *scale;
    double largest; /* before the activation, whose slopes are hardly more than 1 */
    int64_t outputs;
} Case;

/* Weights as (out, in, height, width), or with channels last. */
static void set_strides(PfConvolutionConfig *config, int channels_last)
{
    const int64_t in = config->in_channels, width = config->kernel[1];
    const int64_t size = config->kernel[0] * width;
    const int64_t plain[] = {in * size, size, width, 1}, last[] = {in * size, 1, width * in, in};
    memcpy(config->strides, channels_last ? last : plain, sizeof plain);
}

static void draw_kernel(PfRandom *random, PfConvolutionConfig *config, int is_any)
{
    for (int axis = 0; axis < 2; axis++) {
        config->kernel[axis] = is_any ? between(random, 1, 3) : 3;
        config->stride[axis] = is_any ? between(random, 1, 3) : 1;
        config->dilation[axis] = is_any ? between(random, 1, 2) : 1;
        config->padding[axis] = between(random, 0, 2);
    }
}

/* Some of the last channels fill up: their weights are zeros, and x is not. */
static void fill_channels(PfRandom *random, Case *c)
{
    PfConvolutionConfig *config = &c->config;
    if (config->in_channels % 16 || between(random, 0, 2)) return;
    config->filled_channels = between(random, 1, 15);
    const int64_t places = config->kernel[0] * config->kernel[1], *strides = config->strides;
    for (int64_t k = 0; k < config->out_channels; k++)
        for (int64_t in = config->in_channels - config->filled_channels; in < config->in_channels;
             in++)
            for (int64_t i = 0; i < places; i++)
                c->weight
                    .values[k * strides[0] + in * strides[1] + i / config->kernel[1] * strides[2] +
                            i % config->kernel[1] * strides[3]] = 0;
}

static void open_case(PfRandom *random, Case *c)
{
    PfConvolutionConfig *config = &c->config;
    /* Seldom so many that sums are stored and loaded on the way. */
    const int is_deep = between(random, 0, 7) == 0;
    config->in_channels = 16 * (is_deep ? between(random, 33, 36) : between(random, 1, 6));
    if (!is_deep && between(random, 0, 4) == 0) config->in_channels = between(random, 1, 21);
    config->out_channels = 16 * between(random, 1, is_deep ? 2 : 9);
    draw_kernel(random, config, (int)between(random, 0, 1));
    config->activation = random_activation(random);
    config->bf16 = pf_activation_is_cut(&config->activation) && between(random, 0, 3) == 0;
    set_strides(config, (int)between(random, 0, 1));
    PfConvolutionMaps *maps = &c->maps;
    maps->count = between(random, 1, 5);
    maps->height = config->map[0] = between(random, 5, 19);
    maps->width = config->map[1] = between(random, 5, 19);
    c->height = pf_convolution_outputs(config, 0, maps->height);
    c->width = pf_convolution_outputs(config, 1, maps->width);
    c->outputs = maps->count * c->height * c->width * config->out_channels;
    c->weight = random_guarded(random, config->out_channels * config->strides[0], 1, 0);
    config->weight = c->weight.values;
    fill_channels(random, c);
    c->bias = random_guarded(random, config->out_channels, 1, 0);
    if (between(random, 0, 3)) config->bias = c->bias.values;
    c->scale = calloc((size_t)config->out_channels, sizeof *c->scale);
    for (int64_t k = 0; k < config->out_channels; k++) c->scale[k] = pf_random_normal(random);
    if (between(random, 0, 2) == 0) config->scale = c->scale;
    const int64_t inputs = maps->count * maps->height * maps->width * config->in_channels;
    c->x = random_guarded(random, inputs, 1, 0);
    maps->x = c->x.values;
    c->sum = random_guarded(random, c->outputs, 1, 0);
    if (between(random, 0, 1)) maps->sum = c->sum.values;
    c->y = guarded_floats((size_t)c->outputs, poison);
    maps->y = c->y.values;
    c->expected = calloc((size_t)c->outputs + 1, sizeof *c->expected);
    ck_assert_ptr_nonnull(c->expected);
}

static void close_case(Case *c)
{
    guarded_floats_free(&c->weight);
    guarded_floats_free(&c->bias);
    guarded_floats_free(&c->x);
    guarded_floats_free(&c->sum);
    guarded_floats_free(&c->y);
    free(c->scale);
    free(c->expected);
}

/* ---- the definition ---- */

static double product(const Case *c, int64_t map, int64_t y, int64_t x, int64_t k)
{
    const PfConvolutionConfig *config = &c->config;
    double total = 0;
    for (int64_t i = 0; i < config->kernel[0] * config->kernel[1]; i++) {
        const int64_t at[] = {i / config->kernel[1], i % config->kernel[1]};
        const int64_t row =
            y * config->stride[0] - config->padding[0] + at[0] * config->dilation[0];
        const int64_t column =
            x * config->stride[1] - config->padding[1] + at[1] * config->dilation[1];
        if (row < 0 || row >= c->maps.height || column < 0 || column >= c->maps.width) continue;
        const float *pixel = c->maps.x + ((map * c->maps.height + row) * c->maps.width + column) *
                                             config->in_channels;
        const float *w = c->config.weight + k * config->strides[0] + at[0] * config->strides[2] +
                         at[1] * config->strides[3];
        for (int64_t in = 0; in < config->in_channels; in++)
            total += (double)pixel[in] * (double)w[in * config->strides[1]];
    }
    return config->scale ? total * config->scale[k] : total;
}

static void compute_expected(Case *c)
{
    for (int64_t i = 0; i < c->outputs; i++) {
        const int64_t k = i % c->config.out_channels, pixel = i / c->config.out_channels;
        const int64_t x = pixel % c->width, y = pixel / c->width % c->height;
        double value = product(c, pixel / (c->width * c->height), y, x, k);
        if (c->config.bias) value += (double)c->config.bias[k];
        if (c->maps.sum) value += (double)c->maps.sum[i];
        c->largest = fmax(c->largest, fabs(value));
        c->expected[i] = (float)activated(&c->config.activation, value);
    }
}

/* ---- running ---- */

static void run(Case *c, const char *kernels)
{
    PfConvolution *convolution = NULL;
    PfError error = {0};
    setenv("PF_KERNELS", kernels, 1);
    ck_assert_int_eq(pf_convolution_new(&c->config, &convolution, &error), 0);
    for (int64_t i = 0; i < c->outputs; i++) c->maps.y[i] = poison;
    float *scratch = pf_alloc_aligned(1, pf_convolution_scratch(convolution), &error);
    const int64_t pieces = pf_convolution_pieces(convolution, &c->maps);
    for (int64_t piece = pieces - 1; piece >= 0; piece--) {
        memset(scratch, 0xff, pf_convolution_scratch(convolution)); /* NaNs */
        pf_convolution_run(convolution, &c->maps, piece, scratch);
    }
    free(scratch);
    pf_convolution_free(&convolution);
    unsetenv("PF_KERNELS");
}

/* Rounded to the nearest, a value is off by half of its last bit, of eight, at most. */
static double check_rounding(const Case *c, double expected, float found)
{
    uint32_t bits;
    if (!c->config.bf16) return 0;
    memcpy(&bits, &found, sizeof bits);
    assert_each(!(bits & 0xffff), "%a is not a bfloat16", (double)found);
    return fabs(expected) / 256;
}

static void check_values(const Case *c)
{
    double error = 0;
    for (int64_t i = 0; i < c->outputs; i++) {
        const double expected = (double)c->expected[i];
        const double off =
            fabs((double)c->maps.y[i] - expected) - check_rounding(c, expected, c->maps.y[i]);
        assert_each(!isnan(off), "NaN at %ld", (long)i);
        error = fmax(error, off);
    }
    assert_each(error <= TOLERANCE * c->largest,
                "error %g of %g: %ld to %ld channels, %ld x %ld by %ld x %ld", error, c->largest,
                (long)c->config.in_channels, (long)c->config.out_channels, (long)c->maps.height,
                (long)c->maps.width, (long)c->config.kernel[0], (long)c->config.kernel[1]);
}

START_TEST(is_the_convolution_by_definition)
{
    PfRandom random = pf_random_seeded(7, (uint64_t)_i);
    Case c = {0};
    open_case(&random, &c);
    compute_expected(&c);
    run(&c, "plain");
    check_values(&c);
    close_case(&c);
}
END_TEST

START_TEST(every_set_of_kernels_computes_the_same_bits)
{
    PfRandom random = pf_random_seeded(8, (uint64_t)_i);
    Case c = {0};
    open_case(&random, &c);
    for (int s = 0; s < conv_set_count(); s++) {
        run(&c, conv_set(s)->name);
        keep_or_compare(s, c.expected, c.maps.y, c.outputs);
    }
    close_case(&c);
}
END_TEST

/* Sums, activations and rounding, too, are those of the part's channels. */
START_TEST(parts_of_the_channels_change_no_bits)
{
    PfRandom random = pf_random_seeded(9, (uint64_t)_i);
    Case c = {0};
    open_case(&random, &c);
    run(&c, "");
    memcpy(c.expected, c.maps.y, (size_t)c.outputs * sizeof(float));
    for (c.maps.splits = 2; c.maps.splits <= 4; c.maps.splits++) {
        run(&c, "");
        assert_each(!memcmp(c.expected, c.maps.y, (size_t)c.outputs * sizeof(float)),
                    "%ld parts and one differ", (long)c.maps.splits);
    }
    close_case(&c);
}
END_TEST

START_TEST(every_way_is_tried)
{
    int by_winograd = 0, gathered = 0;
    for (uint64_t i = 0; i < (uint64_t)case_count(); i++) {
        PfRandom random = pf_random_seeded(7, i);
        Case c = {0};
        open_case(&random, &c);
        by_winograd += pf_convolution_winograd_suits(&c.config);
        gathered += c.config.in_channels % 16 != 0;
        close_case(&c);
    }
    ck_assert_int_ge(by_winograd, case_count() / 4);
    ck_assert_int_le(by_winograd, 3 * case_count() / 4);
    ck_assert_int_ge(gathered, case_count() / 10);
}
END_TEST

/* ---- what is not finite ---- */

static void break_case(PfRandom *random, Case *c)
{
    const int64_t pixels = c->maps.count * c->maps.height * c->maps.width;
    c->config.activation.kind = between(random, 0, 3) > 0 ? PF_ACTIVATION_RELU : PF_ACTIVATION_NONE;
    c->config.filled_channels = 0; /* x of which nobody reads */
    break_some(random, c->x.values, pixels * c->config.in_channels, 2);
    if (c->maps.sum) break_some(random, c->sum.values, c->outputs, 3);
    c->config.bias = c->bias.values;
    break_some(random, c->bias.values, c->config.out_channels, 1);
    c->bias.values[0] = NAN; /* in any case something */
}

/* Winograd's algorithm makes sums of a whole tile, in which what is not finite spreads; it must not
 * become finite. Without it all is as the definition says. */
static int64_t check_broken(const Case *c, const char *kernels)
{
    const int is_direct = !pf_convolution_winograd_suits(&c->config);
    int64_t broken = 0;
    for (int64_t i = 0; i < c->outputs; i++) {
        const float expected = c->expected[i], found = c->maps.y[i];
        broken += !isfinite(expected);
        if (isnan(expected) && is_direct)
            assert_each(isnan(found), "%s: %g at %ld, not NaN", kernels, (double)found, (long)i);
        else if (!isfinite(expected) && is_direct)
            assert_each(found == expected, "%s: %g at %ld, not %g", kernels, (double)found, (long)i,
                        (double)expected);
        else if (!isfinite(expected))
            assert_each(!isfinite(found), "%s: %g at %ld is finite", kernels, (double)found,
                        (long)i);
        else if (is_direct)
            assert_each(isfinite(found), "%s: %g at %ld", kernels, (double)found, (long)i);
    }
    return broken;
}

/* Everything is in some piece, and no piece is a few rows alone. */
START_TEST(pieces_are_equally_large)
{
    for (int64_t most = 72; most <= 102; most += 30)
        for (int64_t rows = 1; rows <= 3000; rows++) {
            const PfConvolutionShare share = pf_convolution_share(rows, most);
            const int64_t last = rows - (share.count - 1) * share.size;
            /* Sizes are rounded up, each by 5 at most. */
            const int64_t least = pf_max(1, pf_min(rows, share.size - 6 * share.count));
            assert_each(share.size % 6 == 0 && share.size <= most && last >= least &&
                            last <= share.size,
                        "%ld rows: the last piece has %ld, the others %ld", (long)rows, (long)last,
                        (long)share.size);
        }
    ck_assert_int_eq(pf_convolution_share(196, 72).size, 66); /* 66, 66 and 64 */
    ck_assert_int_eq(pf_convolution_share(0, 72).count, 0);
}
END_TEST

/* Each row and column has a place of its own. */
START_TEST(strips_hold_every_weight_once)
{
    for (int64_t strip = 16; strip <= 64; strip *= 4)
        for (int64_t width = 16; width <= 64; width += 16) {
            enum { DEPTH = 32 };
            int taken[DEPTH * 64] = {0};
            for (int64_t row = 0; row < DEPTH; row++)
                for (int64_t column = 0; column < width; column++)
                    taken[pf_product_u(strip, DEPTH, width, row, column)]++;
            for (int64_t i = 0; i < DEPTH * width; i++)
                assert_each(taken[i] == 1, "a place is taken %d times", taken[i]);
        }
    ck_assert_int_eq(pf_product_u(16, 32, 48, 1, 17), 16 * 32 + 16 + 1);
    ck_assert_int_eq(pf_product_u(64, 32, 48, 1, 17), 48 + 17);
}
END_TEST

/* NaN and infinity must reach the result, or a broken network would look sound. */
START_TEST(what_is_not_finite_is_passed_on)
{
    PfRandom random = pf_random_seeded(9, (uint64_t)_i);
    Case c = {0};
    open_case(&random, &c);
    break_case(&random, &c);
    compute_expected(&c);
    for (int s = 0; s < conv_set_count(); s++) {
        run(&c, conv_set(s)->name);
        ck_assert_int_gt(check_broken(&c, conv_set(s)->name), 0);
    }
    close_case(&c);
}
END_TEST

/* Of few channels: a weight that is not finite changes what it meets, and nothing where it meets
 * the border alone. */
START_TEST(weights_that_are_not_finite_meet_no_border)
{
    PfRandom random = pf_random_seeded(10, (uint64_t)_i);
    Case c = {0};
    for (open_case(&random, &c); c.config.in_channels % 16 == 0; open_case(&random, &c)) {
        close_case(&c);
        c = (Case){0};
    }
    c.config.bf16 = false;
    break_some(&random, c.weight.values, c.config.out_channels * c.config.strides[0], 2);
    compute_expected(&c);
    run(&c, "plain");
    for (int64_t i = 0; i < c.outputs; i++) {
        const float expected = c.expected[i], found = c.maps.y[i];
        const int as_expected = isfinite(expected) ? fabsf(found - expected) < 1e-3f
                                                   : found == expected || isnan(expected);
        assert_each(as_expected && !isnan(found) == !isnan(expected), "%g at %ld, not %g",
                    (double)found, (long)i, (double)expected);
    }
    close_case(&c);
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("convolution");
    TCase *cases = tcase_create("convolution");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, is_the_convolution_by_definition, 0, case_count());
    tcase_add_test(cases, pieces_are_equally_large);
    tcase_add_test(cases, strips_hold_every_weight_once);
    tcase_add_loop_test(cases, every_set_of_kernels_computes_the_same_bits, 0, case_count());
    tcase_add_loop_test(cases, parts_of_the_channels_change_no_bits, 0, case_count());
    tcase_add_test(cases, every_way_is_tried);
    tcase_add_loop_test(cases, what_is_not_finite_is_passed_on, 0, CASES / 3);
    tcase_add_loop_test(cases, weights_that_are_not_finite_meet_no_border, 0, CASES / 3);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

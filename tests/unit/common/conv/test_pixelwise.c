/* Average pools, and what is done to pixels one by one (kernels.h), against their definitions in
 * double on random shapes, by every set of kernels, between unreadable pages. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/conv/average_pool.h"
#include "tests/unit/common/conv/activation_definition.h"
#include "tests/unit/conv_sets.h"

enum { CASES = 40 };

/* Some of them not finite, where wanted. */
static GuardedFloats random_floats(PfRandom *random, int64_t count, int broken)
{
    GuardedFloats floats = random_guarded(random, count, 1, 0);
    if (broken) break_some(random, floats.values, count, count / 50 + 1);
    return floats;
}

static void check(float found, double expected, double largest, int64_t at)
{
    assert_each(is_near((double)found, expected, 1e-6 * largest), "%g at %ld, not %g",
                (double)found, (long)at, expected);
}

/* ---- average pools ---- */

/* Of `size` inputs, input i is in window `at` of `windows`: as torch documents adaptive pooling,
 * from floor(at size / windows) up to ceil((at + 1) size / windows). */
static int in_window(int64_t i, int64_t at, int64_t windows, int64_t size)
{
    return (i + 1) * windows > at * size && i * windows < (at + 1) * size;
}

static double average(const PfAveragePool *pool, int64_t at)
{
    const int64_t c = at % pool->channels, pixel = at / pool->channels, size = pool->size;
    const int64_t y = pixel / size % size, x = pixel % size, map = pixel / (size * size);
    double sum = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < pool->height; i++)
        for (int64_t j = 0; j < pool->width; j++) {
            if (!in_window(i, y, size, pool->height) || !in_window(j, x, size, pool->width))
                continue;
            const int64_t from = (map * pool->height + i) * pool->width + j;
            sum += (double)pool->x[from * pool->channels + c];
            count++;
        }
    return sum / (double)count;
}

START_TEST(averages_are_of_their_windows)
{
    PfRandom random = pf_random_seeded(21, (uint64_t)_i);
    PfAveragePool pool = {.channels = 16 * between(&random, 1, 4),
                          .count = between(&random, 1, 4),
                          .height = between(&random, 1, 12),
                          .width = between(&random, 1, 12),
                          .size = between(&random, 0, 1) ? 7 : 1};
    const int64_t inputs = pool.count * pool.height * pool.width * pool.channels;
    const int64_t outputs = pool.count * pool.size * pool.size * pool.channels;
    GuardedFloats x = random_floats(&random, inputs, (int)between(&random, 0, 1));
    GuardedFloats y = guarded_floats((size_t)outputs, 0);
    pool.x = x.values;
    pool.y = y.values;
    for (int s = 0; s < conv_set_count(); s++) {
        setenv("PF_KERNELS", conv_set(s)->name, 1);
        pf_average_pool_run(&pool);
        for (int64_t i = 0; i < outputs; i++) check(pool.y[i], average(&pool, i), 4, i);
    }
    guarded_floats_free(&x);
    guarded_floats_free(&y);
}
END_TEST

/* ---- pixel by pixel ---- */

typedef struct Pixels {
    PfPointwise what;
    GuardedFloats x, scale, shift, sum, y;
    int64_t count; /* floats of y, and what is between its pixels */
} Pixels;

static const float between_pixels = 1e30f;

/* Pixels lie anywhere; dense: side by side. */
static void open_pixels(PfRandom *random, bool dense, Pixels *pixels)
{
    PfPointwise *what = &pixels->what;
    *what = (PfPointwise){.pixels = between(random, 1, 9),
                          .channels = 16 * between(random, 1, 4),
                          .activation = random_activation(random)};
    what->x_step = what->channels + (dense ? 0 : 16 * between(random, 0, 2));
    what->y_step = what->channels + (dense ? 0 : 16 * between(random, 0, 2));
    pixels->count = (what->pixels - 1) * what->y_step + what->channels;
    const int broken = (int)between(random, 0, 1);
    pixels->x = random_floats(random, (what->pixels - 1) * what->x_step + what->channels, broken);
    pixels->scale = random_floats(random, what->channels, 0);
    pixels->shift = random_floats(random, what->channels, broken);
    pixels->sum = random_floats(random, pixels->count, broken);
    pixels->y = guarded_floats((size_t)pixels->count, between_pixels);
    what->x = pixels->x.values;
    if (between(random, 0, 1)) what->scale = pixels->scale.values;
    if (what->scale) what->shift = pixels->shift.values;
    if (between(random, 0, 1)) what->sum = pixels->sum.values;
    what->y = pixels->y.values;
}

static void close_pixels(Pixels *pixels)
{
    guarded_floats_free(&pixels->x);
    guarded_floats_free(&pixels->scale);
    guarded_floats_free(&pixels->shift);
    guarded_floats_free(&pixels->sum);
    guarded_floats_free(&pixels->y);
}

static double pixel_at(const PfPointwise *what, int64_t i)
{
    const int64_t c = i % what->y_step;
    if (c >= what->channels) return (double)between_pixels;
    double value = (double)what->x[i / what->y_step * what->x_step + c];
    if (what->scale) value = value * (double)what->scale[c] + (double)what->shift[c];
    if (what->sum) value += (double)what->sum[i];
    return activated(&what->activation, value);
}

START_TEST(pixels_are_scaled_summed_and_cut)
{
    PfRandom random = pf_random_seeded(22, (uint64_t)_i);
    Pixels pixels;
    open_pixels(&random, false, &pixels);
    for (int s = 0; s < conv_set_count(); s++) {
        conv_set(s)->pointwise(&pixels.what);
        for (int64_t i = 0; i < pixels.count; i++)
            check(pixels.what.y[i], pixel_at(&pixels.what, i), 10, i);
    }
    close_pixels(&pixels);
}
END_TEST

/* Where a plan lets a result take the place of what it is made of. */
START_TEST(pixels_may_be_written_over)
{
    PfRandom random = pf_random_seeded(23, (uint64_t)_i);
    Pixels pixels;
    open_pixels(&random, true, &pixels);
    const size_t bytes = (size_t)pixels.count * sizeof(float);
    PfPointwise over = pixels.what;
    pf_conv_kernels()->pointwise(&pixels.what);
    over.y = over.sum && _i % 2 ? pixels.sum.values : pixels.x.values;
    pf_conv_kernels()->pointwise(&over);
    assert_each(!memcmp(over.y, pixels.what.y, bytes), "other bits in place");
    close_pixels(&pixels);
}
END_TEST

/* ---- activations ---- */

enum { NUMBERS = 1 << 16 };

/* From all over the floats, subnormal and not finite ones among them; then from -20 to 20. */
static float number(int i)
{
    float value;
    uint32_t bits = (uint32_t)i << 16 | ((uint32_t)i * 40503u & 0xffffu);
    if (i >= NUMBERS) return (float)(i - NUMBERS) * (40.0f / NUMBERS) - 20;
    if (i % 256 == 0) bits = (uint32_t)i << 16; /* infinities, too */
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounding errors of a few of the last bit, and of those that have the normal distribution, or
 * exponents that were rounded before, so many of the largest slope's. What is less than 2^-126 may
 * be zero. */
static double allowed(PfActivationKind kind, double x, double expected)
{
    const bool is_coarse = kind == PF_ACTIVATION_GELU || kind == PF_ACTIVATION_GELU_TANH ||
                           kind == PF_ACTIVATION_QUICK_GELU;
    const double of = is_coarse ? fmax(fabs(expected), fmin(fabs(x), 1.2)) : fabs(expected);
    return 3e-7 * of + 1.2e-38 * fmax(1, fabs(x));
}

START_TEST(activations_are_as_defined)
{
    const PfActivation activation = {(PfActivationKind)_i, -0.75f, 1.5f};
    float *numbers = calloc(2 * NUMBERS, sizeof *numbers),
          *kept = calloc(2 * NUMBERS, sizeof *kept);
    for (int s = 0; s < conv_set_count(); s++) {
        for (int i = 0; i < 2 * NUMBERS; i++) numbers[i] = number(i);
        conv_set(s)->activate(&(PfActivate){
            .activation = activation, .rows = 2, .width = NUMBERS, .y = numbers, .row = NUMBERS});
        for (int i = 0; i < 2 * NUMBERS; i++) {
            const double x = (double)number(i), expected = activated(&activation, x);
            const double found = (double)numbers[i];
            if (isnan(expected) || isinf(expected) || isnan(x))
                assert_each(isnan(x) || isnan(expected) ? isnan(found) != 0 : found == expected,
                            "%g of %g, not %g", found, x, expected);
            else if (!(fabs(found - expected) <= allowed(activation.kind, x, expected)))
                ck_abort_msg("%s: %.9g of %.9g, not %.9g", conv_set(s)->name, found, x, expected);
            if (isnan(found)) numbers[i] = 0; /* whichever NaN it is */
        }
        keep_or_compare(s, kept, numbers, 2 * NUMBERS);
    }
    free(numbers);
    free(kept);
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("pixelwise");
    TCase *cases = tcase_create("pixelwise");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, averages_are_of_their_windows, 0, CASES);
    tcase_add_loop_test(cases, pixels_are_scaled_summed_and_cut, 0, CASES);
    tcase_add_loop_test(cases, pixels_may_be_written_over, 0, CASES);
    tcase_add_loop_test(cases, activations_are_as_defined, 0, PF_ACTIVATION_COUNT);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

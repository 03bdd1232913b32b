/* window_pool.h and pad.h against their definitions, on random windows between unreadable pages, by
 * every set of kernels: dilation, other padding before than behind, a last window that begins in
 * the padding, windows of nothing but padding. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "common/conv/pad.h"
#include "common/conv/window_pool.h"
#include "tests/unit/conv_sets.h"

enum { CASES = 60 };
static const float poison = 1e30f;

typedef struct Case {
    PfWindowPool pool;
    int64_t count, outputs;
    GuardedFloats x, y;
} Case;

static GuardedFloats random_floats(PfRandom *random, int64_t count)
{
    GuardedFloats floats = random_guarded(random, count, 1, 0);
    break_some(random, floats.values, count, count / 100);
    return floats;
}

static void open_case(Case *c, uint64_t number)
{
    PfRandom random = pf_random_seeded(41, number);
    PfWindowPool *pool = &c->pool;
    int64_t sizes[2];
    pool->averages = between(&random, 0, 1);
    pool->count_padding = between(&random, 0, 1);
    pool->channels = 16 * between(&random, 1, 6);
    for (int axis = 0; axis < 2; axis++) {
        pool->kernel[axis] = between(&random, 1, 4);
        pool->stride[axis] = between(&random, 1, 3);
        pool->dilation[axis] = pool->averages ? 1 : between(&random, 1, 2);
        pool->padding[axis] = between(&random, 0, 4);
        pool->padding_behind[axis] = between(&random, 0, 4);
        sizes[axis] = between(&random, 1, 12);
        const int64_t room = sizes[axis] + pool->padding[axis] + pool->padding_behind[axis];
        /* As far as windows begin before the end: the last ones reach over it. */
        pool->outputs[axis] = (room - 1) / pool->stride[axis] + 1;
    }
    pool->height = sizes[0];
    pool->width = sizes[1];
    c->count = between(&random, 1, 3);
    c->outputs = c->count * pool->outputs[0] * pool->outputs[1] * pool->channels;
    c->x = random_floats(&random, c->count * sizes[0] * sizes[1] * pool->channels);
    c->y = guarded_floats((size_t)c->outputs, poison);
    pool->x = c->x.values;
    pool->y = c->y.values;
}

static double expected_at(const Case *c, int64_t i)
{
    const PfWindowPool *pool = &c->pool;
    const int64_t pixel = i / pool->channels, x = pixel % pool->outputs[1];
    const int64_t y = pixel / pool->outputs[1] % pool->outputs[0];
    const int64_t map = pixel / (pool->outputs[0] * pool->outputs[1]);
    double most = -INFINITY, sum = 0;
    int inside = 0, counted = 0;
    for (int64_t k = 0; k < pool->kernel[0] * pool->kernel[1]; k++) {
        const int64_t row =
            y * pool->stride[0] - pool->padding[0] + k / pool->kernel[1] * pool->dilation[0];
        const int64_t column =
            x * pool->stride[1] - pool->padding[1] + k % pool->kernel[1] * pool->dilation[1];
        counted += row < pool->height + pool->padding_behind[0] &&
                   column < pool->width + pool->padding_behind[1];
        if (row < 0 || row >= pool->height || column < 0 || column >= pool->width) continue;
        const double value =
            (double)pool->x[((map * pool->height + row) * pool->width + column) * pool->channels +
                            i % pool->channels];
        if (value > most || isnan(value)) most = value;
        sum += value;
        inside++;
    }
    if (!pool->averages) return most;
    return inside ? sum / (pool->count_padding ? counted : inside) : 0;
}

START_TEST(windows_are_as_defined)
{
    Case c = {0};
    open_case(&c, (uint64_t)_i);
    const int64_t rows = c.count * c.pool.outputs[0];
    for (int s = 0; s < conv_set_count(); s++) {
        setenv("PF_KERNELS", conv_set(s)->name, 1);
        for (int64_t i = 0; i < c.outputs; i++) c.y.values[i] = poison;
        pf_window_pool_run(&c.pool, rows / 2, rows);
        if (rows > 1) ck_assert(c.y.values[0] == poison);
        pf_window_pool_run(&c.pool, 0, rows / 2);
        for (int64_t i = 0; i < c.outputs; i++) {
            const double expected = expected_at(&c, i), found = (double)c.y.values[i];
            assert_each(is_near(found, expected, 1e-6), "%s: %g at %ld, not %g", conv_set(s)->name,
                        found, (long)i, expected);
        }
    }
    unsetenv("PF_KERNELS");
    guarded_floats_free(&c.x);
    guarded_floats_free(&c.y);
}
END_TEST

static float padded_at(const PfPad *pad, int64_t i)
{
    const int64_t height = pad->height + pad->pads[0] + pad->pads[2];
    const int64_t width = pad->width + pad->pads[1] + pad->pads[3];
    const int64_t c = i % pad->stride, x = i / pad->stride % width - pad->pads[1];
    const int64_t row = i / pad->stride / width, y = row % height - pad->pads[0];
    if (x >= 0 && x < pad->width && y >= 0 && y < pad->height)
        return pad->x[((row / height * pad->height + y) * pad->width + x) * pad->stride + c];
    return c < pad->channels ? pad->value : 0;
}

/* Negative pads cut rows and columns off. */
START_TEST(pads_are_around_their_map)
{
    PfRandom random = pf_random_seeded(42, (uint64_t)_i);
    PfPad pad = {.stride = 16 * between(&random, 1, 2),
                 .count = between(&random, 1, 3),
                 .height = between(&random, 5, 8),
                 .width = between(&random, 5, 8),
                 .value = (float)pf_random_normal(&random)};
    pad.channels = pad.stride - between(&random, 0, 9);
    for (int i = 0; i < 4; i++) pad.pads[i] = between(&random, -2, 3);
    const int64_t outputs = pad.count * (pad.height + pad.pads[0] + pad.pads[2]) *
                            (pad.width + pad.pads[1] + pad.pads[3]) * pad.stride;
    GuardedFloats x = guarded_floats((size_t)(pad.count * pad.height * pad.width * pad.stride), 0);
    GuardedFloats y = guarded_floats((size_t)outputs, poison);
    for (int64_t i = 0; i < pad.count * pad.height * pad.width * pad.stride; i++)
        x.values[i] = (float)pf_random_normal(&random);
    pad.x = x.values;
    pad.y = y.values;
    pf_pad_run(&pad);
    for (int64_t i = 0; i < outputs; i++)
        assert_each(y.values[i] == padded_at(&pad, i), "%g at %ld, not %g", (double)y.values[i],
                    (long)i, (double)padded_at(&pad, i));
    guarded_floats_free(&x);
    guarded_floats_free(&y);
}
END_TEST

int main(void)
{
    print_conv_sets();
    Suite *suite = suite_create("window_pool");
    TCase *cases = tcase_create("window_pool");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, windows_are_as_defined, 0, CASES);
    tcase_add_loop_test(cases, pads_are_around_their_map, 0, CASES);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

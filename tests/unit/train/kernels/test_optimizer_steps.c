/* Steps of columns with settings of their own: against double precision, set of kernels
 * against set bit for bit, and in any parts. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "tests/unit/kernel_sets.h"
#include "train/kernels/optimizer.h"

enum { STEP_ROWS = 5, STEP_COLUMNS = 39, STEP_STRIDE = 41, STEPS = 25 };
enum { STEP_VALUES = STEP_ROWS * STEP_STRIDE };

typedef enum Optimizer { ADAM, SGD, NESTEROV, OPTIMIZERS } Optimizer;

/* A matrix under training, and every column's settings. */
typedef struct Steps {
    Optimizer kind;
    float parameters[STEP_VALUES], mean[STEP_VALUES], square[STEP_VALUES];
    float gradient[STEPS][STEP_VALUES];
    float rate[STEP_COLUMNS], decay[STEP_COLUMNS], shrink[STEP_COLUMNS], momentum[STEP_COLUMNS];
} Steps;

static void make_steps(Steps *steps, Optimizer kind)
{
    PfRandom random = pf_random_seeded(44, (uint64_t)kind);
    memset(steps, 0, sizeof *steps);
    steps->kind = kind;
    fill_normal(&random, steps->parameters, STEP_VALUES, 1);
    for (int t = 0; t < STEPS; t++)
        for (int i = 0; i < STEP_VALUES; i++) /* of all sizes, and now and then nothing */
            steps->gradient[t][i] = i % 7 ? (float)ldexp(pf_random_normal(&random), -i % 40) : 0.0f;
    for (int j = 0; j < STEP_COLUMNS; j++) {
        steps->rate[j] = 0.01f / (float)(1 + j % 5);
        steps->decay[j] = 0.1f * (float)(j % 3);
        steps->shrink[j] = 1 - 0.01f * (float)(j % 4);
        steps->momentum[j] = 0.3f * (float)(j % 4);
    }
}

/* Step t, from 1, of a block whose columns are those from `first` on. */
static void take_step(const Steps *steps, int t, const PfStepBlock *block, int first)
{
    PfAdamStep adam = {.rate = steps->rate + first,
                       .decay = steps->decay + first,
                       .shrink = steps->shrink + first,
                       .beta1 = 0.9f,
                       .one_less_beta1 = 0.1f,
                       .beta2 = 0.999f,
                       .one_less_beta2 = 0.001f,
                       .correction = (float)(1 / sqrt(1 - pow(0.999, t))),
                       .epsilon = 1e-8f};
    PfSgdStep sgd = {.rate = steps->rate + first,
                     .decay = steps->decay + first,
                     .momentum = steps->momentum + first,
                     .nesterov = steps->kind == NESTEROV};
    if (steps->kind == ADAM)
        pf_adam_step(block, &adam);
    else
        pf_sgd_step(block, &sgd);
}

/* The columns [first, first + columns) and the rows of one range. */
static void step_part(Steps *steps, int t, int row, int rows, int first, int columns)
{
    int at = row * STEP_STRIDE + first;
    PfStepBlock block = {.rows = rows,
                         .columns = columns,
                         .stride = STEP_STRIDE,
                         .parameters = steps->parameters + at,
                         .mean = steps->mean + at,
                         .square = steps->square + at,
                         .gradient = steps->gradient[t - 1] + at,
                         .gradient_stride = STEP_STRIDE};
    take_step(steps, t, &block, first);
}

static double reference_parameter(const Steps *steps, int i, int j)
{
    int at = i * STEP_STRIDE + j;
    double p = (double)steps->parameters[at], m = 0, v = 0, rate = (double)steps->rate[j];
    for (int t = 1; t <= STEPS; t++) {
        double g = (double)steps->gradient[t - 1][at] + (double)steps->decay[j] * p;
        if (steps->kind == ADAM) {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            p = (double)steps->shrink[j] * p - rate * m / (sqrt(v / (1 - pow(0.999, t))) + 1e-8);
        } else {
            double momentum = (double)steps->momentum[j];
            m = momentum * m + g;
            p -= rate * (steps->kind == NESTEROV ? g + momentum * m : m);
        }
    }
    return p;
}

START_TEST(steps_follow_the_formulas)
{
    static Steps steps, start;
    make_steps(&steps, (Optimizer)_i);
    start = steps;
    for (int t = 1; t <= STEPS; t++) step_part(&steps, t, 0, STEP_ROWS, 0, STEP_COLUMNS);
    for (int i = 0; i < STEP_ROWS; i++) {
        for (int j = 0; j < STEP_COLUMNS; j++) /* a few roundings of 6e-8 a step */
            ck_assert_double_eq_tol((double)steps.parameters[i * STEP_STRIDE + j],
                                    reference_parameter(&start, i, j), 4e-6);
        for (int j = i * STEP_STRIDE + STEP_COLUMNS; j < (i + 1) * STEP_STRIDE; j++)
            ck_assert(steps.parameters[j] == start.parameters[j] && steps.mean[j] == 0);
    }
}
END_TEST

START_TEST(all_sets_take_the_same_steps_in_any_parts)
{
    static Steps whole, parts;
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    make_steps(&whole, (Optimizer)_i);
    pf_kernels_use(&pf_kernels_plain);
    for (int t = 1; t <= STEPS; t++) step_part(&whole, t, 0, STEP_ROWS, 0, STEP_COLUMNS);
    for (int s = 0; s < count; s++) {
        pf_kernels_use(sets[s]);
        make_steps(&parts, (Optimizer)_i);
        for (int t = 1; t <= STEPS; t++) {
            int split = t % STEP_COLUMNS, row = t % STEP_ROWS;
            step_part(&parts, t, 0, row, 0, STEP_COLUMNS);
            step_part(&parts, t, row, STEP_ROWS - row, 0, split);
            step_part(&parts, t, row, STEP_ROWS - row, split, STEP_COLUMNS - split);
        }
        ck_assert_mem_eq(parts.parameters, whole.parameters, sizeof whole.parameters);
        ck_assert_mem_eq(parts.mean, whole.mean, sizeof whole.mean);
        ck_assert_mem_eq(parts.square, whole.square, sizeof whole.square);
    }
}
END_TEST

/* Rows that follow each other without a gap are worked on several at a time. */
START_TEST(narrow_matrices_take_the_same_steps)
{
    static Steps wide, narrow;
    for (int columns = 1; columns <= 20; columns += 3) {
        make_steps(&wide, (Optimizer)_i);
        make_steps(&narrow, (Optimizer)_i);
        const int rows = STEP_VALUES / columns;
        PfStepBlock block = {.rows = rows,
                             .columns = columns,
                             .stride = columns,
                             .parameters = narrow.parameters,
                             .mean = narrow.mean,
                             .square = narrow.square,
                             .gradient = narrow.gradient[0],
                             .gradient_stride = columns};
        take_step(&narrow, 1, &block, 0);
        block.parameters = wide.parameters;
        block.mean = wide.mean;
        block.square = wide.square;
        block.gradient = wide.gradient[0];
        block.rows = 1;
        for (int row = 0; row < rows; row++) {
            take_step(&wide, 1, &block, 0);
            block.parameters += columns;
            block.mean += columns;
            block.square += columns;
            block.gradient += columns;
        }
        ck_assert_mem_eq(narrow.parameters, wide.parameters, sizeof wide.parameters);
        ck_assert_mem_eq(narrow.mean, wide.mean, sizeof wide.mean);
        ck_assert_mem_eq(narrow.square, wide.square, sizeof wide.square);
    }
}
END_TEST

/* Gradients that come seldom: without care m = 0.9 m ends at the smallest
 * subnormal and stays there. */
START_TEST(running_means_fade_to_zero)
{
    static Steps steps;
    make_steps(&steps, (Optimizer)_i);
    for (int j = 0; j < STEP_COLUMNS; j++) steps.decay[j] = 0;
    step_part(&steps, 1, 0, STEP_ROWS, 0, STEP_COLUMNS);
    memset(steps.gradient, 0, sizeof steps.gradient);
    for (int t = 0; t < 1000; t++) step_part(&steps, 2, 0, STEP_ROWS, 0, STEP_COLUMNS);
    for (int i = 0; i < STEP_VALUES; i++) ck_assert(steps.mean[i] == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizer_steps");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, use_best_kernels, use_best_kernels);
    tcase_add_loop_test(cases, steps_follow_the_formulas, 0, OPTIMIZERS);
    tcase_add_loop_test(cases, all_sets_take_the_same_steps_in_any_parts, 0, OPTIMIZERS);
    tcase_add_loop_test(cases, narrow_matrices_take_the_same_steps, 0, OPTIMIZERS);
    tcase_add_loop_test(cases, running_means_fade_to_zero, 0, OPTIMIZERS);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

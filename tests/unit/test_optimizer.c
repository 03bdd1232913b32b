/* Optimisers against the formulas in double precision, and schedules. */
#include <check.h>
#include <math.h>

#include "optimizer.h"
#include "random.h"

enum { COUNT = 37, STEPS = 25 };

typedef struct Reference {
    double parameter[COUNT], mean[COUNT], square[COUNT];
} Reference;

static void reference_step(Reference *r, const PfOptimizerConfig *config, int t, double rate,
                           const float *gradient)
{
    for (int i = 0; i < COUNT; i++) {
        double g = (double)gradient[i], *p = &r->parameter[i];
        if (config->kind == PF_ADAMW)
            *p -= rate * config->weight_decay * *p;
        else
            g += config->weight_decay * *p;
        if (config->kind == PF_SGD) {
            r->mean[i] = config->momentum * r->mean[i] + g;
            *p -= rate * r->mean[i];
            continue;
        }
        r->mean[i] = 0.9 * r->mean[i] + 0.1 * g;
        r->square[i] = 0.999 * r->square[i] + 0.001 * g * g;
        double mean = r->mean[i] / (1 - pow(0.9, t)), square = r->square[i] / (1 - pow(0.999, t));
        *p -= rate * mean / (sqrt(square) + 1e-8);
    }
}

static void check_steps(PfOptimizerKind kind, double weight_decay, double momentum)
{
    PfOptimizerConfig config = pf_optimizer_config(kind);
    config.weight_decay = weight_decay;
    config.momentum = momentum;
    PfOptimizer *optimizer;
    ck_assert_int_eq(pf_optimizer_new(&config, COUNT, &optimizer, NULL), 0);
    PfRandom random = pf_random_seeded(1, (uint64_t)kind);
    Reference reference = {0};
    float parameters[COUNT], gradient[COUNT];
    for (int i = 0; i < COUNT; i++) {
        parameters[i] = (float)pf_random_normal(&random);
        reference.parameter[i] = (double)parameters[i];
    }
    for (int t = 1; t <= STEPS; t++) {
        double rate = 0.01 / t;
        for (int i = 0; i < COUNT; i++)
            gradient[i] = i ? (float)ldexp(pf_random_normal(&random), -i) : 0.0f;
        pf_optimizer_step(optimizer, rate, parameters, gradient);
        reference_step(&reference, &config, t, rate, gradient);
    }
    /* Float arithmetic: a few roundings of 6e-8 a step. */
    for (int i = 0; i < COUNT; i++)
        ck_assert_double_eq_tol((double)parameters[i], reference.parameter[i], 3e-6);
    pf_optimizer_free(&optimizer);
    ck_assert_ptr_null(optimizer);
}

START_TEST(steps_follow_the_formulas)
{
    check_steps(PF_ADAM, 0, 0);
    check_steps(PF_ADAM, 0.1, 0);
    check_steps(PF_ADAMW, 0, 0);
    check_steps(PF_ADAMW, 0.5, 0);
    check_steps(PF_SGD, 0, 0);
    check_steps(PF_SGD, 0.1, 0.9);
}
END_TEST

START_TEST(the_first_step_of_adam_has_the_length_of_the_rate)
{
    PfOptimizerConfig config = pf_optimizer_config(PF_ADAM);
    PfOptimizer *optimizer;
    ck_assert_int_eq(pf_optimizer_new(&config, 3, &optimizer, NULL), 0);
    float parameters[3] = {1, 1, 1};
    const float gradient[3] = {1e-4f, -3e3f, 0};
    pf_optimizer_step(optimizer, 0.01, parameters, gradient);
    ck_assert_float_eq_tol(parameters[0], 0.99f, 2e-6f); /* epsilon takes 1e-4 of it */
    ck_assert_float_eq_tol(parameters[1], 1.01f, 1e-6f);
    ck_assert(parameters[2] == 1.0f);
    pf_optimizer_free(&optimizer);
}
END_TEST

START_TEST(schedules_are_torchs)
{
    const PfSchedule constant = {.kind = PF_SCHEDULE_CONSTANT},
                     cosine = {.kind = PF_SCHEDULE_COSINE};
    const PfSchedule step = {.kind = PF_SCHEDULE_STEP, .step_epochs = 3, .gamma = 0.1};
    ck_assert_double_eq_tol(pf_schedule_rate(&constant, 0.5, 9, 10), 0.5, 1e-15);
    ck_assert_double_eq_tol(pf_schedule_rate(&cosine, 0.5, 0, 10), 0.5, 1e-15);
    ck_assert_double_eq_tol(pf_schedule_rate(&cosine, 0.5, 5, 10), 0.25, 1e-15);
    ck_assert_double_eq_tol(pf_schedule_rate(&cosine, 0.5, 9, 10), 0.0122358709, 1e-9);
    ck_assert_double_eq_tol(pf_schedule_rate(&step, 0.5, 2, 10), 0.5, 1e-15);
    ck_assert_double_eq_tol(pf_schedule_rate(&step, 0.5, 3, 10), 0.05, 1e-15);
    ck_assert_double_eq_tol(pf_schedule_rate(&step, 0.5, 8, 10), 0.005, 1e-15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizer");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, steps_follow_the_formulas);
    tcase_add_test(cases, the_first_step_of_adam_has_the_length_of_the_rate);
    tcase_add_test(cases, schedules_are_torchs);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

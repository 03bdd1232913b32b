/* The linear head against double-precision references. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "head.h"
#include "random.h"

enum { N = 9, D = 7, C = 5 };

static void fill_normal(float *values, int count, uint64_t seed)
{
    PfRandom random = pf_random_seeded(seed, 0);
    for (int i = 0; i < count; i++) values[i] = (float)pf_random_normal(&random);
}

static void fill_labels(int32_t *labels, int count, int classes, uint64_t seed)
{
    PfRandom random = pf_random_seeded(seed, 1);
    for (int i = 0; i < count; i++)
        labels[i] = (int32_t)pf_random_below(&random, (uint64_t)classes);
}

static PfHead *new_head(int64_t features, int64_t outputs)
{
    PfHead *head;
    ck_assert_int_eq(pf_head_new(features, outputs, 1, &head, NULL), 0);
    return head;
}

/* parameters: weight (C, D), then bias (C). logits: (C). */
static void reference_logits(const double *parameters, const float *x, double *logits)
{
    for (int c = 0; c < C; c++) {
        logits[c] = parameters[C * D + c];
        for (int j = 0; j < D; j++) logits[c] += parameters[c * D + j] * (double)x[j];
    }
}

/* Mean cross-entropy over the N rows of x. */
static double reference_loss(const double *parameters, const float *x, const int32_t *labels)
{
    double loss = 0;
    for (int i = 0; i < N; i++) {
        double logits[C], total = 0;
        reference_logits(parameters, x + i * D, logits);
        for (int c = 0; c < C; c++) total += exp(logits[c]);
        loss += log(total) - logits[labels[i]];
    }
    return loss / N;
}

START_TEST(forward_loss_and_gradient_match_finite_differences)
{
    float x[N * D], logits[N * C], gradient[C * D + C];
    int32_t labels[N];
    double parameters[C * D + C];
    PfHead *head = new_head(D, C);
    fill_normal(x, N * D, 2);
    fill_labels(labels, N, C, 3);
    for (int i = 0; i < C * D + C; i++) parameters[i] = (double)head->weight[i];

    pf_head_forward(head, x, N, logits);
    for (int i = 0; i < N; i++) {
        double expected[C];
        reference_logits(parameters, x + i * D, expected);
        for (int c = 0; c < C; c++)
            ck_assert_double_eq_tol((double)logits[i * C + c], expected[c], 1e-5);
    }
    PfLossSum sum = pf_softmax_cross_entropy(logits, N, C, C, labels, 1.0f / N);
    ck_assert_double_eq_tol(sum.loss / N, reference_loss(parameters, x, labels), 1e-6);

    pf_head_backward(head, x, logits, N, gradient);
    const double h = 1e-5; /* error of the difference: h^2 and rounding / h, both near 1e-10 */
    for (int i = 0; i < C * D + C; i++) {
        double kept = parameters[i];
        parameters[i] = kept + h;
        double above = reference_loss(parameters, x, labels);
        parameters[i] = kept - h;
        double below = reference_loss(parameters, x, labels);
        parameters[i] = kept;
        ck_assert_double_eq_tol((double)gradient[i], (above - below) / (2 * h), 1e-6);
    }
    pf_head_free(&head);
    ck_assert_ptr_null(head);
}
END_TEST

START_TEST(softmax_does_not_overflow)
{
    float logits[2 * 3] = {1e4f, 0, -1e4f, -3e4f, -3e4f, -3e4f};
    const int32_t labels[2] = {2, 1};
    PfLossSum score = pf_softmax_score(logits, 2, 3, 3, labels, NULL);
    ck_assert_double_eq_tol(score.loss, 2e4 + log(3.0), 1e-3);
    PfLossSum sum = pf_softmax_cross_entropy(logits, 2, 3, 3, labels, 1);
    ck_assert(sum.loss == score.loss && sum.correct == 0); /* ties: the first is taken */
    const float expected[6] = {1, 0, -1, 1.0f / 3, -2.0f / 3, 1.0f / 3};
    for (int i = 0; i < 6; i++) ck_assert_float_eq_tol(logits[i], expected[i], 1e-6f);
}
END_TEST

START_TEST(heads_side_by_side_are_as_each_alone)
{
    enum { HEADS = 3 };
    float together[N * C * HEADS], alone[N * C];
    int32_t labels[N], predictions[N], alone_predictions[N];
    fill_normal(together, N * C * HEADS, 4);
    fill_labels(labels, N, C, 5);
    for (int head = 0; head < HEADS; head++) {
        float *slice = together + head * C;
        for (int i = 0; i < N; i++) memcpy(alone + i * C, slice + i * C * HEADS, C * sizeof *alone);
        pf_softmax_score(slice, N, C, C * HEADS, labels, predictions);
        pf_softmax_score(alone, N, C, C, labels, alone_predictions);
        ck_assert_mem_eq(predictions, alone_predictions, sizeof predictions);
        PfLossSum a = pf_softmax_cross_entropy(slice, N, C, C * HEADS, labels, 0.25f);
        PfLossSum b = pf_softmax_cross_entropy(alone, N, C, C, labels, 0.25f);
        ck_assert(a.loss == b.loss && a.correct == b.correct);
        for (int i = 0; i < N; i++)
            ck_assert_mem_eq(alone + i * C, slice + i * C * HEADS, C * sizeof *alone);
    }
}
END_TEST

START_TEST(initial_parameters_are_torchs_default_and_follow_the_seed)
{
    PfHead *a, *b, *c;
    ck_assert_int_eq(pf_head_new(400, 50, 7, &a, NULL), 0);
    ck_assert_int_eq(pf_head_new(400, 50, 7, &b, NULL), 0);
    ck_assert_int_eq(pf_head_new(400, 50, 8, &c, NULL), 0);
    size_t size = (size_t)a->parameter_count * sizeof(float);
    ck_assert_mem_eq(a->weight, b->weight, size);
    ck_assert_mem_ne(a->weight, c->weight, size);
    double sum = 0, squares = 0, count = (double)a->parameter_count;
    for (int64_t i = 0; i < a->parameter_count; i++) {
        double value = (double)a->weight[i];
        ck_assert(fabs(value) <= 0.05);
        sum += value;
        squares += value * value;
    }
    ck_assert_double_eq_tol(sum / count, 0, 1e-3);                     /* 4.9 sigma */
    ck_assert_double_eq_tol(squares / count, 0.05 * 0.05 / 3, 2.5e-5); /* 4.8 sigma */
    pf_head_free(&a);
    pf_head_free(&b);
    pf_head_free(&c);
}
END_TEST

START_TEST(evaluation_is_the_same_for_any_number_of_threads)
{
    enum { ROWS = 3000, USED = 1000, WIDTH = 33, CLASSES = 11 };
    float *x = malloc(ROWS * WIDTH * sizeof *x);
    int32_t labels[ROWS], rows[USED], predictions[USED], first_predictions[USED];
    PfHead *head = new_head(WIDTH, CLASSES);
    PfLossSum first, sum;
    fill_normal(x, ROWS * WIDTH, 6);
    fill_labels(labels, ROWS, CLASSES, 7);
    for (int i = 0; i < USED; i++) rows[i] = i < 500 ? i : 3 * i; /* a run, then with holes */
    ck_assert_int_eq(
        pf_head_evaluate(head, x, labels, rows, USED, 1, first_predictions, &first, NULL), 0);
    for (int threads = 2; threads <= 7; threads += 5) {
        memset(predictions, 0xff, sizeof predictions);
        ck_assert_int_eq(
            pf_head_evaluate(head, x, labels, rows, USED, threads, predictions, &sum, NULL), 0);
        ck_assert(sum.loss == first.loss && sum.correct == first.correct);
        ck_assert_mem_eq(predictions, first_predictions, sizeof predictions);
    }
    int64_t correct = 0;
    for (int i = 0; i < USED; i++) {
        float logits[CLASSES];
        int largest = 0;
        pf_head_forward(head, x + rows[i] * WIDTH, 1, logits);
        for (int c = 1; c < CLASSES; c++)
            if (logits[c] > logits[largest]) largest = c;
        ck_assert_int_eq(first_predictions[i], largest);
        correct += largest == labels[rows[i]];
    }
    ck_assert_int_eq(first.correct, correct);
    pf_head_free(&head);
    free(x);
}
END_TEST

START_TEST(folded_normalisation_gives_the_same_logits)
{
    float raw[N * D], scaled[N * D], expected[N * C], logits[N * C], mean[D], scale[D];
    PfHead *head = new_head(D, C);
    fill_normal(raw, N * D, 8);
    fill_normal(mean, D, 9);
    for (int j = 0; j < D; j++) scale[j] = 0.5f + 0.25f * (float)j;
    for (int i = 0; i < N * D; i++) scaled[i] = (raw[i] - mean[i % D]) * scale[i % D];
    pf_head_forward(head, scaled, N, expected);
    pf_head_fold_normalization(head, mean, scale);
    pf_head_forward(head, raw, N, logits);
    for (int i = 0; i < N * C; i++) ck_assert_float_eq_tol(logits[i], expected[i], 1e-5f);
    pf_head_free(&head);
}
END_TEST

int main(void)
{
    pf_head_setup();
    Suite *suite = suite_create("head");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, forward_loss_and_gradient_match_finite_differences);
    tcase_add_test(cases, softmax_does_not_overflow);
    tcase_add_test(cases, heads_side_by_side_are_as_each_alone);
    tcase_add_test(cases, initial_parameters_are_torchs_default_and_follow_the_seed);
    tcase_add_test(cases, evaluation_is_the_same_for_any_number_of_threads);
    tcase_add_test(cases, folded_normalisation_gives_the_same_logits);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

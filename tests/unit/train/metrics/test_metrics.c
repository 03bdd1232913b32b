/* Metrics by hand, their edges, and conditions on results. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "train/metrics/assertion.h"
#include "train/metrics/classification.h"
#include "train/metrics/keypoints.h"
#include "train/metrics/multilabel.h"
#include "train/metrics/ranking.h"
#include "train/metrics/regression.h"

#define near(a, b) ck_assert_double_eq_tol(a, b, 1e-12)

static void fill_normal(float *values, int count, uint64_t seed)
{
    PfRandom random = pf_random_seeded(seed, 0);
    for (int i = 0; i < count; i++) values[i] = (float)pf_random_normal(&random);
}

/* The same numbers, bit for bit. */
static void same_fields(const PfMetricField *field, const void *a, const void *b)
{
    for (; field->key; field++) {
        double x = pf_field_value(field, a), y = pf_field_value(field, b);
        PfInterval i = pf_field_interval(field, a), j = pf_field_interval(field, b);
        ck_assert_mem_eq(&x, &y, sizeof x);
        ck_assert_mem_eq(&i, &j, sizeof i);
    }
}

/* ---- intervals ---- */

START_TEST(wilsons_interval_is_that_of_the_tables)
{
    PfInterval none = pf_interval_wilson(0, 10), most = pf_interval_wilson(8, 10);
    PfInterval all = pf_interval_wilson(10, 10);
    ck_assert(none.low == 0 && all.high == 1);
    ck_assert_double_eq_tol(none.high, 0.2775, 5e-5);
    ck_assert_double_eq_tol(most.low, 0.4902, 5e-5);
    ck_assert_double_eq_tol(most.high, 0.9433, 5e-5);
    ck_assert(isnan(pf_interval_wilson(0, 0).low));
}
END_TEST

START_TEST(ranks_around_the_median_are_those_of_the_tables)
{
    const int64_t table[][3] = {
        /* n, ranks from 1 */
        {6, 1, 6},    {8, 1, 8},    {9, 2, 8},     {20, 6, 15},
        {50, 18, 33}, {70, 27, 44}, {100, 40, 61}, {1000000, 499020, 500981}};
    int64_t low, high;
    ck_assert(!pf_interval_median_ranks(5, &low, &high));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert(pf_interval_median_ranks(table[i][0], &low, &high));
        ck_assert_int_eq(low + 1, table[i][1]);
        ck_assert_int_eq(high + 1, table[i][2]);
    }
}
END_TEST

START_TEST(without_spread_there_is_no_interval)
{
    PfRatio ratio = {0};
    ck_assert(isnan(pf_ratio_value(&ratio)));
    pf_ratio_add(&ratio, 0.1, 1);
    ck_assert(isnan(pf_interval_normal(0.1, pf_ratio_standard_error(&ratio), 0, 1).low));
    for (int i = 0; i < 1000; i++) pf_ratio_add(&ratio, 0.1, 1);
    ck_assert(isnan(pf_interval_normal(0.1, pf_ratio_standard_error(&ratio), 0, 1).low));
    ck_assert(isnan(pf_interval_logit(1, 0.1).low) && isnan(pf_interval_logit(0.5, 0).high));
    PfInterval cut = pf_interval_normal(0.9, 0.1, 0, 1);
    ck_assert_double_eq_tol(cut.low, 0.704, 1e-4);
    ck_assert(cut.high == 1);
}
END_TEST

START_TEST(a_ratio_of_single_values_is_their_mean)
{
    PfRatio mean = {0}, ratio = {0};
    for (int i = 1; i <= 3; i++) pf_ratio_add(&mean, i, 1);
    near(pf_ratio_value(&mean), 2);
    near(pf_ratio_standard_error(&mean), 1 / sqrt(3));
    pf_ratio_add(&ratio, 1, 1);
    pf_ratio_add(&ratio, 5, 2);
    pf_ratio_add(&ratio, 0, 0); /* no row */
    near(pf_ratio_value(&ratio), 2);
    near(pf_ratio_standard_error(&ratio), sqrt(2.0 / 1 * (1 + 1)) / 3);
}
END_TEST

/* ---- classification ---- */

static PfClassificationMetrics classify(int classes, int64_t n, const float *logits, int64_t stride,
                                        const int32_t *labels)
{
    PfClassificationMeter *meter;
    PfClassificationMetrics metrics;
    ck_assert_int_eq(pf_classification_meter_new(classes, 1, &meter, NULL), 0);
    ck_assert_int_eq(pf_classification_meter_add(meter, n, logits, stride, labels, NULL), 0);
    ck_assert_int_eq(pf_classification_meter_finish(meter, &metrics, NULL), 0);
    pf_classification_meter_free(&meter);
    ck_assert_ptr_null(meter);
    return metrics;
}

/* Logits that say: p(prediction) = 5/8, p of the other three 1/8. */
static void confident(const int32_t *predictions, int n, int stride, float *logits)
{
    for (int i = 0; i < n * stride; i++) logits[i] = 0;
    for (int i = 0; i < n; i++) logits[i * stride + predictions[i]] = logf(5);
}

START_TEST(a_small_example_by_hand)
{
    const int32_t labels[] = {0, 0, 0, 1, -1, 1, 2}, predictions[] = {0, 0, 1, 1, 3, 0, 1};
    float logits[7 * 6];
    confident(predictions, 7, 6, logits); /* two columns that are not ours */
    PfClassificationMetrics metrics = classify(4, 7, logits, 6, labels);
    const int64_t confusion[16] = {2, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    ck_assert_int_eq(metrics.count, 6);
    ck_assert_mem_eq(metrics.confusion, confusion, sizeof confusion);
    near(metrics.accuracy, 0.5);
    ck_assert(isnan(metrics.top5_accuracy));
    ck_assert_double_eq_tol(metrics.log_loss, (log(8.0 / 5) + log(8)) / 2, 1e-7);
    const PfClassMetrics *a = &metrics.classes[0], *b = &metrics.classes[1];
    ck_assert_int_eq(a->support, 3);
    ck_assert_int_eq(a->predicted, 3);
    near(a->precision, 2.0 / 3);
    near(a->recall, 2.0 / 3);
    near(a->f1, 2.0 / 3);
    near(b->precision, 1.0 / 3);
    near(b->recall, 0.5);
    near(b->f1, 0.4);
    ck_assert(metrics.classes[2].precision == 0 && metrics.classes[2].f1 == 0); /* never taken */
    /* The fourth class is neither there nor predicted, and leaves the means alone. */
    near(metrics.macro_recall, (2.0 / 3 + 0.5) / 3);
    near(metrics.macro_f1, (2.0 / 3 + 0.4) / 3);
    near(metrics.balanced_accuracy, (2.0 / 3 + 0.5) / 3);
    near(metrics.weighted_f1, (3 * 2.0 / 3 + 2 * 0.4) / 6);
    /* Pairs right and tied: 4 and 4 of class a's 9, 2 and 4 of b's 8, 0 and 5 of c's 5. */
    near(metrics.roc_auc, (6.0 / 9 + 4.0 / 8 + 2.5 / 5) / 3);
    ck_assert_double_eq_tol(metrics.calibration_error, 0.125, 1e-7);
    pf_classification_metrics_free(&metrics);
    ck_assert_ptr_null(metrics.classes);
}
END_TEST

/* Most rows first, of equal ones in the order of the matrix; what is right is no confusion. */
START_TEST(the_most_confused_pairs_are_told)
{
    enum { CLASSES = 12 };
    int64_t matrix[CLASSES * CLASSES] = {0};
    PfConfusedPair pairs[PF_CONFUSED_PAIRS];
    ck_assert_int_eq(pf_confusion_find_pairs(matrix, CLASSES, pairs), 0);
    for (int c = 0; c < CLASSES; c++) {
        matrix[c * CLASSES + c] = 100;
        matrix[c * CLASSES + (c + 1) % CLASSES] = c == 7 ? 5 : c == 3 ? 4 : 1;
    }
    ck_assert_int_eq(pf_confusion_find_pairs(matrix, CLASSES, pairs), PF_CONFUSED_PAIRS);
    ck_assert(pairs[0].truth == 7 && pairs[0].predicted == 8 && pairs[0].rows == 5);
    ck_assert(pairs[0].support == 105);
    ck_assert(pairs[1].truth == 3 && pairs[1].rows == 4);
    ck_assert(pairs[2].truth == 0 && pairs[3].truth == 1 && pairs[9].truth == 9);
}
END_TEST

START_TEST(many_classes_have_no_matrix)
{
    enum { CLASSES = 100000 };
    float *logits = calloc(2 * CLASSES, sizeof *logits);
    const int32_t labels[] = {0, CLASSES - 1};
    PfClassificationMetrics metrics = classify(CLASSES, 2, logits, CLASSES, labels);
    ck_assert_ptr_null(metrics.confusion);
    ck_assert(metrics.accuracy == 0.5 && metrics.top5_accuracy == 0.5);
    ck_assert_double_eq_tol(metrics.log_loss, log(CLASSES), 1e-9);
    ck_assert_int_eq(metrics.classes[CLASSES - 1].support, 1);
    ck_assert(metrics.roc_auc == 0.5);
    pf_classification_metrics_free(&metrics);
    free(logits);
}
END_TEST

START_TEST(of_equal_logits_the_first_classes_are_taken)
{
    const float logits[8] = {0, 1, 1, 0, 2, 1, 1, 1};
    const int32_t order[8] = {4, 1, 2, 5, 6, 7, 0, 3};
    for (int i = 0; i < 8; i++) {
        PfClassificationMetrics metrics = classify(8, 1, logits, 8, &order[i]);
        ck_assert(metrics.accuracy == (i == 0) && metrics.top5_accuracy == (i < 5));
        pf_classification_metrics_free(&metrics);
    }
}
END_TEST

START_TEST(without_labels_there_are_no_numbers)
{
    const float logits[6] = {0};
    const int32_t labels[2] = {-1, -1};
    PfClassificationMetrics metrics = classify(3, 2, logits, 3, labels);
    ck_assert_int_eq(metrics.count, 0);
    for (const PfMetricField *field = pf_classification_fields; field->key; field++)
        ck_assert(isnan(pf_field_value(field, &metrics)));
    pf_classification_metrics_free(&metrics);
}
END_TEST

START_TEST(too_many_scores_cost_the_auc_and_nothing_else)
{
    enum { CLASSES = 1 << 20 };
    const int rows = (int)(PF_RANKING_MAX_SCORES / CLASSES) + 1;
    float *logits = calloc(CLASSES, sizeof *logits); /* stride 0: of every row */
    int32_t labels[32] = {0};
    logits[7] = 1;
    labels[0] = 7;
    PfClassificationMetrics most = classify(CLASSES, rows - 1, logits, 0, labels);
    PfClassificationMetrics more = classify(CLASSES, rows, logits, 0, labels);
    ck_assert(most.roc_auc == 0.5);
    ck_assert(isnan(more.roc_auc) && isnan(more.roc_auc_interval.low));
    near(more.accuracy, 1.0 / rows);
    pf_classification_metrics_free(&most);
    pf_classification_metrics_free(&more);
    free(logits);
}
END_TEST

START_TEST(logits_that_are_no_numbers_do_no_harm)
{
    const float logits[6] = {NAN, NAN, NAN, INFINITY, INFINITY, 0};
    const int32_t labels[2] = {2, 1};
    PfClassificationMetrics metrics = classify(3, 2, logits, 3, labels);
    ck_assert(isnan(metrics.log_loss));
    ck_assert(metrics.accuracy == 0);
    pf_classification_metrics_free(&metrics);
}
END_TEST

START_TEST(blocks_and_threads_do_not_matter)
{
    enum { ROWS = 5000, CLASSES = 11, STRIDE = 13 };
    static float logits[ROWS * STRIDE];
    static int32_t labels[ROWS];
    const int blocks[] = {ROWS, 1, 17, 4097};
    PfRandom random = pf_random_seeded(1, 2);
    fill_normal(logits, ROWS * STRIDE, 1);
    for (int i = 0; i < ROWS; i++) labels[i] = (int32_t)pf_random_below(&random, CLASSES + 1) - 1;
    PfClassificationMetrics expected = classify(CLASSES, ROWS, logits, STRIDE, labels);
    for (int b = 0; b < 4; b++) {
        PfClassificationMeter *meter;
        PfClassificationMetrics metrics;
        ck_assert_int_eq(pf_classification_meter_new(CLASSES, b + 1, &meter, NULL), 0);
        for (int i = 0; i < ROWS; i += blocks[b])
            pf_classification_meter_add(meter, ROWS - i < blocks[b] ? ROWS - i : blocks[b],
                                        logits + i * STRIDE, STRIDE, labels + i, NULL);
        ck_assert_int_eq(pf_classification_meter_finish(meter, &metrics, NULL), 0);
        same_fields(pf_classification_fields, &expected, &metrics);
        ck_assert_mem_eq(expected.confusion, metrics.confusion,
                         CLASSES * CLASSES * sizeof *metrics.confusion);
        pf_classification_metrics_free(&metrics);
        pf_classification_meter_free(&meter);
    }
    pf_classification_metrics_free(&expected);
}
END_TEST

/* ---- ranking ---- */

START_TEST(scores_of_every_sign_are_ranked)
{
    const float scores[] = {3, -0.0f, -1e30f, 0, 1e-40f, -INFINITY, INFINITY, -2, 3};
    const float sorted[] = {-INFINITY, -1e30f, -2, 0, 0, 1e-40f, 3, 3, INFINITY};
    PfRanking *ranking;
    double influence[9] = {0};
    ck_assert_int_eq(pf_ranking_new(9, &ranking, NULL), 0);
    for (int i = 0; i < 9; i++) pf_ranking_put(ranking, scores[i], i, i == 0 || i == 1);
    pf_ranking_sort(ranking);
    for (int i = 0; i < 9; i++) ck_assert(pf_ranking_score(ranking, i) == sorted[i]);
    near(pf_ranking_auc(ranking), (5.5 + 3.5) / 14);
    near(pf_ranking_average_precision(ranking), (1.0 / 3 + 2.0 / 6) / 2);
    pf_ranking_auc_influence(ranking, 9.0 / 14, influence);
    double sum = 0;
    for (int i = 0; i < 9; i++) sum += influence[i];
    near(sum, 0);
    near(influence[0], (5.5 / 7 - 9.0 / 14) / 2 * sqrt(2));
    pf_ranking_clear(ranking);
    ck_assert(isnan(pf_ranking_auc(ranking)) && isnan(pf_ranking_average_precision(ranking)));
    pf_ranking_free(&ranking);
    ck_assert_ptr_null(ranking);
}
END_TEST

/* ---- regression ---- */

static PfRegressionMetrics regress(int columns, int n, int block, const float *predictions,
                                   const float *targets)
{
    PfRegressionMeter *meter;
    PfRegressionMetrics metrics;
    ck_assert_int_eq(pf_regression_meter_new(columns, &meter, NULL), 0);
    for (int i = 0; i < n; i += block)
        ck_assert_int_eq(pf_regression_meter_add(meter, n - i < block ? n - i : block,
                                                 predictions + i * columns, columns,
                                                 targets + i * columns, columns, NULL),
                         0);
    ck_assert_int_eq(pf_regression_meter_finish(meter, &metrics, NULL), 0);
    pf_regression_meter_free(&meter);
    return metrics;
}

START_TEST(errors_of_known_values_by_hand)
{
    /* Two columns; the second has one known value, the last row none. */
    const float targets[] = {1, NAN, 2, 5, 3, NAN, NAN, NAN};
    const float predictions[] = {2, 9, 2, 7, 1, 9, 9, 9};
    PfRegressionMetrics metrics = regress(2, 4, 4, predictions, targets);
    const PfRegressionScores *a = &metrics.column[0], *b = &metrics.column[1];
    ck_assert_int_eq(metrics.rows, 3);
    ck_assert_int_eq(a->count, 3);
    near(a->mae, 1);
    near(a->rmse, sqrt(5.0 / 3));
    near(a->r2, 1 - 5.0 / 2);
    near(a->median_abs_error, 1);
    near(a->mae_interval.high, 1 + 1.959963984540054 / sqrt(3)); /* s = 1 */
    ck_assert(a->mae_interval.low == 0 && isnan(a->median_abs_error_interval.low));
    near(b->mae, 2);
    ck_assert(isnan(b->r2) && isnan(b->mae_interval.low));
    near(metrics.overall.mae, 1.5);
    near(metrics.overall.r2, 1 - 5.0 / 2); /* of the only column that has one */
    ck_assert_int_eq(metrics.overall.count, 4);
    pf_regression_metrics_free(&metrics);
    ck_assert_ptr_null(metrics.column);
}
END_TEST

START_TEST(regression_has_no_number_without_values_and_no_r2_without_spread)
{
    const float unknown[] = {NAN, NAN}, same[] = {4, 4}, predictions[] = {3, 5};
    PfRegressionMetrics none = regress(1, 2, 2, predictions, unknown);
    PfRegressionMetrics constant = regress(1, 2, 2, predictions, same);
    for (const PfMetricField *field = pf_regression_fields; field->key; field++)
        ck_assert(isnan(pf_field_value(field, &none.overall)));
    near(constant.overall.mae, 1);
    ck_assert(isnan(constant.overall.r2) && isnan(constant.overall.r2_interval.low));
    ck_assert(isnan(constant.overall.mae_interval.low)); /* both errors are 1 */
    pf_regression_metrics_free(&none);
    pf_regression_metrics_free(&constant);
}
END_TEST

START_TEST(blocks_do_not_matter_to_regression)
{
    enum { ROWS = 900, COLUMNS = 3 };
    static float predictions[ROWS * COLUMNS], targets[ROWS * COLUMNS];
    fill_normal(predictions, ROWS * COLUMNS, 3);
    fill_normal(targets, ROWS * COLUMNS, 4);
    for (int i = 0; i < ROWS * COLUMNS; i += 5) targets[i] = NAN;
    PfRegressionMetrics whole = regress(COLUMNS, ROWS, ROWS, predictions, targets);
    PfRegressionMetrics parts = regress(COLUMNS, ROWS, 7, predictions, targets);
    same_fields(pf_regression_fields, &whole.overall, &parts.overall);
    for (int c = 0; c < COLUMNS; c++)
        same_fields(pf_regression_fields, &whole.column[c], &parts.column[c]);
    pf_regression_metrics_free(&whole);
    pf_regression_metrics_free(&parts);
}
END_TEST

/* ---- several labels ---- */

static PfMultilabelMetrics judge(int labels, int n, int block, const float *logits, int64_t stride,
                                 const float *targets)
{
    PfMultilabelMeter *meter;
    PfMultilabelMetrics metrics;
    ck_assert_int_eq(pf_multilabel_meter_new(labels, &meter, NULL), 0);
    for (int i = 0; i < n; i += block)
        ck_assert_int_eq(pf_multilabel_meter_add(meter, n - i < block ? n - i : block,
                                                 logits + i * stride, stride, targets + i * stride,
                                                 stride, NULL),
                         0);
    ck_assert_int_eq(pf_multilabel_meter_finish(meter, &metrics, NULL), 0);
    pf_multilabel_meter_free(&meter);
    return metrics;
}

START_TEST(labels_by_hand)
{
    /* Three labels; of the third nothing is known; the last row knows nothing. */
    const float targets[] = {1, 0, NAN, 1, 1, NAN, 0, NAN, NAN, NAN, NAN, NAN};
    const float logits[] = {2, -1, 9, -1, 1, 9, 1, 5, 9, 9, 9, 9};
    PfMultilabelMetrics metrics = judge(3, 4, 4, logits, 3, targets);
    const PfLabelMetrics *a = &metrics.labels[0], *b = &metrics.labels[1];
    ck_assert_int_eq(metrics.count, 3);
    ck_assert_int_eq(a->known, 3);
    ck_assert_int_eq(a->support, 2);
    ck_assert_int_eq(b->known, 2);
    near(a->precision, 0.5);
    near(a->recall, 0.5);
    near(a->roc_auc, 0.5);
    near(a->average_precision, (1 + 2.0 / 3) / 2);
    near(b->f1, 1);
    near(b->average_precision, 1);
    ck_assert_int_eq(metrics.labels[2].known, 0);
    ck_assert(metrics.labels[2].f1 == 0 && isnan(metrics.labels[2].roc_auc));
    near(metrics.macro_f1, 0.75);
    near(metrics.micro_f1, 2.0 / 3);
    near(metrics.mean_average_precision, (5.0 / 6 + 1) / 2);
    near(metrics.macro_roc_auc, 0.75);
    near(metrics.subset_accuracy, 1.0 / 3);
    near(metrics.hamming_loss, 2.0 / 5);
    double loss = log1p(exp(-2)) + 2 * log1p(exp(-1)) + 2 * log1p(exp(1));
    near(metrics.log_loss, loss / 5);
    pf_multilabel_metrics_free(&metrics);
    ck_assert_ptr_null(metrics.labels);
}
END_TEST

START_TEST(a_logit_of_zero_predicts_no_label)
{
    const float targets[] = {1, 0}, logits[] = {0, 0};
    PfMultilabelMetrics metrics = judge(1, 2, 2, logits, 1, targets);
    ck_assert_int_eq(metrics.labels[0].predicted, 0);
    ck_assert(metrics.macro_f1 == 0 && metrics.subset_accuracy == 0.5);
    near(metrics.log_loss, log(2));
    pf_multilabel_metrics_free(&metrics);
}
END_TEST

START_TEST(too_many_scores_cost_the_labels_ranks_and_nothing_else)
{
    enum { LABELS = 1 << 20 };
    const int rows = (int)(PF_RANKING_MAX_SCORES / LABELS) + 1;
    float *zeros = calloc(LABELS, sizeof *zeros); /* stride 0: of every row */
    PfMultilabelMetrics metrics = judge(LABELS, rows, rows, zeros, 0, zeros);
    ck_assert(isnan(metrics.mean_average_precision) && isnan(metrics.macro_roc_auc));
    ck_assert(metrics.hamming_loss == 0 && metrics.subset_accuracy == 1);
    ck_assert_int_eq(metrics.labels[LABELS - 1].known, rows);
    pf_multilabel_metrics_free(&metrics);
    free(zeros);
}
END_TEST

START_TEST(blocks_do_not_matter_to_labels)
{
    enum { ROWS = 900, LABELS = 3 };
    static float logits[ROWS * LABELS], targets[ROWS * LABELS];
    fill_normal(logits, ROWS * LABELS, 5);
    fill_normal(targets, ROWS * LABELS, 6);
    for (int i = 0; i < ROWS * LABELS; i++) targets[i] = i % 7 ? (float)(targets[i] > 0.3f) : NAN;
    PfMultilabelMetrics whole = judge(LABELS, ROWS, ROWS, logits, LABELS, targets);
    PfMultilabelMetrics parts = judge(LABELS, ROWS, 7, logits, LABELS, targets);
    same_fields(pf_multilabel_fields, &whole, &parts);
    ck_assert(!isnan(whole.macro_f1_interval.low) && !isnan(whole.macro_roc_auc_interval.low));
    pf_multilabel_metrics_free(&whole);
    pf_multilabel_metrics_free(&parts);
}
END_TEST

/* ---- keypoints ---- */

START_TEST(points_by_hand)
{
    /* Three points a row and two numbers that are not ours. */
    const float truth[] = {0,   0, 100, 100, NAN, 5, -1, -1, /* box of 100 x 100 */
                           1,   1, 2,   1,   3,   1, -1, -1, /* no area */
                           NAN, 0, 0,   NAN, NAN, 0, -1, -1};
    const float predictions[] = {3, 4, 100, 113, 0, 0, 9, 9, /* 5 and 13 pixels */
                                 1, 1, 2,   4,   3, 1, 9, 9, /* 0, 3 and 0 */
                                 0, 0, 0,   0,   0, 0, 9, 9};
    PfKeypointMeter *meter;
    PfKeypointMetrics metrics;
    ck_assert_int_eq(pf_keypoint_meter_new(3, &meter, NULL), 0);
    pf_keypoint_meter_add(meter, 2, predictions, 8, truth, 8);
    pf_keypoint_meter_add(meter, 1, predictions + 16, 8, truth + 16, 8);
    ck_assert_int_eq(pf_keypoint_meter_finish(meter, &metrics, NULL), 0);
    ck_assert_int_eq(metrics.images, 2);
    ck_assert_int_eq(metrics.visible_points, 5);
    ck_assert_int_eq(metrics.sized_images, 1);
    near(metrics.mean_error, 21.0 / 5);
    near(metrics.nme, 0.09);
    ck_assert(metrics.within_8_percent == 0 && metrics.within_10_percent == 1);
    near(metrics.points[1].mean_error, 8);
    ck_assert_int_eq(metrics.points[2].count, 1);
    pf_keypoint_metrics_free(&metrics);
    ck_assert_ptr_null(metrics.points);
    pf_keypoint_meter_free(&meter);
    ck_assert_ptr_null(meter);
}
END_TEST

/* ---- conditions ---- */

static int check(const char *text, const char *json)
{
    PfAssertion assertion;
    PfError err = {0};
    cJSON *result = cJSON_Parse(json);
    if (!pf_assertion_parse(text, &assertion, &err)) pf_assertion_check(&assertion, result, &err);
    cJSON_Delete(result);
    return err.exit_code;
}

START_TEST(conditions_hold_or_fail_with_their_own_code)
{
    const char *json =
        "{\"val\": {\"accuracy\": 0.95, \"name\": \"x\"}, \"epochs\": [{\"loss\": 2}]}";
    ck_assert_int_eq(check("val.accuracy>=0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy==0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy<=0.95", json), 0);
    ck_assert_int_eq(check("val.accuracy>0.95", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("val.accuracy<0.95", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("val.accuracy>=0.96", json), PF_EXIT_ASSERT);
    ck_assert_int_eq(check("epochs.0.loss<3", json), 0);
    ck_assert_int_eq(check("epochs.1.loss<3", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("epochs.x.loss<3", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("test.accuracy>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val.name>=0", json), PF_EXIT_USAGE);
    ck_assert_int_eq(check("val..accuracy>=0", json), PF_EXIT_USAGE);
}
END_TEST

START_TEST(malformed_conditions_are_usage_errors)
{
    const char *const wrong[] = {"",     "val.accuracy", ">=0.9", "val.accuracy=0.9",
                                 "a=>1", "a>=",          "a>=b",  "a>=1x",
                                 "a<>1", "a>>=1",        "a>=nan"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_int_eq(check(wrong[i], "{\"a\": 2}"), PF_EXIT_USAGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metrics");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, wilsons_interval_is_that_of_the_tables);
    tcase_add_test(cases, ranks_around_the_median_are_those_of_the_tables);
    tcase_add_test(cases, without_spread_there_is_no_interval);
    tcase_add_test(cases, a_ratio_of_single_values_is_their_mean);
    tcase_add_test(cases, a_small_example_by_hand);
    tcase_add_test(cases, the_most_confused_pairs_are_told);
    tcase_add_test(cases, many_classes_have_no_matrix);
    tcase_add_test(cases, of_equal_logits_the_first_classes_are_taken);
    tcase_add_test(cases, without_labels_there_are_no_numbers);
    tcase_add_test(cases, too_many_scores_cost_the_auc_and_nothing_else);
    tcase_add_test(cases, logits_that_are_no_numbers_do_no_harm);
    tcase_add_test(cases, blocks_and_threads_do_not_matter);
    tcase_add_test(cases, scores_of_every_sign_are_ranked);
    tcase_add_test(cases, errors_of_known_values_by_hand);
    tcase_add_test(cases, regression_has_no_number_without_values_and_no_r2_without_spread);
    tcase_add_test(cases, blocks_do_not_matter_to_regression);
    tcase_add_test(cases, labels_by_hand);
    tcase_add_test(cases, a_logit_of_zero_predicts_no_label);
    tcase_add_test(cases, too_many_scores_cost_the_labels_ranks_and_nothing_else);
    tcase_add_test(cases, blocks_do_not_matter_to_labels);
    tcase_add_test(cases, points_by_hand);
    tcase_add_test(cases, conditions_hold_or_fail_with_their_own_code);
    tcase_add_test(cases, malformed_conditions_are_usage_errors);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* The training loop on tables made by hand. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "head_trainer.h"
#include "random.h"

enum { ROWS = 700, D = 12, CLASSES = 4 };

/* Four Gaussian clouds `distance` apart; every fourth row is for validation. */
static PfFeatureTable *clouds(double distance)
{
    PfFeatureTable *table;
    ck_assert_int_eq(pf_feature_table_new(ROWS, D, CLASSES, &table, NULL), 0);
    PfRandom random = pf_random_seeded(5, 0);
    for (int i = 0; i < ROWS; i++) {
        table->classes[i] = (int32_t)pf_random_below(&random, CLASSES);
        for (int j = 0; j < D; j++)
            table->x[i * D + j] =
                (float)(pf_random_normal(&random) + distance * (j % CLASSES == table->classes[i]));
        table->splits[i] = i % 4 ? PF_SPLIT_TRAIN : PF_SPLIT_VAL;
    }
    ck_assert_int_eq(pf_feature_table_index(table, "clouds", 0, NULL), 0);
    return table;
}

static PfTrainConfig some_config(void)
{
    return (PfTrainConfig){.epochs = 8,
                           .batch = 64,
                           .learning_rate = 0.01,
                           .optimizer = pf_optimizer_config(PF_ADAM),
                           .schedule = {.kind = PF_SCHEDULE_COSINE},
                           .seed = 3,
                           .threads = 1};
}

static int same_parameters(const PfHead *a, const PfHead *b)
{
    return !memcmp(a->weight, b->weight, (size_t)a->parameter_count * sizeof(float));
}

START_TEST(clouds_far_apart_are_told_apart)
{
    PfFeatureTable *table = clouds(4);
    PfTrainConfig config = some_config();
    PfTrainResult result;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
    ck_assert_int_eq(result.epoch_count, 8);
    const PfEpochStats *best = &result.epochs[result.best_epoch - 1];
    ck_assert(best->val_accuracy > 0.99);
    ck_assert(result.epochs[7].train_loss < 0.3 * result.epochs[0].train_loss);
    ck_assert(result.epochs[7].learning_rate < result.epochs[0].learning_rate);
    pf_train_result_free(&result);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(the_result_is_the_same_for_any_number_of_threads)
{
    PfFeatureTable *table = clouds(1);
    PfTrainConfig config = some_config();
    PfTrainResult first, result;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &first, NULL), 0);
    for (config.threads = 2; config.threads <= 7; config.threads += 5) {
        ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
        ck_assert(same_parameters(first.head, result.head));
        ck_assert_int_eq(first.best_epoch, result.best_epoch);
        for (int i = 0; i < config.epochs; i++) {
            ck_assert(first.epochs[i].train_loss == result.epochs[i].train_loss);
            ck_assert(first.epochs[i].val_loss == result.epochs[i].val_loss);
        }
        pf_train_result_free(&result);
    }
    config.seed = 4;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
    ck_assert(!same_parameters(first.head, result.head));
    pf_train_result_free(&result);
    pf_train_result_free(&first);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(the_best_epoch_is_kept)
{
    static const double distances[] = {0.7, 2, 3, 4}; /* far ones have many equal accuracies */
    PfFeatureTable *table = clouds(distances[_i]);
    PfTrainConfig config = some_config();
    config.learning_rate = 0.3; /* jumps about, so that the last is not the best */
    config.schedule.kind = PF_SCHEDULE_CONSTANT;
    config.epochs = 30;
    PfTrainResult result;
    PfMetrics metrics;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
    const PfEpochStats *best = &result.epochs[result.best_epoch - 1];
    for (int i = 0; i < 30; i++) {
        const PfEpochStats *other = &result.epochs[i];
        ck_assert(other->val_accuracy <= best->val_accuracy);
        if (other->val_accuracy == best->val_accuracy) ck_assert(other->val_loss >= best->val_loss);
    }
    ck_assert_int_eq(pf_evaluate_split(table, result.head, PF_SPLIT_VAL, 2, &metrics, NULL), 0);
    ck_assert(metrics.accuracy == best->val_accuracy && metrics.loss == best->val_loss);
    pf_metrics_free(&metrics);
    ck_assert_int_eq(pf_evaluate_split(table, result.head, PF_SPLIT_TEST, 2, &metrics, NULL), 0);
    ck_assert_int_eq(metrics.count, 0);
    pf_metrics_free(&metrics);
    pf_train_result_free(&result);
    pf_feature_table_free(&table);
}
END_TEST

typedef struct Counter {
    int64_t steps, total, epochs, stop_after;
} Counter;

static int count_step(void *context, int64_t done, int64_t total)
{
    Counter *counter = context;
    counter->steps++;
    counter->total = total;
    ck_assert_int_eq(done, counter->steps);
    return counter->steps == counter->stop_after;
}

static void count_epoch(void *context, const PfEpochStats *stats)
{
    Counter *counter = context;
    ck_assert_int_eq(stats->epoch, ++counter->epochs);
}

START_TEST(the_last_smaller_batch_is_trained_on_too)
{
    PfFeatureTable *table = clouds(1); /* 525 train rows: 8 batches of 64 and one of 13 */
    PfTrainConfig config = some_config();
    PfTrainResult result;
    Counter counter = {0};
    const PfTrainObserver observer = {&counter, count_epoch, count_step};
    ck_assert_int_eq(pf_train_head(table, &config, &observer, &result, NULL), 0);
    ck_assert_int_eq(counter.steps, 9 * 8);
    ck_assert_int_eq(counter.total, 9 * 8);
    ck_assert_int_eq(counter.epochs, 8);
    pf_train_result_free(&result);
    config.batch = 100000; /* more than there are */
    counter = (Counter){0};
    ck_assert_int_eq(pf_train_head(table, &config, &observer, &result, NULL), 0);
    ck_assert_int_eq(counter.steps, 8);
    pf_train_result_free(&result);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(the_observer_can_stop_the_training)
{
    PfFeatureTable *table = clouds(1);
    PfTrainConfig config = some_config();
    PfTrainResult result;
    Counter counter = {.stop_after = 11};
    const PfTrainObserver observer = {&counter, NULL, count_step};
    PfError err = {0};
    ck_assert_int_eq(pf_train_head(table, &config, &observer, &result, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_INTERRUPTED);
    ck_assert_int_eq(counter.steps, 11);
    ck_assert_ptr_null(result.head);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(without_validation_the_last_epoch_is_kept)
{
    PfFeatureTable *table = clouds(1);
    memset(table->splits, PF_SPLIT_TRAIN, ROWS);
    ck_assert_int_eq(pf_feature_table_index(table, "clouds", 0, NULL), 0);
    PfTrainConfig config = some_config();
    PfTrainResult result;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
    ck_assert_int_eq(result.best_epoch, 8);
    ck_assert(isnan(result.epochs[0].val_loss));
    pf_train_result_free(&result);
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(a_rate_that_diverges_is_an_error_that_names_it)
{
    PfFeatureTable *table = clouds(1);
    PfTrainConfig config = some_config();
    config.optimizer = pf_optimizer_config(PF_SGD);
    config.learning_rate = 12345; /* times the decay: each step multiplies the weights */
    config.optimizer.weight_decay = 1;
    PfTrainResult result;
    PfError err = {0};
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_ptr_nonnull(strstr(err.message, "12345"));
    pf_feature_table_free(&table);
}
END_TEST

START_TEST(two_images_are_enough)
{
    PfFeatureTable *table;
    PfTrainConfig config = some_config();
    PfTrainResult result;
    ck_assert_int_eq(pf_feature_table_new(2, 1, 2, &table, NULL), 0);
    table->x[0] = -1;
    table->x[1] = 1;
    table->classes[0] = 0;
    table->classes[1] = 1;
    ck_assert_int_eq(pf_feature_table_index(table, "two", 0, NULL), 0);
    config.epochs = 300;
    ck_assert_int_eq(pf_train_head(table, &config, NULL, &result, NULL), 0);
    ck_assert(result.epochs[299].train_accuracy == 1);
    pf_train_result_free(&result);
    pf_feature_table_free(&table);
}
END_TEST

int main(void)
{
    pf_head_setup();
    Suite *suite = suite_create("head_trainer");
    TCase *cases = tcase_create("all");
    tcase_add_test(cases, clouds_far_apart_are_told_apart);
    tcase_add_test(cases, the_result_is_the_same_for_any_number_of_threads);
    tcase_add_loop_test(cases, the_best_epoch_is_kept, 0, 4);
    tcase_add_test(cases, the_last_smaller_batch_is_trained_on_too);
    tcase_add_test(cases, the_observer_can_stop_the_training);
    tcase_add_test(cases, without_validation_the_last_epoch_is_kept);
    tcase_add_test(cases, a_rate_that_diverges_is_an_error_that_names_it);
    tcase_add_test(cases, two_images_are_enough);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Heads side by side: gradients, and that each equals itself trained alone. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convex_head.h"
#include "group_trainer.h"
#include "lbfgs.h"
#include "random.h"

#define ROWS 120
#define FEATURES 11
#define CLASSES 3

static PfFeatureTable *table;
static PfTask tasks[2]; /* a class and two numbers */
static PfRowFeeder feeder;
static int32_t train_rows[ROWS], val_rows[ROWS];
static PfTrainingData data;
static PfThreadPool *pool;

static void make_row(PfRandom *random, int row)
{
    int label = row % CLASSES;
    float *x = table->x + row * FEATURES;
    for (int j = 0; j < FEATURES; j++)
        x[j] = (float)pf_random_normal(random) + (j == label ? 2.0f : 0.0f);
    tasks[0].labels[row] = row % 17 == 3 ? -1 : label;
    tasks[1].values[2 * row] = 3 * x[0] - x[5] + 40;
    tasks[1].values[2 * row + 1] = row % 5 == 2 ? NAN : x[3] * x[4];
}

static void set_up(void)
{
    PfError err = {0};
    PfRandom random = pf_random_seeded(5, 1);
    ck_assert(!pf_feature_table_new(ROWS, FEATURES, 0, &table, &err));
    ck_assert(!pf_task_init(&tasks[0], "kind", PF_TARGET_CLASS, CLASSES, ROWS, &err));
    ck_assert(!pf_task_init(&tasks[1], "size", PF_TARGET_REGRESSION, 2, ROWS, &err));
    for (int i = 0; i < ROWS; i++) make_row(&random, i);
    data =
        (PfTrainingData){.feeder = &feeder, .features = FEATURES, .tasks = tasks, .task_count = 2};
    for (int i = 0; i < ROWS; i++) {
        if (i % 4)
            train_rows[data.train_count++] = i;
        else
            val_rows[data.val_count++] = i;
    }
    data.train_rows = train_rows;
    data.val_rows = val_rows;
    ck_assert(!pf_task_standardize(&tasks[1], train_rows, data.train_count, &err));
    ck_assert(!pf_memory_feeder(table, pool, &feeder, &err));
    ck_assert(!pf_thread_pool_new(3, &pool, &err));
}

static void tear_down(void)
{
    pf_thread_pool_free(&pool);
    pf_row_feeder_free(&feeder);
    pf_task_free(&tasks[0]);
    pf_task_free(&tasks[1]);
    pf_feature_table_free(&table);
}

/* ---- gradients ---- */

static double loss_at(PfHeadNetwork *network, PfHeadPass *pass, int64_t n, int gradients)
{
    PfTaskSum sums[2] = {{0}};
    int64_t offset = 0;
    double loss = 0;
    float *outputs = pf_head_forward_training(network, pass, table->x, n, 7, NULL);
    int32_t rows[ROWS];
    for (int i = 0; i < n; i++) rows[i] = i;
    for (int t = 0; t < 2; t++) {
        double weight = pf_task_weight(&tasks[t], rows, n);
        float scale = (float)(1 / weight), smoothing = 0.1f;
        PfTaskTruth truth = {0};
        PfTaskColumns columns = {.outputs = outputs + offset,
                                 .stride = network->outputs,
                                 .heads = 1,
                                 .smoothing = &smoothing,
                                 .scale = gradients ? &scale : NULL};
        ck_assert(!pf_task_gather(&tasks[t], rows, n, &truth, NULL));
        pf_task_losses(&tasks[t], &truth, &columns, &sums[t], 1);
        pf_task_truth_free(&truth);
        loss += sums[t].loss / weight;
        offset += tasks[t].outputs;
    }
    return loss;
}

/* Against central differences: 1e-3 of the largest gradient, as single precision allows. */
static void check_gradients(const PfHeadSpec *spec)
{
    PfError err = {0};
    PfHeadNetwork *network;
    PfHeadPass *pass;
    uint64_t seed = 3;
    const int64_t n = 24;
    ck_assert(!pf_head_network_new(spec, FEATURES, CLASSES + 2, 1, &seed, &network, &err));
    ck_assert(!pf_head_pass_new(network, n, 1, &pass, &err));
    loss_at(network, pass, n, 1);
    pf_head_backward(network, pass, NULL);
    for (int l = 0; l < network->layer_count; l++) {
        PfHeadLayer *layer = &network->layers[l];
        for (int64_t i = 0; i < layer->rows * layer->columns; i += 7) {
            float kept = layer->parameters[i], step = 2e-2f;
            double expected = (double)pf_head_gradient(pass, l)[i];
            layer->parameters[i] = kept + step;
            double above = loss_at(network, pass, n, 0);
            layer->parameters[i] = kept - step;
            double below = loss_at(network, pass, n, 0);
            layer->parameters[i] = kept;
            double difference = (above - below) / (2 * (double)step);
            ck_assert_msg(fabs(difference - expected) < 4e-3 + 0.02 * fabs(expected),
                          "layer %d, parameter %lld: %g, by differences %g", l, (long long)i,
                          expected, difference);
        }
    }
    pf_head_pass_free(&pass);
    pf_head_network_free(&network);
}

START_TEST(gradients_are_those_of_the_loss)
{
    check_gradients(&(PfHeadSpec){0});
    check_gradients(&(PfHeadSpec){.hidden_count = 1, .hidden = {8}, .activation = PF_GELU});
    check_gradients(&(PfHeadSpec){
        .hidden_count = 2, .hidden = {8, 6}, .activation = PF_GELU, .norm = PF_HEAD_NORM_LAYER});
    check_gradients(&(PfHeadSpec){.hidden_count = 2,
                                  .hidden = {8, 6},
                                  .activation = PF_GELU,
                                  .norm = PF_HEAD_NORM_BATCH,
                                  .dropout = 0.3});
}
END_TEST

/* ---- alone and side by side ---- */

static const PfHeadSetting settings[] = {
    {.learning_rate = 0.01, .weight_decay = 0.1},
    {.learning_rate = 0.003, .label_smoothing = 0.1, .momentum = 0.5},
    {.learning_rate = 0.03, .clip_norm = 0.5, .warmup_epochs = 1.5},
    {.learning_rate = 0.01, .weight_decay = 0.1},
    {.learning_rate = 0.02, .momentum = 0.9, .schedule = {.kind = PF_SCHEDULE_COSINE}},
};
#define HEADS 5

static void expect_same_head(const PfHeadNetwork *a, int head_a, const PfHeadNetwork *b, int head_b)
{
    for (int l = 0; l < a->layer_count; l++) {
        const PfHeadLayer *x = &a->layers[l], *y = &b->layers[l];
        for (int64_t i = 0; i < x->rows; i++)
            ck_assert_mem_eq(x->parameters + i * x->columns + head_a * x->width,
                             y->parameters + i * y->columns + head_b * y->width,
                             (size_t)x->width * sizeof(float));
        for (int i = 0; i < 2 && x->running; i++)
            ck_assert_mem_eq(x->running + i * x->columns + head_a * x->width,
                             y->running + i * y->columns + head_b * y->width,
                             (size_t)x->width * sizeof(float));
    }
}

static void check_alone(PfHeadSpec spec, PfOptimizerKind optimizer)
{
    PfError err = {0};
    PfGroupConfig config = {.spec = spec,
                            .optimizer = optimizer,
                            .settings = settings,
                            .head_count = HEADS,
                            .epochs = 6,
                            .batch = 16,
                            .patience = 3,
                            .seed = 11,
                            .pool = pool};
    PfGroupResult together, alone;
    ck_assert_msg(!pf_train_group(&data, &config, NULL, &together, &err), "%s", err.message);
    expect_same_head(together.network, 0, together.network, 3);
    for (int h = 0; h < HEADS; h++) {
        config.settings = &settings[h];
        config.head_count = 1;
        config.pool = NULL;
        ck_assert(!pf_train_group(&data, &config, NULL, &alone, &err));
        expect_same_head(together.network, h, alone.network, 0);
        ck_assert_int_eq(together.histories[h].best_epoch, alone.histories[0].best_epoch);
        ck_assert_int_eq(together.histories[h].epoch_count, alone.histories[0].epoch_count);
        ck_assert_mem_eq(together.histories[h].epochs, alone.histories[0].epochs,
                         (size_t)alone.histories[0].epoch_count * sizeof(PfHeadEpoch));
        pf_group_result_free(&alone);
    }
    pf_group_result_free(&together);
}

START_TEST(a_head_of_a_group_equals_itself_alone)
{
    PfHeadSpec mlp = {
        .hidden_count = 2, .hidden = {9, 5}, .norm = PF_HEAD_NORM_BATCH, .dropout = 0.2};
    check_alone((PfHeadSpec){0}, PF_ADAMW);
    check_alone((PfHeadSpec){0}, PF_SGD);
    check_alone(mlp, PF_ADAM);
    mlp.norm = PF_HEAD_NORM_LAYER;
    check_alone(mlp, PF_SGD);
}
END_TEST

#define MANY 70 /* more than go through the loss kernels together */

static PfGroupResult train_many(PfGroupConfig config, int threads)
{
    PfError err = {0};
    PfGroupResult result;
    PfThreadPool *own;
    ck_assert(!pf_thread_pool_new(threads, &own, &err));
    config.pool = own;
    ck_assert_msg(!pf_train_group(&data, &config, NULL, &result, &err), "%s", err.message);
    pf_thread_pool_free(&own);
    return result;
}

static void check_many(PfHeadSpec spec, PfOptimizerKind optimizer)
{
    PfHeadSetting many[MANY];
    for (int h = 0; h < MANY; h++) {
        many[h] = settings[h % HEADS];
        many[h].learning_rate *= 1 + 0.01 * h;
    }
    PfGroupConfig config = {.spec = spec,
                            .optimizer = optimizer,
                            .settings = many,
                            .head_count = MANY,
                            .epochs = 3,
                            .batch = 16,
                            .seed = 3};
    PfGroupResult together = train_many(config, 1);
    for (int threads = 2; threads <= 3; threads++) {
        PfGroupResult again = train_many(config, threads);
        for (int h = 0; h < MANY; h++) expect_same_head(together.network, h, again.network, h);
        pf_group_result_free(&again);
    }
    config.head_count = 1;
    for (int h = 0; h < MANY; h++) {
        config.settings = &many[h];
        PfGroupResult alone = train_many(config, 1 + h % 3);
        expect_same_head(together.network, h, alone.network, 0);
        pf_group_result_free(&alone);
    }
    pf_group_result_free(&together);
}

START_TEST(seventy_heads_equal_seventy_runs_on_any_threads)
{
    PfHeadSpec mlp = {
        .hidden_count = 2, .hidden = {9, 5}, .norm = PF_HEAD_NORM_BATCH, .dropout = 0.2};
    check_many((PfHeadSpec){0}, PF_ADAMW);
    check_many(mlp, PF_SGD);
}
END_TEST

START_TEST(a_head_that_diverges_leaves_the_others_alone)
{
    PfError err = {0};
    PfHeadSetting two[] = {{.learning_rate = 1e30}, settings[0]};
    PfGroupConfig config = {.optimizer = PF_SGD,
                            .settings = two,
                            .head_count = 2,
                            .epochs = 4,
                            .batch = 16,
                            .seed = 11};
    PfGroupResult together, alone;
    ck_assert(!pf_train_group(&data, &config, NULL, &together, &err));
    ck_assert(together.histories[0].diverged && !together.histories[1].diverged);
    config.settings = &two[1];
    config.head_count = 1;
    ck_assert(!pf_train_group(&data, &config, NULL, &alone, &err));
    expect_same_head(together.network, 1, alone.network, 0);
    ck_assert_double_gt(alone.histories[0].epochs[3].val_score, 0.2);
    pf_group_result_free(&together);
    pf_group_result_free(&alone);
}
END_TEST

/* ---- to the optimum ---- */

static int rosenbrock(void *context, const double *x, double *value, double *gradient, PfError *err)
{
    (void)context;
    (void)err;
    double a = 1 - x[0], b = x[1] - x[0] * x[0];
    *value = a * a + 100 * b * b;
    gradient[0] = -2 * a - 400 * x[0] * b;
    gradient[1] = 200 * b;
    return 0;
}

static int nowhere(void *context, const double *x, double *value, double *gradient, PfError *err)
{
    (void)context;
    (void)err;
    *value = 1;
    gradient[0] = NAN;
    gradient[1] = x[0];
    return 0;
}

START_TEST(lbfgs_does_not_call_nan_an_optimum)
{
    PfError err = {0};
    PfLbfgsConfig config = {.memory = 4, .max_iterations = 5, .gradient_tolerance = 1e-9};
    PfLbfgsResult result;
    double x[2] = {0, 0};
    ck_assert(!pf_lbfgs(2, x, nowhere, NULL, &config, &result, &err));
    ck_assert(!result.converged && isnan(result.gradient_norm));
}
END_TEST

START_TEST(lbfgs_finds_the_minimum_of_a_curved_valley)
{
    PfError err = {0};
    double x[2] = {-1.2, 1};
    PfLbfgsConfig config = {.memory = 5, .max_iterations = 100, .gradient_tolerance = 1e-9};
    PfLbfgsResult result;
    ck_assert(!pf_lbfgs(2, x, rosenbrock, NULL, &config, &result, &err));
    ck_assert(result.converged && result.iterations < 60);
    ck_assert_double_eq_tol(x[0], 1, 1e-8);
    ck_assert_double_eq_tol(x[1], 1, 1e-8);
}
END_TEST

/* The normal equations of ridge regression hold at the optimum. */
START_TEST(ridge_satisfies_its_normal_equations)
{
    PfError err = {0};
    PfHeadSetting setting = {.weight_decay = 0.02};
    PfTrainingData numbers = data;
    PfTask *task = &tasks[1];
    numbers.tasks = task;
    numbers.task_count = 1;
    for (int i = 0; i < ROWS; i++) task->values[2 * i + 1] = task->values[2 * i]; /* none missing */
    PfGroupConfig config = {.settings = &setting, .head_count = 1, .epochs = 500, .pool = pool};
    PfGroupResult result;
    ck_assert_msg(!pf_train_convex(&numbers, &config, NULL, &result, &err), "%s", err.message);
    const PfHeadLayer *layer = &result.network->layers[0];
    for (int j = 0; j < FEATURES; j++) {
        double along = 0;
        for (int64_t i = 0; i < data.train_count; i++) {
            const float *x = table->x + train_rows[i] * FEATURES;
            double off =
                (double)layer->parameters[FEATURES * 2] - (double)task->values[2 * train_rows[i]];
            for (int k = 0; k < FEATURES; k++) off += (double)(x[k] * layer->parameters[2 * k]);
            along += off * (double)x[j] / (double)data.train_count; /* 2 entries a row, slope 2 */
        }
        ck_assert_double_eq_tol(along + 0.02 * (double)layer->parameters[2 * j], 0, 2e-6);
    }
    ck_assert(result.histories[0].converged);
    pf_group_result_free(&result);
}
END_TEST

START_TEST(the_optimum_does_not_depend_on_threads)
{
    PfError err = {0};
    PfHeadSetting setting = {.weight_decay = 0.001};
    PfGroupConfig config = {.settings = &setting, .head_count = 1, .epochs = 200};
    PfGroupResult one, three;
    ck_assert(!pf_train_convex(&data, &config, NULL, &one, &err));
    config.pool = pool;
    ck_assert(!pf_train_convex(&data, &config, NULL, &three, &err));
    expect_same_head(one.network, 0, three.network, 0);
    ck_assert_double_gt(one.histories[0].epochs[0].train_score, 0.8);
    pf_group_result_free(&one);
    pf_group_result_free(&three);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("group_trainer");
    TCase *cases = tcase_create("group_trainer");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, gradients_are_those_of_the_loss);
    tcase_add_test(cases, a_head_of_a_group_equals_itself_alone);
    tcase_add_test(cases, seventy_heads_equal_seventy_runs_on_any_threads);
    tcase_add_test(cases, a_head_that_diverges_leaves_the_others_alone);
    tcase_add_test(cases, lbfgs_finds_the_minimum_of_a_curved_valley);
    tcase_add_test(cases, lbfgs_does_not_call_nan_an_optimum);
    tcase_add_test(cases, ridge_satisfies_its_normal_equations);
    tcase_add_test(cases, the_optimum_does_not_depend_on_threads);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

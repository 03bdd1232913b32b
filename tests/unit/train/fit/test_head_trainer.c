/* Heads side by side: gradients, and that each equals itself trained alone. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/random.h"
#include "train/fit/convex_head.h"
#include "train/fit/head_trainer.h"
#include "train/fit/lbfgs.h"

#define ROWS 120
#define FEATURES 11
#define CLASSES 3

static PfFeatureTable *table;
static PfTask tasks[2]; /* a class and two numbers */
static PfBatchLoader loader;
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
    ck_assert(!pf_feature_table_new(ROWS, 1, FEATURES, 0, &table, &err));
    ck_assert(!pf_task_init(&tasks[0], "kind", PF_TARGET_CLASS, CLASSES, ROWS, &err));
    ck_assert(!pf_task_init(&tasks[1], "size", PF_TARGET_REGRESSION, 2, ROWS, &err));
    for (int i = 0; i < ROWS; i++) make_row(&random, i);
    data =
        (PfTrainingData){.loader = &loader, .features = FEATURES, .tasks = tasks, .task_count = 2};
    for (int i = 0; i < ROWS; i++) {
        if (i % 4)
            train_rows[data.train_count++] = i;
        else
            val_rows[data.val_count++] = i;
    }
    data.train_rows = train_rows;
    data.val_rows = val_rows;
    ck_assert(!pf_task_standardize(&tasks[1], train_rows, data.train_count, &err));
    ck_assert(!pf_batch_loader_of_memory(table, pool, &loader, &err));
    ck_assert(!pf_thread_pool_new(3, &pool, &err));
}

static void tear_down(void)
{
    pf_thread_pool_free(&pool);
    pf_batch_loader_free(&loader);
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

START_TEST(the_gradient_of_the_features_is_that_of_the_loss)
{
    const PfHeadSpec specs[] = {
        {0}, {.hidden_count = 1, .hidden = {8}, .activation = PF_GELU, .norm = PF_HEAD_NORM_LAYER}};
    for (int s = 0; s < 2; s++) {
        PfError err = {0};
        PfHeadNetwork *network;
        PfHeadPass *pass;
        uint64_t seed = 4;
        const int64_t n = 24;
        float found[24 * FEATURES];
        ck_assert(!pf_head_network_new(&specs[s], FEATURES, CLASSES + 2, 1, &seed, &network, &err));
        ck_assert(!pf_head_pass_new(network, n, 1, &pass, &err));
        loss_at(network, pass, n, 1);
        pf_head_backward(network, pass, NULL);
        pf_head_input_gradient(network, pass, found, NULL);
        for (int64_t i = 0; i < n * FEATURES; i += 5) {
            float kept = table->x[i], step = 2e-2f;
            table->x[i] = kept + step;
            double above = loss_at(network, pass, n, 0);
            table->x[i] = kept - step;
            double below = loss_at(network, pass, n, 0);
            table->x[i] = kept;
            double difference = (above - below) / (2 * (double)step);
            ck_assert_msg(fabs(difference - (double)found[i]) < 1e-3, "%lld: %g, by differences %g",
                          (long long)i, (double)found[i], difference);
        }
        pf_head_pass_free(&pass);
        pf_head_network_free(&network);
    }
}
END_TEST

/* ---- a trunk ---- */

/* Features are the rows times one number, which learns by plain gradient descent. */
typedef struct ScalingTrunk {
    PfBatchLoader loader;
    float scale, kept;
    double gradient, progress[4]; /* of the last steps */
    int64_t n;
    float x[ROWS * FEATURES], features[ROWS * FEATURES];
    int steps, keeps;
} ScalingTrunk;

static int scaling_start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                         int64_t batch, PfError *err)
{
    (void)context;
    return loader.start(loader.context, rows, count, shuffle, batch, err);
}

static int scaling_next(void *context, PfRowBatch *batch, PfError *err)
{
    ScalingTrunk *trunk = context;
    if (loader.next(loader.context, batch, err)) return -1;
    trunk->n = batch->n;
    for (int64_t i = 0; i < batch->n * FEATURES; i++) {
        trunk->x[i] = batch->x[i];
        trunk->features[i] = trunk->scale * batch->x[i];
    }
    batch->x = trunk->features;
    return 0;
}

static int scaling_backward(void *context, const float *derivative, double *squares, PfError *err)
{
    ScalingTrunk *trunk = context;
    (void)err;
    trunk->gradient = 0;
    for (int64_t i = 0; i < trunk->n * FEATURES; i++)
        trunk->gradient += (double)derivative[i] * (double)trunk->x[i];
    if (squares) *squares = trunk->gradient * trunk->gradient;
    return 0;
}

static int scaling_step(void *context, const PfTrunkStep *step, PfError *err)
{
    ScalingTrunk *trunk = context;
    (void)err;
    trunk->scale -= (float)(0.1 * step->progress * step->clip * trunk->gradient);
    trunk->progress[trunk->steps++ % 4] = step->progress;
    return 0;
}

static int scaling_keep(void *context, PfError *err)
{
    ScalingTrunk *trunk = context;
    (void)err;
    trunk->kept = trunk->scale;
    trunk->keeps++;
    return 0;
}

/* The head of so many epochs, and the trunk as it was kept. */
static void train_with_trunk(ScalingTrunk *trunk, const PfHeadSetting *setting, int epochs,
                             PfHeadBatchResult *result)
{
    PfError err = {0};
    PfTrunk door = {trunk, scaling_backward, scaling_step, scaling_keep, NULL, NULL};
    PfTrainingData through = data;
    *trunk = (ScalingTrunk){.scale = 0.25f};
    trunk->loader = (PfBatchLoader){trunk, data.features, scaling_start, scaling_next, NULL, NULL};
    through.loader = &trunk->loader;
    PfHeadBatchConfig config = {.optimizer = PF_SGD,
                                .settings = setting,
                                .head_count = 1,
                                .epochs = epochs,
                                .batch = 30,
                                .trunk = &door};
    ck_assert(!pf_head_trainer_run(&through, &config, NULL, result, &err));
}

START_TEST(a_trunk_learns_with_its_head)
{
    static ScalingTrunk trunk;
    PfHeadBatchResult result;
    PfHeadSetting setting = {.learning_rate = 0.02, .schedule = {PF_SCHEDULE_STEP, 2, 0.5}};
    train_with_trunk(&trunk, &setting, 3, &result);
    const PfHeadHistory *history = &result.histories[0];
    ck_assert_int_eq(trunk.steps, 3 * 3);
    ck_assert_float_ne(trunk.scale, 0.25f);
    ck_assert_double_lt(history->epochs[2].train_loss, history->epochs[0].train_loss);
    int best = 0;
    for (int e = 0; e < history->epoch_count; e++) best += history->epochs[e].is_best;
    ck_assert_int_eq(trunk.keeps, best);
    if (history->best_epoch == 3) ck_assert_float_eq(trunk.kept, trunk.scale);
    ck_assert_double_eq_tol(trunk.progress[0], 0.5, 1e-12); /* of the third epoch */
    pf_head_batch_result_free(&result);
}
END_TEST

/* Head and trunk are shortened together: the steps of both are, and by one factor. */
START_TEST(clipping_counts_the_trunk)
{
    static ScalingTrunk free_trunk, clipped;
    PfHeadBatchResult result;
    PfHeadSetting setting = {.learning_rate = 1e-9, .schedule = {.kind = PF_SCHEDULE_CONSTANT}};
    train_with_trunk(&free_trunk, &setting, 1, &result);
    pf_head_batch_result_free(&result);
    setting.clip_norm = 1e-3;
    train_with_trunk(&clipped, &setting, 1, &result);
    pf_head_batch_result_free(&result);
    double moved = fabs((double)clipped.scale - 0.25);
    ck_assert_double_gt(moved, 0);
    ck_assert_double_lt(moved, 3 * 0.1 * 1e-3); /* three steps of a part of the length */
    ck_assert_double_gt(fabs((double)free_trunk.scale - 0.25), 10 * moved);
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
    PfHeadBatchConfig config = {.spec = spec,
                                .optimizer = optimizer,
                                .settings = settings,
                                .head_count = HEADS,
                                .epochs = 6,
                                .batch = 16,
                                .patience = 3,
                                .seed = 11,
                                .pool = pool};
    PfHeadBatchResult together, alone;
    ck_assert_msg(!pf_head_trainer_run(&data, &config, NULL, &together, &err), "%s", err.message);
    expect_same_head(together.network, 0, together.network, 3);
    for (int h = 0; h < HEADS; h++) {
        config.settings = &settings[h];
        config.head_count = 1;
        config.pool = NULL;
        ck_assert(!pf_head_trainer_run(&data, &config, NULL, &alone, &err));
        expect_same_head(together.network, h, alone.network, 0);
        ck_assert_int_eq(together.histories[h].best_epoch, alone.histories[0].best_epoch);
        ck_assert_int_eq(together.histories[h].epoch_count, alone.histories[0].epoch_count);
        ck_assert_mem_eq(together.histories[h].epochs, alone.histories[0].epochs,
                         (size_t)alone.histories[0].epoch_count * sizeof(PfHeadEpoch));
        pf_head_batch_result_free(&alone);
    }
    pf_head_batch_result_free(&together);
}

START_TEST(a_head_among_others_equals_itself_alone)
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

static PfHeadBatchResult train_many(PfHeadBatchConfig config, int threads)
{
    PfError err = {0};
    PfHeadBatchResult result;
    PfThreadPool *own;
    ck_assert(!pf_thread_pool_new(threads, &own, &err));
    config.pool = own;
    ck_assert_msg(!pf_head_trainer_run(&data, &config, NULL, &result, &err), "%s", err.message);
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
    PfHeadBatchConfig config = {.spec = spec,
                                .optimizer = optimizer,
                                .settings = many,
                                .head_count = MANY,
                                .epochs = 3,
                                .batch = 16,
                                .seed = 3};
    PfHeadBatchResult together = train_many(config, 1);
    for (int threads = 2; threads <= 3; threads++) {
        PfHeadBatchResult again = train_many(config, threads);
        for (int h = 0; h < MANY; h++) expect_same_head(together.network, h, again.network, h);
        pf_head_batch_result_free(&again);
    }
    config.head_count = 1;
    for (int h = 0; h < MANY; h++) {
        config.settings = &many[h];
        PfHeadBatchResult alone = train_many(config, 1 + h % 3);
        expect_same_head(together.network, h, alone.network, 0);
        pf_head_batch_result_free(&alone);
    }
    pf_head_batch_result_free(&together);
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
    PfHeadBatchConfig config = {.optimizer = PF_SGD,
                                .settings = two,
                                .head_count = 2,
                                .epochs = 4,
                                .batch = 16,
                                .seed = 11};
    PfHeadBatchResult together, alone;
    ck_assert(!pf_head_trainer_run(&data, &config, NULL, &together, &err));
    ck_assert(together.histories[0].diverged && !together.histories[1].diverged);
    config.settings = &two[1];
    config.head_count = 1;
    ck_assert(!pf_head_trainer_run(&data, &config, NULL, &alone, &err));
    expect_same_head(together.network, 1, alone.network, 0);
    ck_assert_double_gt(alone.histories[0].epochs[3].val_score, 0.2);
    pf_head_batch_result_free(&together);
    pf_head_batch_result_free(&alone);
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
    PfHeadBatchConfig config = {.settings = &setting, .head_count = 1, .epochs = 500, .pool = pool};
    PfHeadBatchResult result;
    ck_assert_msg(!pf_convex_head_train(&numbers, &config, NULL, &result, &err), "%s", err.message);
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
    pf_head_batch_result_free(&result);
}
END_TEST

/* Features that are nearly one and the same, far from 0: hundreds of iterations for steps that know
 * only their sizes. */
START_TEST(features_that_are_nearly_one_take_few_iterations)
{
    PfError err = {0};
    PfHeadSetting setting = {.weight_decay = 1e-4};
    PfHeadBatchConfig config = {.settings = &setting, .head_count = 1, .epochs = 500, .pool = pool};
    PfHeadBatchResult result;
    for (int i = 0; i < ROWS; i++)
        for (int j = 1; j < FEATURES; j++)
            table->x[i * FEATURES + j] =
                10 + table->x[i * FEATURES] + 0.05f * table->x[i * FEATURES + j];
    ck_assert_msg(!pf_convex_head_train(&data, &config, NULL, &result, &err), "%s", err.message);
    ck_assert(result.histories[0].converged);
    ck_assert_int_le(result.histories[0].iterations, 40);
    pf_head_batch_result_free(&result);
}
END_TEST

START_TEST(the_optimum_does_not_depend_on_threads)
{
    PfError err = {0};
    PfHeadSetting setting = {.weight_decay = 0.001};
    PfHeadBatchConfig config = {.settings = &setting, .head_count = 1, .epochs = 200};
    PfHeadBatchResult one, three;
    ck_assert(!pf_convex_head_train(&data, &config, NULL, &one, &err));
    config.pool = pool;
    ck_assert(!pf_convex_head_train(&data, &config, NULL, &three, &err));
    expect_same_head(one.network, 0, three.network, 0);
    ck_assert_double_gt(one.histories[0].epochs[0].train_score, 0.8);
    pf_head_batch_result_free(&one);
    pf_head_batch_result_free(&three);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("head_trainer");
    TCase *cases = tcase_create("head_trainer");
    tcase_add_checked_fixture(cases, set_up, tear_down);
    tcase_add_test(cases, gradients_are_those_of_the_loss);
    tcase_add_test(cases, the_gradient_of_the_features_is_that_of_the_loss);
    tcase_add_test(cases, a_trunk_learns_with_its_head);
    tcase_add_test(cases, clipping_counts_the_trunk);
    tcase_add_test(cases, a_head_among_others_equals_itself_alone);
    tcase_add_test(cases, seventy_heads_equal_seventy_runs_on_any_threads);
    tcase_add_test(cases, a_head_that_diverges_leaves_the_others_alone);
    tcase_add_test(cases, lbfgs_finds_the_minimum_of_a_curved_valley);
    tcase_add_test(cases, lbfgs_does_not_call_nan_an_optimum);
    tcase_add_test(cases, ridge_satisfies_its_normal_equations);
    tcase_add_test(cases, features_that_are_nearly_one_take_few_iterations);
    tcase_add_test(cases, the_optimum_does_not_depend_on_threads);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

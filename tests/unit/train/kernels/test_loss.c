/* Losses of many heads: against double precision, set of kernels against set bit for
 * bit, and heads alone against heads among others. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/kernel_sets.h"
#include "train/features/target_kind.h"
#include "train/kernels/loss.h"

/* ---- softmax cross-entropy ---- */

typedef struct SoftmaxCase {
    PfSoftmaxBatch batch;
    float *logits, *scale, *row_weights, *class_weights, *smoothing;
    int32_t *labels;
} SoftmaxCase;

/* A head's logits are poisoned behind the last slice of each row. */
static SoftmaxCase make_softmax(PfRandom *random, int64_t rows, int64_t heads, int64_t classes)
{
    SoftmaxCase made = {.batch = {.rows = rows, .heads = heads, .classes = classes}};
    PfSoftmaxBatch *batch = &made.batch;
    batch->stride = heads * classes + below(random, 4);
    made.logits = new_floats(rows * batch->stride);
    fill_normal(random, made.logits, rows * batch->stride, 3);
    made.labels = calloc((size_t)rows + 1, sizeof *made.labels);
    for (int64_t i = 0; i < rows; i++)
        made.labels[i] = below(random, 6) ? (int32_t)below(random, classes) : -1;
    made.scale = new_floats(heads);
    fill_normal(random, made.scale, heads, 1);
    made.row_weights = new_floats(rows * heads);
    for (int64_t i = 0; i < rows * heads; i++)
        made.row_weights[i] = below(random, 4) ? (float)(1 + below(random, 3)) : 0;
    made.class_weights = new_floats(heads * classes);
    for (int64_t i = 0; i < heads * classes; i++)
        made.class_weights[i] = (float)pf_random_uniform(random) + 0.1f;
    made.smoothing = new_floats(heads);
    for (int64_t h = 0; h < heads; h++)
        made.smoothing[h] = below(random, 2) ? (float)pf_random_uniform(random) : 0;
    batch->labels = made.labels;
    if (below(random, 2)) batch->row_weights = made.row_weights;
    if (below(random, 2)) batch->class_weights = made.class_weights;
    if (below(random, 2)) batch->smoothing = made.smoothing;
    return made;
}

static void free_softmax(SoftmaxCase *made)
{
    free(made->logits);
    free(made->labels);
    free(made->scale);
    free(made->row_weights);
    free(made->class_weights);
    free(made->smoothing);
}

static SoftmaxCase random_softmax(PfRandom *random)
{
    int64_t classes = below(random, 4) ? 1 + below(random, 20) : 1 + below(random, 200);
    return make_softmax(random, below(random, 12), 1 + below(random, 12), classes);
}

/* loss.h's definition of one slice in double precision; gradient: (classes). */
static void reference_slice(const SoftmaxCase *made, int64_t row, int64_t head, PfHeadSum *sum,
                            double *gradient)
{
    const PfSoftmaxBatch *batch = &made->batch;
    int64_t classes = batch->classes, label = batch->labels[row];
    const float *z = made->logits + row * batch->stride + head * classes;
    double weight = batch->row_weights ? (double)batch->row_weights[row * batch->heads + head] : 1;
    double s = batch->smoothing ? (double)batch->smoothing[head] : 0, largest = -INFINITY;
    double total = 0, loss = 0, asked = 0;
    int64_t prediction = 0;
    for (int64_t c = 0; c < classes; c++) gradient[c] = 0;
    if (label < 0 || weight == 0) return;
    for (int64_t c = 0; c < classes; c++) {
        if ((double)z[c] > largest) prediction = c;
        largest = fmax(largest, (double)z[c]);
    }
    for (int64_t c = 0; c < classes; c++) total += exp((double)z[c] - largest);
    for (int64_t c = 0; c < classes; c++) {
        double w = batch->class_weights ? (double)batch->class_weights[head * classes + c] : 1;
        double q = (c == label ? (1 - s) * w : 0) + s / (double)classes * w;
        loss += q * (log(total) + largest - (double)z[c]);
        gradient[c] = -q;
        asked += q;
        if (c == label) sum->weight += weight * w;
    }
    for (int64_t c = 0; c < classes; c++) {
        gradient[c] += asked * exp((double)z[c] - largest) / total;
        gradient[c] *= weight * (double)made->scale[head];
    }
    sum->loss += weight * loss;
    sum->correct += prediction == label;
    sum->rows++;
}

static void check_against_reference(const SoftmaxCase *made)
{
    const PfSoftmaxBatch *batch = &made->batch;
    PfHeadSum sums[12] = {{0}}, again[12] = {{0}}, expected[12] = {{0}};
    float *logits = copy_floats(made->logits, batch->rows * batch->stride);
    double *gradient = calloc((size_t)batch->classes, sizeof *gradient);
    pf_softmax_loss(batch, logits, NULL, again);
    ck_assert(all_same(logits, made->logits, batch->rows * batch->stride));
    pf_softmax_gradient(batch, made->scale, logits, sums);
    for (int64_t i = 0; i < batch->rows; i++) {
        for (int64_t h = 0; h < batch->heads; h++) {
            reference_slice(made, i, h, &expected[h], gradient);
            for (int64_t c = 0; c < batch->classes; c++)
                /* Numbers of size 10 with a few roundings of 6e-8. */
                ck_assert_double_eq_tol((double)logits[i * batch->stride + h * batch->classes + c],
                                        gradient[c], 4e-6);
        }
        for (int64_t j = batch->heads * batch->classes; j < batch->stride; j++)
            ck_assert(logits[i * batch->stride + j] == made->logits[i * batch->stride + j]);
    }
    for (int64_t h = 0; h < batch->heads; h++) {
        ck_assert_double_eq_tol(sums[h].loss, expected[h].loss, 2e-6 * (1 + expected[h].loss));
        ck_assert_double_eq_tol(sums[h].weight, expected[h].weight, 1e-9);
        ck_assert_int_eq(sums[h].correct, expected[h].correct);
        ck_assert_int_eq(sums[h].rows, expected[h].rows);
        ck_assert_mem_eq(&sums[h], &again[h], sizeof *sums);
    }
    free(logits);
    free(gradient);
}

START_TEST(softmax_losses_and_gradients_follow_the_definition)
{
    PfRandom random = pf_random_seeded(35, 0);
    for (int round = 0; round < 300; round++) {
        SoftmaxCase made = random_softmax(&random);
        check_against_reference(&made);
        free_softmax(&made);
    }
}
END_TEST

static void run_softmax(const SoftmaxCase *made, float *logits, PfHeadSum *sums)
{
    memcpy(logits, made->logits, (size_t)(made->batch.rows * made->batch.stride) * sizeof *logits);
    memset(sums, 0, (size_t)made->batch.heads * sizeof *sums);
    pf_softmax_gradient(&made->batch, made->scale, logits, sums);
}

START_TEST(all_sets_compute_the_same_softmax)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    PfRandom random = pf_random_seeded(36, 0);
    for (int round = 0; round < 200; round++) {
        SoftmaxCase made = random_softmax(&random);
        int64_t values = made.batch.rows * made.batch.stride;
        if (values && below(&random, 4) == 0) /* a head that has diverged */
            made.logits[below(&random, values)] = below(&random, 2) ? NAN : INFINITY;
        PfHeadSum expected[12], sums[12];
        float *plain = new_floats(values), *found = new_floats(values);
        for (int s = 0; s < count; s++) {
            pf_kernels_use(sets[s]);
            run_softmax(&made, s ? found : plain, s ? sums : expected);
            if (!s) continue;
            ck_assert(all_same(found, plain, values));
            for (int64_t h = 0; h < made.batch.heads; h++) {
                ck_assert(sums[h].loss == expected[h].loss ||
                          (isnan(sums[h].loss) && isnan(expected[h].loss)));
                ck_assert_int_eq(sums[h].correct, expected[h].correct);
            }
        }
        free(plain);
        free(found);
        free_softmax(&made);
    }
}
END_TEST

/* One head of a case as a case of its own, its logits contiguous. */
static SoftmaxCase head_alone(const SoftmaxCase *all, int64_t head)
{
    const PfSoftmaxBatch *batch = &all->batch;
    SoftmaxCase alone = {.batch = *batch};
    int64_t classes = batch->classes;
    alone.batch.heads = 1;
    alone.batch.stride = classes;
    alone.logits = new_floats(batch->rows * classes);
    alone.row_weights = new_floats(batch->rows);
    for (int64_t i = 0; i < batch->rows; i++) {
        memcpy(alone.logits + i * classes, all->logits + i * batch->stride + head * classes,
               (size_t)classes * sizeof *alone.logits);
        alone.row_weights[i] = all->row_weights[i * batch->heads + head];
    }
    alone.scale = copy_floats(all->scale + head, 1);
    alone.class_weights = copy_floats(all->class_weights + head * classes, classes);
    alone.smoothing = copy_floats(all->smoothing + head, 1);
    alone.labels = malloc((size_t)(batch->rows + 1) * sizeof *alone.labels);
    memcpy(alone.labels, all->labels, (size_t)batch->rows * sizeof *alone.labels);
    alone.batch.labels = alone.labels;
    if (batch->row_weights) alone.batch.row_weights = alone.row_weights;
    if (batch->class_weights) alone.batch.class_weights = alone.class_weights;
    if (batch->smoothing) alone.batch.smoothing = alone.smoothing;
    return alone;
}

START_TEST(a_head_alone_equals_itself_among_others)
{
    PfRandom random = pf_random_seeded(37, 0);
    for (int round = 0; round < 100; round++) {
        SoftmaxCase all = random_softmax(&random);
        const PfSoftmaxBatch *batch = &all.batch;
        PfHeadSum sums[12], sum;
        float *logits = new_floats(batch->rows * batch->stride);
        run_softmax(&all, logits, sums);
        for (int64_t head = 0; head < batch->heads; head++) {
            SoftmaxCase alone = head_alone(&all, head);
            float *found = new_floats(batch->rows * batch->classes);
            run_softmax(&alone, found, &sum);
            ck_assert_mem_eq(&sum, &sums[head], sizeof sum);
            for (int64_t i = 0; i < batch->rows; i++)
                ck_assert_mem_eq(found + i * batch->classes,
                                 logits + i * batch->stride + head * batch->classes,
                                 (size_t)batch->classes * sizeof *found);
            free(found);
            free_softmax(&alone);
        }
        free(logits);
        free_softmax(&all);
    }
}
END_TEST

START_TEST(blocks_of_rows_equal_the_whole)
{
    PfRandom random = pf_random_seeded(38, 0);
    SoftmaxCase made = make_softmax(&random, 23, 5, 10);
    made.batch.row_weights = NULL;
    PfHeadSum whole[5] = {{0}}, parts[5] = {{0}};
    int32_t predictions[23 * 5], part_predictions[23 * 5];
    pf_softmax_loss(&made.batch, made.logits, predictions, whole);
    PfSoftmaxBatch part = made.batch;
    for (int64_t row = 0; row < 23; row += part.rows) {
        part.rows = row + 7 < 23 ? 7 : 23 - row;
        part.labels = made.labels + row;
        pf_softmax_loss(&part, made.logits + row * part.stride, part_predictions + row * 5, parts);
    }
    ck_assert_mem_eq(whole, parts, sizeof whole);
    ck_assert_mem_eq(predictions, part_predictions, sizeof predictions);
    for (int i = 0; i < 23 * 5; i++) {
        const float *z = made.logits + i / 5 * part.stride + i % 5 * 10;
        for (int c = 0; c < 10; c++) ck_assert(z[c] <= z[predictions[i]]);
    }
    free_softmax(&made);
}
END_TEST

START_TEST(softmax_does_not_overflow_and_ties_go_to_the_first)
{
    for (int64_t classes = 3; classes <= 30; classes += 27) {
        float logits[2 * 30];
        for (int c = 0; c < 60; c++) logits[c] = -1e4f;
        logits[0] = 1e4f;
        logits[1] = 0;
        const int32_t labels[2] = {2, 1};
        int32_t predictions[2];
        const float one = 1;
        PfSoftmaxBatch batch = {2, 1, classes, classes, labels, NULL, NULL, NULL};
        PfHeadSum sum = {0}, again = {0};
        pf_softmax_loss(&batch, logits, predictions, &sum);
        ck_assert_double_eq_tol(sum.loss, 2e4 + log((double)classes), 1e-3);
        ck_assert(sum.correct == 0 && predictions[0] == 0 && predictions[1] == 0);
        pf_softmax_gradient(&batch, &one, logits, &again);
        ck_assert_mem_eq(&sum, &again, sizeof sum);
        ck_assert(logits[0] == 1 && logits[1] == 0 && logits[2] == -1);
        ck_assert_float_eq_tol(logits[classes + 1], 1.0f / (float)classes - 1, 1e-6f);
    }
}
END_TEST

START_TEST(probabilities_are_softmax)
{
    PfRandom random = pf_random_seeded(40, 0);
    for (int64_t classes = 1; classes < 40; classes += 3) {
        SoftmaxCase made = make_softmax(&random, 9, 3, classes);
        float *p = copy_floats(made.logits, 9 * made.batch.stride);
        pf_softmax_probabilities(&made.batch, p);
        for (int i = 0; i < 27; i++) {
            int64_t at = i / 3 * made.batch.stride + i % 3 * classes;
            double total = 0;
            for (int64_t c = 0; c < classes; c++) total += exp((double)made.logits[at + c]);
            for (int64_t c = 0; c < classes; c++)
                ck_assert_double_eq_tol((double)p[at + c], exp((double)made.logits[at + c]) / total,
                                        5e-7);
        }
        free(p);
        free_softmax(&made);
    }
}
END_TEST

/* ---- losses of single values ---- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

typedef struct PointwiseCase {
    PfPointwiseBatch batch;
    float *predictions, *targets, *row_weights, *output_weights, *scale;
} PointwiseCase;

enum { MOST_HEADS = 20 };

static PointwiseCase random_pointwise(PfRandom *random)
{
    int64_t rows = below(random, 10), heads = 1 + below(random, MOST_HEADS);
    int64_t outputs = 1 + below(random, below(random, 2) ? 3 : 40);
    PointwiseCase made = {.batch = {.kind = (PfLossKind)below(random, PF_LOSS_COUNT),
                                    .parameter = 0.7f,
                                    .rows = rows,
                                    .heads = heads,
                                    .outputs = outputs,
                                    .stride = heads * outputs + below(random, 4)}};
    PfPointwiseBatch *batch = &made.batch;
    made.predictions = new_floats(rows * batch->stride);
    fill_normal(random, made.predictions, rows * batch->stride, 2);
    made.targets = new_floats(rows * outputs);
    for (int64_t i = 0; i < rows * outputs; i++) {
        double value = pf_random_uniform(random);
        made.targets[i] = below(random, 5) ? (float)value : NAN;
    }
    made.row_weights = new_floats(rows * heads);
    for (int64_t i = 0; i < rows * heads; i++) made.row_weights[i] = (float)below(random, 3);
    made.output_weights = new_floats(heads * outputs);
    for (int64_t i = 0; i < heads * outputs; i++)
        made.output_weights[i] = (float)below(random, 4) * 0.3f;
    made.scale = new_floats(heads);
    fill_normal(random, made.scale, heads, 1);
    batch->targets = made.targets;
    if (below(random, 2)) batch->row_weights = made.row_weights;
    if (below(random, 2)) batch->output_weights = made.output_weights;
    return made;
}

static void free_pointwise(PointwiseCase *made)
{
    free(made->predictions);
    free(made->targets);
    free(made->row_weights);
    free(made->output_weights);
    free(made->scale);
}

static double focal_value(double z, double t, double gamma)
{
    double miss = sigmoid(z) * (1 - t) + sigmoid(-z) * t;
    return pow(miss, gamma) * (fmax(z, 0) - z * t + log1p(exp(-fabs(z))));
}

/* The slope is a difference of values. */
static double reference_focal(double z, double t, double gamma, double *slope)
{
    const double step = 1e-5;
    *slope = (focal_value(z + step, t, gamma) - focal_value(z - step, t, gamma)) / (2 * step);
    return focal_value(z, t, gamma);
}

static double reference_loss(const PfPointwiseBatch *batch, double p, double t, double *slope)
{
    double d = p - t, delta = (double)batch->parameter;
    switch (batch->kind) {
    case PF_LOSS_SQUARED: *slope = 2 * d; return d * d;
    case PF_LOSS_ABSOLUTE: *slope = d > 0 ? 1 : d < 0 ? -1 : 0; return fabs(d);
    case PF_LOSS_HUBER:
        *slope = fmax(-delta, fmin(delta, d));
        return fabs(d) <= delta ? d * d / 2 : delta * (fabs(d) - delta / 2);
    case PF_LOSS_FOCAL: return reference_focal(p, t, delta, slope);
    default: *slope = sigmoid(p) - t; return fmax(p, 0) - p * t + log1p(exp(-fabs(p)));
    }
}

static void check_pointwise(const PointwiseCase *made)
{
    const PfPointwiseBatch *batch = &made->batch;
    PfHeadSum sums[MOST_HEADS] = {{0}}, again[MOST_HEADS] = {{0}};
    float *found = copy_floats(made->predictions, batch->rows * batch->stride);
    pf_pointwise_loss(batch, found, again);
    ck_assert(all_same(found, made->predictions, batch->rows * batch->stride));
    pf_pointwise_gradient(batch, made->scale, found, sums);
    for (int64_t h = 0; h < batch->heads; h++) {
        double loss = 0, weights = 0;
        for (int64_t i = 0; i < batch->rows; i++)
            for (int64_t o = 0; o < batch->outputs; o++) {
                int64_t at = i * batch->stride + h * batch->outputs + o;
                double t = (double)made->targets[i * batch->outputs + o], slope;
                double p = (double)made->predictions[at];
                double w = batch->row_weights ? (double)made->row_weights[i * batch->heads + h] : 1;
                if (batch->output_weights)
                    w *= (double)made->output_weights[h * batch->outputs + o];
                double value = reference_loss(batch, p, t, &slope);
                if (isnan(t)) w = slope = value = 0;
                loss += w * value;
                weights += w;
                ck_assert_double_eq_tol((double)found[at], w * slope * (double)made->scale[h],
                                        2e-5);
            }
        ck_assert_double_eq_tol(sums[h].loss, loss, 1e-6 * (1 + loss));
        ck_assert_double_eq_tol(sums[h].weight, weights, 1e-5);
        ck_assert_mem_eq(&sums[h], &again[h], sizeof *sums);
    }
    free(found);
}

START_TEST(losses_of_single_values_follow_the_definition)
{
    PfRandom random = pf_random_seeded(41, 0);
    for (int round = 0; round < 300; round++) {
        PointwiseCase made = random_pointwise(&random);
        check_pointwise(&made);
        free_pointwise(&made);
    }
}
END_TEST

START_TEST(all_sets_compute_the_same_losses_of_single_values)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    PfRandom random = pf_random_seeded(42, 0);
    for (int round = 0; round < 200; round++) {
        PointwiseCase made = random_pointwise(&random);
        int64_t values = made.batch.rows * made.batch.stride;
        for (int i = 0; values && i < 3; i++)
            made.predictions[below(&random, values)] = i == 0 ? NAN : i == 1 ? INFINITY : -1e30f;
        float *found[MAX_KERNEL_SETS];
        PfHeadSum sums[MAX_KERNEL_SETS][MOST_HEADS] = {{{0}}};
        for (int s = 0; s < count; s++) {
            pf_kernels_use(sets[s]);
            found[s] = copy_floats(made.predictions, values);
            pf_pointwise_gradient(&made.batch, made.scale, found[s], sums[s]);
            ck_assert(all_same(found[s], found[0], values));
            for (int64_t h = 0; h < made.batch.heads; h++) {
                ck_assert(sums[s][h].loss == sums[0][h].loss || isnan(sums[0][h].loss));
                ck_assert(sums[s][h].weight == sums[0][h].weight);
            }
        }
        for (int s = 0; s < count; s++) free(found[s]);
        free_pointwise(&made);
    }
}
END_TEST

START_TEST(an_output_alone_equals_itself_among_others)
{
    PfRandom random = pf_random_seeded(43, 0);
    for (int round = 0; round < 100; round++) {
        PointwiseCase made = random_pointwise(&random);
        const PfPointwiseBatch *batch = &made.batch;
        PfHeadSum sums[MOST_HEADS] = {{0}}, sum = {0};
        int64_t head = below(&random, batch->heads), slice = head * batch->outputs;
        float *all = copy_floats(made.predictions, batch->rows * batch->stride);
        float *alone = new_floats(batch->rows * batch->outputs);
        float *row_weights = new_floats(batch->rows);
        for (int64_t i = 0; i < batch->rows; i++) {
            memcpy(alone + i * batch->outputs, all + i * batch->stride + slice,
                   (size_t)batch->outputs * sizeof *alone);
            row_weights[i] = made.row_weights[i * batch->heads + head];
        }
        PfPointwiseBatch one = *batch;
        one.heads = 1;
        one.stride = one.outputs;
        if (one.row_weights) one.row_weights = row_weights;
        if (one.output_weights) one.output_weights += slice;
        pf_pointwise_gradient(batch, made.scale, all, sums);
        pf_pointwise_gradient(&one, made.scale + head, alone, &sum);
        ck_assert_mem_eq(&sum, &sums[head], sizeof sum);
        for (int64_t i = 0; i < batch->rows; i++)
            ck_assert_mem_eq(alone + i * batch->outputs, all + i * batch->stride + slice,
                             (size_t)batch->outputs * sizeof *alone);
        free(all);
        free(alone);
        free(row_weights);
        free_pointwise(&made);
    }
}
END_TEST

/* ---- focal loss ---- */

/* (1 - p)^gamma (-log p) of the label's softmax probability, in double precision. */
static double focal_of_slice(const double *z, int64_t classes, int32_t label, double gamma)
{
    double largest = -INFINITY, others = 0, total;
    for (int64_t c = 0; c < classes; c++) largest = fmax(largest, z[c]);
    for (int64_t c = 0; c < classes; c++)
        if (c != label) others += exp(z[c] - largest);
    total = others + exp(z[label] - largest);
    return pow(others / total, gamma) * (log(total) + largest - z[label]);
}

static void reference_margin(const SoftmaxCase *made, int64_t row, int64_t head, double gamma,
                             PfHeadSum *sum, double *gradient)
{
    const PfSoftmaxBatch *batch = &made->batch;
    int64_t classes = batch->classes;
    int32_t label = batch->labels[row];
    const float *logits = made->logits + row * batch->stride + head * classes;
    double weight = batch->row_weights ? (double)batch->row_weights[row * batch->heads + head] : 1;
    double *z = calloc((size_t)classes, sizeof *z);
    for (int64_t c = 0; c < classes; c++) {
        z[c] = (double)logits[c];
        gradient[c] = 0;
    }
    if (label >= 0 && weight > 0) {
        if (batch->class_weights) weight *= (double)batch->class_weights[head * classes + label];
        sum->loss += weight * focal_of_slice(z, classes, label, gamma);
        sum->weight += weight;
        sum->rows++;
        for (int64_t c = 0; c < classes; c++) {
            const double step = 1e-5, at = z[c];
            z[c] = at + step;
            gradient[c] = focal_of_slice(z, classes, label, gamma);
            z[c] = at - step;
            gradient[c] -= focal_of_slice(z, classes, label, gamma);
            gradient[c] *= weight * (double)made->scale[head] / (2 * step);
            z[c] = at;
        }
    }
    free(z);
}

static void run_margin(const SoftmaxCase *made, float gamma, float *out, PfHeadSum *sums)
{
    memcpy(out, made->logits, (size_t)(made->batch.rows * made->batch.stride) * sizeof *out);
    memset(sums, 0, 12 * sizeof *sums);
    pf_margin_loss(&made->batch, PF_LOSS_FOCAL, gamma, made->scale, out, sums);
}

static void check_margin(const SoftmaxCase *made, float gamma)
{
    const PfSoftmaxBatch *batch = &made->batch;
    PfHeadSum sums[12], again[12] = {{0}}, expected[12] = {{0}};
    float *found = new_floats(batch->rows * batch->stride + 1);
    float *kept = copy_floats(made->logits, batch->rows * batch->stride);
    double *gradient = calloc((size_t)batch->classes, sizeof *gradient);
    run_margin(made, gamma, found, sums);
    pf_margin_loss(batch, PF_LOSS_FOCAL, gamma, NULL, kept, again);
    ck_assert(all_same(kept, made->logits, batch->rows * batch->stride));
    for (int64_t i = 0; i < batch->rows; i++)
        for (int64_t h = 0; h < batch->heads; h++) {
            reference_margin(made, i, h, (double)gamma, &expected[h], gradient);
            for (int64_t c = 0; c < batch->classes; c++)
                ck_assert_double_eq_tol((double)found[i * batch->stride + h * batch->classes + c],
                                        gradient[c], 2e-5 * (1 + fabs(gradient[c])));
        }
    for (int64_t h = 0; h < batch->heads; h++) {
        ck_assert_double_eq_tol(sums[h].loss, expected[h].loss, 1e-5 * (1 + expected[h].loss));
        ck_assert_double_eq_tol(sums[h].weight, expected[h].weight, 1e-5);
        ck_assert_int_eq(sums[h].rows, expected[h].rows);
        ck_assert_mem_eq(&sums[h], &again[h], sizeof *sums);
    }
    free(gradient);
    free(found);
    free(kept);
}

START_TEST(focal_loss_of_classes_follows_the_definition)
{
    static const float gammas[] = {0, 0.5f, 1, 2, 5};
    PfRandom random = pf_random_seeded(44, 0);
    for (int round = 0; round < 150; round++) {
        SoftmaxCase made = random_softmax(&random);
        made.batch.smoothing = NULL;
        check_margin(&made, gammas[round % 5]);
        free_softmax(&made);
    }
}
END_TEST

START_TEST(all_sets_compute_the_same_focal_loss_and_a_head_alone_too)
{
    const PfKernels *sets[MAX_KERNEL_SETS];
    int count = kernel_sets(sets);
    PfRandom random = pf_random_seeded(45, 0);
    for (int round = 0; round < 60; round++) {
        SoftmaxCase made = random_softmax(&random);
        made.batch.smoothing = NULL;
        int64_t values = made.batch.rows * made.batch.stride, classes = made.batch.classes;
        PfHeadSum sums[12], found_sums[12], sum[12];
        float *plain = new_floats(values + 1), *found = new_floats(values + 1);
        for (int s = 0; s < count; s++) {
            pf_kernels_use(sets[s]);
            run_margin(&made, 2, s ? found : plain, s ? found_sums : sums);
            if (!s) continue;
            ck_assert(all_same(found, plain, values));
            ck_assert_mem_eq(found_sums, sums, sizeof sums);
        }
        int64_t head = below(&random, made.batch.heads);
        SoftmaxCase alone = head_alone(&made, head);
        run_margin(&alone, 2, found, sum);
        ck_assert_mem_eq(sum, &sums[head], sizeof *sum);
        for (int64_t i = 0; i < made.batch.rows; i++)
            ck_assert_mem_eq(found + i * classes, plain + i * made.batch.stride + head * classes,
                             (size_t)classes * sizeof *found);
        free_softmax(&alone);
        free(plain);
        free(found);
        free_softmax(&made);
    }
}
END_TEST

/* Logits far apart: the value is that of the cross-entropy or 0, every slope is a number, and NaN
 * stays NaN. */
START_TEST(focal_loss_of_extreme_logits)
{
    static const float far[] = {30, 80, 1e4f, 1e30f};
    const float one = 1;
    for (int64_t classes = 3; classes <= 40; classes += 37)
        for (int f = 0; f < 4; f++)
            for (int32_t label = 0; label < 2; label++) {
                float logits[40] = {0};
                logits[0] = far[f];
                PfSoftmaxBatch batch = {1, 1, classes, classes, &label, NULL, NULL, NULL};
                PfHeadSum sum = {0};
                pf_margin_loss(&batch, PF_LOSS_FOCAL, 2, &one, logits, &sum);
                double loss = label ? (double)far[f] : 0;
                ck_assert_double_eq_tol(sum.loss, loss, 1e-6 * loss + 1e-9);
                ck_assert_double_eq_tol((double)logits[0], label ? 1 : 0, 1e-6);
                ck_assert_double_eq_tol((double)logits[1], label ? -1 : 0, 1e-6);
                for (int64_t c = 2; c < classes; c++) ck_assert(fabsf(logits[c]) < 1e-6f);
            }
    for (int f = 0; f < 4; f++)
        for (int side = 0; side < 4; side++) { /* labels: of either side, where it is and not */
            float z = side & 1 ? -far[f] : far[f], t = side & 2 ? 1.0f : 0;
            PfPointwiseBatch batch = {.kind = PF_LOSS_FOCAL,
                                      .parameter = 2,
                                      .rows = 1,
                                      .heads = 1,
                                      .outputs = 1,
                                      .stride = 1,
                                      .targets = &t};
            PfHeadSum sum = {0};
            int wrong = (side & 1) == (side & 2) >> 1;
            pf_pointwise_gradient(&batch, &one, &z, &sum);
            double loss = wrong ? (double)far[f] : 0;
            ck_assert_double_eq_tol(sum.loss, loss, 1e-6 * loss + 1e-9);
            ck_assert_double_eq_tol((double)z, wrong ? (t > 0 ? -1 : 1) : 0, 1e-6);
        }
    float logits[3] = {0, NAN, 1};
    const int32_t label = 0;
    PfSoftmaxBatch batch = {1, 1, 3, 3, &label, NULL, NULL, NULL};
    PfHeadSum sum = {0};
    pf_margin_loss(&batch, PF_LOSS_FOCAL, 2, &one, logits, &sum);
    ck_assert(isnan(sum.loss));
}
END_TEST

/* ---- the tables ---- */

START_TEST(every_loss_and_every_kind_is_complete)
{
    PfError err = {0};
    ck_assert_msg(!pf_target_kinds_check(&err), "%s", err.message);
    for (int l = 0; l < PF_LOSS_COUNT; l++) {
        const PfLoss *loss = pf_loss((PfLossKind)l);
        PfLossKind found;
        double parameter;
        ck_assert(!pf_loss_parse("--loss", loss->word, &found, &parameter, &err));
        ck_assert(found == (PfLossKind)l && parameter == loss->parameter.initial);
        ck_assert(strlen(loss->title) > 0);
        double curvature = loss->curvature(3);
        ck_assert(isnan(curvature) || curvature > 0);
        /* The loss is a mean over the columns, too. */
        double ratio = loss->curvature(30) / curvature;
        ck_assert(isnan(curvature) || (ratio > 0.09 && ratio < 0.16));
    }
    char text[PF_TARGET_KIND_LOSSES_TEXT], served[PF_TARGET_KINDS_SERVED_TEXT];
    ck_assert_str_eq(pf_target_kind_convex_losses(PF_TARGET_REGRESSION, text), "mse or huber");
    ck_assert_str_eq(pf_target_kind_convex_losses(PF_TARGET_CLASS, text), "cross-entropy");
    ck_assert_str_eq(pf_target_kinds_served(PF_LOSS_FOCAL, served), "classes or labels");
    ck_assert_str_eq(pf_target_kinds_served(PF_LOSS_HUBER, served), "numbers");
}
END_TEST

START_TEST(a_loss_is_read_with_its_parameter)
{
    PfError err = {0};
    PfLossKind kind;
    double parameter;
    ck_assert(!pf_loss_parse("--loss", "focal:0.5", &kind, &parameter, &err));
    ck_assert(kind == PF_LOSS_FOCAL && parameter == 0.5);
    ck_assert(!pf_loss_parse("--loss", "focal", &kind, &parameter, &err));
    ck_assert(kind == PF_LOSS_FOCAL && parameter == 2);
    static const char *const wrong[] = {"focal:-1", "focal:101", "focal:", "focal:x", "focal:nan",
                                        "mse:2",    "huber:0",   "",       "focals"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(pf_loss_parse("--loss", wrong[i], &kind, &parameter, &err), "%s", wrong[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loss");
    TCase *cases = tcase_create("all");
    tcase_add_checked_fixture(cases, use_best_kernels, use_best_kernels);
    tcase_add_test(cases, softmax_losses_and_gradients_follow_the_definition);
    tcase_add_test(cases, all_sets_compute_the_same_softmax);
    tcase_add_test(cases, a_head_alone_equals_itself_among_others);
    tcase_add_test(cases, blocks_of_rows_equal_the_whole);
    tcase_add_test(cases, softmax_does_not_overflow_and_ties_go_to_the_first);
    tcase_add_test(cases, probabilities_are_softmax);
    tcase_add_test(cases, losses_of_single_values_follow_the_definition);
    tcase_add_test(cases, all_sets_compute_the_same_losses_of_single_values);
    tcase_add_test(cases, an_output_alone_equals_itself_among_others);
    tcase_add_test(cases, focal_loss_of_classes_follows_the_definition);
    tcase_add_test(cases, all_sets_compute_the_same_focal_loss_and_a_head_alone_too);
    tcase_add_test(cases, focal_loss_of_extreme_logits);
    tcase_add_test(cases, every_loss_and_every_kind_is_complete);
    tcase_add_test(cases, a_loss_is_read_with_its_parameter);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

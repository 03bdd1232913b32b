/* Metrics of raw arrays, so that another program can compute the same and compare.
 *
 * usage: compute_metrics class|regression|multilabel|keypoints ROWS WIDTH BLOCK THREADS
 *   BLOCK: rows added at a time
 * stdin:  predictions (ROWS, WIDTH) f32: logits, or values; then labels (ROWS) i32
 *         (class) or targets (ROWS, WIDTH) f32
 * stdout: lines of KEY VALUE [LOW HIGH]; of a class, column, label or point INDEX.KEY VALUE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/metrics/classification.h"
#include "train/metrics/keypoints.h"
#include "train/metrics/multilabel.h"
#include "train/metrics/regression.h"

typedef struct Input {
    int64_t rows, block;
    int width, threads;
    const float *predictions, *targets;
    const int32_t *labels;
} Input;

static void *read_array(size_t count)
{
    float *values = calloc(count ? count : 1, sizeof *values);
    if (!values || fread(values, sizeof *values, count, stdin) != count) {
        fprintf(stderr, "compute_metrics: stdin is too short\n");
        exit(1);
    }
    return values;
}

static void check(int failed, const PfError *err)
{
    if (!failed) return;
    fprintf(stderr, "compute_metrics: %s\n", err->message);
    exit(1);
}

static int64_t block_at(const Input *in, int64_t first)
{
    return in->rows - first < in->block ? in->rows - first : in->block;
}

static void print_fields(const PfMetricField *field, const void *metrics, const char *prefix)
{
    for (; field->key; field++) {
        PfInterval interval = pf_field_interval(field, metrics);
        printf("%s%s %.17g %.17g %.17g\n", prefix, field->key, pf_field_value(field, metrics),
               interval.low, interval.high);
    }
}

static void print_number(int index, const char *key, double value)
{
    printf("%d.%s %.17g\n", index, key, value);
}

static void print_class(int index, const PfClassMetrics *class)
{
    print_number(index, "support", (double)class->support);
    print_number(index, "precision", class->precision);
    print_number(index, "recall", class->recall);
    print_number(index, "f1", class->f1);
}

static void classification(const Input *in)
{
    PfClassificationMeter *meter;
    PfClassificationMetrics metrics;
    PfError err = {0};
    check(pf_classification_meter_new(in->width, in->threads, &meter, &err), &err);
    for (int64_t i = 0; i < in->rows; i += in->block)
        check(pf_classification_meter_add(meter, block_at(in, i), in->predictions + i * in->width,
                                          in->width, in->labels + i, &err),
              &err);
    check(pf_classification_meter_finish(meter, &metrics, &err), &err);
    printf("count %lld\n", (long long)metrics.count);
    print_fields(pf_classification_fields, &metrics, "");
    for (int c = 0; c < metrics.class_count; c++) print_class(c, &metrics.classes[c]);
    for (int i = 0; metrics.confusion && i < in->width * in->width; i++)
        print_number(i, "confusion", (double)metrics.confusion[i]);
    pf_classification_metrics_free(&metrics);
    pf_classification_meter_free(&meter);
}

static void regression(const Input *in)
{
    PfRegressionMeter *meter;
    PfRegressionMetrics metrics;
    PfError err = {0};
    check(pf_regression_meter_new(in->width, &meter, &err), &err);
    for (int64_t i = 0; i < in->rows; i += in->block)
        check(pf_regression_meter_add(meter, block_at(in, i), in->predictions + i * in->width,
                                      in->width, in->targets + i * in->width, in->width, &err),
              &err);
    check(pf_regression_meter_finish(meter, &metrics, &err), &err);
    printf("count %lld\n", (long long)metrics.rows);
    print_fields(pf_regression_fields, &metrics.overall, "");
    for (int c = 0; c < metrics.columns; c++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%d.", c);
        print_number(c, "count", (double)metrics.column[c].count);
        print_fields(pf_regression_fields, &metrics.column[c], prefix);
    }
    pf_regression_metrics_free(&metrics);
    pf_regression_meter_free(&meter);
}

static void multilabel(const Input *in)
{
    PfMultilabelMeter *meter;
    PfMultilabelMetrics metrics;
    PfError err = {0};
    check(pf_multilabel_meter_new(in->width, &meter, &err), &err);
    for (int64_t i = 0; i < in->rows; i += in->block)
        check(pf_multilabel_meter_add(meter, block_at(in, i), in->predictions + i * in->width,
                                      in->width, in->targets + i * in->width, in->width, &err),
              &err);
    check(pf_multilabel_meter_finish(meter, &metrics, &err), &err);
    printf("count %lld\n", (long long)metrics.count);
    print_fields(pf_multilabel_fields, &metrics, "");
    for (int l = 0; l < metrics.label_count; l++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%d.", l);
        print_number(l, "known", (double)metrics.labels[l].known);
        print_number(l, "support", (double)metrics.labels[l].support);
        print_fields(pf_label_fields, &metrics.labels[l], prefix);
    }
    pf_multilabel_metrics_free(&metrics);
    pf_multilabel_meter_free(&meter);
}

static void keypoints(const Input *in)
{
    PfKeypointMeter *meter;
    PfKeypointMetrics metrics;
    PfError err = {0};
    check(pf_keypoint_meter_new(in->width / 2, &meter, &err), &err);
    for (int64_t i = 0; i < in->rows; i += in->block)
        pf_keypoint_meter_add(meter, block_at(in, i), in->predictions + i * in->width, in->width,
                              in->targets + i * in->width, in->width);
    check(pf_keypoint_meter_finish(meter, &metrics, &err), &err);
    printf("count %lld\nvisible_points %lld\nsized_images %lld\n", (long long)metrics.images,
           (long long)metrics.visible_points, (long long)metrics.sized_images);
    print_fields(pf_keypoint_fields, &metrics, "");
    for (int p = 0; p < metrics.point_count; p++) {
        print_number(p, "count", (double)metrics.points[p].count);
        print_number(p, "mean_error", metrics.points[p].mean_error);
    }
    pf_keypoint_metrics_free(&metrics);
    pf_keypoint_meter_free(&meter);
}

int main(int argc, char **argv)
{
    if (argc != 6) return 2;
    int is_class = !strcmp(argv[1], "class");
    Input in = {.rows = atoll(argv[2]),
                .width = atoi(argv[3]),
                .block = atoll(argv[4]),
                .threads = atoi(argv[5])};
    size_t rows = (size_t)in.rows, values = rows * (size_t)in.width;
    void *predictions = read_array(values), *truth = read_array(is_class ? rows : values);
    in.predictions = predictions;
    in.targets = truth;
    in.labels = truth;
    if (is_class) classification(&in);
    if (!strcmp(argv[1], "regression")) regression(&in);
    if (!strcmp(argv[1], "multilabel")) multilabel(&in);
    if (!strcmp(argv[1], "keypoints")) keypoints(&in);
    free(truth);
    free(predictions);
    return 0;
}

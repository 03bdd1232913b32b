#include "train/metrics/keypoints.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"

#define FIELD(member, key, title) PF_FIELD(PfKeypointMetrics, member, key, title)
const PfMetricField pf_keypoint_fields[] = {
    FIELD(mean_error, "mean_error_pixels", "mean error in pixels"),
    FIELD(nme, "nme", "normalised error"),
    FIELD(within_8_percent, "within_8_percent", "images below 0.08"),
    FIELD(within_10_percent, "within_10_percent", "images below 0.10"),
    {0},
};

typedef struct PointSum {
    int64_t count;
    double distance;
} PointSum;

struct PfKeypointMeter {
    int points;
    PfRatio pixels; /* sum of distances over visible points, an image a row */
    PfRatio nme;
    int64_t within_8, within_10;
    PointSum *sums; /* (points) */
};

int pf_keypoint_meter_new(int points, PfKeypointMeter **out, PfError *err)
{
    PfKeypointMeter *meter = pf_calloc(1, sizeof *meter, err);
    if (!meter) return -1;
    meter->points = points;
    meter->sums = pf_calloc((size_t)points, sizeof *meter->sums, err);
    if (!meter->sums) {
        pf_keypoint_meter_free(&meter);
        return -1;
    }
    *out = meter;
    return 0;
}

void pf_keypoint_meter_free(PfKeypointMeter **meter)
{
    if (!*meter) return;
    free((*meter)->sums);
    free(*meter);
    *meter = NULL;
}

typedef struct Box {
    float left, top, right, bottom;
} Box;

static void include_point(Box *box, float x, float y)
{
    box->left = fminf(box->left, x);
    box->right = fmaxf(box->right, x);
    box->top = fminf(box->top, y);
    box->bottom = fmaxf(box->bottom, y);
}

static double box_area(const Box *box)
{
    return ((double)box->right - (double)box->left) * ((double)box->bottom - (double)box->top);
}

static void add_nme(PfKeypointMeter *meter, double nme)
{
    pf_ratio_add(&meter->nme, nme, 1);
    meter->within_8 += nme < 0.08;
    meter->within_10 += nme < 0.1;
}

static void add_image(PfKeypointMeter *meter, const float *prediction, const float *truth)
{
    Box box = {INFINITY, INFINITY, -INFINITY, -INFINITY};
    double sum = 0;
    int visible = 0;
    for (int p = 0; p < meter->points; p++) {
        float x = truth[2 * p], y = truth[2 * p + 1];
        if (isnan(x) || isnan(y)) continue;
        double distance =
            hypot((double)prediction[2 * p] - (double)x, (double)prediction[2 * p + 1] - (double)y);
        include_point(&box, x, y);
        meter->sums[p].count++;
        meter->sums[p].distance += distance;
        sum += distance;
        visible++;
    }
    if (!visible) return;
    pf_ratio_add(&meter->pixels, sum, visible);
    if (box_area(&box) > 0) add_nme(meter, sum / visible / sqrt(box_area(&box)));
}

void pf_keypoint_meter_add(PfKeypointMeter *meter, int64_t n, const float *predictions,
                           int64_t stride, const float *truths, int64_t true_stride)
{
    for (int64_t i = 0; i < n; i++)
        add_image(meter, predictions + i * stride, truths + i * true_stride);
}

static int finish_points(const PfKeypointMeter *meter, PfKeypointMetrics *out, PfError *err)
{
    out->point_count = meter->points;
    out->points = pf_calloc((size_t)meter->points, sizeof *out->points, err);
    if (!out->points) return -1;
    for (int p = 0; p < meter->points; p++) {
        const PointSum *sum = &meter->sums[p];
        out->visible_points += sum->count;
        out->points[p] = (PfPointMetrics){sum->count, sum->distance / (double)sum->count};
    }
    return 0;
}

static PfInterval mean_interval(const PfRatio *ratio)
{
    return pf_interval_normal(pf_ratio_value(ratio), pf_ratio_standard_error(ratio), 0,
                              (double)INFINITY);
}

int pf_keypoint_meter_finish(const PfKeypointMeter *meter, PfKeypointMetrics *out, PfError *err)
{
    int64_t sized = meter->nme.rows;
    *out = (PfKeypointMetrics){.images = meter->pixels.rows, .sized_images = sized};
    if (finish_points(meter, out, err)) return -1;
    out->mean_error = pf_ratio_value(&meter->pixels);
    out->mean_error_interval = mean_interval(&meter->pixels);
    out->nme = pf_ratio_value(&meter->nme);
    out->nme_interval = mean_interval(&meter->nme);
    out->within_8_percent = (double)meter->within_8 / (double)sized;
    out->within_8_percent_interval = pf_interval_wilson(meter->within_8, sized);
    out->within_10_percent = (double)meter->within_10 / (double)sized;
    out->within_10_percent_interval = pf_interval_wilson(meter->within_10, sized);
    return 0;
}

void pf_keypoint_metrics_free(PfKeypointMetrics *metrics)
{
    free(metrics->points);
    *metrics = (PfKeypointMetrics){0};
}

/* ---- for people, and JSON ---- */

/* A mean distance of every point would be a long list that says little. */
static void print_nothing(const void *results, const char *const *names, const char *split)
{
    (void)results;
    (void)names;
    (void)split;
}

static void add_json(const void *results, const char *const *names, cJSON *json)
{
    const PfKeypointMetrics *metrics = results;
    (void)names;
    cJSON *points = cJSON_AddArrayToObject(json, "points");
    for (int p = 0; p < metrics->point_count; p++) {
        cJSON *point = cJSON_CreateObject();
        cJSON_AddNumberToObject(point, "images", (double)metrics->points[p].count);
        pf_metrics_add_number(point, "mean_error", metrics->points[p].mean_error);
        cJSON_AddItemToArray(points, point);
    }
}

/* ---- as any metrics ---- */

static int start_meter(int width, int threads, bool with_auc, void **meter, PfError *err)
{
    PfKeypointMeter *own = NULL;
    (void)threads;
    (void)with_auc;
    if (pf_keypoint_meter_new(width / 2, &own, err)) return -1;
    *meter = own;
    return 0;
}

static int add_rows(void *meter, const PfMeterRows *rows, PfError *err)
{
    (void)err;
    pf_keypoint_meter_add(meter, rows->n, rows->outputs, rows->stride, rows->values, rows->width);
    return 0;
}

static int finish_meter(const void *meter, void *results, PfError *err)
{
    return pf_keypoint_meter_finish(meter, results, err);
}

static void stop_meter(void *meter)
{
    PfKeypointMeter *own = meter;
    pf_keypoint_meter_free(&own);
}

static void clear_results(void *results)
{
    pf_keypoint_metrics_free(results);
}

const PfMetrics pf_keypoints = {
    .fields = pf_keypoint_fields,
    .fields_at = 0,
    .size = sizeof(PfKeypointMetrics),
    .main_name = "mean_error",
    .main_value = offsetof(PfKeypointMetrics, mean_error),
    .start = start_meter,
    .add = add_rows,
    .finish = finish_meter,
    .stop = stop_meter,
    .clear = clear_results,
    .print = print_nothing,
    .add_json = add_json,
};

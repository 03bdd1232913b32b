/* How far predicted points are from the true ones, in pixels of the original image
 * and relative to the size of the object.
 *
 * Images are added in blocks, in order; what comes out does not depend on the size
 * of the blocks. Memory: some numbers a point. */
#ifndef PF_TRAIN_METRICS_KEYPOINTS_H
#define PF_TRAIN_METRICS_KEYPOINTS_H

#include <stdint.h>

#include "permafrost/error.h"
#include "train/metrics/metrics.h"

typedef struct PfPointMetrics {
    int64_t count;     /* images that show the point */
    double mean_error; /* pixels; NaN where there are none */
} PfPointMetrics;

/* The normalised error (NME) of an image is the mean distance of its visible points
 * over sqrt(width * height) of the box around its true points: Bulat, Tzimiropoulos,
 * ICCV 2017. Images whose box has no area are left out of it. A number that cannot
 * be had is NaN. */
typedef struct PfKeypointMetrics {
    int64_t images;         /* with a visible point */
    int64_t visible_points; /* in all of them */
    double mean_error; /* Euclidean distance, pixels, mean over visible points. Interval: ratio */
    int64_t sized_images;                       /* with an NME */
    double nme;                                 /* mean over images. Normal */
    double within_8_percent, within_10_percent; /* share of images whose NME is below 0.08, 0.1; the
                                                   failure rate is 1 minus that. Wilson */
    PfInterval mean_error_interval, nme_interval, within_8_percent_interval,
        within_10_percent_interval;
    int point_count;
    PfPointMetrics *points; /* (point_count) owned */
} PfKeypointMetrics;

extern const PfMetricField pf_keypoint_fields[];

typedef struct PfKeypointMeter PfKeypointMeter;

/* Free with pf_keypoint_meter_free. */
int pf_keypoint_meter_new(int points, PfKeypointMeter **out, PfError *err);
void pf_keypoint_meter_free(PfKeypointMeter **meter);

/* predictions, truths: (n, 2 * points) x1, y1, x2, ...; rows `stride` and `true_stride`
 * apart. A true point with a NaN is not visible. */
void pf_keypoint_meter_add(PfKeypointMeter *meter, int64_t n, const float *predictions,
                           int64_t stride, const float *truths, int64_t true_stride);

/* The metrics of the images so far. Free with pf_keypoint_metrics_free. */
int pf_keypoint_meter_finish(const PfKeypointMeter *meter, PfKeypointMetrics *out, PfError *err);
void pf_keypoint_metrics_free(PfKeypointMetrics *metrics);

#endif

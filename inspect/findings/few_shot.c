#include "inspect/findings/few_shot.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/memory.h"
#include "common/base/printable.h"
#include "inspect/findings/probe.h"
#include "train/features/row_choice.h"

#define MOST_POINTS 16
#define TEST_PART 5 /* one of so many rows, where the cache has no val or test rows */

typedef struct Course {
    const PfRows *rows;
    PfProbe probe;
    int32_t *learn, *test; /* rows with a label */
    int64_t learn_count, test_count;
    float *probabilities; /* (rows, classes) */
} Course;

static int choose_part(Course *course, uint64_t seed, PfError *err)
{
    const PfRows *rows = course->rows;
    int64_t count;
    int32_t *labelled;
    if (pf_probe_choose(rows, pf_probe_is_labelled, rows, &labelled, &count, err)) return -1;
    course->learn = pf_calloc((size_t)count, sizeof *course->learn, err);
    course->test = pf_calloc((size_t)count, sizeof *course->test, err);
    uint8_t *fold = pf_calloc((size_t)count, 1, err);
    int failed = !course->learn || !course->test || !fold, has_test = 0;
    for (int64_t i = 0; i < count; i++) has_test |= rows->splits[labelled[i]] != PF_SPLIT_TRAIN;
    if (!failed && !has_test)
        failed = pf_row_choice_fold(&course->probe.table->tasks[0], labelled, rows->alike, count,
                                    TEST_PART, seed, fold, err);
    for (int64_t i = 0; i < count && !failed; i++) {
        bool is_test = has_test ? rows->splits[labelled[i]] != PF_SPLIT_TRAIN : !fold[i];
        if (is_test)
            course->test[course->test_count++] = labelled[i];
        else
            course->learn[course->learn_count++] = labelled[i];
    }
    free(labelled);
    free(fold);
    return failed ? -1 : 0;
}

static int compare_counts(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* How many rows half of the classes that are learned have at least. */
static int find_most_shots(const Course *course, int64_t *most, PfError *err)
{
    int classes = course->rows->class_count, there = 0;
    int64_t *counts = pf_calloc((size_t)classes, sizeof *counts, err);
    if (!counts) return -1;
    for (int64_t i = 0; i < course->learn_count; i++)
        counts[course->rows->labels[course->learn[i]]]++;
    qsort(counts, (size_t)classes, sizeof *counts, compare_counts);
    while (there < classes && counts[there]) there++;
    *most = there ? counts[(there - 1) / 2] : 0;
    free(counts);
    return 0;
}

static int measure_once(Course *course, int shots, uint64_t seed, double *accuracy, PfError *err)
{
    const PfRows *rows = course->rows;
    PfHeadNetwork *network;
    int32_t *chosen;
    int64_t count, right = 0, classes = rows->class_count;
    if (pf_row_choice_per_class(&course->probe.table->tasks[0], course->learn, course->learn_count,
                                shots, seed, &chosen, &count, err))
        return -1;
    int failed = pf_probe_fit(&course->probe, chosen, count, &network, err);
    free(chosen);
    if (failed) return -1;
    failed = pf_probe_predict(&course->probe, network, course->test, course->test_count,
                              course->probabilities, err);
    pf_head_network_free(&network);
    for (int64_t i = 0; i < course->test_count && !failed; i++) {
        int64_t row = course->test[i];
        right +=
            pf_probe_best(course->probabilities + row * classes, (int)classes) == rows->labels[row];
    }
    *accuracy = (double)right / (double)course->test_count;
    return failed;
}

static int measure_point(Course *course, int seeds, uint64_t seed, PfFewShotPoint *point,
                         PfError *err)
{
    double sum = 0, squares = 0;
    point->low = INFINITY;
    point->high = -INFINITY;
    for (int s = 0; s < seeds; s++) {
        double accuracy;
        if (measure_once(course, point->shots, seed + (uint64_t)s, &accuracy, err)) return -1;
        sum += accuracy;
        squares += accuracy * accuracy;
        point->low = fmin(point->low, accuracy);
        point->high = fmax(point->high, accuracy);
    }
    /* Equal accuracies have a mean that is rounded to a number beside them. */
    point->mean = fmin(point->high, fmax(point->low, sum / seeds));
    double variance = squares / seeds - point->mean * point->mean;
    point->deviation = seeds > 1 && variance > 0 ? sqrt(variance * seeds / (seeds - 1)) : 0;
    return 0;
}

static int measure_all(Course *course, int seeds, uint64_t seed, PfNeighboursProgress *progress,
                       void *context, PfFewShot *out, PfError *err)
{
    static const int steps[] = {1, 2, 5};
    int64_t most;
    if (find_most_shots(course, &most, err)) return -1;
    if (!most || !course->test_count) {
        pf_format(out->status.reason, sizeof out->status.reason,
                  "there are no rows with a label to %s", most ? "test on" : "learn from");
        return 0;
    }
    out->points = pf_calloc(MOST_POINTS, sizeof *out->points, err);
    if (!out->points) return -1;
    for (int64_t power = 1; power <= most; power *= 10)
        for (int s = 0; s < 3 && steps[s] * power <= most && out->count < MOST_POINTS; s++)
            out->points[out->count++].shots = (int)(steps[s] * power);
    for (int p = 0; p < out->count; p++) {
        if (measure_point(course, seeds, seed, &out->points[p], err)) return -1;
        if (progress) progress(context, p + 1, out->count);
    }
    out->seeds = seeds;
    out->test_rows = course->test_count;
    out->status.done = true;
    return 0;
}

int pf_few_shot_measure(const PfRows *rows, int seeds, uint64_t seed,
                        PfNeighboursProgress *progress, void *context, PfFewShot *out, PfError *err)
{
    Course course = {.rows = rows};
    course.probabilities =
        pf_alloc_aligned((size_t)(rows->count * rows->class_count), sizeof(float), err);
    int failed = pf_probe_new(rows, &course.probe, err) || !course.probabilities ||
                 choose_part(&course, seed, err) ||
                 measure_all(&course, seeds, seed, progress, context, out, err);
    pf_probe_free(&course.probe);
    free(course.probabilities);
    free(course.learn);
    free(course.test);
    return failed ? -1 : 0;
}

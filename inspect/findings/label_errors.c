#include "inspect/findings/label_errors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "inspect/findings/probe.h"

/* Floats that are equal but for rounding reach a mean. */
#define SLACK 1e-6

typedef struct Judgement {
    const PfLabelProbabilities *given;
    PfLabelErrors *out;
    int64_t *label_counts; /* (classes) */
    double *scaled;        /* (classes, classes) the joint as counts */
    int64_t *counts;       /* (classes, classes) the same in whole rows */
} Judgement;

static const float *probabilities_of(const Judgement *judgement, int64_t row)
{
    return judgement->given->probabilities + row * judgement->given->classes;
}

/* ---- the joint ---- */

/* Whether the highest of all probabilities is that of the row's label. */
static bool is_right(const PfLabelProbabilities *given, int64_t row)
{
    const float *p = given->probabilities + row * given->classes;
    if (pf_probe_best(p, given->classes) != given->labels[row]) return false;
    return !given->others || given->others[row] <= p[given->labels[row]];
}

static void find_thresholds(const Judgement *judgement)
{
    const PfLabelProbabilities *given = judgement->given;
    PfLabelErrors *out = judgement->out;
    int64_t right = 0;
    for (int64_t i = 0; i < given->rows; i++) {
        int32_t label = given->labels[i];
        if (label < 0) continue;
        const float *p = probabilities_of(judgement, i);
        out->thresholds[label] += (double)p[label];
        judgement->label_counts[label]++;
        out->rows++;
        right += is_right(given, i);
    }
    out->accuracy = out->rows ? (double)right / (double)out->rows : NAN;
    for (int c = 0; c < given->classes; c++)
        out->thresholds[c] = judgement->label_counts[c]
                                 ? out->thresholds[c] / (double)judgement->label_counts[c]
                                 : INFINITY; /* nothing is of a class without rows */
}

/* The class that a row counts as; -1: none. */
static int32_t confident_class(const Judgement *judgement, int64_t row)
{
    const float *p = probabilities_of(judgement, row);
    int32_t best = -1;
    int reached = 0, classes = judgement->given->classes;
    for (int32_t c = 0; c < classes; c++)
        if ((double)p[c] >= judgement->out->thresholds[c] - SLACK && !reached++) best = c;
    return reached > 1 ? pf_probe_best(p, classes) : best;
}

/* Whole numbers near to `values` with the same sum: those that rounding changed most give way, of
 * equal ones the last where more are needed, else the first. */
static void round_row(const double *values, int classes, int64_t *rounded)
{
    double sum = 0;
    int64_t total = 0;
    for (int c = 0; c < classes; c++) {
        rounded[c] = (int64_t)nearbyint(values[c]);
        sum += values[c];
        total += rounded[c];
    }
    for (int64_t wanted = (int64_t)nearbyint(sum); total != wanted;) {
        int step = wanted > total ? 1 : -1, most = 0;
        for (int c = 1; c < classes; c++) {
            double own = values[c] - (double)rounded[c];
            double best = values[most] - (double)rounded[most];
            if (step > 0 ? own >= best : own < best) most = c;
        }
        rounded[most] += step;
        total += step;
    }
}

static void find_joint(const Judgement *judgement)
{
    const PfLabelProbabilities *given = judgement->given;
    int64_t classes = given->classes;
    double *scaled = judgement->scaled, total = 0, rows = (double)judgement->out->rows;
    for (int64_t i = 0; i < given->rows; i++) {
        int32_t class = given->labels[i] < 0 ? -1 : confident_class(judgement, i);
        if (class >= 0) scaled[given->labels[i] * classes + class]++;
    }
    for (int64_t k = 0; k < classes; k++) {
        double sum = 0;
        scaled[k * classes + k] = fmax(1, scaled[k * classes + k]);
        for (int64_t j = 0; j < classes; j++) sum += scaled[k * classes + j];
        for (int64_t j = 0; j < classes; j++) {
            scaled[k * classes + j] *= (double)judgement->label_counts[k] / sum;
            total += scaled[k * classes + j];
        }
    }
    for (int64_t k = 0; k < classes; k++) {
        for (int64_t j = 0; j < classes; j++) {
            judgement->out->joint[k * classes + j] = scaled[k * classes + j] / total;
            if (j != k) judgement->out->noise += scaled[k * classes + j] / total;
            scaled[k * classes + j] *= rows / total;
        }
        round_row(scaled + k * classes, (int)classes, judgement->counts + k * classes);
    }
}

/* At least one row of every label stays: what its diagonal lacks, the other classes give up. */
static void keep_one(const Judgement *judgement, int64_t label)
{
    int64_t classes = judgement->given->classes;
    int64_t *counts = judgement->counts + label * classes, others = 0;
    double *values = judgement->scaled + label * classes;
    if (counts[label] >= 1) return;
    for (int64_t j = 0; j < classes; j++) others += counts[j] != 0;
    double less = (double)(1 - counts[label]) / fmax(1, (double)others - 1);
    for (int64_t j = 0; j < classes; j++)
        values[j] = j == label ? 1 : fmax(0, (double)counts[j] - less);
    round_row(values, (int)classes, counts);
}

/* ---- the rows ---- */

typedef struct Margin {
    float margin;
    int32_t row;
} Margin;

static int compare_margins(const void *a, const void *b)
{
    const Margin *x = a, *y = b;
    if (x->margin != y->margin) return x->margin < y->margin ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Marks the rows of one label that the joint has of other classes. members: they, margins: room. */
static void mark_label(const Judgement *judgement, int32_t label, const int32_t *members,
                       Margin *margins, uint8_t *marked)
{
    int classes = judgement->given->classes;
    int64_t count = judgement->label_counts[label];
    if (count <= 1) return;
    keep_one(judgement, label);
    for (int32_t j = 0; j < classes; j++) {
        int64_t most = judgement->counts[(int64_t)label * classes + j];
        if (j == label || most <= 0) continue;
        for (int64_t m = 0; m < count; m++) {
            const float *p = probabilities_of(judgement, members[m]);
            margins[m] = (Margin){p[j] - p[label], members[m]};
        }
        qsort(margins, (size_t)count, sizeof *margins, compare_margins);
        for (int64_t m = 0; m < most && m < count; m++) marked[margins[m].row] = 1;
    }
}

static int compare_errors(const void *a, const void *b)
{
    const PfLabelError *x = a, *y = b;
    if (x->self_confidence != y->self_confidence)
        return x->self_confidence > y->self_confidence ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

static int list_errors(const Judgement *judgement, const uint8_t *marked, PfError *err)
{
    const PfLabelProbabilities *given = judgement->given;
    PfLabelErrors *out = judgement->out;
    size_t capacity = 0;
    for (int64_t i = 0; i < given->rows; i++) {
        const float *p = probabilities_of(judgement, i);
        int32_t best = marked[i] ? pf_probe_best(p, given->classes) : -1;
        if (!marked[i] || best == given->labels[i]) continue;
        if (pf_grow(&out->errors, &capacity, (size_t)out->count + 1, sizeof *out->errors, err))
            return -1;
        out->errors[out->count++] = (PfLabelError){.row = (int32_t)i,
                                                   .given = given->labels[i],
                                                   .suggested = best,
                                                   .self_confidence = p[given->labels[i]],
                                                   .suggested_probability = p[best],
                                                   .knn_agreement = NAN,
                                                   .knn_label = -1};
    }
    if (out->count) qsort(out->errors, (size_t)out->count, sizeof *out->errors, compare_errors);
    return 0;
}

static int mark_and_list(const Judgement *judgement, PfError *err)
{
    const PfLabelProbabilities *given = judgement->given;
    size_t rows = (size_t)given->rows;
    uint8_t *marked = pf_calloc(rows, 1, err);
    int32_t *members = pf_calloc(rows, sizeof *members, err);
    int64_t *places = pf_calloc((size_t)given->classes + 1, sizeof *places, err);
    Margin *margins = pf_calloc(rows, sizeof *margins, err);
    int failed = !marked || !members || !places || !margins;
    for (int c = 0; c < given->classes && !failed; c++)
        places[c + 1] = places[c] + judgement->label_counts[c];
    for (int64_t i = 0; i < given->rows && !failed; i++)
        if (given->labels[i] >= 0) members[places[given->labels[i]]++] = (int32_t)i;
    for (int32_t c = 0; c < given->classes && !failed; c++)
        mark_label(judgement, c, members + places[c] - judgement->label_counts[c], margins, marked);
    if (!failed) failed = list_errors(judgement, marked, err);
    free(marked);
    free(members);
    free(places);
    free(margins);
    return failed ? -1 : 0;
}

int pf_label_errors_judge(const PfLabelProbabilities *given, PfLabelErrors *out, PfError *err)
{
    size_t classes = (size_t)given->classes;
    Judgement judgement = {.given = given, .out = out};
    out->classes = given->classes;
    out->thresholds = pf_calloc(classes, sizeof *out->thresholds, err);
    out->joint = pf_calloc(classes * classes, sizeof *out->joint, err);
    judgement.label_counts = pf_calloc(classes, sizeof(int64_t), err);
    judgement.scaled = pf_calloc(classes * classes, sizeof(double), err);
    judgement.counts = pf_calloc(classes * classes, sizeof(int64_t), err);
    int failed = !out->thresholds || !out->joint || !judgement.label_counts || !judgement.scaled ||
                 !judgement.counts;
    if (!failed) find_thresholds(&judgement);
    if (!failed && out->rows) {
        find_joint(&judgement);
        failed = mark_and_list(&judgement, err);
    }
    free(judgement.label_counts);
    free(judgement.scaled);
    free(judgement.counts);
    out->status.done = !failed && out->rows;
    return failed ? -1 : 0;
}

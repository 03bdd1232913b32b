#include "train/fit/lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"

#define SUFFICIENT_DECREASE 1e-4 /* c1 and c2 of the Wolfe conditions */
#define CURVATURE 0.9
#define MAX_TRIALS 30
/* Relative error of values that are sums of float losses; gradients are better. */
#define VALUE_NOISE 1e-7

typedef struct Search {
    int64_t n;
    PfObjective *objective;
    void *context;
    const PfLbfgsConfig *config;
    PfLbfgsResult *result;
    double *x, *gradient, value;    /* where we are */
    double *trial, *trial_gradient; /* where the line search looks */
    double trial_value, trial_slope;
    double *direction;
    double *steps, *changes, *rho, *alpha; /* (memory, n), (memory, n), (memory), (memory) */
    int stored, newest;
} Search;

/* A point on the line: value and slope at a step. */
typedef struct Point {
    double step, value, slope;
} Point;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* NaN where any of them is. */
static double largest(const double *values, int64_t n)
{
    double size = 0;
    for (int64_t i = 0; i < n && !isnan(size); i++)
        if (!(fabs(values[i]) <= size)) size = fabs(values[i]);
    return size;
}

/* ---- direction ---- */

/* a *= H0: the guess as given, scaled so that the newest pair fits. */
static void apply_first_guess(const Search *search, double *a)
{
    const PfLbfgsConfig *config = search->config;
    int64_t n = search->n;
    double scale = 1;
    if (search->stored) {
        const double *change = search->changes + search->newest * n;
        const double *step = search->steps + search->newest * n;
        double *guessed = search->trial; /* nothing else is there between two line searches */
        memcpy(guessed, change, (size_t)n * sizeof *guessed);
        if (config->apply_inverse) config->apply_inverse(config->inverse_context, guessed);
        scale = dot(step, change, n) / dot(change, guessed, n);
    } else if (!config->apply_inverse) {
        scale = 1 / fmax(1, sqrt(dot(a, a, n)));
    }
    if (config->apply_inverse) config->apply_inverse(config->inverse_context, a);
    for (int64_t i = 0; i < n; i++) a[i] *= scale;
}

/* direction = -H gradient: the two loops of algorithm 7.4. */
static void choose_direction(Search *search)
{
    int64_t n = search->n;
    int memory = search->config->memory;
    double *q = search->direction;
    memcpy(q, search->gradient, (size_t)n * sizeof *q);
    for (int age = 0; age < search->stored; age++) {
        int i = (search->newest - age + memory) % memory;
        search->alpha[i] = search->rho[i] * dot(search->steps + i * n, q, n);
        for (int64_t j = 0; j < n; j++) q[j] -= search->alpha[i] * search->changes[i * n + j];
    }
    apply_first_guess(search, q);
    for (int age = search->stored - 1; age >= 0; age--) {
        int i = (search->newest - age + memory) % memory;
        double beta = search->rho[i] * dot(search->changes + i * n, q, n);
        for (int64_t j = 0; j < n; j++)
            q[j] += (search->alpha[i] - beta) * search->steps[i * n + j];
    }
    for (int64_t j = 0; j < n; j++) q[j] = -q[j];
}

/* Keeps the step just taken, unless its curvature is not positive. The oldest makes room, kept or
 * not. */
static void remember(Search *search)
{
    int64_t n = search->n;
    int place = (search->newest + 1) % search->config->memory;
    double *step = search->steps + place * n, *change = search->changes + place * n;
    for (int64_t i = 0; i < n; i++) {
        step[i] = search->trial[i] - search->x[i];
        change[i] = search->trial_gradient[i] - search->gradient[i];
    }
    double curvature = dot(step, change, n);
    if (!(curvature > 1e-16 * dot(change, change, n))) {
        if (search->stored == search->config->memory) search->stored--;
        return;
    }
    search->rho[place] = 1 / curvature;
    search->newest = place;
    if (search->stored < search->config->memory) search->stored++;
}

/* ---- line search ---- */

static int evaluate(Search *search, double step, Point *point, PfError *err)
{
    for (int64_t i = 0; i < search->n; i++)
        search->trial[i] = search->x[i] + step * search->direction[i];
    search->result->evaluations++;
    if (search->objective(search->context, search->trial, &search->trial_value,
                          search->trial_gradient, err))
        return -1;
    *point = (Point){step, search->trial_value,
                     dot(search->trial_gradient, search->direction, search->n)};
    return 0;
}

/* The minimum of the cubic through two points and their slopes, kept away from
 * both; half way where there is none. */
static double interpolate(const Point *a, const Point *b)
{
    double width = b->step - a->step;
    double d1 = a->slope + b->slope - 3 * (a->value - b->value) / (a->step - b->step);
    double inside = d1 * d1 - a->slope * b->slope;
    double step = a->step + 0.5 * width;
    if (inside >= 0) {
        double d2 = copysign(sqrt(inside), width);
        double cubic = b->step - width * (b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2);
        if (isfinite(cubic)) step = cubic;
    }
    double low = fmin(a->step, b->step) + 0.1 * fabs(width);
    double high = fmax(a->step, b->step) - 0.1 * fabs(width);
    return fmin(fmax(step, low), high);
}

/* Where rounding hides the decrease, the slope tells: Hager and Zhang's approximate Wolfe
 * conditions (2005). */
static bool decreases_enough(const Point *start, const Point *point)
{
    double decrease = SUFFICIENT_DECREASE * start->slope;
    if (point->value <= start->value + point->step * decrease) return true;
    return point->value <= start->value + VALUE_NOISE * fabs(start->value) &&
           point->slope <= 2 * decrease - start->slope;
}

static bool is_flat_enough(const Point *start, const Point *point)
{
    return fabs(point->slope) <= -CURVATURE * start->slope;
}

/* Algorithm 3.6: between low, the better end, and high. 1: found; 0: none. */
static int zoom(Search *search, const Point *start, Point low, Point high, PfError *err)
{
    Point point;
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        if (evaluate(search, interpolate(&low, &high), &point, err)) return -1;
        if (!decreases_enough(start, &point) || point.value >= low.value) {
            high = point;
            continue;
        }
        if (is_flat_enough(start, &point)) return 1;
        if (point.slope * (high.step - low.step) >= 0) high = low;
        low = point;
    }
    /* Rounding hides the curvature: take what decreases, if anything does. */
    if (low.step <= 0) return 0;
    return evaluate(search, low.step, &point, err) ? -1 : 1;
}

/* Algorithm 3.5. 1: trial is the next x; 0: no step decreases the value. */
static int search_line(Search *search, PfError *err)
{
    Point start = {0, search->value, dot(search->gradient, search->direction, search->n)};
    Point before = start, point;
    double step = 1;
    if (!(start.slope < 0)) return 0;
    for (int trial = 0; trial < MAX_TRIALS; trial++) {
        if (evaluate(search, step, &point, err)) return -1;
        if (!isfinite(point.value) || !isfinite(point.slope)) {
            step = before.step + 0.1 * (step - before.step);
            continue;
        }
        if (!decreases_enough(&start, &point) || (trial && point.value >= before.value))
            return zoom(search, &start, before, point, err);
        if (is_flat_enough(&start, &point)) return 1;
        if (point.slope >= 0) return zoom(search, &start, point, before, err);
        before = point;
        step *= 2;
    }
    return 0;
}

/* ---- iterations ---- */

static void accept(Search *search)
{
    double *x = search->x, *gradient = search->gradient;
    memcpy(x, search->trial, (size_t)search->n * sizeof *x);
    search->gradient = search->trial_gradient;
    search->trial_gradient = gradient;
    search->value = search->trial_value;
}

/* Of a quadratic that the direction leads to the minimum of. */
static double expected_gain(const Search *search)
{
    return -0.5 * dot(search->gradient, search->direction, search->n);
}

static int iterate(Search *search, PfError *err)
{
    const PfLbfgsConfig *config = search->config;
    PfLbfgsResult *result = search->result;
    while (largest(search->gradient, search->n) > config->gradient_tolerance) {
        if (result->iterations == config->max_iterations) return 0;
        choose_direction(search);
        const double gain = expected_gain(search);
        if (gain < 0 && search->stored) { /* uphill: the memory misleads */
            search->stored = 0;
            continue;
        }
        if (gain <= config->value_tolerance * fabs(search->value)) break;
        int found = search_line(search, err);
        if (found < 0) return -1;
        if (!found && !search->stored) break;
        if (!found) { /* the memory misleads: once more along the gradient */
            search->stored = 0;
            continue;
        }
        remember(search);
        accept(search);
        result->iterations++;
    }
    result->converged = isfinite(search->value) && isfinite(largest(search->gradient, search->n));
    return 0;
}

static int allocate(Search *search, PfError *err)
{
    size_t n = (size_t)search->n, memory = (size_t)search->config->memory;
    search->gradient = pf_calloc(n, sizeof(double), err);
    search->trial = pf_calloc(n, sizeof(double), err);
    search->trial_gradient = pf_calloc(n, sizeof(double), err);
    search->direction = pf_calloc(n, sizeof(double), err);
    search->steps = pf_calloc(n * memory, sizeof(double), err);
    search->changes = pf_calloc(n * memory, sizeof(double), err);
    search->rho = pf_calloc(memory, sizeof(double), err);
    search->alpha = pf_calloc(memory, sizeof(double), err);
    return search->gradient && search->trial && search->trial_gradient && search->direction &&
                   search->steps && search->changes && search->rho && search->alpha
               ? 0
               : -1;
}

static void release(Search *search)
{
    free(search->gradient);
    free(search->trial);
    free(search->trial_gradient);
    free(search->direction);
    free(search->steps);
    free(search->changes);
    free(search->rho);
    free(search->alpha);
}

int pf_lbfgs(int64_t n, double *x, PfObjective *objective, void *context,
             const PfLbfgsConfig *config, PfLbfgsResult *result, PfError *err)
{
    Search search = {.n = n,
                     .x = x,
                     .objective = objective,
                     .context = context,
                     .config = config,
                     .result = result};
    *result = (PfLbfgsResult){.evaluations = 1};
    int failed = allocate(&search, err) ||
                 objective(context, x, &search.value, search.gradient, err) ||
                 iterate(&search, err);
    result->value = search.value;
    result->gradient_norm = failed ? NAN : largest(search.gradient, n);
    release(&search);
    return failed ? -1 : 0;
}

#include "inspect/projection/tsne.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/projection/affinity.h"
#include "inspect/projection/repulsion.h"

#define PERPLEXITY 30
#define ITERATIONS 750
#define EXAGGERATION 12
#define THETA 0.5
/* A point moves no further in a step: what a cloud of large steps would throw out comes back late.
 */
#define LONGEST_STEP 5.0f
#define TASK_ROWS ((int64_t)1024)

typedef struct Layout {
    int64_t rows;
    PfAffinity affinity;
    PfRepulsion *repulsion;
    float *x, *y;           /* (rows) */
    float *push_x, *push_y; /* (rows) */
    float *step, *gain;     /* (2, rows) */
    float exaggeration, rate, momentum;
    double sum; /* of q over all pairs */
} Layout;

static int layout_new(Layout *layout, const float *start, PfError *err)
{
    size_t n = (size_t)layout->rows;
    if (pf_repulsion_new(layout->rows, THETA, &layout->repulsion, err)) return -1;
    if (!(layout->x = pf_alloc_aligned(n, sizeof(float), err)) ||
        !(layout->y = pf_alloc_aligned(n, sizeof(float), err)) ||
        !(layout->push_x = pf_alloc_aligned(n, sizeof(float), err)) ||
        !(layout->push_y = pf_alloc_aligned(n, sizeof(float), err)) ||
        !(layout->step = pf_calloc(2 * n, sizeof(float), err)) ||
        !(layout->gain = pf_alloc_aligned(2 * n, sizeof(float), err)))
        return -1;
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)start[2 * i] * start[2 * i];
    double scale = square > 0 ? 1e-4 / sqrt(square / (double)n) : 0;
    for (size_t i = 0; i < n; i++) {
        layout->x[i] = (float)(start[2 * i] * scale);
        layout->y[i] = (float)(start[2 * i + 1] * scale);
        layout->gain[i] = layout->gain[n + i] = 1;
    }
    return 0;
}

static void layout_free(Layout *layout)
{
    pf_affinity_free(&layout->affinity);
    pf_repulsion_free(&layout->repulsion);
    free(layout->x);
    free(layout->y);
    free(layout->push_x);
    free(layout->push_y);
    free(layout->step);
    free(layout->gain);
}

/* The pull of a row's partners less the push of all: into push_x and push_y. */
static void find_gradients(void *context, int64_t task)
{
    Layout *layout = context;
    const PfAffinity *affinity = &layout->affinity;
    const float share = (float)(1 / fmax(layout->sum, 1e-30));
    for (int64_t i = task * TASK_ROWS; i < pf_min((task + 1) * TASK_ROWS, layout->rows); i++) {
        const float x = layout->x[i], y = layout->y[i];
        float pull_x = 0, pull_y = 0;
        for (int64_t e = affinity->starts[i]; e < affinity->starts[i + 1]; e++) {
            int32_t j = affinity->partners[e];
            float dx = x - layout->x[j], dy = y - layout->y[j];
            float pull = affinity->weights[e] / (1 + dx * dx + dy * dy);
            pull_x += pull * dx;
            pull_y += pull * dy;
        }
        layout->push_x[i] = layout->exaggeration * pull_x - share * layout->push_x[i];
        layout->push_y[i] = layout->exaggeration * pull_y - share * layout->push_y[i];
    }
}

/* Gains as in Jacobs, Neural Networks 1 (1988) 295. */
static void move_axis(const Layout *layout, float *positions, const float *gradient, int axis)
{
    float *step = layout->step + axis * layout->rows, *gain = layout->gain + axis * layout->rows;
    double mean = 0;
    for (int64_t i = 0; i < layout->rows; i++) {
        gain[i] = (gradient[i] > 0) != (step[i] > 0) ? gain[i] + 0.2f : gain[i] * 0.8f;
        gain[i] = fmaxf(gain[i], 0.01f);
        step[i] = layout->momentum * step[i] - layout->rate * gain[i] * gradient[i];
        step[i] = fminf(fmaxf(step[i], -LONGEST_STEP), LONGEST_STEP);
        positions[i] += step[i];
        mean += positions[i];
    }
    mean /= (double)layout->rows;
    for (int64_t i = 0; i < layout->rows; i++) positions[i] -= (float)mean;
}

static void iterate(Layout *layout, PfThreadPool *pool)
{
    layout->sum = pf_repulsion_run(layout->repulsion, layout->x, layout->y, layout->push_x,
                                   layout->push_y, pool);
    pf_thread_pool_for(pool, (layout->rows + TASK_ROWS - 1) / TASK_ROWS, find_gradients, layout);
    move_axis(layout, layout->x, layout->push_x, 0);
    move_axis(layout, layout->y, layout->push_y, 1);
}

static int lay_out(Layout *layout, const PfTsneOptions *options, PfThreadPool *pool, PfError *err)
{
    int iterations = options->iterations ? options->iterations : ITERATIONS;
    for (int i = 0; i < iterations; i++) {
        bool is_early = i < iterations / 3;
        layout->exaggeration = is_early ? EXAGGERATION : 1;
        layout->momentum = is_early ? 0.5f : 0.8f;
        layout->rate = fmaxf(200, (float)layout->rows / (is_early ? EXAGGERATION : 1));
        if (i == iterations / 3) /* the smaller pull is another problem */
            for (int64_t g = 0; g < 2 * layout->rows; g++) layout->gain[g] = 1;
        iterate(layout, pool);
        if (options->progress) options->progress(options->context, i + 1, iterations);
        if (options->interrupted && *options->interrupted)
            return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
    }
    return 0;
}

int pf_tsne_run(const float *x, int64_t rows, int64_t columns, const float *start,
                const PfTsneOptions *options, PfThreadPool *pool, float *out, PfError *err)
{
    Layout layout = {.rows = rows};
    if (rows < 5) {
        memcpy(out, start, (size_t)rows * 2 * sizeof *out);
        return 0;
    }
    double perplexity = options->perplexity > 0 ? options->perplexity : PERPLEXITY;
    int failed = pf_affinity_find(x, rows, columns, perplexity, pool, &layout.affinity, err) ||
                 layout_new(&layout, start, err) || lay_out(&layout, options, pool, err);
    for (int64_t i = 0; i < rows && !failed; i++) {
        out[2 * i] = layout.x[i];
        out[2 * i + 1] = layout.y[i];
    }
    layout_free(&layout);
    return failed ? -1 : 0;
}

/* ---- how far a map is to be trusted ---- */

typedef struct Trust {
    const float *x, *map;
    int64_t rows, columns, sample;
    int k;
    double *excess; /* (sample) ranks too far; NaN where memory was short */
} Trust;

static float distance(const float *a, const float *b, int64_t columns)
{
    float sums[16] = {0}, sum = 0;
    int64_t j = 0;
    for (; j + 16 <= columns; j += 16)
        for (int lane = 0; lane < 16; lane++) {
            float difference = a[j + lane] - b[j + lane];
            sums[lane] += difference * difference;
        }
    for (; j < columns; j++) sum += (a[j] - b[j]) * (a[j] - b[j]);
    for (int lane = 0; lane < 16; lane++) sum += sums[lane];
    return sum;
}

/* Rows that are nearer to `row` than a distance, of equal ones those before `index`. */
static int64_t rank_of(const float *distances, int64_t rows, int64_t row, int64_t index)
{
    int64_t rank = 1;
    for (int64_t i = 0; i < rows; i++)
        rank += i != row && (distances[i] < distances[index] ||
                             (distances[i] == distances[index] && i < index));
    return rank;
}

static void find_excess(void *context, int64_t task)
{
    const Trust *trust = context;
    int64_t rows = trust->rows, row = task * rows / trust->sample;
    float *far = pf_alloc_aligned(2 * (size_t)rows, sizeof *far, NULL), *near = far + rows;
    double excess = 0;
    trust->excess[task] = NAN;
    if (!far) return;
    for (int64_t i = 0; i < rows; i++) {
        far[i] = distance(trust->x + row * trust->columns, trust->x + i * trust->columns,
                          trust->columns);
        near[i] = i == row ? INFINITY : distance(trust->map + 2 * row, trust->map + 2 * i, 2);
    }
    for (int n = 0; n < trust->k; n++) {
        int64_t nearest = row ? 0 : 1;
        for (int64_t i = 0; i < rows; i++)
            if (near[i] < near[nearest]) nearest = i;
        near[nearest] = INFINITY;
        excess += (double)pf_max(0, rank_of(far, rows, row, nearest) - trust->k);
    }
    trust->excess[task] = excess;
    free(far);
}

double pf_tsne_trustworthiness(const float *x, int64_t rows, int64_t columns, const float *map,
                               int k, int64_t sample, PfThreadPool *pool, PfError *err)
{
    Trust trust = {x, map, rows, columns, pf_min(sample, rows), k, NULL};
    if (rows < 2 * k + 2) return NAN;
    trust.excess = pf_calloc((size_t)trust.sample, sizeof *trust.excess, err);
    if (!trust.excess) return NAN;
    pf_thread_pool_for(pool, trust.sample, find_excess, &trust);
    double sum = 0, n = (double)rows;
    for (int64_t i = 0; i < trust.sample; i++) sum += trust.excess[i];
    free(trust.excess);
    return 1 - 2 * sum / ((double)trust.sample * k * (2 * n - 3 * k - 1));
}

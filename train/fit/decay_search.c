#include "train/fit/decay_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"
#include "train/features/row_choice.h"
#include "train/features/stream_loader.h"
#include "train/fit/convex_problem.h"
#include "train/fit/row_axes.h"

/* Float operations of a path with all folds, above which a fifth of the rows is held out once:
 * about a second and a half of a slow processor's two cores. */
#define MOST_FOLDED_WORK 3e10
/* Evaluations of the objective that a fit of the path is taken for. */
#define EVALUATIONS 10
/* The strongest decay, in units of the curvature of the steepest direction. */
#define STRONGEST 1.0
/* In half decades: where the strongest decay lies. */
#define LEAST_POWER (-24)
#define MOST_POWER 40
/* Steps of the path that may be worse than its best before it ends. */
#define RISING_STEPS 3
/* A loss that is lower by less than this share of the first one's, where next to nothing is
 * learned, is worth no weaker decay: of classes that features tell apart it would sink for ever. */
#define WORTH 1e-3
#define FIT_ITERATIONS 100
#define FIT_TOLERANCE 1e-6
#define HELD_ITERATIONS 12
#define HELD_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-7
/* Parameters of a head, above which folds are fitted one after the other. */
#define MOST_PARALLEL_PARAMETERS 200000

/* Rows, in axes of their own where they fit, with a first guess of the curvature. */
typedef struct Space {
    PfTrainingData data;   /* rows numbered from 0 where rotated, else as in the table */
    PfRowAxes *axes;       /* NULL: as they are */
    PfFeatureTable *table; /* of axes->z, which it has taken */
    PfTask *tasks;         /* (tasks) of these rows; owned where rotated */
    int32_t *numbers;      /* (rows) 0, 1, 2, ... */
    double *diagonal;      /* (features) of the moments, where not rotated */
} Space;

/* A fold: what is fitted, and what is held out. */
typedef struct Fold {
    const struct Search *search;
    PfTrainingData data;
    PfBatchLoader loader; /* its own, as folds are fitted side by side */
    PfConvexProblem *problem;
    int32_t *rows, *held; /* rows that are fitted; held out, by part */
    int64_t held_counts[PF_DECAY_FOLDS];
    int parts;
    double *x;                /* (size) the head of the step before */
    double *pivots, *factors; /* (tasks, features) of the guess */
    PfTaskSum *sums;          /* (parts, tasks) */
    bool failed;
    PfError error;
} Fold;

typedef struct Search {
    const PfTrainingData *data;
    const PfDecaySearchConfig *config;
    Space space;
    double *curvatures; /* (tasks) weight * second derivative of the loss */
    double *decays;     /* (tasks) of this step */
    int iterations;
    double tolerance;
    PfDecaySearch *out;
    Fold folds[PF_DECAY_FOLDS];
    int fold_count;
} Search;

/* ---- the space ---- */

static int copy_task(const PfTask *task, const int32_t *rows, int64_t count, PfTask *copy,
                     PfError *err)
{
    *copy = *task;
    copy->rows = count;
    copy->frames = NULL;
    copy->labels = NULL;
    copy->values = NULL;
    size_t outputs = (size_t)task->outputs;
    if (task->labels)
        copy->labels = pf_calloc((size_t)count, sizeof *copy->labels, err);
    else
        copy->values = pf_calloc((size_t)count * outputs, sizeof *copy->values, err);
    if (!copy->labels && !copy->values) return -1;
    for (int64_t i = 0; i < count; i++) {
        if (task->labels)
            copy->labels[i] = task->labels[rows[i]];
        else
            memcpy(copy->values + i * task->outputs,
                   task->values + (int64_t)rows[i] * task->outputs, outputs * sizeof(float));
    }
    return 0;
}

static int rotate(Search *search, PfError *err)
{
    Space *space = &search->space;
    const PfTrainingData *data = search->data;
    int64_t n = data->train_count;
    if (pf_row_axes_new(data, search->config->pool, &space->axes, err)) return -1;
    space->tasks = pf_calloc((size_t)data->task_count, sizeof *space->tasks, err);
    space->numbers = pf_calloc((size_t)n, sizeof *space->numbers, err);
    space->table = pf_calloc(1, sizeof *space->table, err);
    if (!space->tasks || !space->numbers || !space->table) return -1;
    for (int t = 0; t < data->task_count; t++)
        if (copy_task(&data->tasks[t], data->train_rows, n, &space->tasks[t], err)) return -1;
    for (int64_t i = 0; i < n; i++) space->numbers[i] = (int32_t)i;
    *space->table = (PfFeatureTable){.rows = n,
                                     .features = space->axes->axes,
                                     .views = 1,
                                     .drawn_views = 1,
                                     .x = space->axes->z};
    space->data.features = space->axes->axes;
    space->data.tasks = space->tasks;
    space->data.train_rows = space->numbers;
    return 0;
}

/* The diagonal of the second moments. */
static int measure_diagonal(Search *search, PfError *err)
{
    Space *space = &search->space;
    const PfTrainingData *data = search->data;
    PfBatchLoader *loader = data->loader;
    PfRowBatch batch;
    int64_t d = data->features;
    space->diagonal = pf_calloc((size_t)d, sizeof *space->diagonal, err);
    if (!space->diagonal || loader->start(loader->context, data->train_rows, data->train_count,
                                          NULL, PF_GEMM_SUM_ROWS, err))
        return -1;
    for (;;) {
        if (loader->next(loader->context, &batch, err)) return -1;
        if (!batch.n) return 0;
        for (int64_t i = 0; i < batch.n; i++)
            for (int64_t j = 0; j < d; j++)
                space->diagonal[j] += (double)batch.x[i * d + j] * (double)batch.x[i * d + j] /
                                      (double)data->train_count;
    }
}

static int open_space(Search *search, PfError *err)
{
    const PfTrainingData *data = search->data;
    const int64_t limit = search->config->memory_bytes;
    search->space.data = *data;
    if (pf_row_axes_fits(data->train_count, data->features) &&
        (!limit || pf_row_axes_bytes(data->train_count, data->features) <= limit))
        return rotate(search, err);
    return measure_diagonal(search, err);
}

static void close_space(Space *space, int task_count)
{
    for (int t = 0; space->tasks && t < task_count; t++) {
        free(space->tasks[t].labels);
        free(space->tasks[t].values);
    }
    free(space->tasks);
    free(space->numbers);
    free(space->table);
    free(space->diagonal);
    pf_row_axes_free(&space->axes);
}

/* Not below the largest second moment of a direction: Gershgorin's bound; else a share of them
 * all, which features of a network stay below. */
static double steepest(const Space *space)
{
    const PfRowAxes *axes = space->axes;
    double largest = 0;
    for (int64_t j = 0; axes && j < axes->axes; j++) {
        double sum = axes->diagonal[j];
        if (j) sum += fabs(axes->beside[j - 1]);
        if (j + 1 < axes->axes) sum += fabs(axes->beside[j]);
        largest = fmax(largest, sum);
    }
    for (int64_t j = 0; !axes && j < space->data.features; j++) largest += 0.5 * space->diagonal[j];
    return largest;
}

/* ---- the folds ---- */

static double path_work(const Search *search)
{
    const PfTrainingData *data = &search->space.data;
    double outputs = (double)pf_task_outputs(data->tasks, data->task_count);
    double pass = 4.0 * (double)data->train_count * (double)data->features * outputs;
    return pass * EVALUATIONS * (PF_DECAY_STEPS / 2) * (PF_DECAY_FOLDS - 1);
}

/* Row i is held out by the fold where part[i] is one of the fold's parts: of several folds one
 * each, of one fold the first, at most PF_DECAY_FOLDS, of five times as many, whose losses are told
 * apart. */
static int fill_fold(Search *search, Fold *fold, const uint8_t *part, int first, PfError *err)
{
    const PfTrainingData *data = &search->space.data;
    size_t n = (size_t)data->train_count;
    fold->rows = pf_calloc(n, sizeof *fold->rows, err);
    fold->held = pf_calloc(n, sizeof *fold->held, err);
    if (!fold->rows || !fold->held) return -1;
    int64_t fitted = 0, held = 0;
    for (size_t i = 0; i < n; i++)
        if (part[i] < first || part[i] >= first + fold->parts)
            fold->rows[fitted++] = data->train_rows[i];
    for (int p = 0; p < fold->parts; p++)
        for (size_t i = 0; i < n; i++) {
            if (part[i] != first + p) continue;
            fold->held[held++] = data->train_rows[i];
            fold->held_counts[p]++;
        }
    fold->data = *data;
    fold->data.train_rows = fold->rows;
    fold->data.train_count = fitted;
    return 0;
}

static int open_fold(Search *search, Fold *fold, bool is_alone, PfError *err)
{
    size_t tasks = (size_t)search->data->task_count, features = (size_t)search->space.data.features;
    PfThreadPool *pool = is_alone ? search->config->pool : NULL;
    PfConvexProblemConfig config = {.label_smoothing = search->config->label_smoothing,
                                    .pool = pool};
    fold->search = search;
    if (search->space.table) {
        if (pf_batch_loader_new(search->space.table, pool, &fold->loader, err)) return -1;
        fold->data.loader = &fold->loader;
    }
    if (pf_convex_problem_new(&fold->data, &config, &fold->problem, err)) return -1;
    pf_convex_problem_set_decays(fold->problem, search->decays);
    fold->x = pf_calloc((size_t)pf_convex_problem_size(fold->problem), sizeof *fold->x, err);
    fold->pivots = pf_calloc(tasks * features, sizeof *fold->pivots, err);
    fold->factors = pf_calloc(tasks * features, sizeof *fold->factors, err);
    fold->sums = pf_calloc(tasks * PF_DECAY_FOLDS, sizeof *fold->sums, err);
    return fold->x && fold->pivots && fold->factors && fold->sums ? 0 : -1;
}

static void close_fold(Fold *fold)
{
    pf_convex_problem_free(&fold->problem);
    pf_batch_loader_free(&fold->loader);
    free(fold->rows);
    free(fold->held);
    free(fold->x);
    free(fold->pivots);
    free(fold->factors);
    free(fold->sums);
    *fold = (Fold){0};
}

/* Into so many parts; *is_full: none of them is empty. */
static int deal_into(const Search *search, int parts, uint8_t *part, bool *is_full, PfError *err)
{
    const PfTrainingData *data = search->data;
    int64_t counts[PF_DECAY_FOLDS * PF_DECAY_FOLDS] = {0};
    if (pf_row_choice_fold(search->config->by, data->train_rows, search->config->alike,
                           data->train_count, parts, 0, part, err))
        return -1;
    for (int64_t i = 0; i < data->train_count; i++) counts[part[i]]++;
    *is_full = true;
    for (int p = 0; p < parts; p++) *is_full &= counts[p] > 0;
    return 0;
}

/* *held: parts that a fold holds out, one in five of all; 0: too few rows, or too few that are not
 * alike. */
static int deal_out(Search *search, bool is_folded, uint8_t **part, int *held, PfError *err)
{
    const PfTrainingData *data = search->data;
    bool is_full = false;
    *held = 0;
    *part = pf_calloc((size_t)data->train_count, 1, err);
    if (!*part) return -1;
    if (data->train_count < PF_DECAY_LEAST_ROWS) return 0;
    for (int most = is_folded ? 1 : PF_DECAY_FOLDS; most && !is_full; most--) {
        if (deal_into(search, PF_DECAY_FOLDS * most, *part, &is_full, err)) return -1;
        if (is_full) *held = most;
    }
    return 0;
}

/* ---- a fit ---- */

static void guess(Fold *fold)
{
    const Search *search = fold->search;
    const Space *space = &search->space;
    int64_t d = space->data.features;
    for (int t = 0; t < search->data->task_count; t++) {
        double *pivots = fold->pivots + t * d, *factors = fold->factors + t * d;
        double curvature = search->curvatures[t], decay = search->decays[t];
        if (space->axes) {
            pf_tridiagonal_factorise(space->axes->diagonal, space->axes->beside, d, curvature,
                                     decay, decay, pivots, factors);
            continue;
        }
        for (int64_t j = 0; j < d; j++) pivots[j] = curvature * space->diagonal[j] + decay;
    }
}

static void apply_guess(void *context, double *a)
{
    const Fold *fold = context;
    const Search *search = fold->search;
    const PfTrainingData *data = &fold->data;
    int64_t d = data->features, stride = pf_task_outputs(data->tasks, data->task_count), offset = 0;
    for (int t = 0; t < data->task_count; offset += data->tasks[t++].outputs) {
        const double *pivots = fold->pivots + t * d;
        int width = data->tasks[t].outputs;
        double flat = search->curvatures[t] > 0 ? 1 / search->curvatures[t] : 1;
        for (int c = 0; c < width; c++) a[d * stride + offset + c] *= flat;
        if (search->space.axes)
            pf_tridiagonal_solve(pivots, fold->factors + t * d, d, a + offset, stride, width);
        for (int64_t j = 0; !search->space.axes && j < d; j++)
            for (int c = 0; c < width; c++) a[j * stride + offset + c] /= pivots[j];
    }
}

static int fit(Fold *fold)
{
    const Search *search = fold->search;
    PfLbfgsResult result;
    PfLbfgsConfig config = {.memory = 10,
                            .max_iterations = search->iterations,
                            .gradient_tolerance = GRADIENT_TOLERANCE,
                            .value_tolerance = search->tolerance,
                            .apply_inverse = apply_guess,
                            .inverse_context = fold};
    guess(fold);
    return pf_lbfgs(pf_convex_problem_size(fold->problem), fold->x, pf_convex_problem_objective,
                    fold->problem, &config, &result, &fold->error);
}

static void fit_and_look(void *context, int64_t index)
{
    Fold *fold = &((Search *)context)->folds[index];
    const int32_t *held = fold->held;
    fold->failed = fit(fold);
    for (int p = 0; p < fold->parts && !fold->failed; held += fold->held_counts[p++])
        fold->failed = pf_convex_problem_sums(fold->problem, fold->x, held, fold->held_counts[p],
                                              fold->sums + p * fold->data.task_count, &fold->error);
}

/* ---- the path ---- */

/* Over the parts: the loss of all held-out rows together, and its standard error. */
static void note_step(Search *search, int t, int step)
{
    PfDecayPath *path = &search->out->paths[t];
    const PfTask *task = &search->data->tasks[t];
    double loss = 0, weight = 0, squares = 0, right = 0, entries = 0;
    int parts = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int f = 0; f < search->fold_count; f++)
            for (int p = 0; p < search->folds[f].parts; p++) {
                const PfTaskSum *sum = &search->folds[f].sums[p * search->data->task_count + t];
                if (!(sum->weight > 0)) continue;
                if (pass) {
                    squares += pow(sum->loss / sum->weight - loss / weight, 2);
                    continue;
                }
                loss += sum->loss;
                weight += sum->weight;
                right += sum->right;
                entries += sum->entries;
                parts++;
            }
    }
    PfTaskSum all = {.right = right, .entries = entries};
    double spread = task->scale ? entries : 0; /* in units of the spread of all rows */
    path->count = weight > 0 ? step + 1 : 0;
    path->steps[step] =
        (PfDecayStep){.decay = search->decays[t],
                      .loss = weight > 0 ? loss / weight : NAN,
                      .standard_error = parts > 1 ? sqrt(squares / (parts - 1) / parts) : NAN,
                      .score = pf_task_score(task, &all, spread)};
}

static void choose(PfDecayPath *path)
{
    if (!path->count) return;
    double lowest = path->steps[0].loss, enough = WORTH * path->steps[0].loss;
    for (int s = 1; s < path->count; s++) lowest = fmin(lowest, path->steps[s].loss);
    path->chosen = 0;
    while (!(path->steps[path->chosen].loss <= lowest + enough) && path->chosen + 1 < path->count)
        path->chosen++;
    const PfDecayStep *best = &path->steps[path->chosen];
    double most = best->loss + best->standard_error;
    path->strongest = path->weakest = path->chosen;
    while (path->strongest && path->steps[path->strongest - 1].loss <= most) path->strongest--;
    while (path->weakest + 1 < path->count && path->steps[path->weakest + 1].loss <= most)
        path->weakest++;
}

/* No task is likely to become better below: the decays that were tried last are no gain. */
static bool is_over(const Search *search)
{
    bool is_over = true;
    for (int t = 0; t < search->data->task_count; t++) {
        PfDecayPath *path = &search->out->paths[t];
        choose(path);
        if (path->count && search->data->tasks[t].weight > 0 &&
            path->count - 1 - path->chosen < RISING_STEPS)
            is_over = false;
    }
    return is_over;
}

static int take_step(Search *search, int step, PfError *err)
{
    pf_thread_pool_for(search->fold_count > 1 ? search->config->pool : NULL, search->fold_count,
                       fit_and_look, search);
    for (int f = 0; f < search->fold_count; f++) {
        if (!search->folds[f].failed) continue;
        if (err) *err = search->folds[f].error;
        return -1;
    }
    for (int t = 0; t < search->data->task_count; t++) note_step(search, t, step);
    const PfDecaySearchConfig *config = search->config;
    if (config->on_step && config->on_step(config->step_context, step + 1, PF_DECAY_STEPS))
        return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted; nothing was written");
    return 0;
}

/* The square root of ten to the power of half_decades, the same on every machine. */
static double power(int half_decades)
{
    double value = half_decades % 2 ? 3.1622776601683795 : 1;
    int decades = (half_decades - (half_decades % 2 ? 1 : 0)) / 2;
    if (half_decades < 0 && half_decades % 2) decades = (half_decades - 1) / 2;
    for (; decades > 0; decades--) value *= 10;
    for (; decades < 0; decades++) value /= 10;
    return value;
}

/* The step's decay: the first is the least power that is not below `strongest`. */
static double decay_at(double strongest, int step)
{
    int half_decades = LEAST_POWER;
    while (power(half_decades) < strongest && half_decades < MOST_POWER) half_decades++;
    return power(half_decades - step);
}

static int walk(Search *search, PfError *err)
{
    double direction = steepest(&search->space);
    for (int step = 0; step < PF_DECAY_STEPS; step++) {
        for (int t = 0; t < search->data->task_count; t++)
            search->decays[t] = decay_at(STRONGEST * search->curvatures[t] * direction, step);
        if (take_step(search, step, err)) return -1;
        if (is_over(search)) break;
    }
    for (int t = 0; t < search->data->task_count; t++) {
        const PfDecayPath *path = &search->out->paths[t];
        search->out->decays[t] = path->count ? path->steps[path->chosen].decay : PF_LBFGS_DECAY;
    }
    return 0;
}

/* ---- the head of all rows ---- */

static int start_head(Search *search, PfHeadNetwork **start, PfError *err)
{
    const PfTrainingData *data = search->data;
    const PfHeadSpec linear = {0};
    uint64_t seed = 0;
    int64_t width = pf_task_outputs(data->tasks, data->task_count);
    Fold all = {.data = search->space.data, .parts = 0};
    memcpy(search->decays, search->out->decays, (size_t)data->task_count * sizeof(double));
    int failed = open_fold(search, &all, true, err) ||
                 pf_head_network_new(&linear, data->features, width, 1, &seed, start, err);
    if (!failed)
        memcpy(all.x, search->folds[0].x,
               (size_t)pf_convex_problem_size(all.problem) * sizeof *all.x);
    if (!failed && fit(&all)) {
        if (err) *err = all.error;
        failed = -1;
    }
    if (!failed && search->space.axes) {
        failed = pf_row_axes_to_features(search->space.axes, data, all.x, width,
                                         (*start)->layers[0].parameters, err);
    } else if (!failed) {
        for (int64_t i = 0; i < pf_convex_problem_size(all.problem); i++)
            (*start)->layers[0].parameters[i] = (float)all.x[i];
    }
    close_fold(&all);
    return failed ? -1 : 0;
}

/* ---- everything ---- */

static int new_search(Search *search, PfError *err)
{
    const PfTrainingData *data = search->data;
    size_t tasks = (size_t)data->task_count;
    search->curvatures = pf_calloc(tasks, sizeof *search->curvatures, err);
    search->decays = pf_calloc(tasks, sizeof *search->decays, err);
    search->out = pf_calloc(1, sizeof *search->out, err);
    if (!search->curvatures || !search->decays || !search->out) return -1;
    search->out->task_count = data->task_count;
    search->out->paths = pf_calloc(tasks, sizeof *search->out->paths, err);
    search->out->decays = pf_calloc(tasks, sizeof *search->out->decays, err);
    if (!search->out->paths || !search->out->decays) return -1;
    for (int t = 0; t < data->task_count; t++)
        search->curvatures[t] =
            data->tasks[t].weight * pf_loss(data->tasks[t].loss)->curvature(data->tasks[t].outputs);
    return 0;
}

static int open_folds(Search *search, const uint8_t *part, bool is_folded, int held, PfError *err)
{
    int count = is_folded ? PF_DECAY_FOLDS : 1;
    PfDecaySearch *out = search->out;
    for (int f = 0; f < count; f++) {
        Fold *fold = &search->folds[search->fold_count++];
        fold->parts = held;
        if (fill_fold(search, fold, part, f, err) || open_fold(search, fold, !is_folded, err))
            return -1;
    }
    out->rows = search->data->train_count;
    out->folds = count;
    out->held_rows = out->rows - search->folds[0].data.train_count;
    search->iterations = is_folded ? FIT_ITERATIONS : HELD_ITERATIONS;
    search->tolerance = is_folded ? FIT_TOLERANCE : HELD_TOLERANCE;
    return 0;
}

static int search_all(Search *search, PfHeadNetwork **start, bool *is_possible, PfError *err)
{
    uint8_t *part = NULL;
    int held = 0;
    if (new_search(search, err) || open_space(search, err)) return -1;
    int64_t size = (search->space.data.features + 1) *
                   pf_task_outputs(search->data->tasks, search->data->task_count);
    bool is_folded = search->space.axes && path_work(search) <= MOST_FOLDED_WORK &&
                     size <= MOST_PARALLEL_PARAMETERS;
    int failed = deal_out(search, is_folded, &part, &held, err);
    *is_possible = !failed && held;
    if (*is_possible)
        failed = open_folds(search, part, is_folded, held, err) || walk(search, err) ||
                 start_head(search, start, err);
    free(part);
    return failed ? -1 : 0;
}

int pf_decay_search_run(const PfTrainingData *data, const PfDecaySearchConfig *config,
                        PfDecaySearch **out, PfHeadNetwork **start, PfError *err)
{
    double started = pf_clock_seconds();
    Search search = {.data = data, .config = config};
    bool is_possible = false;
    *out = NULL;
    *start = NULL;
    int failed = search_all(&search, start, &is_possible, err);
    for (int f = 0; f < search.fold_count; f++) close_fold(&search.folds[f]);
    close_space(&search.space, data->task_count);
    free(search.curvatures);
    free(search.decays);
    if (failed || !is_possible) {
        pf_decay_search_free(&search.out);
        pf_head_network_free(start);
        return failed ? -1 : 0;
    }
    search.out->seconds = pf_clock_seconds() - started;
    *out = search.out;
    return 0;
}

void pf_decay_search_free(PfDecaySearch **search)
{
    if (!*search) return;
    free((*search)->paths);
    free((*search)->decays);
    free(*search);
    *search = NULL;
}

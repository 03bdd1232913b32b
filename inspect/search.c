#include "inspect/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/size_text.h"
#include "inspect/export/export.h"
#include "inspect/findings/duplicates.h"
#include "inspect/findings/features.h"
#include "inspect/findings/few_shot.h"
#include "inspect/findings/label_errors.h"
#include "inspect/findings/next_labels.h"
#include "inspect/findings/outliers.h"
#include "inspect/findings/probe.h"
#include "inspect/findings/votes.h"
#include "inspect/models.h"
#include "inspect/near.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/pixels.h"

#define NEIGHBOURS 20   /* of duplicates and overlap */
#define VOTERS 20       /* of a label */
#define MOST_VOTERS 200 /* of the classifier */
#define NEXT_DEFAULT 20

typedef struct Search {
    const PfInspectOptions *options;
    const PfRows *rows;
    PfFindings *findings;
    bool all;       /* nothing in particular was asked for */
    bool can_learn; /* rows of two classes at least have labels */
    PfNeighbours lists[2];
    int list_count;
    uint8_t *references;         /* (rows) train rows with a label */
    PfNeighbours *near, *voters; /* among all rows, among the references; NULL: not needed */
    PfProgress progress;
} Search;

static void on_progress(void *context, int64_t done, int64_t total)
{
    PfProgress *progress = &((Search *)context)->progress;
    progress->total = total;
    pf_progress_update(progress, done, NULL);
}

static void skip(PfFindingStatus *status, const char *reason)
{
    pf_format(status->reason, sizeof status->reason, "%s", reason);
}

/* ---- neighbours ---- */

static bool wants_near(const Search *search)
{
    const PfInspectOptions *options = search->options;
    return search->all || options->duplicates || options->outliers || options->classes;
}

static bool wants_voters(const Search *search)
{
    const PfInspectOptions *options = search->options;
    return search->rows->labels && (search->all || options->labels || options->knn);
}

/* Train rows with a label; *all: every sound row is one. */
static int list_references(Search *search, bool *all, int64_t *count, PfError *err)
{
    const PfRows *rows = search->rows;
    int64_t sound = 0;
    *count = 0;
    search->references = pf_calloc((size_t)rows->count, 1, err);
    if (!search->references) return -1;
    for (int64_t i = 0; i < rows->count; i++) {
        sound += !rows->broken[i];
        search->references[i] = pf_probe_is_labelled(rows, i) && rows->splits[i] == PF_SPLIT_TRAIN;
        *count += search->references[i];
    }
    *all = *count == sound;
    return 0;
}

/* As many as there are rows, and as memory has room for. */
static int fit(int64_t wanted, int64_t rows, int64_t count, int64_t memory_bytes)
{
    int64_t room = memory_bytes / PF_NEIGHBOURS_ROW_BYTES(1) / pf_max(1, count);
    return (int)pf_max(1, pf_min(pf_min(wanted, rows - 1), room));
}

/* Says that a list is shorter than it was to be. */
static void say_short(const PfNeighbours *list, int64_t wanted, int64_t others, const char *use)
{
    wanted = pf_min(wanted, others);
    if (list && list->k < wanted)
        pf_say("memory is short: %d instead of %lld neighbours of each image %s; more with "
               "--memory",
               list->k, (long long)wanted, use);
}

static int plan_lists(Search *search, PfError *err)
{
    const PfRows *rows = search->rows;
    const PfNeighboursMethod method = pf_inspect_options_method(search->options);
    int64_t memory = rows->memory_bytes - pf_neighbours_held_bytes(rows, method);
    int64_t references = 0, sound = rows->count - rows->broken_count;
    int64_t near = pf_max(NEIGHBOURS, search->options->neighbour);
    bool is_one = false;
    if (wants_voters(search) && list_references(search, &is_one, &references, err)) return -1;
    if (is_one) near = pf_max(near, MOST_VOTERS);
    if (wants_near(search) || is_one) {
        search->near = &search->lists[search->list_count++];
        search->near->k = fit(near, sound, rows->count, memory);
        memory -= search->near->k * PF_NEIGHBOURS_ROW_BYTES(1) * rows->count;
    }
    if (is_one) {
        search->voters = search->near;
    } else if (wants_voters(search) && references > 1) {
        search->voters = &search->lists[search->list_count++];
        search->voters->k = fit(MOST_VOTERS, references, rows->count, memory);
        search->voters->references = search->references;
    }
    say_short(search->voters, MOST_VOTERS, references - 1, "vote");
    if (search->near != search->voters) say_short(search->near, near, sound - 1, "are looked for");
    return 0;
}

static int find_neighbours(Search *search, PfError *err)
{
    if (plan_lists(search, err)) return -1;
    if (!search->list_count) return 0;
    PfNeighbourLists *out = &search->findings->neighbours;
    out->way.method = pf_inspect_options_method(search->options);
    pf_progress_start(&search->progress, "rows compared", search->rows->count);
    int failed = pf_neighbours_find(search->rows, search->lists, search->list_count, &out->way,
                                    on_progress, search, err);
    pf_progress_end(&search->progress);
    out->count = search->list_count;
    for (int list = 0; list < out->count; list++) {
        out->k[list] = search->lists[list].k;
        out->of_train_rows[list] = search->lists[list].references != NULL;
    }
    out->status.done = !failed;
    return failed;
}

/* ---- one after the other ---- */

static bool can_learn(const PfRows *rows)
{
    int32_t first = -1;
    for (int64_t i = 0; i < rows->count && rows->labels; i++) {
        if (!pf_probe_is_labelled(rows, i)) continue;
        if (first >= 0 && rows->labels[i] != first) return true;
        first = rows->labels[i];
    }
    return false;
}

static const char *why_no_labels(const PfRows *rows)
{
    return rows->target ? "no image has a label" : "the cache has no classes";
}

static const char *why_not_learn(const PfRows *rows)
{
    return rows->labels ? "all images with a label are of one class" : why_no_labels(rows);
}

/* Labels of the rows that have probabilities, and that the judge knows. known: (classes) NULL: all
 * of them. */
static int32_t *judged_labels(const PfRows *rows, const float *probabilities, const uint8_t *known,
                              PfError *err)
{
    int32_t *labels = pf_calloc((size_t)rows->count, sizeof *labels, err);
    for (int64_t i = 0; labels && i < rows->count; i++) {
        bool is_known = rows->labels[i] >= 0 && (!known || known[rows->labels[i]]);
        labels[i] = is_known && !isnan(probabilities[i * rows->class_count]) ? rows->labels[i] : -1;
    }
    return labels;
}

/* answers: of a model; NULL: the heads of the folds. */
static int judge_labels(Search *search, const PfModelAnswers *answers, PfError *err)
{
    const PfRows *rows = search->rows;
    PfLabelErrors *out = &search->findings->labels;
    int32_t *labels = judged_labels(rows, out->probabilities, answers ? answers->known : NULL, err);
    PfLabelProbabilities given = {rows->count, rows->class_count, labels, out->probabilities,
                                  answers ? answers->others : NULL};
    int failed = !labels || pf_label_errors_judge(&given, out, err);
    free(labels);
    if (!failed && !out->status.done)
        skip(&out->status, answers ? "the model knows the class of no image that has a label"
                                   : "all images with a label are of one group, or equal");
    if (!failed && search->voters)
        failed = pf_label_errors_ask_neighbours(rows, search->voters, VOTERS, out, err);
    return failed ? -1 : 0;
}

static int judge_by_model(Search *search, PfError *err)
{
    const PfInspectOptions *options = search->options;
    PfModelAnswers answers;
    /* Of several models, the comparison has named the classes that they do not know. */
    int failed = pf_models_predict(options->models[0], search->rows, options->model_count == 1,
                                   &answers, err);
    search->findings->labels.probabilities = answers.probabilities;
    answers.probabilities = NULL;
    if (!failed) failed = judge_labels(search, &answers, err);
    pf_model_answers_free(&answers);
    return failed;
}

/* Whether a probability of each class for each image, and so many bytes for each pair of classes,
 * take more memory than there may be. */
static bool skip_large_probabilities(const Search *search, int64_t pair_bytes,
                                     PfFindingStatus *status)
{
    const PfRows *rows = search->rows;
    const int64_t classes = rows->class_count;
    const int64_t bytes =
        rows->count * classes * (int64_t)sizeof(float) + classes * classes * pair_bytes;
    if (bytes <= rows->memory_bytes) return false;
    char needed[PF_SIZE_TEXT], free_bytes[PF_SIZE_TEXT];
    pf_format(status->reason, sizeof status->reason,
              "the probabilities of %lld images and %lld classes take %s, and %s may be taken; "
              "--memory allows more",
              (long long)rows->count, (long long)classes, pf_size_text(bytes, needed),
              pf_size_text(rows->memory_bytes, free_bytes));
    return true;
}

/* The lists of neighbours, where the table of pairs of classes has room beside them; else NULL. */
static const PfNeighbours *overlap_neighbours(const Search *search)
{
    const PfRows *rows = search->rows;
    const int64_t classes = rows->class_count, bytes = classes * classes * PF_VOTES_PAIR_BYTES;
    if (bytes <= rows->memory_bytes) return search->near;
    char needed[PF_SIZE_TEXT], free_bytes[PF_SIZE_TEXT];
    pf_warn("which classes look alike is not looked for, as the pairs of %lld classes take %s, and "
            "%s may be taken; --memory allows more",
            (long long)classes, pf_size_text(bytes, needed),
            pf_size_text(rows->memory_bytes, free_bytes));
    return NULL;
}

static int find_label_errors(Search *search, PfError *err)
{
    const PfInspectOptions *options = search->options;
    PfLabelErrors *out = &search->findings->labels;
    if (!search->all && !options->labels) return 0;
    if (!search->can_learn) {
        skip(&out->status, why_not_learn(search->rows));
        return 0;
    }
    if (skip_large_probabilities(search, PF_LABEL_ERRORS_PAIR_BYTES + PF_VOTES_PAIR_BYTES,
                                 &out->status))
        return 0;
    if (options->model_count) return judge_by_model(search, err);
    pf_progress_start(&search->progress, "folds", options->folds);
    int failed = pf_label_errors_out_of_fold(search->rows, options->folds, (uint64_t)options->seed,
                                             on_progress, search, out, err);
    pf_progress_end(&search->progress);
    return failed || judge_labels(search, NULL, err) ? -1 : 0;
}

static int find_by_neighbours(Search *search, PfError *err)
{
    const PfInspectOptions *options = search->options;
    const PfRows *rows = search->rows;
    PfFindings *findings = search->findings;
    const uint64_t *hashes = findings->odd.perceptual_hashes ? findings->odd.perceptual_hashes
                                                             : rows->files.perceptual_hashes;
    if ((search->all || options->duplicates) &&
        pf_duplicates_find(rows, search->near, hashes, options->threshold, &findings->duplicates,
                           err))
        return -1;
    if ((search->all || options->outliers) &&
        pf_outliers_find(rows, search->near, options->neighbour, &findings->outliers, err))
        return -1;
    if (search->all || options->classes) {
        if (!rows->labels)
            skip(&findings->classes.status, why_no_labels(rows));
        else if (pf_votes_classes(rows, overlap_neighbours(search), options->neighbour,
                                  &findings->classes, err))
            return -1;
    }
    if (!search->all && !options->knn) return 0;
    skip(&findings->knn.status,
         rows->labels ? "fewer than two train images have a label" : why_no_labels(rows));
    skip(&findings->knn_held_out.status, findings->knn.status.reason);
    return search->voters
               ? pf_votes_score(rows, search->voters, &findings->knn, &findings->knn_held_out, err)
               : 0;
}

/* Where the images are not, in words that may be sent on; the terminal has the whole sentence. */
static void hide_place(const Search *search, PfFindingStatus *status)
{
    if (!search->options->anonymous || !*status->reason) return;
    pf_warn("pixels: not looked for, as %" PF_SENTENCE, status->reason);
    skip(status, "the images are not where they were");
}

static int find_odd_images(Search *search, PfError *err)
{
    PfOddImages *out = &search->findings->odd;
    if (!search->options->pixels) {
        if (!search->all) return 0;
        if (search->rows->files.statistics_count) return pf_pixels_take(search->rows, out, err);
        skip(&out->status, "the cache was made without statistics of the pixels; --pixels reads "
                           "all images");
        return 0;
    }
    pf_progress_start(&search->progress, "images read", search->rows->count);
    int failed = pf_pixels_find(search->rows, search->options->images, search->options->max_pixels,
                                on_progress, search, out, err);
    pf_progress_end(&search->progress);
    hide_place(search, &out->status);
    return failed;
}

static int find_by_heads(Search *search, PfError *err)
{
    const PfInspectOptions *options = search->options;
    PfFindings *findings = search->findings;
    if (find_label_errors(search, err)) return -1;
    if ((search->all || options->next) &&
        pf_next_labels_choose(search->rows, options->next ? options->next : NEXT_DEFAULT,
                              &findings->next, err))
        return -1;
    if (!search->all && !options->few_shot) return 0;
    if (!search->can_learn) {
        skip(&findings->few_shot.status, why_not_learn(search->rows));
        return 0;
    }
    if (skip_large_probabilities(search, 0, &findings->few_shot.status)) return 0;
    pf_progress_start(&search->progress, "few-shot points", 0);
    int failed = pf_few_shot_measure(search->rows, options->seeds, (uint64_t)options->seed,
                                     on_progress, search, &findings->few_shot, err);
    pf_progress_end(&search->progress);
    return failed;
}

/* For the export, which need not look for them again. */
static int keep_nearest(const Search *search, PfError *err)
{
    const int64_t wanted = pf_min(PF_EXPORT_NEIGHBOURS, search->rows->count - 1);
    if (!search->options->export_folder || wanted < 1) return 0;
    if (!search->near || search->near->k < wanted) return 0;
    return pf_neighbours_first(search->near, (int)wanted, &search->findings->neighbours.nearest,
                               err);
}

int pf_search_run(const PfInspectOptions *options, const PfRows *rows, PfFindings *findings,
                  PfError *err)
{
    Search search = {.options = options,
                     .rows = rows,
                     .findings = findings,
                     .all = pf_inspect_options_wants_all(options),
                     .can_learn = can_learn(rows)};
    int failed = 0;
    if (search.all || options->features) failed = pf_features_check(rows, &findings->features, err);
    if (!failed && options->near) failed = pf_near_find(options, rows, &findings->near, err);
    if (!failed && options->model_count > 1)
        failed =
            pf_models_compare(options->models, options->model_count, rows, &findings->models, err);
    if (!failed)
        failed = find_odd_images(&search, err) || find_neighbours(&search, err) ||
                 find_by_neighbours(&search, err) || keep_nearest(&search, err) ||
                 find_by_heads(&search, err);
    for (int list = 0; list < 2; list++) pf_neighbours_free(&search.lists[list]);
    free(search.references);
    return failed ? -1 : 0;
}

#include "predict/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "inspect/images/images.h"
#include "inspect/model/model_outputs.h"
#include "inspect/page/cache_page.h"
#include "inspect/rows/rows.h"

#define MOST_TILES ((int64_t)600)
#define CAPTION_SIZE 160

static int make_room(PfPredictionReport *report, const PfScorer *scorer, PfError *err)
{
    size_t next = (size_t)report->count + 1, width = (size_t)scorer->outputs;
    size_t targets = (size_t)scorer->target_count;
    return pf_grow(&report->paths, &report->path_capacity, next, sizeof *report->paths, err) ||
                   pf_grow(&report->samples, &report->sample_capacity, next,
                           sizeof *report->samples, err) ||
                   pf_grow(&report->outputs, &report->output_capacity, next * width,
                           sizeof *report->outputs, err) ||
                   pf_grow(&report->widths, &report->width_capacity, next, sizeof *report->widths,
                           err) ||
                   pf_grow(&report->heights, &report->height_capacity, next,
                           sizeof *report->heights, err) ||
                   pf_grow(&report->splits, &report->split_capacity, next, sizeof *report->splits,
                           err) ||
                   pf_grow(&report->classes, &report->class_capacity, next * targets,
                           sizeof *report->classes, err) ||
                   pf_grow(&report->values, &report->value_capacity, next * width,
                           sizeof *report->values, err)
               ? -1
               : 0;
}

/* What is true of a row: an index of each target of classes, numbers of the others. */
static void take_truth(PfPredictionReport *report, const PfScorer *scorer, const PfReportedRow *row)
{
    float *values = report->values + report->count * scorer->outputs;
    int32_t *classes = report->classes + report->count * scorer->target_count;
    for (int i = 0; i < scorer->outputs; i++) values[i] = NAN;
    for (int t = 0; t < scorer->target_count; t++) {
        const PfScorerTarget *target = &scorer->targets[t];
        classes[t] = -1;
        if (!row->truth) continue;
        if (target->kind == PF_TARGET_CLASS)
            classes[t] = (int32_t)pf_max(-1, pf_truth_class(row->truth, t, &row->row));
        else
            pf_truth_values(row->truth, t, &row->row, values + target->first);
    }
    report->has_truth |= row->truth != NULL;
}

int pf_prediction_report_add(PfPredictionReport *report, const PfScorer *scorer,
                             const PfReportedRow *row, PfError *err)
{
    size_t width = (size_t)scorer->outputs, count = (size_t)report->count;
    if (make_room(report, scorer, err) || !(report->paths[count] = pf_strdup(row->path, err)))
        return -1;
    bool names_split = row->truth && row->part >= 0 && row->part < PF_SPLIT_COUNT;
    memcpy(report->outputs + count * width, row->outputs, width * sizeof *row->outputs);
    report->samples[count] = row->sample;
    report->widths[count] = row->width;
    report->heights[count] = row->height;
    report->splits[count] = names_split ? (uint8_t)row->part : PF_SPLIT_TEST;
    report->has_splits |= names_split;
    take_truth(report, scorer, row);
    report->count++;
    return 0;
}

void pf_prediction_report_free(PfPredictionReport *report)
{
    for (int64_t i = 0; i < report->count; i++) free(report->paths[i]);
    free(report->paths);
    free(report->samples);
    free(report->outputs);
    free(report->widths);
    free(report->heights);
    free(report->splits);
    free(report->classes);
    free(report->values);
    *report = (PfPredictionReport){0};
}

/* ---- images ---- */

/* The first target's answer; *sure: its probability, 1 of numbers. */
static void caption(const PfScorer *scorer, const float *outputs, char text[CAPTION_SIZE],
                    float *sure)
{
    const PfScorerTarget *target = &scorer->targets[0];
    const float *columns = outputs + target->first;
    int best;
    *sure = 1;
    if (target->kind == PF_TARGET_REGRESSION || target->kind == PF_TARGET_KEYPOINTS) {
        pf_format(text, CAPTION_SIZE, "%s %.4g", target->name, columns[0]);
        return;
    }
    pf_scorer_top(columns, target->outputs, 1, &best);
    *sure = columns[best];
    pf_format(text, CAPTION_SIZE, "%s (%.3f)", target->classes[best], columns[best]);
}

typedef struct Answer {
    float sure;
    int32_t row;
} Answer;

static int compare_answers(const void *a, const void *b)
{
    const Answer *left = a, *right = b;
    int order = (left->sure > right->sure) - (left->sure < right->sure);
    return order ? order : (left->row > right->row) - (left->row < right->row);
}

/* The least sure first. */
static int64_t fill_tiles(const PfPredictionReport *report, const PfScorer *scorer,
                          PfPageTile *tiles, char (*captions)[CAPTION_SIZE], Answer *answers)
{
    char text[CAPTION_SIZE];
    for (int64_t i = 0; i < report->count; i++) {
        answers[i].row = (int32_t)i;
        caption(scorer, report->outputs + i * scorer->outputs, text, &answers[i].sure);
    }
    qsort(answers, (size_t)report->count, sizeof *answers, compare_answers);
    int64_t count = pf_min(report->count, MOST_TILES);
    for (int64_t i = 0; i < count; i++) {
        float sure;
        caption(scorer, report->outputs + (int64_t)answers[i].row * scorer->outputs, captions[i],
                &sure);
        tiles[i] = (PfPageTile){.row = answers[i].row, .caption = captions[i]};
    }
    return count;
}

/* Columns of a table of rows, one after the other: (count, columns). */
static float *take_columns(const float *table, int64_t count, int width, int first, int columns,
                           PfError *err)
{
    float *out = pf_calloc((size_t)(count * columns) + 1, sizeof *out, err);
    for (int64_t i = 0; out && i < count; i++)
        memcpy(out + i * columns, table + i * width + first, (size_t)columns * sizeof *out);
    return out;
}

/* The page's targets, with arrays of their own. */
static int fill_targets(const PfPredictionReport *report, const PfScorer *scorer,
                        PfPageTarget *targets, PfError *err)
{
    for (int t = 0; t < scorer->target_count; t++) {
        const PfScorerTarget *from = &scorer->targets[t];
        PfPageTarget *to = &targets[t];
        *to = (PfPageTarget){.name = from->name,
                             .kind = from->kind,
                             .width = from->outputs,
                             .names = (const char *const *)from->classes};
        to->outputs = take_columns(report->outputs, report->count, scorer->outputs, from->first,
                                   from->outputs, err);
        if (!to->outputs) return -1;
        if (!report->has_truth) continue;
        if (from->kind != PF_TARGET_CLASS) {
            to->values = take_columns(report->values, report->count, scorer->outputs, from->first,
                                      from->outputs, err);
            if (!to->values) return -1;
            continue;
        }
        int32_t *labels = pf_calloc((size_t)report->count + 1, sizeof *labels, err);
        if (!labels) return -1;
        for (int64_t i = 0; i < report->count; i++)
            labels[i] = report->classes[i * scorer->target_count + t];
        to->labels = labels;
    }
    return 0;
}

static void free_targets(PfPageTarget *targets, int count)
{
    for (int t = 0; t < count && targets; t++) {
        free((void *)(uintptr_t)targets[t].outputs);
        free((void *)(uintptr_t)targets[t].values);
        free((void *)(uintptr_t)targets[t].labels);
    }
    free(targets);
}

static int write_page(const PfPredictionReport *report, const PfPredictOptions *options,
                      const PfScorer *scorer, const PfDataset *dataset,
                      const PfPreprocess *preprocess, PfPageData *data, PfError *err)
{
    const char *model = options->network.model, *slash = strrchr(model, '/');
    pf_page_add_fact(data, "images", "%lld", (long long)report->count);
    if (!options->anonymous) pf_page_add_fact(data, "model", "%s", slash ? slash + 1 : model);
    for (int t = 0; t < scorer->target_count; t++)
        if (scorer->targets[t].kind == PF_TARGET_KEYPOINTS) data->side = 210;
    if (!options->no_thumbnails &&
        pf_images_of_samples(dataset, report->samples, data->rows, &data->images, err))
        return -1;
    if (data->images) {
        pf_images_set_preprocess(data->images, preprocess);
        pf_images_set_max_pixels(data->images, options->max_pixels);
    }
    pf_page_prepare(data);
    int failed = pf_page_write(options->report, data, err);
    pf_images_close(&data->images);
    return failed;
}

int pf_prediction_report_write(const PfPredictionReport *report, const PfPredictOptions *options,
                               const PfScorer *scorer, const PfDataset *dataset,
                               const PfPreprocess *preprocess,
                               const volatile sig_atomic_t *interrupted, PfError *err)
{
    size_t count = (size_t)pf_min(report->count, MOST_TILES) + 1;
    PfPageTile *tiles = pf_calloc(count, sizeof *tiles, err);
    char(*captions)[CAPTION_SIZE] = pf_calloc(count, CAPTION_SIZE, err);
    Answer *answers = pf_calloc((size_t)report->count + 1, sizeof *answers, err);
    PfPageTarget *targets = pf_calloc((size_t)scorer->target_count + 1, sizeof *targets, err);
    PfPageGallery gallery = {.title = "Predictions", .note = "The least sure ones first."};
    PfPageData data = {.title = "Predictions",
                       .rows = report->count,
                       .paths = (const char *const *)report->paths,
                       .widths = report->widths,
                       .heights = report->heights,
                       .splits = report->has_splits ? report->splits : NULL,
                       .targets = targets,
                       .target_count = scorer->target_count,
                       .galleries = &gallery,
                       .gallery_count = 1,
                       .is_anonymous = options->anonymous,
                       .has_threshold = options->threshold >= 0,
                       .threshold = options->threshold,
                       .threads = options->threads,
                       .interrupted = interrupted,
                       .images_reason = "none were asked for"};
    int failed =
        !tiles || !captions || !answers || !targets || fill_targets(report, scorer, targets, err);
    if (!failed) {
        gallery.tiles = tiles;
        gallery.count = fill_tiles(report, scorer, tiles, captions, answers);
        if (gallery.count < report->count)
            gallery.note = "The least sure ones first; the surer ones are left out.";
        failed = write_page(report, options, scorer, dataset, preprocess, &data, err);
    }
    free(tiles);
    free(captions);
    free(answers);
    free_targets(targets, scorer->target_count);
    if (!failed) pf_say("page: %s", options->report);
    return failed ? -1 : 0;
}

/* ---- a cache ---- */

static bool has_tap(const PfCache *cache, const char *name)
{
    for (int t = 0; t < pf_cache_tap_count(cache); t++)
        if (!strcmp(pf_cache_tap(cache, t)->name, name)) return true;
    return false;
}

/* The first target of classes that the model predicts, else the cache's first; NULL: none. */
static const char *class_target(const PfCachePage *page)
{
    const char *first = NULL;
    for (int p = 0; p < page->data.target_count; p++) {
        const PfPageTarget *target = &page->data.targets[p];
        if (target->kind != PF_TARGET_CLASS) continue;
        if (target->outputs) return target->name;
        if (!first) first = target->name;
    }
    return first;
}

/* What the features tell; a cache of other taps, such as pixels, has none of the model's. */
static int add_rows(PfCachePage *page, const PfCacheReport *report, PfError *err)
{
    PfRowsConfig config = {.tap = report->scorer->tap,
                           .threads = page->data.threads,
                           .interrupted = report->interrupted};
    PfRows rows;
    if (!config.tap || !has_tap(report->cache, config.tap)) return 0;
    config.target = class_target(page);
    page->data.inspected = config.target;
    int failed = pf_rows_read(report->cache, &config, &rows, err) ||
                 pf_cache_page_nearest(page, &rows, err) ||
                 pf_cache_page_map(page, &rows, NULL, err);
    pf_rows_free(&rows);
    return failed;
}

int pf_prediction_report_write_cache(const PfCacheReport *report, const PfPredictOptions *options,
                                     PfError *err)
{
    PfCachePage page;
    PfCachePageConfig config = {.max_pixels = options->max_pixels,
                                .splits = report->splits,
                                .no_thumbnails = options->no_thumbnails,
                                .anonymous = options->anonymous,
                                .threads = options->threads,
                                .interrupted = report->interrupted};
    int failed = pf_cache_page_open(report->cache, &config, &page, err);
    page.data.has_threshold = options->threshold >= 0;
    page.data.threshold = options->threshold;
    failed = failed || pf_model_outputs_fill(&page, &options->network, report->broken, err);
    if (!failed) {
        pf_page_prepare(&page.data);
        failed = add_rows(&page, report, err) || pf_page_write(options->report, &page.data, err);
    }
    pf_cache_page_close(&page);
    if (!failed) pf_say("page: %s", options->report);
    return failed ? -1 : 0;
}

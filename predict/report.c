#include "predict/report.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "inspect/images/images.h"
#include "inspect/model/model_outputs.h"
#include "inspect/page/cache_page.h"

#define MOST_TILES ((int64_t)600)
#define CAPTION_SIZE 160

int pf_prediction_report_add(PfPredictionReport *report, const PfScorer *scorer, const char *path,
                             const float *outputs, PfError *err)
{
    size_t width = (size_t)scorer->outputs, count = (size_t)report->count;
    if (pf_grow(&report->paths, &report->path_capacity, count + 1, sizeof *report->paths, err) ||
        pf_grow(&report->outputs, &report->output_capacity, (count + 1) * width,
                sizeof *report->outputs, err) ||
        !(report->paths[count] = pf_strdup(path, err)))
        return -1;
    memcpy(report->outputs + count * width, outputs, width * sizeof *outputs);
    report->count++;
    return 0;
}

void pf_prediction_report_free(PfPredictionReport *report)
{
    for (int64_t i = 0; i < report->count; i++) free(report->paths[i]);
    free(report->paths);
    free(report->outputs);
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

static int write_page(const PfPredictionReport *report, const PfPredictOptions *options,
                      const PfScorer *scorer, const PfDataset *dataset, PfPageTile *tiles,
                      char (*captions)[CAPTION_SIZE], Answer *answers, PfError *err)
{
    const char *model = options->network.model, *slash = strrchr(model, '/');
    PfPageGallery gallery = {.title = "Predictions",
                             .note = "The least sure ones first.",
                             .tiles = tiles,
                             .count = fill_tiles(report, scorer, tiles, captions, answers)};
    PfPageData data = {.title = "Predictions",
                       .rows = report->count,
                       .paths = (const char *const *)report->paths,
                       .galleries = &gallery,
                       .gallery_count = 1,
                       .is_anonymous = options->anonymous,
                       .threads = options->threads,
                       .images_reason = "none were asked for"};
    if (gallery.count < report->count)
        gallery.note = "The least sure ones first; the surer ones are left out.";
    pf_page_add_fact(&data, "images", "%lld", (long long)report->count);
    if (!options->anonymous) pf_page_add_fact(&data, "model", "%s", slash ? slash + 1 : model);
    if (!options->no_thumbnails &&
        pf_images_of_dataset(dataset, data.paths, data.rows, &data.images, err))
        return -1;
    int failed = pf_page_write(options->report, &data, err);
    pf_images_close(&data.images);
    return failed;
}

int pf_prediction_report_write(const PfPredictionReport *report, const PfPredictOptions *options,
                               const PfScorer *scorer, const PfDataset *dataset, PfError *err)
{
    size_t count = (size_t)pf_min(report->count, MOST_TILES) + 1;
    PfPageTile *tiles = pf_calloc(count, sizeof *tiles, err);
    char(*captions)[CAPTION_SIZE] = pf_calloc(count, CAPTION_SIZE, err);
    Answer *answers = pf_calloc((size_t)report->count + 1, sizeof *answers, err);
    int failed = !tiles || !captions || !answers ||
                 write_page(report, options, scorer, dataset, tiles, captions, answers, err);
    free(tiles);
    free(captions);
    free(answers);
    if (!failed) pf_say("page: %s", options->report);
    return failed ? -1 : 0;
}

/* ---- a cache ---- */

int pf_prediction_report_write_cache(const PfPredictOptions *options, PfCache *cache, PfError *err)
{
    PfCachePage page;
    PfCachePageConfig config = {.no_thumbnails = options->no_thumbnails,
                                .anonymous = options->anonymous,
                                .threads = options->threads};
    int failed = pf_cache_page_open(cache, &config, &page, err) ||
                 pf_model_outputs_fill(&page, &options->network, NULL, err);
    if (!failed) {
        pf_page_prepare(&page.data);
        failed = pf_page_write(options->report, &page.data, err);
    }
    pf_cache_page_close(&page);
    if (!failed) pf_say("page: %s", options->report);
    return failed ? -1 : 0;
}

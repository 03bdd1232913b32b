#include "predict/predict.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/batch_choice.h"
#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/image_file.h"
#include "common/file/atomic_file.h"
#include "common/file/input_file.h"
#include "common/file/output.h"
#include "common/thread/parallel.h"
#include "common/thread/processors.h"
#include "extract/backbone/session.h"
#include "extract/dataset/dataset.h"
#include "extract/dataset/sample_reader.h"
#include "extract/image/pixel_tap.h"
#include "extract/pipeline/pipeline.h"
#include "inspect/model/model_outputs.h"
#include "predict/evaluate/evaluator.h"
#include "predict/evaluate/labelled_set.h"
#include "predict/model/class_map.h"
#include "predict/model/network.h"
#include "predict/model/own_classifier.h"
#include "predict/model/scorer.h"
#include "predict/output.h"
#include "predict/report.h"

/* The most pixels that a batch of crops has where the user says nothing: 32 of 512 x 512, or two
 * of 2048 x 2048. */
#define MOST_CROP_PIXELS ((int64_t)1 << 23)
/* Rows of a cache are scored at a time until their outputs take this much memory. */
#define BLOCK_BYTES ((int64_t)64 << 20)

typedef struct Prediction {
    const PfPredictOptions *options;
    const volatile sig_atomic_t *interrupted;
    PfModel *model;
    PfScorer *scorer;
    PfPredictionOutput output;
    PfPredictionReport report; /* what --report keeps of images */
    int report_failed;
    PfError report_error;
    PfPreprocess preprocess; /* the model's; crop 0 where it does not say */
    float *outputs;          /* (scorer->outputs) of one image */
    PfLabelledSet labelled;  /* --evaluate: truths, and... */
    PfEvaluator *evaluator;  /* ...what they are compared by; else NULL */
    cJSON *evaluation;       /* what came of it; NULL before the end */
    /* images */
    char **paths;
    size_t path_count, path_capacity;
    PfDataset *dataset;
    PfBackbonePlan *plan;
    PfBackboneSession session;
    PfPipeline *pipeline;
    PfProgress progress;
    PfPipelineStats stats;
    uint8_t *broken; /* (rows of the cache) for the page: 1 where a feature is not finite */
    int64_t broken_count;
    int64_t written;  /* rows, once all are */
    int64_t rejected; /* of them, without a label */
} Prediction;

static const cJSON *metadata_object(const Prediction *run, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(pf_model_metadata(run->model), key);
}

/* ---- which images ---- */

static int add_path(Prediction *run, const char *folder, const char *path, PfError *err)
{
    if (pf_grow(&run->paths, &run->path_capacity, run->path_count + 1, sizeof *run->paths, err))
        return -1;
    const char *slash = *folder && folder[strlen(folder) - 1] != '/' ? "/" : "";
    char *joined = pf_asprintf(err, "%s%s%s", folder, slash, path);
    if (!joined) return -1;
    run->paths[run->path_count++] = joined;
    return 0;
}

/* Members of archives have no paths in the file system, and do not go with files. Takes the dataset
 * over. */
static int take_archive(Prediction *run, const char *operand, PfDataset *dataset, PfError *err)
{
    run->dataset = dataset;
    if (run->options->operand_count == 1) return 0;
    return pf_fail(
        err, PF_EXIT_USAGE,
        "'%s' is an archive, and has to be the only operand; run predict once for it and "
        "once for the others",
        operand);
}

static int add_dataset(Prediction *run, const char *operand, PfError *err)
{
    PfDataset *dataset;
    int warnings, failed = 0, is_list = !strcmp(operand, "-");
    /* Nobody asks here which folders are splits. */
    PfDatasetOptions options = {
        .exact_split_names = 1, .may_fetch = true, .interrupted = run->interrupted};
    if (pf_dataset_open(operand, &options, &dataset, err)) return -1;
    if (!pf_dataset_has_files(dataset)) {
        pf_fail(err, PF_EXIT_USAGE,
                "'%s' holds %s, whose images are no files of their own. Hint: extract it, and give "
                "predict the cache",
                operand, pf_dataset_kind(dataset));
        pf_dataset_close(&dataset);
        return -1;
    }
    const char *const *texts = pf_dataset_warnings(dataset, &warnings);
    for (int i = 0; i < warnings; i++) pf_warn("%" PF_SENTENCE, texts[i]);
    if (pf_dataset_is_archive(dataset)) return take_archive(run, operand, dataset, err);
    for (int64_t i = 0; i < pf_dataset_count(dataset) && !failed; i++)
        failed = add_path(run, is_list ? "" : operand, pf_dataset_samples(dataset)[i].path, err);
    pf_dataset_close(&dataset);
    return failed;
}

static int list_images(Prediction *run, PfError *err)
{
    struct stat status;
    for (int i = 0; i < run->options->operand_count; i++) {
        const char *operand = run->options->operands[i];
        int is_dataset = !strcmp(operand, "-") || pf_dataset_names_archives(operand) ||
                         (!stat(operand, &status) && S_ISDIR(status.st_mode));
        if (is_dataset ? add_dataset(run, operand, err) : add_path(run, "", operand, err))
            return -1;
    }
    if (!run->dataset &&
        pf_dataset_open_paths((const char *const *)run->paths, run->path_count, &run->dataset, err))
        return -1;
    pf_dataset_limit_bytes(run->dataset, run->options->max_bytes);
    return 0;
}

/* ---- images ---- */

/* One image: number `row` of the dataset or cache; logits: where they are kept. */
typedef struct ScoredRow {
    int64_t row;
    const char *path;
    int width, height; /* 0: not known */
    bool is_broken;    /* a feature is NaN or infinite: there is no answer */
    const float *logits, *outputs;
} ScoredRow;

/* Of the i-th row that was scored last. */
static const float *logits_at(const Prediction *run, int64_t i)
{
    return run->scorer->logits ? run->scorer->logits + i * run->scorer->outputs : NULL;
}

/* It has a place among the rows and nothing else: no label, no part in the numbers or the page. */
static void write_broken_row(Prediction *run, const ScoredRow *scored)
{
    for (int i = 0; i < run->scorer->outputs; i++) run->outputs[i] = NAN;
    pf_prediction_output_set_novelty(&run->output, (double)NAN);
    pf_prediction_output_add(&run->output, scored->row, scored->path, run->outputs);
    if (run->broken) run->broken[scored->row] = 1;
    run->broken_count++;
}

/* Points are written in pixels of the image; where a cache does not know the image's size, in
 * pixels of the crop. */
static int write_row(Prediction *run, const ScoredRow *scored, PfError *err)
{
    int width = scored->width, height = scored->height;
    const float *outputs = scored->outputs;
    const PfPreprocess *preprocess = &run->preprocess;
    if (scored->is_broken) {
        write_broken_row(run, scored);
        return 0;
    }
    if (width > 0 && height > 0 && preprocess->crop > 0) {
        PfCropFrame frame = pf_crop_geometry_frame(preprocess->resize, preprocess->crop,
                                                   preprocess->squash, width, height);
        pf_scorer_to_image(run->scorer, &frame, outputs, run->outputs);
        outputs = run->outputs;
    }
    pf_prediction_output_add(&run->output, scored->row, scored->path, outputs);
    PfReportedRow reported = {.path = scored->path,
                              .sample = scored->row,
                              .width = width,
                              .height = height,
                              .outputs = outputs};
    if (run->evaluator) {
        reported.truth = run->labelled.truth;
        reported.row = pf_labelled_set_row(&run->labelled, scored->row);
        reported.part = pf_labelled_set_part(&run->labelled, scored->row);
    }
    if (run->options->report && run->dataset && !run->report_failed)
        run->report_failed =
            pf_prediction_report_add(&run->report, run->scorer, &reported, &run->report_error);
    if (!run->evaluator) return 0;
    return pf_evaluator_add(run->evaluator, reported.part, &reported.row, scored->logits, outputs,
                            err);
}

/* Paths of a dataset are written with its folder in front, as those of folders that are only
 * predicted are. */
static int write_image(Prediction *run, const PfPipelineRow *row, int64_t i, const float *outputs,
                       PfError *err)
{
    const PfDataset *dataset = run->dataset;
    bool joins = run->evaluator && pf_dataset_has_files(dataset) && !pf_dataset_is_archive(dataset);
    const char *root = joins ? pf_dataset_root(dataset) : "";
    const char *slash =
        *root && root[strlen(root) - 1] != '/' && row->file.path[0] != '/' ? "/" : "";
    char *path = joins ? pf_asprintf(err, "%s%s%s", row->file.path[0] == '/' ? "" : root, slash,
                                     row->file.path)
                       : NULL;
    if (joins && !path) return -1;
    ScoredRow scored = {.row = row->sample,
                        .path = path ? path : row->file.path,
                        .width = row->file.width,
                        .height = row->file.height,
                        .is_broken = !pf_scorer_is_finite(run->scorer, i),
                        .logits = logits_at(run, i),
                        .outputs = outputs};
    int failed = write_row(run, &scored, err);
    free(path);
    return failed;
}

static int sink_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Prediction *run = context;
    const float *outputs;
    PfDtype dtype = pf_pixel_tap_dtype(run->scorer->tap, run->plan->store);
    if (pf_scorer_score(run->scorer, count, features[0], dtype, &outputs, err)) return -1;
    for (int i = 0; i < count; i++) {
        pf_prediction_output_set_novelty(&run->output, pf_scorer_novelty(run->scorer, i));
        if (write_image(run, &rows[i], i, outputs + (int64_t)i * run->scorer->outputs, err))
            return -1;
    }
    return pf_prediction_output_check_written(&run->output, err);
}

static int sink_rejected(void *context, const PfPipelineRow *row, const char *reason, PfError *err)
{
    Prediction *run = context;
    (void)err;
    pf_progress_end(&run->progress);
    pf_warn("%s: %" PF_SENTENCE, row->file.path, reason);
    return 0;
}

static void sink_progress(void *context, int64_t done)
{
    Prediction *run = context;
    pf_progress_update(&run->progress, done, NULL);
}

static void sink_interrupted(void *context)
{
    pf_prediction_output_flush(&((Prediction *)context)->output);
}

/* Assertions on what the evaluation will not have are told before anything long. */
static int begin_evaluation(Prediction *run, int64_t rows, PfError *err)
{
    const PfPredictOptions *options = run->options;
    bool parts[PF_EVALUATOR_PARTS];
    if (pf_evaluator_new(run->labelled.truth, options->threads, &run->evaluator, err)) return -1;
    if (options->threshold >= 0) {
        pf_evaluator_set_threshold(run->evaluator, options->threshold);
        pf_say("labels count as predicted above a probability of %g, in the rows and in the "
               "numbers",
               options->threshold);
    }
    pf_labelled_set_parts(&run->labelled, rows, parts);
    for (int i = 0; i < options->assertion_count; i++)
        if (pf_evaluator_check_path(run->evaluator, parts, options->assertions[i].path, err))
            return -1;
    return 0;
}

/* Called when the model, the network and the input, of so many rows, are open: from then on only
 * single images can fail. */
static int begin_output(Prediction *run, int64_t rows, PfError *err)
{
    const bool evaluates = run->options->evaluate;
    if (evaluates && begin_evaluation(run, rows, err)) return -1;
    return pf_prediction_output_begin(&run->output, run->scorer, run->options,
                                      evaluates ? &run->labelled : NULL, err);
}

static int64_t crop_pixels(const Prediction *run)
{
    return (int64_t)run->preprocess.crop * run->preprocess.crop;
}

/* The size of the network's input comes from the model's file, which may be anybody's, and decides
 * how much memory is taken. */
static int check_crop(const Prediction *run, PfError *err)
{
    int64_t most = run->options->max_pixels ? run->options->max_pixels : MOST_CROP_PIXELS;
    if (crop_pixels(run) <= most) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s' takes images of %d x %d pixels, and the network at most %lld at a "
                   "time. Hint: --max-pixels %lld, if there is memory for it",
                   run->options->network.model, run->preprocess.crop, run->preprocess.crop,
                   (long long)most, (long long)crop_pixels(run));
}

/* A batch is never larger than the number of images, and large crops get a small one. */
static int wanted_batch(const Prediction *run)
{
    int64_t total = pf_dataset_count(run->dataset), fit = MOST_CROP_PIXELS / crop_pixels(run);
    if (run->options->batch) return (int)pf_min(total, run->options->batch);
    int64_t most = pf_max(1, pf_min(fit, PF_BATCH_USUAL));
    if (total < most) return (int)total;
    return most < PF_BATCH_USUAL ? (int)most : 0;
}

static int worker_count(const Prediction *run)
{
    return run->options->workers ? run->options->workers : pf_parallel_processor_count();
}

static int open_network(Prediction *run, PfError *err)
{
    PfBackboneSession *session = &run->session;
    session->plan = run->plan;
    session->wanted_batch = wanted_batch(run);
    session->images = pf_dataset_count(run->dataset);
    if (pf_backbone_session_open(session, (const char *const *)run->plan->taps,
                                 run->plan->tap_count, err))
        return -1;
    int64_t features = pf_shape_count(&session->taps[0].shape);
    if (features != run->scorer->features)
        return pf_fail(err, PF_EXIT_IDENTITY,
                       "model '%s' takes %lld features; tap '%s' of the network gives %lld",
                       run->options->network.model, (long long)run->scorer->features,
                       session->taps[0].name, (long long)features);
    pf_processors_say();
    pf_say("runs on %s", session->runtime);
    return 0;
}

static int open_pipeline(Prediction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfPipelineConfig config = {
        .dataset = run->dataset,
        .preprocess = &run->plan->preprocess,
        .workers = worker_count(run),
        .readers = run->options->readers,
        .max_pixels = run->options->max_pixels,
        .interrupted = interrupted,
    };
    return pf_pipeline_open(&config, &run->pipeline, err);
}

static int run_pipeline(Prediction *run, PfError *err)
{
    const PfBackboneSession *session = &run->session;
    PfPipelineNetwork network = {
        .plugin = session->plugin,
        .backbones = session->backbones,
        .backbone_count = session->backbone_count,
        .output_dtype = PF_DTYPE_F32,
        .batch = session->batch,
    };
    PfPipelineSink sink = {.context = run,
                           .rows = sink_rows,
                           .rejected = sink_rejected,
                           .progress = sink_progress,
                           .interrupted = sink_interrupted};
    pf_progress_start(&run->progress, "images", pf_dataset_count(run->dataset));
    int failed = pf_pipeline_run(run->pipeline, &network, &sink, &run->stats, err);
    pf_progress_end(&run->progress);
    pf_backbone_session_warn_of_slices(&run->session);
    return failed;
}

/* --evaluate: the set as extract understands it, which says what is true of each image. */
static int open_labelled(Prediction *run, PfError *err)
{
    int warnings, remarks;
    PfDatasetOptions options = run->options->dataset;
    options.may_fetch = true;
    options.interrupted = run->interrupted;
    if (pf_labelled_set_open_dataset(run->scorer, run->options->operands[0], &options,
                                     &run->dataset, err))
        return -1;
    const char *const *texts = pf_dataset_warnings(run->dataset, &warnings);
    for (int i = 0; i < warnings; i++) pf_warn("%" PF_SENTENCE, texts[i]);
    texts = pf_dataset_remarks(run->dataset, &remarks);
    for (int i = 0; i < remarks; i++) pf_say("%" PF_SENTENCE, texts[i]);
    pf_dataset_limit_bytes(run->dataset, run->options->max_bytes);
    return pf_labelled_set_of_dataset(run->scorer, run->model, run->options->operands[0],
                                      run->dataset, &run->labelled, err);
}

static int predict_images(Prediction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    if ((run->options->evaluate ? open_labelled(run, err) : list_images(run, err)) ||
        pf_model_network_plan(run->model, &run->options->network, run->scorer->tap, &run->plan,
                              err) ||
        check_crop(run, err) || open_pipeline(run, interrupted, err) || open_network(run, err) ||
        begin_output(run, pf_dataset_count(run->dataset), err))
        return -1;
    if (run_pipeline(run, err)) return -1;
    if (!run->options->report) return 0;
    if (run->report_failed)
        return pf_fail(err, PF_EXIT_FAILED, "%" PF_SENTENCE, run->report_error.message);
    return pf_prediction_report_write(&run->report, run->options, run->scorer, run->dataset,
                                      &run->plan->preprocess, interrupted, err);
}

/* ---- the rows of a cache ---- */

/* The i-th of the rows that were scored last. */
static int write_cached_row(Prediction *run, const PfCache *cache, const PfImageFiles *files,
                            int64_t row, int64_t i, const float *outputs, PfError *err)
{
    char name[PF_ROW_NAME_SIZE];
    PfImageFile file = pf_image_files_at(files, row);
    if (!file.path) file.path = pf_image_file_row_name(cache, row, name);
    ScoredRow scored = {.row = row,
                        .path = file.path,
                        .width = file.width,
                        .height = file.height,
                        .is_broken = !pf_scorer_is_finite(run->scorer, i),
                        .logits = logits_at(run, i),
                        .outputs = outputs + i * run->scorer->outputs};
    return write_row(run, &scored, err);
}

/* After a block of rows: whether to go on. */
static int check_going(const Prediction *run, PfError *err)
{
    if (*run->interrupted) return pf_fail(err, PF_EXIT_INTERRUPTED, "interrupted");
    return pf_prediction_output_check_written(&run->output, err);
}

static int score_cache_rows(Prediction *run, PfCachedFeatures *cached, PfError *err)
{
    PfCache *cache = cached->cache;
    int64_t outputs_fit = BLOCK_BYTES / (run->scorer->outputs * (int64_t)sizeof(float)) + 1;
    int64_t block = pf_min(cached->block_rows, outputs_fit);
    int64_t rows = pf_cache_row_count(cache);
    PfImageFiles files;
    int failed = pf_image_files_read(cache, &files, err);
    float *features =
        pf_alloc_aligned((size_t)(block * run->scorer->features), sizeof *features, err);
    failed = failed || !features;
    for (int64_t first = 0; first < rows && !failed; first += block) {
        int64_t count = pf_min(rows - first, block);
        const float *outputs;
        failed = pf_cached_features_read(cached, first, count, features, err) ||
                 pf_scorer_score(run->scorer, count, features, PF_DTYPE_F32, &outputs, err);
        for (int64_t i = 0; i < count && !failed; i++) {
            pf_prediction_output_set_novelty(&run->output, pf_scorer_novelty(run->scorer, i));
            failed = write_cached_row(run, cache, &files, first + i, i, outputs, err);
        }
        failed = failed || check_going(run, err);
    }
    free(features);
    pf_image_files_free(&files);
    return failed ? -1 : 0;
}

/* Points of a crop cannot be compared with those of an image whose size nobody knows. */
static int check_points(const Prediction *run, PfCache *cache, PfError *err)
{
    size_t rows = (size_t)pf_cache_row_count(cache);
    bool has_points = false;
    for (int t = 0; t < run->scorer->target_count; t++)
        has_points |= run->scorer->targets[t].kind == PF_TARGET_KEYPOINTS;
    if (!has_points) return 0;
    int32_t *widths = pf_calloc(rows + 1, sizeof *widths, err);
    int32_t *heights = pf_calloc(rows + 1, sizeof *heights, err);
    int failed = !widths || !heights || pf_cache_read_image_sizes(cache, widths, heights, err);
    free(widths);
    free(heights);
    return failed ? -1 : 0;
}

/* Before the rows are scored: what the page will need. With --evaluate the labelled set has the
 * splits. */
static int prepare_page(Prediction *run, PfCache *cache, PfError *err)
{
    const PfPredictOptions *options = run->options;
    size_t rows = (size_t)pf_cache_row_count(cache);
    if (pf_model_outputs_check(run->scorer, options->network.model, cache, err)) return -1;
    run->broken = pf_calloc(rows + 1, sizeof *run->broken, err);
    if (!run->broken) return -1;
    return options->evaluate
               ? 0
               : pf_labelled_set_cache_splits(run->scorer, run->model, cache, &run->labelled.splits,
                                              &run->labelled.names_splits, err);
}

static int write_page(const Prediction *run, PfCache *cache, PfError *err)
{
    const PfCacheReport report = {.scorer = run->scorer,
                                  .cache = cache,
                                  .splits =
                                      run->labelled.names_splits ? run->labelled.splits : NULL,
                                  .broken = run->broken,
                                  .interrupted = run->interrupted};
    return pf_prediction_report_write_cache(&report, run->options, err);
}

static int predict_cache(Prediction *run, const char *path, PfError *err)
{
    PfCache *cache;
    PfCachedFeatures cached = {0};
    const char *sources_from = run->options->sources_from;
    const char *of_set = pf_predict_options_of_set(run->options);
    if (of_set)
        return pf_fail(err, PF_EXIT_USAGE, "%s says how files are read, and '%s' is a cache",
                       of_set, path);
    if ((sources_from && pf_cache_allow_sources(sources_from, err)) ||
        pf_cache_open(path, &cache, err))
        return -1;
    int failed = pf_model_network_check_cache(run->model, run->options->network.model,
                                              run->scorer->tap, cache, err) ||
                 pf_cached_features_open(run->model, &run->options->network, run->scorer->tap,
                                         run->scorer->features, cache, &cached, err);
    if (!failed && run->options->report) failed = prepare_page(run, cache, err);
    if (!failed && run->options->evaluate)
        failed = check_points(run, cache, err) ||
                 pf_labelled_set_of_cache(run->scorer, run->model, cache, &run->labelled, err);
    if (!failed && !run->output.count) failed = begin_output(run, pf_cache_row_count(cache), err);
    if (!failed) failed = score_cache_rows(run, &cached, err);
    if (!failed && run->options->report) failed = write_page(run, cache, err);
    pf_cached_features_close(&cached);
    pf_cache_close(&cache);
    return failed ? -1 : 0;
}

/* ---- a run ---- */

static int predict(Prediction *run, const volatile sig_atomic_t *interrupted, PfError *err)
{
    const PfPredictOptions *options = run->options;
    int caches = 0;
    for (int i = 0; i < options->operand_count; i++)
        caches += pf_input_file_is_hdf5(options->operands[i]);
    if (caches && caches < options->operand_count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "caches and images in one run: call predict once for each");
    if (!caches && options->sources_from)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--sources-from goes with virtual caches: images have no parts elsewhere");
    if (options->report && caches > 1)
        return pf_fail(err, PF_EXIT_USAGE, "--report: a page is of images, or of one cache");
    if (!caches) return predict_images(run, interrupted, err);
    if (options->network.emulate)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--emulate goes with images: rows of a cache have their features");
    for (int i = 0; i < caches; i++)
        if (predict_cache(run, options->operands[i], err)) return -1;
    return 0;
}

/* What came out, and where time went. */
static void print_summary(const Prediction *run, double started)
{
    char elapsed[PF_DURATION_SIZE], speed[96] = "";
    if (run->stats.seconds > 0)
        snprintf(speed, sizeof speed, ": network loaded in %.2f s, then %.1f images/s",
                 run->session.load_seconds, pf_pipeline_rate(&run->stats, worker_count(run)));
    if (run->stats.rotated)
        pf_say("%lld of %lld images carr%s an EXIF rotation: %s, as in the model's features",
               (long long)run->stats.rotated, (long long)run->stats.images,
               run->stats.rotated == 1 ? "ies" : "y", run->preprocess.exif ? "applied" : "ignored");
    if (run->stats.truncated)
        pf_say("%lld of %lld images are files that end early, taken as far as they go, as in the "
               "model's features",
               (long long)run->stats.truncated, (long long)run->stats.images);
    if (run->stats.transparent)
        pf_say("%lld of %lld images are partly transparent: %s, as in the model's features",
               (long long)run->stats.transparent, (long long)run->stats.images,
               run->preprocess.has_background ? "laid over the model's background" : "dropped");
    if (run->options->reject <= 100)
        pf_say("%lld of %lld have no label: their novelty is beyond %g", (long long)run->rejected,
               (long long)run->written, run->options->reject);
    pf_say("%lld prediction%s by %s in %s%s", (long long)run->written, run->written == 1 ? "" : "s",
           run->options->network.model,
           pf_clock_duration_text(pf_clock_seconds() - started, elapsed), speed);
}

static void warn_of_broken(const Prediction *run)
{
    const char *counted = run->evaluator ? ", and count in no number" : "";
    if (run->broken_count)
        pf_warn("%lld of %lld rows have features that are NaN or infinite: they get no label%s",
                (long long)run->broken_count, (long long)run->written, counted);
}

/* Metrics to stderr, their JSON to the writer. *text: to be freed. */
static int finish_evaluation(Prediction *run, char **text, PfError *err)
{
    if (!run->evaluator) return 0;
    const int64_t rows = pf_prediction_output_rows(&run->output);
    if (rows && run->broken_count == rows)
        return pf_fail(err, PF_EXIT_FAILED,
                       "--evaluate: all %lld rows have features that are NaN or infinite",
                       (long long)rows);
    if (pf_evaluator_finish(run->evaluator, err)) return -1;
    pf_evaluator_print(run->evaluator);
    run->evaluation = pf_evaluator_json(run->evaluator);
    *text = pf_json_text(run->evaluation);
    pf_prediction_output_set_evaluation(&run->output, *text);
    return *text ? 0 : pf_fail(err, PF_EXIT_FAILED, "out of memory");
}

/* Whether the numbers are as they were to be: once the rows are written, which tell why not. */
static int check_assertions(const Prediction *run, PfError *err)
{
    const PfPredictOptions *options = run->options;
    for (int i = 0; i < options->assertion_count; i++)
        if (pf_assertion_check(&options->assertions[i], run->evaluation, err)) return -1;
    return 0;
}

static void release(Prediction *run)
{
    pf_evaluator_free(&run->evaluator);
    cJSON_Delete(run->evaluation);
    pf_labelled_set_free(&run->labelled);
    pf_pipeline_close(&run->pipeline);
    pf_backbone_session_close(&run->session);
    pf_backbone_plan_free(&run->plan);
    pf_dataset_close(&run->dataset);
    for (size_t i = 0; i < run->path_count; i++) free(run->paths[i]);
    free(run->paths);
    free(run->broken);
    free(run->outputs);
    pf_prediction_report_free(&run->report);
    pf_scorer_free(&run->scorer);
    pf_model_close(&run->model);
}

static bool predicts(const PfScorer *scorer, PfTargetKind kind)
{
    for (int t = 0; t < scorer->target_count; t++)
        if (scorer->targets[t].kind == kind) return true;
    return false;
}

/* Options that are about kinds of targets which the model does not have. */
static int check_kinds(const Prediction *run, PfError *err)
{
    const PfPredictOptions *options = run->options;
    const char *model = options->network.model;
    if (options->threshold >= 0 && !predicts(run->scorer, PF_TARGET_MULTILABEL))
        return pf_fail(
            err, PF_EXIT_USAGE,
            "--threshold is for targets of several labels, and model '%s' predicts none: "
            "'%s' is of kind %s",
            model, run->scorer->targets[0].name, pf_target_kind_name(run->scorer->targets[0].kind));
    if (options->top > 1 && !predicts(run->scorer, PF_TARGET_CLASS))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--top is for targets of classes, and model '%s' predicts none: '%s' is of "
                       "kind %s",
                       model, run->scorer->targets[0].name,
                       pf_target_kind_name(run->scorer->targets[0].kind));
    return 0;
}

static int open_model(Prediction *run, PfError *err)
{
    const PfModelNetworkOptions *network = &run->options->network;
    if (pf_own_classifier_or_model(network, &run->model, err) ||
        pf_scorer_new(run->model, &run->scorer, err) || check_kinds(run, err) ||
        pf_class_map_apply(run->scorer, network->class_map, err) ||
        ((run->options->novelty || run->options->reject <= 100) &&
         pf_scorer_want_novelty(run->scorer, run->model, err)))
        return -1;
    PfPreprocess later; /* than this version can read, which is another matter than by hand */
    PfError found = {0};
    if (pf_preprocess_json_read_later(metadata_object(run, "preprocess"), &later, &found))
        return pf_fail(err, found.exit_code, "model '%s': %" PF_SENTENCE, network->model,
                       found.message);
    if (pf_preprocess_json_read(metadata_object(run, "preprocess"), &run->preprocess, NULL))
        run->preprocess = (PfPreprocess){0}; /* made by hand: for caches alone */
    run->scorer->keeps_logits = run->options->evaluate;
    run->outputs = pf_calloc((size_t)run->scorer->outputs, sizeof *run->outputs, err);
    return run->outputs ? 0 : -1;
}

/* Says now what would go wrong after the predictions. */
static int check_report(const PfPredictOptions *options, PfError *err)
{
    const PfOutput output = {"--report", options->report, PF_CONTENT_PAGE};
    if (!options->report) return 0;
    return pf_output_check_input(&output, options->network.model, "the model", err) ||
                   pf_output_check_content(&output, err) ||
                   pf_atomic_file_check(options->report, err)
               ? -1
               : 0;
}

int pf_prediction_run(const PfPredictOptions *options, const volatile sig_atomic_t *interrupted,
                      PfError *err)
{
    Prediction run = {.options = options, .interrupted = interrupted};
    double started = pf_clock_seconds();
    char *evaluation = NULL;
    int failed = check_report(options, err) || pf_prediction_output_check(options, err) ||
                 open_model(&run, err) || predict(&run, interrupted, err) ||
                 finish_evaluation(&run, &evaluation, err);
    run.written = pf_prediction_output_rows(&run.output);
    run.rejected = pf_prediction_output_rejected(&run.output);
    warn_of_broken(&run);
    if (pf_prediction_output_end(&run.output, failed != 0, err)) failed = 1;
    free(evaluation);
    if (!failed) failed = check_assertions(&run, err);
    if (!failed && run.stats.rejected)
        failed = pf_fail(err, PF_EXIT_BAD_IMAGES, "%lld of %lld images could not be used",
                         (long long)run.stats.rejected, (long long)pf_dataset_count(run.dataset));
    if (!failed) print_summary(&run, started);
    if (!failed && run.dataset) pf_dataset_remove_fetched(run.dataset);
    release(&run);
    return failed ? -1 : 0;
}

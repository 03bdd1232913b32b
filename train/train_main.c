/* train: a head on the features of a cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "atomic_file.h"
#include "clock.h"
#include "head_model.h"
#include "interrupt.h"
#include "log.h"
#include "memory.h"
#include "report.h"
#include "train_options.h"

static const volatile sig_atomic_t *interrupted;

/* Says now what would go wrong after the training. */
static int check_output(const char *path, const char *cache_path, PfError *err)
{
    struct stat output, cache;
    if (!path) return 0;
    if (!stat(path, &output) && !stat(cache_path, &cache) && output.st_dev == cache.st_dev &&
        output.st_ino == cache.st_ino)
        return pf_fail(err, PF_EXIT_USAGE, "'%s' is the cache itself; choose another output", path);
    return pf_atomic_file_check(path, err);
}

static void on_epoch(void *context, const PfEpochStats *stats)
{
    pf_epoch_table_add(context, stats);
}

static int on_step(void *context, int64_t done, int64_t total)
{
    (void)total;
    pf_epoch_table_step(context, done);
    return *interrupted != 0;
}

static int train_and_evaluate(PfFeatureTable *table, PfTrainRun *run, PfTrainResult *result,
                              PfError *err)
{
    const PfTrainConfig *config = run->config;
    int64_t steps = (table->split_counts[PF_SPLIT_TRAIN] + config->batch - 1) / config->batch;
    PfEpochTable lines;
    PfTrainObserver observer = {&lines, on_epoch, on_step};
    pf_epoch_table_start(&lines, config->epochs, steps * config->epochs);
    int failed = pf_train_head(table, config, &observer, result, err);
    pf_epoch_table_end(&lines);
    run->result = result;
    for (int split = 0; split < PF_SPLIT_COUNT && !failed; split++)
        failed = pf_evaluate_split(table, result->head, (PfSplit)split, config->threads,
                                   &run->metrics[split], err);
    return failed;
}

static int write_json(const char *path, const cJSON *result, PfError *err)
{
    char *text = cJSON_Print(result);
    if (!text) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    int failed = 0;
    if (!strcmp(path, "-")) {
        if (puts(text) < 0 || fflush(stdout)) failed = pf_fail_errno(err, "cannot write to stdout");
    } else {
        size_t length = strlen(text);
        text[length] = '\n'; /* in place of the terminator */
        failed = pf_atomic_file_write(path, text, length + 1, err);
    }
    free(text);
    return failed;
}

/* JSON first, so that a run that misses its --assert can be looked into. */
static int write_results(const PfTrainOptions *options, PfTrainRun *run, const float *mean,
                         const float *scale, PfError *err)
{
    int knows_backbone = 1;
    cJSON *json = pf_report_json(run);
    int failed = options->json && write_json(options->json, json, err);
    for (int i = 0; i < options->assertion_count && !failed; i++)
        failed = pf_assertion_check(&options->assertions[i], json, err);
    cJSON_Delete(json);
    if (failed || !options->output) return failed;
    if (run->normalize == PF_NORMALIZE_STANDARDIZE)
        pf_head_fold_normalization(run->result->head, mean, scale);
    failed = pf_head_model_write(options->output, run, run->result->head, &knows_backbone, err);
    if (!failed && !knows_backbone)
        pf_warn("'%s' does not say which network its features come from: predict can use this "
                "model on caches only, not on images",
                pf_cache_path(run->cache));
    return failed;
}

static int run_on_table(const PfTrainOptions *options, PfTrainRun *run, PfFeatureTable *table,
                        double started, PfError *err)
{
    PfTrainResult result = {0};
    size_t d = (size_t)table->features;
    float *mean = pf_calloc(2 * d, sizeof *mean, err);
    if (!mean) return -1;
    int failed = pf_normalize(table, run->normalize, run->config->threads, mean, mean + d, err);
    run->load_seconds = pf_seconds() - started;
    if (!failed) pf_report_plan(run);
    if (!failed) failed = train_and_evaluate(table, run, &result, err);
    run->total_seconds = pf_seconds() - started;
    if (!failed) pf_report_summary(run);
    if (!failed) failed = write_results(options, run, mean, mean + d, err);
    run->total_seconds = pf_seconds() - started;
    if (!failed) pf_report_end(run, options->output);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) pf_metrics_free(&run->metrics[split]);
    pf_train_result_free(&result);
    free(mean);
    return failed;
}

static int run_on_cache(PfTrainOptions *options, PfCache *cache, double started, PfError *err)
{
    PfFeatureTable *table;
    int tap, target;
    if (pf_feature_table_choose(cache, &options->table, &tap, &target, err) ||
        pf_feature_table_load(cache, tap, target, &options->table, &table, err))
        return -1;
    PfTrainConfig *train = &options->train;
    if (!train->epochs)
        train->epochs = pf_default_epochs(table->split_counts[PF_SPLIT_TRAIN], train->batch);
    PfTrainRun run = {
        .cache = cache,
        .tap = pf_cache_tap(cache, tap),
        .target = pf_cache_target(cache, target),
        .table = table,
        .config = train,
        .normalize = options->normalize,
        .val = table->val,
    };
    int failed = run_on_table(options, &run, table, started, err);
    pf_feature_table_free(&table);
    return failed;
}

static int train(PfTrainOptions *options, PfError *err)
{
    double started = pf_seconds();
    PfCache *cache;
    const char *json = options->json && strcmp(options->json, "-") ? options->json : NULL;
    if (check_output(options->output, options->cache, err) ||
        check_output(json, options->cache, err) || pf_cache_open(options->cache, &cache, err))
        return -1;
    pf_head_setup();
    int failed = run_on_cache(options, cache, started, err);
    pf_cache_close(&cache);
    return failed;
}

int main(int argc, char **argv)
{
    PfTrainOptions options;
    PfError err = {0};
    pf_log_setup("train", PF_NORMAL);
    if (pf_train_options_parse(argc, argv, &options, &err)) return pf_report_error(&err);
    pf_log_setup("train", options.quiet ? PF_QUIET : options.verbose ? PF_VERBOSE : PF_NORMAL);
    if (options.help) {
        pf_train_options_help();
    } else if (options.version) {
        puts("train (permafrost) " PF_VERSION);
    } else {
        interrupted = pf_interrupt_catch();
        if (train(&options, &err)) return pf_report_error(&err);
    }
    return PF_EXIT_DONE;
}

/* train: a head on the features of a cache. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "assertion.h"
#include "atomic_file.h"
#include "clock.h"
#include "head_model.h"
#include "log.h"
#include "memory.h"
#include "options.h"
#include "report.h"

#define MAX_ASSERTIONS 32

typedef struct Settings {
    PfFeatureTableConfig table;
    PfTrainConfig train;           /* epochs and rate 0 until finish_settings */
    double weight_decay, momentum; /* -1 where not given */
    PfNormalize normalize;
    int64_t seed;
    const char *output, *json;
    PfAssertion assertions[MAX_ASSERTIONS];
    int assertion_count;
    int quiet, verbose, help, version;
} Settings;

static volatile sig_atomic_t stop_requested;

static void request_stop(int number)
{
    (void)number;
    stop_requested = 1;
}

/* The first Ctrl-C ends the run in order, a second one at once. */
static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = request_stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
}

/* ---- options ---- */

static int choose_word(const char *option, const char *value, const char *const *words,
                       size_t count, size_t *chosen, PfError *err)
{
    char list[160] = "";
    for (*chosen = 0; *chosen < count; ++*chosen)
        if (!strcmp(value, words[*chosen])) return 0;
    for (size_t i = 0; i < count; i++) strcat(strcat(list, i ? ", " : ""), words[i]);
    return pf_fail(err, PF_EXIT_USAGE, "--%s: expected one of %s, found '%s'", option, list, value);
}

static int parse_head(void *settings, const char *value, PfError *err)
{
    (void)settings;
    static const char *const words[] = {"linear"};
    size_t chosen;
    return choose_word("head", value, words, 1, &chosen, err);
}

static int parse_optimizer(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"adam", "adamw", "sgd"};
    size_t chosen;
    if (choose_word("optimizer", value, words, 3, &chosen, err)) return -1;
    ((Settings *)settings)->train.optimizer = pf_optimizer_config((PfOptimizerKind)chosen);
    return 0;
}

static int parse_normalize(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"none", "standardize", "l2"};
    size_t chosen;
    if (choose_word("normalize", value, words, 3, &chosen, err)) return -1;
    ((Settings *)settings)->normalize = (PfNormalize)chosen;
    return 0;
}

static int parse_schedule(void *settings, const char *value, PfError *err)
{
    PfSchedule *schedule = &((Settings *)settings)->train.schedule;
    int used = 0;
    if (!strcmp(value, "constant")) {
        *schedule = (PfSchedule){.kind = PF_SCHEDULE_CONSTANT};
        return 0;
    }
    if (!strcmp(value, "cosine")) {
        *schedule = (PfSchedule){.kind = PF_SCHEDULE_COSINE};
        return 0;
    }
    *schedule = (PfSchedule){.kind = PF_SCHEDULE_STEP};
    if (sscanf(value, "step:%d,%lf%n", &schedule->step_epochs, &schedule->gamma, &used) == 2 &&
        !value[used] && schedule->step_epochs > 0 && schedule->gamma > 0 && schedule->gamma <= 1)
        return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--schedule: expected constant, cosine or step:EPOCHS,FACTOR as in step:30,0.1, "
                   "found '%s'",
                   value);
}

static int parse_assert(void *settings, const char *value, PfError *err)
{
    Settings *s = settings;
    if (s->assertion_count == MAX_ASSERTIONS)
        return pf_fail(err, PF_EXIT_USAGE, "--assert: more than %d of them", MAX_ASSERTIONS);
    return pf_assertion_parse(value, &s->assertions[s->assertion_count++], err);
}

#define AT(field) .offset = offsetof(Settings, field)

static const PfOption options[] = {
    {.kind = PF_OPTION_GROUP, .name = "Output:"},
    {.name = "output",
     .letter = 'o',
     .kind = PF_OPTION_TEXT,
     AT(output),
     .argument = "FILE",
     .help = "write the best epoch's head as .safetensors"},
    {.name = "json",
     .kind = PF_OPTION_TEXT,
     AT(json),
     .argument = "FILE",
     .help = "write the result as JSON; - is stdout"},
    {.name = "assert",
     .kind = PF_OPTION_CALL,
     .parse = parse_assert,
     .argument = "CONDITION",
     .help = "exit with 5, and write no model, unless a number of the\n"
             "result is as said: 'val.accuracy>=0.95'; may be repeated"},
    {.name = "quiet",
     .letter = 'q',
     .kind = PF_OPTION_FLAG,
     AT(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose",
     .letter = 'v',
     .kind = PF_OPTION_FLAG,
     AT(verbose),
     .help = "a line for every epoch, and more"},
    {.kind = PF_OPTION_GROUP, .name = "Data:"},
    {.name = "tap",
     .kind = PF_OPTION_TEXT,
     AT(table.tap),
     .argument = "NAME",
     .help = "features to train on (default: the only ones; of several\n"
             "the last that are not maps)"},
    {.name = "target",
     .kind = PF_OPTION_TEXT,
     AT(table.target),
     .argument = "NAME",
     .help = "labels to learn (default: the only classes)"},
    {.name = "val",
     .kind = PF_OPTION_DOUBLE,
     AT(table.val),
     .argument = "F",
     .minimum = 0,
     .maximum = 0.9,
     .help = "fraction of the train rows to validate on, where the cache\n"
             "has no val part (default: 0.2); 0 trains without"},
    {.name = "normalize",
     .kind = PF_OPTION_CALL,
     .parse = parse_normalize,
     .argument = "KIND",
     .help = "none, standardize or l2 (default: standardize)"},
    {.kind = PF_OPTION_GROUP, .name = "Training:"},
    {.name = "head",
     .kind = PF_OPTION_CALL,
     .parse = parse_head,
     .argument = "KIND",
     .help = "linear"},
    {.name = "epochs",
     .kind = PF_OPTION_INT,
     AT(train.epochs),
     .argument = "N",
     .minimum = 1,
     .maximum = 1000000,
     .help = "passes over the train rows (default: by their number, see\n"
             "docs/train.md)"},
    {.name = "batch",
     .kind = PF_OPTION_INT,
     AT(train.batch),
     .argument = "N",
     .minimum = 1,
     .maximum = 1 << 24,
     .help = "rows a step (default: 64)"},
    {.name = "optimizer",
     .kind = PF_OPTION_CALL,
     .parse = parse_optimizer,
     .argument = "NAME",
     .help = "adam, adamw or sgd (default: adamw)"},
    {.name = "lr",
     .kind = PF_OPTION_DOUBLE,
     AT(train.learning_rate),
     .argument = "X",
     .minimum = 1e-12,
     .maximum = 1e6,
     .help = "learning rate (default: 0.001; sgd: 0.01)"},
    {.name = "weight-decay",
     .kind = PF_OPTION_DOUBLE,
     AT(weight_decay),
     .argument = "X",
     .minimum = 0,
     .maximum = 1e6,
     .help = "as torch.optim defines it (default: adamw 0.1, others 0)"},
    {.name = "momentum",
     .kind = PF_OPTION_DOUBLE,
     AT(momentum),
     .argument = "X",
     .minimum = 0,
     .maximum = 0.99999,
     .help = "of sgd (default: 0.9)"},
    {.name = "schedule",
     .kind = PF_OPTION_CALL,
     .parse = parse_schedule,
     .argument = "KIND",
     .help = "of the learning rate: constant, cosine or step:EPOCHS,FACTOR\n"
             "(default: constant)"},
    {.name = "seed",
     .kind = PF_OPTION_LONG,
     AT(seed),
     .argument = "N",
     .minimum = 0,
     .maximum = 9007199254740991.0,
     .help = "of the initial weights and the batches (default: 0)"},
    {.name = "threads",
     .kind = PF_OPTION_INT,
     AT(train.threads),
     .argument = "N",
     .minimum = 1,
     .maximum = 256,
     .help = "(default: all processors); the result is the same for any"},
    {.kind = PF_OPTION_GROUP, .name = "About:"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, AT(help), .help = "this text"},
    {.name = "version", .kind = PF_OPTION_FLAG, AT(version), .help = "the version"},
    {0},
};

static void print_help(void)
{
    puts("usage: train [options] CACHE.h5 [-o MODEL.safetensors]\n\n"
         "Trains a linear classifier on cached features and keeps its best epoch.");
    pf_options_print(options);
}

/* A head of few rows needs many passes: 4,000 steps or so, between 10 and 200 epochs. */
static int default_epochs(int64_t rows, int batch)
{
    int64_t steps = (rows + batch - 1) / batch;
    int64_t epochs = (4000 + steps - 1) / steps;
    return (int)(epochs < 10 ? 10 : epochs > 200 ? 200 : epochs);
}

static int check_operands(const char *const *operands, int count, PfError *err)
{
    if (!count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "which cache? Usage: train [options] CACHE.h5 [-o MODEL.safetensors]; train "
                       "--help explains.");
    if (count > 1)
        return pf_fail(err, PF_EXIT_USAGE, "one cache at a time, found '%s' and '%s'", operands[0],
                       operands[1]);
    return 0;
}

static int finish_settings(Settings *settings, PfError *err)
{
    PfTrainConfig *train = &settings->train;
    int is_sgd = train->optimizer.kind == PF_SGD;
    if (settings->momentum >= 0 && !is_sgd)
        return pf_fail(err, PF_EXIT_USAGE, "--momentum belongs to --optimizer sgd, not to %s",
                       pf_optimizer_name(train->optimizer.kind));
    if (is_sgd) train->optimizer.momentum = settings->momentum >= 0 ? settings->momentum : 0.9;
    if (train->learning_rate <= 0) train->learning_rate = is_sgd ? 1e-2 : 1e-3;
    train->optimizer.weight_decay = settings->weight_decay >= 0         ? settings->weight_decay
                                    : train->optimizer.kind == PF_ADAMW ? 0.1
                                                                        : 0;
    train->seed = (uint64_t)settings->seed;
    settings->table.threads = train->threads;
    return 0;
}

/* ---- the run ---- */

/* Says now what would go wrong after the training. */
static int check_output(const char *path, const char *cache_path, PfError *err)
{
    struct stat output, cache;
    char *temporary;
    if (!path) return 0;
    if (!stat(path, &output) && !stat(cache_path, &cache) && output.st_dev == cache.st_dev &&
        output.st_ino == cache.st_ino)
        return pf_fail(err, PF_EXIT_USAGE, "'%s' is the cache itself; choose another output", path);
    if (pf_atomic_file_begin(path, &temporary, err)) return -1;
    pf_atomic_file_abandon(&temporary);
    return 0;
}

static void on_epoch(void *context, const PfEpochStats *stats)
{
    pf_epoch_table_add(context, stats);
}

static int on_step(void *context, int64_t done, int64_t total)
{
    (void)total;
    pf_epoch_table_step(context, done);
    return stop_requested;
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
static int write_results(const Settings *settings, PfTrainRun *run, const float *mean,
                         const float *scale, PfError *err)
{
    int knows_backbone = 1;
    cJSON *json = pf_report_json(run);
    int failed = settings->json && write_json(settings->json, json, err);
    for (int i = 0; i < settings->assertion_count && !failed; i++)
        failed = pf_assertion_check(&settings->assertions[i], json, err);
    cJSON_Delete(json);
    if (failed || !settings->output) return failed;
    if (run->normalize == PF_NORMALIZE_STANDARDIZE)
        pf_head_fold_normalization(run->result->head, mean, scale);
    failed = pf_head_model_write(settings->output, run, run->result->head, &knows_backbone, err);
    if (!failed && !knows_backbone)
        pf_warn("'%s' does not say which network its features come from: predict can use this "
                "model on caches only, not on images",
                pf_cache_path(run->cache));
    return failed;
}

static int run_on_table(const Settings *settings, PfTrainRun *run, PfFeatureTable *table,
                        double started, PfError *err)
{
    PfTrainResult result = {0};
    size_t d = (size_t)table->features;
    float *mean = pf_calloc(2 * d, sizeof *mean, err);
    if (!mean) return -1;
    int failed = pf_normalize(table, run->normalize, run->config->threads, mean, mean + d, err);
    run->load_seconds = pf_seconds() - started;
    pf_report_plan(run);
    if (!failed) failed = train_and_evaluate(table, run, &result, err);
    run->total_seconds = pf_seconds() - started;
    if (!failed) pf_report_summary(run);
    if (!failed) failed = write_results(settings, run, mean, mean + d, err);
    run->total_seconds = pf_seconds() - started;
    if (!failed) pf_report_end(run, settings->output);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) pf_metrics_free(&run->metrics[split]);
    pf_train_result_free(&result);
    free(mean);
    return failed;
}

static int run_on_cache(Settings *settings, PfCache *cache, double started, PfError *err)
{
    PfFeatureTable *table;
    int tap, target;
    if (pf_feature_table_choose(cache, &settings->table, &tap, &target, err) ||
        pf_feature_table_load(cache, tap, target, &settings->table, &table, err))
        return -1;
    PfTrainConfig *train = &settings->train;
    if (!train->epochs)
        train->epochs = default_epochs(table->split_counts[PF_SPLIT_TRAIN], train->batch);
    PfTrainRun run = {
        .cache = cache,
        .tap = pf_cache_tap(cache, tap),
        .target = pf_cache_target(cache, target),
        .table = table,
        .config = train,
        .normalize = settings->normalize,
        .val = table->val,
    };
    int failed = run_on_table(settings, &run, table, started, err);
    pf_feature_table_free(&table);
    return failed;
}

static int train(Settings *settings, const char *cache_path, PfError *err)
{
    double started = pf_seconds();
    PfCache *cache;
    const char *json = settings->json && strcmp(settings->json, "-") ? settings->json : NULL;
    if (check_output(settings->output, cache_path, err) || check_output(json, cache_path, err) ||
        pf_cache_open(cache_path, &cache, err))
        return -1;
    pf_head_setup();
    int failed = run_on_cache(settings, cache, started, err);
    pf_cache_close(&cache);
    return failed;
}

int main(int argc, char **argv)
{
    PfError err = {0};
    Settings settings = {
        .table = {.val = -1},
        .train = {.batch = 64,
                  .optimizer = pf_optimizer_config(PF_ADAMW),
                  .schedule = {.kind = PF_SCHEDULE_CONSTANT}},
        .weight_decay = -1,
        .momentum = -1,
        .normalize = PF_NORMALIZE_STANDARDIZE,
    };
    int operand_count;
    const char **operands = calloc((size_t)argc, sizeof *operands);
    pf_log_setup("train", PF_NORMAL);
    int failed = !operands ||
                 pf_options_parse(options, &settings, argc, argv, operands, &operand_count, &err);
    if (!failed && (settings.help || settings.version)) {
        if (settings.help)
            print_help();
        else
            puts("train (permafrost) " PF_VERSION);
    } else if (!failed) {
        pf_log_setup("train", settings.quiet     ? PF_QUIET
                              : settings.verbose ? PF_VERBOSE
                                                 : PF_NORMAL);
        catch_interrupt();
        failed = check_operands(operands, operand_count, &err) ||
                 finish_settings(&settings, &err) || train(&settings, operands[0], &err);
    }
    free(operands);
    return failed ? pf_report_error(&err) : PF_EXIT_DONE;
}

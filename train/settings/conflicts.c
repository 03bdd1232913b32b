#include "train/settings/conflicts.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <string.h>

#include "common/base/options.h"

static int check_finetune(const PfTrainOptions *options, PfError *err)
{
    const PfFinetuneOptions *finetune = &options->finetune;
    const char *wrong = options->warm_head                 ? "warm-head"
                        : finetune->init                   ? "init"
                        : finetune->train_batch_norm       ? "batch-norm"
                        : finetune->bf16                   ? "precision"
                        : strcmp(finetune->device, "auto") ? "device"
                        : finetune->weights                ? "weights"
                        : finetune->backbone               ? "backbone"
                                                           : NULL;
    if (!finetune->node && wrong)
        return pf_fail(err, PF_EXIT_USAGE, "--%s belongs to --finetune", wrong);
    if (finetune->init && options->warm_head)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--init gives the head that --warm-head would train: choose one");
    if (finetune->node && options->tap && !strcmp(options->tap, "all"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--tap all probes frozen features; with --finetune the tap is what the head "
                       "takes");
    return 0;
}

static int check_results(const PfTrainOptions *options, PfError *err)
{
    if (options->csv_safe && !options->csv && !options->predictions)
        return pf_fail(err, PF_EXIT_USAGE, "--csv-safe goes with --csv FILE or --predictions FILE");
    const char *results[] = {options->json, options->csv, options->predictions};
    int on_stdout = 0;
    for (int i = 0; i < 3; i++) on_stdout += results[i] && !strcmp(results[i], "-");
    if (on_stdout > 1 && options->predictions && !strcmp(options->predictions, "-"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--predictions - takes standard output: give the other result a file");
    if (options->evaluate_all && !options->csv && !options->json)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--evaluate-all goes with --csv FILE or --json FILE, which hold the scores");
    return 0;
}

static const PfSweepAxis *axis_of(const PfTrainOptions *options, const char *name)
{
    for (int a = 0; a < options->axis_count; a++)
        if (!strcmp(options->axes[a].name, name)) return &options->axes[a];
    return NULL;
}

/* What hidden layers are like, where there are none. */
static int check_head(const PfTrainOptions *options, PfError *err)
{
    const PfHeadSpec *spec = &options->experiment.spec, usual = pf_experiment_default().spec;
    const bool has[] = {spec->dropout > 0 || axis_of(options, "dropout"),
                        spec->activation != usual.activation || axis_of(options, "activation"),
                        spec->norm != usual.norm || axis_of(options, "head-norm")};
    static const char *const names[] = {"dropout", "activation", "head-norm"};
    if (spec->hidden_count || axis_of(options, "head")) return 0;
    for (int i = 0; i < 3; i++)
        if (has[i])
            return pf_fail(err, PF_EXIT_USAGE,
                           "--%s is of hidden layers, and a linear head has none. Hint: --head "
                           "mlp:256",
                           names[i]);
    return 0;
}

/* One value, and several in its place. */
static int check_axes(const PfTrainOptions *options, PfError *err)
{
    int failed = 0;
    if (!options->axis_count) return 0;
    cJSON *given = pf_options_given(pf_train_manual.table, options->argc, options->argv);
    for (int a = 0; a < options->axis_count && !failed; a++) {
        const char *name = options->axes[a].name;
        if (cJSON_HasObjectItem(given, name))
            failed =
                pf_fail(err, PF_EXIT_USAGE,
                        "--%s gives one value, and --sweep %s=... others: choose one", name, name);
    }
    cJSON_Delete(given);
    return failed;
}

static int check_folds(const PfTrainOptions *options, PfError *err)
{
    if (!options->folds || options->table.val < 0) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--val and --folds: every fold is validated on in turn, so no other part of the "
                   "train rows is held out. Leave --val out");
}

static int check_page(const PfTrainOptions *options, PfError *err)
{
    const char *without = options->images          ? "images"
                          : options->no_thumbnails ? "no-thumbnails"
                          : options->anonymous     ? "anonymous"
                                                   : NULL;
    if (options->report || !without) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "--%s belongs to --report FILE.html", without);
}

int pf_train_conflicts_check(const PfTrainOptions *options, PfError *err)
{
    if (check_finetune(options, err) || check_results(options, err) || check_page(options, err) ||
        check_folds(options, err) || check_head(options, err))
        return -1;
    return check_axes(options, err);
}

#include "train_options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "options.h"
#include "train_run.h"

static int parse_head(void *settings, const char *value, PfError *err)
{
    (void)settings;
    static const char *const words[] = {"linear"};
    int chosen;
    return pf_parse_choice("--head", value, words, 1, &chosen, err);
}

static int parse_optimizer(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"adam", "adamw", "sgd"};
    int chosen;
    if (pf_parse_choice("--optimizer", value, words, 3, &chosen, err)) return -1;
    ((PfTrainOptions *)settings)->train.optimizer = pf_optimizer_config((PfOptimizerKind)chosen);
    return 0;
}

static int parse_normalize(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"none", "standardize", "l2"};
    int chosen;
    if (pf_parse_choice("--normalize", value, words, 3, &chosen, err)) return -1;
    ((PfTrainOptions *)settings)->normalize = (PfNormalize)chosen;
    return 0;
}

static int parse_schedule(void *settings, const char *value, PfError *err)
{
    PfSchedule *schedule = &((PfTrainOptions *)settings)->train.schedule;
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
    PfTrainOptions *options = settings;
    if (options->assertion_count == PF_MAX_ASSERTIONS)
        return pf_fail(err, PF_EXIT_USAGE, "--assert: more than %d of them", PF_MAX_ASSERTIONS);
    return pf_assertion_parse(value, &options->assertions[options->assertion_count++], err);
}

/* clang-format off */
#define FIELD(name) .offset = offsetof(PfTrainOptions, name)

static const PfOption table[] = {
    {.name = "Output:", .kind = PF_OPTION_GROUP},
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, FIELD(output),
     .argument = "FILE", .help = "write the best epoch's head as .safetensors"},
    {.name = "json", .kind = PF_OPTION_TEXT, FIELD(json), .argument = "FILE",
     .help = "write the result as JSON; - is stdout"},
    {.name = "assert", .kind = PF_OPTION_CALL, .parse = parse_assert, .argument = "CONDITION",
     .help = "exit with 5, and write no model, unless a number of the\n"
             "result is as said: 'val.accuracy>=0.95'; may be repeated"},
    {.name = "quiet", .letter = 'q', .kind = PF_OPTION_FLAG, FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG, FIELD(verbose),
     .help = "a line for every epoch"},
    {.name = "Data:", .kind = PF_OPTION_GROUP},
    {.name = "tap", .kind = PF_OPTION_TEXT, FIELD(table.tap), .argument = "NAME",
     .help = "features to train on (default: the only ones; of several\n"
             "the last that are not maps)"},
    {.name = "target", .kind = PF_OPTION_TEXT, FIELD(table.target), .argument = "NAME",
     .help = "labels to learn (default: the only classes)"},
    {.name = "val", .kind = PF_OPTION_DOUBLE, FIELD(table.val), .argument = "F",
     .minimum = 0, .maximum = 0.9,
     .help = "fraction of the train rows to validate on, where the cache\n"
             "has no val part (default 0.2); 0 trains without"},
    {.name = "normalize", .kind = PF_OPTION_CALL, .parse = parse_normalize, .argument = "KIND",
     .help = "none, standardize or l2 (default standardize)"},
    {.name = "Training:", .kind = PF_OPTION_GROUP},
    {.name = "head", .kind = PF_OPTION_CALL, .parse = parse_head, .argument = "KIND",
     .help = "linear"},
    {.name = "epochs", .kind = PF_OPTION_INT, FIELD(train.epochs), .argument = "N",
     .minimum = 1, .maximum = 1000000,
     .help = "passes over the train rows (default: as many as make 4,000\n"
             "steps, 10 to 200)"},
    {.name = "batch", .kind = PF_OPTION_INT, FIELD(train.batch), .argument = "N",
     .minimum = 1, .maximum = 1 << 24, .help = "rows a step (default 64)"},
    {.name = "optimizer", .kind = PF_OPTION_CALL, .parse = parse_optimizer, .argument = "NAME",
     .help = "adam, adamw or sgd (default adamw)"},
    {.name = "lr", .kind = PF_OPTION_DOUBLE, FIELD(train.learning_rate), .argument = "X",
     .minimum = 1e-12, .maximum = 1e6, .help = "learning rate (default 0.001; sgd 0.01)"},
    {.name = "weight-decay", .kind = PF_OPTION_DOUBLE, FIELD(weight_decay), .argument = "X",
     .minimum = 0, .maximum = 1e6,
     .help = "as torch.optim defines it (default: adamw 0.1, others 0)"},
    {.name = "momentum", .kind = PF_OPTION_DOUBLE, FIELD(momentum), .argument = "X",
     .minimum = 0, .maximum = 0.99999, .help = "of sgd (default 0.9)"},
    {.name = "schedule", .kind = PF_OPTION_CALL, .parse = parse_schedule, .argument = "KIND",
     .help = "of the learning rate: constant, cosine or step:EPOCHS,FACTOR\n"
             "(default constant)"},
    {.name = "seed", .kind = PF_OPTION_LONG, FIELD(seed), .argument = "N",
     .minimum = 0, .maximum = 9007199254740991.0,
     .help = "of the initial weights and the batches (default 0)"},
    {.name = "threads", .kind = PF_OPTION_INT, FIELD(train.threads), .argument = "N",
     .minimum = 1, .maximum = 256,
     .help = "default: one per core; the result is the same for any"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, FIELD(help), .help = "this"},
    {.name = "version", .kind = PF_OPTION_FLAG, FIELD(version), .help = "and leave"},
    {0},
};
/* clang-format on */

void pf_train_options_help(void)
{
    puts("usage: train [options] CACHE.h5 [-o MODEL.safetensors]\n\n"
         "Trains a linear classifier on cached features and keeps its best epoch.");
    pf_options_print(table);
}

int pf_default_epochs(int64_t rows, int batch)
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

/* Defaults that depend on the optimiser: torch's own for adam and sgd. */
static int finish_optimizer(PfTrainOptions *options, PfError *err)
{
    PfTrainConfig *train = &options->train;
    PfOptimizerConfig *optimizer = &train->optimizer;
    int is_sgd = optimizer->kind == PF_SGD;
    if (options->momentum >= 0 && !is_sgd)
        return pf_fail(err, PF_EXIT_USAGE, "--momentum belongs to --optimizer sgd, not to %s",
                       pf_optimizer_name(optimizer->kind));
    if (is_sgd) optimizer->momentum = options->momentum >= 0 ? options->momentum : 0.9;
    if (train->learning_rate <= 0) train->learning_rate = is_sgd ? 1e-2 : 1e-3;
    optimizer->weight_decay = options->weight_decay >= 0    ? options->weight_decay
                              : optimizer->kind == PF_ADAMW ? 0.1
                                                            : 0;
    return 0;
}

int pf_train_options_parse(int argc, char **argv, PfTrainOptions *options, PfError *err)
{
    int count = 0;
    *options = (PfTrainOptions){
        .table = {.val = -1},
        .train = {.batch = 64,
                  .optimizer = pf_optimizer_config(PF_ADAMW),
                  .schedule = {.kind = PF_SCHEDULE_CONSTANT}},
        .normalize = PF_NORMALIZE_STANDARDIZE,
        .weight_decay = -1,
        .momentum = -1,
    };
    const char **operands = pf_calloc((size_t)argc, sizeof *operands, err);
    int failed = !operands || pf_options_parse(table, options, argc, argv, operands, &count, err);
    if (!failed && !options->help && !options->version)
        failed = check_operands(operands, count, err) || finish_optimizer(options, err);
    options->cache = count ? operands[0] : NULL;
    options->train.seed = (uint64_t)options->seed;
    options->table.threads = options->train.threads;
    free(operands);
    return failed ? -1 : 0;
}

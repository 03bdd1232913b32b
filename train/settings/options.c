#include "train/settings/options.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/result_stamp.h"
#include "common/base/size_text.h"
#include "common/cache/views.h"
#include "common/file/output.h"
#include "common/file/path.h"
#include "common/thread/processors.h"
#include "train/settings/completion.h"

static PfExperiment *experiment_of(void *settings)
{
    return &((PfTrainOptions *)settings)->experiment;
}

static int parse_head(void *settings, const char *value, PfError *err)
{
    return pf_head_spec_parse(value, &experiment_of(settings)->spec, err);
}

static int parse_activation(void *settings, const char *value, PfError *err)
{
    int chosen = 0, failed = pf_options_parse_choice("--activation", value, pf_activation_names,
                                                     PF_ACTIVATION_COUNT, &chosen, err);
    experiment_of(settings)->spec.activation = (PfActivation)chosen;
    return failed;
}

static int parse_head_norm(void *settings, const char *value, PfError *err)
{
    int chosen = 0, failed = pf_options_parse_choice("--head-norm", value, pf_head_norm_names,
                                                     PF_HEAD_NORM_COUNT, &chosen, err);
    experiment_of(settings)->spec.norm = (PfHeadNorm)chosen;
    return failed;
}

static int parse_optimizer(void *settings, const char *value, PfError *err)
{
    int chosen = 0, failed = pf_options_parse_choice("--optimizer", value, pf_optimizer_names,
                                                     PF_OPTIMIZER_COUNT, &chosen, err);
    experiment_of(settings)->optimizer = (PfOptimizerKind)chosen;
    ((PfTrainOptions *)settings)->names_optimizer = true;
    return failed;
}

static int parse_normalize(void *settings, const char *value, PfError *err)
{
    int chosen = 0, failed = pf_options_parse_choice("--normalize", value, pf_normalize_names,
                                                     PF_NORMALIZE_COUNT, &chosen, err);
    experiment_of(settings)->normalize = (PfNormalize)chosen;
    return failed;
}

static int parse_batch_norm(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"frozen", "learn"};
    PfTrainOptions *options = settings;
    return pf_options_parse_choice("--batch-norm", value, words, 2,
                                   &options->finetune.train_batch_norm, err);
}

static int parse_precision(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"fp32", "bf16"};
    PfTrainOptions *options = settings;
    return pf_options_parse_choice("--precision", value, words, 2, &options->finetune.bf16, err);
}

static int parse_class_weights(void *settings, const char *value, PfError *err)
{
    static const char *const words[] = {"none", "balanced"};
    return pf_options_parse_choice("--class-weights", value, words, 2,
                                   &experiment_of(settings)->balanced_loss, err);
}

static int parse_sampling(void *settings, const char *value, PfError *err)
{
    int chosen = 0, failed = pf_options_parse_choice("--sampling", value, pf_sampling_names,
                                                     PF_SAMPLING_COUNT, &chosen, err);
    experiment_of(settings)->sampling = (PfSampling)chosen;
    return failed;
}

static int parse_schedule(void *settings, const char *value, PfError *err)
{
    PfSchedule *schedule = &experiment_of(settings)->setting.schedule;
    long long step;
    if (!strcmp(value, "constant")) {
        *schedule = (PfSchedule){.kind = PF_SCHEDULE_CONSTANT};
        return 0;
    }
    if (!strcmp(value, "cosine")) {
        *schedule = (PfSchedule){.kind = PF_SCHEDULE_COSINE};
        return 0;
    }
    *schedule = (PfSchedule){.kind = PF_SCHEDULE_STEP};
    const char *epochs = value + strlen("step:"), *comma = strchr(value, ',');
    if (!strncmp(value, "step:", 5) && comma && comma > epochs &&
        !pf_options_read_long(epochs, (size_t)(comma - epochs), &step) && step > 0 &&
        step <= INT_MAX &&
        !pf_options_read_double(comma + 1, strlen(comma + 1), &schedule->gamma) &&
        schedule->gamma > 0 && schedule->gamma <= 1) {
        schedule->step_epochs = (int)step;
        return 0;
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "--schedule: expected constant, cosine or step:EPOCHS,FACTOR as in step:30,0.1, "
                   "found '%s'",
                   value);
}

static int parse_memory(void *settings, const char *value, PfError *err)
{
    return pf_size_text_parse("--memory", value, &((PfTrainOptions *)settings)->table.memory_bytes,
                              err);
}

/* ---- what is said of targets ---- */

/* The entry of "TARGET=value", or of all targets where there is no "=". *value is what follows. */
static PfTaskSetting *task_setting(PfTrainOptions *options, const char *option, const char *text,
                                   const char **value, PfError *err)
{
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : 0;
    *value = equals ? equals + 1 : text;
    if (options->task_count == PF_MAX_TASK_SETTINGS || length >= PF_CACHE_NAME_SIZE) {
        pf_fail(err, PF_EXIT_USAGE, "%s: too many, or too long a name: '%s'", option, text);
        return NULL;
    }
    PfTaskSetting *setting = &options->tasks[options->task_count++];
    *setting = (PfTaskSetting){.weight = -1};
    memcpy(setting->target, text, length);
    return setting;
}

static int parse_loss(void *settings, const char *text, PfError *err)
{
    const char *value;
    PfTaskSetting *setting = task_setting(settings, "--loss", text, &value, err);
    if (!setting) return -1;
    setting->has_loss = true;
    return pf_loss_parse("--loss", value, &setting->loss, &setting->loss_parameter, err);
}

static int parse_task_weight(void *settings, const char *text, PfError *err)
{
    const char *value;
    PfTaskSetting *setting = task_setting(settings, "--task-weight", text, &value, err);
    if (!setting) return -1;
    if (!*setting->target)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--task-weight: expected TARGET=W as in age=0.5, found "
                       "'%s'",
                       text);
    return pf_options_parse_double("--task-weight", value, 0, 1e6, &setting->weight, err);
}

/* "--target a --target b" is "--target a,b". */
static int parse_target(void *settings, const char *value, PfError *err)
{
    PfTrainOptions *options = settings;
    char *before = options->targets;
    options->targets = before ? pf_asprintf(err, "%s,%s", before, value) : pf_strdup(value, err);
    free(before);
    options->table.targets = options->targets;
    return options->targets ? 0 : -1;
}

static int parse_sweep(void *settings, const char *value, PfError *err)
{
    PfTrainOptions *options = settings;
    if (options->axis_count == PF_MAX_AXES)
        return pf_fail(err, PF_EXIT_USAGE, "--sweep: more than %d of them", PF_MAX_AXES);
    PfSweepAxis *axis = &options->axes[options->axis_count];
    if (pf_sweep_axis_parse(value, axis, err)) return -1;
    options->axis_count++; /* from here on it is freed with the others */
    return 0;
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
    {.name = "output", .effect = PF_OPTION_ON_RUN, .letter = 'o', .kind = PF_OPTION_TEXT, FIELD(output),
     .argument = "FILE", .help = "write the best head, of its best epoch, as .safetensors"},
    {.name = "json", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(json), .argument = "FILE|-",
     .help = "write the result as JSON; - is stdout"},
    {.name = "novelty", .kind = PF_OPTION_FLAG, FIELD(novelty),
     .help = "keep in the model what the training images are like, up to a\n"
             "megabyte, for predict --novelty and --reject"},
    {.name = "csv", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(csv), .argument = "FILE|-",
     .help = "write a line for every head that was trained; - is stdout"},
    {.name = "predictions", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(predictions), .argument = "FILE",
     .help = "write a line for every val and test row: what is true, what\n"
             "is predicted, how probable; with --folds of every row by the\n"
             "head that has not seen it; - is stdout"},
    {.name = "report", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(report), .argument = "FILE.html",
     .help = "write a page: curves, what is right and wrong, mistakes, a map"},
    {.name = "images", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(images), .argument = "DATASET",
     .help = "--report: where the images are, if not where extract found them"},
    {.name = "no-thumbnails", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(no_thumbnails),
     .help = "--report: no pictures"},
    {.name = "anonymous", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(anonymous),
     .help = "--report: numbers in the place of paths"},
    {.name = "tensorboard", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(tensorboard), .argument = "DIR",
     .help = "write event files for TensorBoard"},
    {.name = "csv-safe", .kind = PF_OPTION_FLAG, FIELD(csv_safe),
     .help = "for spreadsheets: a ' before texts that they would take for\n"
             "formulas (= + - @)"},
    {.name = "assert", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_CALL, .parse = parse_assert, .argument = "CONDITION",
     .help = "exit with 5, and write no model, unless a number of the\n"
             "result is as said: 'val.accuracy>=0.95'; may be repeated"},
    {.name = "force", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(force),
     .help = "train from the beginning, although the model is there or a\n"
             "checkpoint of it (default: what is finished is left alone,\n"
             "and what was killed goes on)"},
    {.name = "keep-checkpoint", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(keep_checkpoint),
     .help = "leave FILE.checkpoint beside the model of -o FILE, so that the\n"
             "same command with more --epochs goes on from there"},
    {.name = "resume", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(resume),
     .help = "refuse what could not go on: a run without -o, of many heads, with\n"
             "lbfgs, or that searches the weight decay"},
    {.name = "quiet", .effect = PF_OPTION_ON_RUN, .letter = 'q', .kind = PF_OPTION_FLAG, FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .effect = PF_OPTION_ON_RUN, .letter = 'v', .kind = PF_OPTION_FLAG, FIELD(verbose),
     .help = "a line for every epoch"},
    {.name = "Data:", .kind = PF_OPTION_GROUP},
    {.name = "tap", .kind = PF_OPTION_TEXT, FIELD(tap), .argument = "NAME|all",
     .help = "features to train on (default: the only ones; of several\n"
             "the last that are not maps); all: try each and rank them"},
    {.name = "sources-from", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(sources_from), .argument = "DIR",
     .help = "folder where the parts of a virtual cache may lie besides its own;\n"
             "others are refused"},
    {.name = "target", .kind = PF_OPTION_CALL, .parse = parse_target, .argument = "NAME[,NAME...]",
     .help = "what to learn (default: the only classes); several are\n"
             "learned together; may be repeated"},
    {.name = "loss", .kind = PF_OPTION_CALL, .parse = parse_loss,
     .argument = "[TARGET=]LOSS[:X]",
     .help = "of numbers: mse (default), l1 or huber[:DELTA], in units of the\n"
             "target's spread; of classes: cross-entropy (default), of labels:\n"
             "binary-cross-entropy (default), of both: focal[:GAMMA];\n"
             "may be repeated"},
    {.name = "task-weight", .kind = PF_OPTION_CALL, .parse = parse_task_weight,
     .argument = "TARGET=W", .help = "of one target's loss in the sum (default 1); may be repeated"},
    {.name = "val", .kind = PF_OPTION_DOUBLE, FIELD(table.val), .argument = "F",
     .minimum = 0, .maximum = 0.9,
     .help = "fraction of the train rows to validate on, where the cache\n"
             "has no val part (default 0.2); 0 trains without"},
    {.name = "per-class", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_INT, FIELD(experiment.per_class), .argument = "N",
     .minimum = 1, .maximum = 1e9, .help = "train on N rows of each class only"},
    {.name = "views", .kind = PF_OPTION_INT, FIELD(table.views), .argument = "N",
     .minimum = 1, .maximum = PF_VIEWS_MAX,
     .help = "draw from the first N views of each image (default: all\n"
             "that the cache has); 1: the centre alone"},
    {.name = "normalize", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_normalize, .argument = "KIND",
     .help = "none, standardize or l2 (default standardize)"},
    {.name = "Head:", .kind = PF_OPTION_GROUP},
    {.name = "head", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_head, .argument = "KIND",
     .help = "linear, or mlp:WIDTH[xWIDTH...] (default linear)"},
    {.name = "activation", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_activation,
     .argument = "relu|gelu", .help = "of an mlp (default relu)"},
    {.name = "head-norm", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_head_norm,
     .argument = "none|batch|layer", .help = "of an mlp's hidden layers (default none)"},
    {.name = "dropout", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.spec.dropout),
     .argument = "P", .minimum = 0, .maximum = 0.99,
     .help = "of an mlp's hidden layers (default 0)"},
    {.name = "Training:", .kind = PF_OPTION_GROUP},
    {.name = "epochs", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_INT, FIELD(experiment.epochs), .argument = "N",
     .minimum = 1, .maximum = 1000000,
     .help = "passes over the train rows (default: as many as make 4,000\n"
             "steps, 10 to 200); of lbfgs the most iterations (1,000)"},
    {.name = "batch", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_INT, FIELD(experiment.batch), .argument = "N",
     .aliases = "batch-size",
     .minimum = 1, .maximum = 1 << 24, .help = "rows a step (default 64)"},
    {.name = "optimizer", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_optimizer, .argument = "NAME",
     .help = "adam, adamw, sgd, or lbfgs, which takes linear heads to\n"
             "their optimum (default: of linear heads that, with a weight\n"
             "decay searched by folds of the train rows; else adamw)"},
    {.name = "no-search", .kind = PF_OPTION_FLAG, FIELD(no_search),
     .help = "adamw with its defaults, and no search; so do --optimizer,\n"
             "--lr, --weight-decay and --sweep"},
    {.name = "lr", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.setting.learning_rate),
     .argument = "X", .minimum = 1e-12, .maximum = 1e6, .aliases = "learning-rate",
     .help = "learning rate (default 0.001; sgd 0.01)"},
    {.name = "weight-decay", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.setting.weight_decay),
     .argument = "X", .minimum = 0, .maximum = 1e6,
     .help = "as torch.optim defines it (default: adamw 0.1, lbfgs 0.001,\n"
             "others 0)"},
    {.name = "momentum", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.setting.momentum),
     .argument = "X", .minimum = 0, .maximum = 0.99999, .help = "of sgd (default 0.9)"},
    {.name = "nesterov", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_FLAG, FIELD(experiment.nesterov),
     .help = "Nesterov's momentum, of sgd"},
    {.name = "schedule", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_schedule, .argument = "KIND",
     .help = "of the learning rate: constant, cosine or step:EPOCHS,FACTOR\n"
             "(default constant)"},
    {.name = "warmup", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.setting.warmup_epochs),
     .argument = "EPOCHS", .minimum = 0, .maximum = 1e6,
     .help = "the learning rate rises from 0 over so many (default 0)"},
    {.name = "label-smoothing", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE,
     FIELD(experiment.setting.label_smoothing), .argument = "S", .minimum = 0, .maximum = 0.99,
     .help = "of classes (default 0)"},
    {.name = "clip", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.setting.clip_norm),
     .argument = "L", .minimum = 0, .maximum = 1e9,
     .help = "shorten gradients longer than L (default 0: never)"},
    {.name = "class-weights", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_class_weights,
     .argument = "none|balanced", .help = "balanced: rare classes weigh more in the loss"},
    {.name = "sampling", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_CALL, .parse = parse_sampling,
     .argument = "shuffle|balanced", .help = "balanced: each class is drawn equally often"},
    {.name = "patience", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_INT, FIELD(experiment.patience), .argument = "N",
     .minimum = 1, .maximum = 1000000,
     .help = "stop after N epochs that were not better (default: never)"},
    {.name = "calibrate", .kind = PF_OPTION_FLAG, FIELD(calibrate),
     .help = "divide the logits by the temperature that is best on the\n"
             "validation rows (without them: out of fold)"},
    {.name = "seed", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_LONG, FIELD(experiment.seed), .argument = "N",
     .minimum = 0, .maximum = 9007199254740991.0,
     .help = "of the initial weights and the batches (default 0)"},
    {.name = "Fine-tuning (libtorch):", .kind = PF_OPTION_GROUP},
    {.name = "finetune", .kind = PF_OPTION_TEXT, FIELD(finetune.node), .argument = "NODE",
     .help = "let the network learn too from NODE on (layer4, layer4.1,\n"
             "features.24), whose input the cache must have (--tap layer3);\n"
             "all: the whole network, from cached pixels"},
    {.name = "backbone-lr", .effect = PF_OPTION_ON_HEAD, .kind = PF_OPTION_DOUBLE, FIELD(experiment.backbone_rate),
     .argument = "X", .minimum = 0, .maximum = 1e6, .aliases = "backbone-learning-rate",
     .help = "learning rate of the network (default: that of the head,\n"
             "1e-4; sgd 1e-3)"},
    {.name = "warm-head", .kind = PF_OPTION_FLAG, FIELD(warm_head),
     .help = "train the head alone first, on the network as it is"},
    {.name = "init", .kind = PF_OPTION_TEXT, FIELD(finetune.init), .argument = "MODEL",
     .help = "begin with the head of a model (and its fine-tuned tensors)"},
    {.name = "batch-norm", .kind = PF_OPTION_CALL, .parse = parse_batch_norm,
     .argument = "frozen|learn",
     .help = "learn: use each batch's statistics and move the running\n"
             "ones (default frozen)"},
    {.name = "precision", .kind = PF_OPTION_CALL, .parse = parse_precision,
     .argument = "fp32|bf16", .help = "of the network's arithmetic (default fp32)"},
    {.name = "device", .kind = PF_OPTION_TEXT, FIELD(finetune.device), .argument = "NAME",
     .help = "auto, cpu, cuda or cuda:1 (default auto)"},
    {.name = "weights", .kind = PF_OPTION_TEXT, FIELD(finetune.weights), .argument = "FILE",
     .help = "of the network (default: where extract found them)"},
    {.name = "backbone", .kind = PF_OPTION_TEXT, FIELD(finetune.backbone), .argument = "FILE",
     .help = "the TorchScript or ONNX network (default: where extract found it,\n"
             "if that file was noted with --trust)"},
    {.name = "Many heads at once:", .kind = PF_OPTION_GROUP},
    {.name = "sweep", .kind = PF_OPTION_CALL, .parse = parse_sweep, .argument = "OPTION=VALUES",
     .help = "train a head for every value: lr=1e-4..1e-1:log7,\n"
             "weight-decay=0,1e-3, head=linear,mlp:256; repeated: all\n"
             "combinations; the best on validation is kept"},
    {.name = "folds", .kind = PF_OPTION_INT, FIELD(folds), .argument = "K",
     .minimum = 2, .maximum = 255,
     .help = "cross-validate every setting; the best is then trained on\n"
             "all train rows"},
    {.name = "evaluate-all", .kind = PF_OPTION_FLAG, FIELD(evaluate_all),
     .help = "test scores of every head, in --csv and --json: for curves, as of\n"
             "--sweep per-class=1,2,5,10; they choose nothing"},
    {.name = "seeds", .kind = PF_OPTION_INT, FIELD(seeds), .argument = "S",
     .minimum = 1, .maximum = 100000, .help = "train every setting from S seeds (default 1)"},
    {.name = "The machine:", .kind = PF_OPTION_GROUP},
    {.name = "memory", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_CALL, .parse = parse_memory, .argument = "SIZE",
     .help = "that features may take, as in 512M or 2G (default: half of\n"
             "the machine's); more of them are streamed from the cache"},
    {.name = "threads", .effect = PF_OPTION_ON_RUN, .letter = 'j', .kind = PF_OPTION_INT, FIELD(threads), .argument = "N",
     .minimum = 1, .maximum = PF_THREADS_MAX,
     .help = "default: as many processors as it may use, by affinity, quota\n"
             "of the control group, OMP_NUM_THREADS, SLURM_CPUS_PER_TASK;\n"
             "the result is the same for any"},
    {.name = "alone", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_FLAG, FIELD(alone),
     .help = "of several processes, as torchrun, srun and mpirun start them,\n"
             "each trains by itself; else they share --finetune and sweeps"},
    {.name = "trust", .effect = PF_OPTION_ON_RUN, .kind = PF_OPTION_TEXT, FIELD(trust), .argument = "FILE.pt",
     .help = "note a TorchScript file as one that may run where a cache or\n"
             "a model names it, and leave"},
    {.name = "help", .effect = PF_OPTION_ON_RUN, .letter = 'h', .kind = PF_OPTION_FLAG, FIELD(help), .help = "this"},
    {.name = "version", .effect = PF_OPTION_ON_RUN, .letter = 'V', .kind = PF_OPTION_FLAG, FIELD(version), .help = "and leave"},
    {0},
};
/* clang-format on */

static const char usage[] =
    "usage: train [options] CACHE.h5 [-o MODEL.safetensors]\n"
    "       train --trust FILE.pt\n\n"
    "Trains heads on cached features: classes, numbers, labels or points, one head or\n"
    "hundreds side by side, and keeps the best.";

void pf_train_options_help(void)
{
    puts(usage);
    pf_options_print(table);
}

const PfManual pf_train_manual = {
    .program = "train",
    .purpose = "heads on the features of a cache",
    .usage = usage,
    .table = table,
    .offer = pf_train_completion_offer,
};

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

/* Axes by the names in the table, whatever alias was typed. */
static int name_axes(PfTrainOptions *options, PfError *err)
{
    for (int a = 0; a < options->axis_count; a++) {
        PfSweepAxis *axis = &options->axes[a];
        const PfOption *option = pf_options_named(table, axis->name);
        char *copy = option ? pf_strdup(option->name, err) : NULL;
        if (option && !copy) return -1;
        if (copy) {
            free(axis->name);
            axis->name = copy;
        }
        for (int b = 0; b < a; b++)
            if (!strcmp(options->axes[b].name, axis->name))
                return pf_fail(err, PF_EXIT_USAGE, "--sweep: '%s' is given twice", axis->name);
    }
    return 0;
}

static int check_output(const PfTrainOptions *options, PfError *err)
{
    static const char *const written[] = {".safetensors"};
    if (!options->output) return 0;
    if (!strcmp(options->output, "-"))
        return pf_fail(err, PF_EXIT_USAGE, "-o: a model goes into a file, not to standard output");
    const bool is_text = pf_output_has_suffix(options->output, ".json") ||
                         pf_output_has_suffix(options->output, ".csv");
    return pf_output_check_suffix(
        "-o", options->output, written, 1,
        is_text ? ". Hint: --json FILE and --csv FILE write the result"
                : ". Hint: predict MODEL.safetensors -o FILE.onnx exports, to .pt, too",
        err);
}

int pf_train_options_parse(int argc, char **argv, PfTrainOptions *options, PfError *err)
{
    int count = 0;
    *options = (PfTrainOptions){
        .table = {.val = -1},
        .experiment = pf_experiment_default(),
        .seeds = 1,
        .finetune = {.device = "auto"},
        .argc = argc,
        .argv = argv,
    };
    const char **operands = pf_calloc((size_t)argc, sizeof *operands, err);
    int failed = !operands || pf_options_parse(table, options, argc, argv, operands, &count, err);
    const int is_plain = !failed && !options->help && !options->version;
    if (is_plain && options->trust) {
        failed = pf_script_file_check_trust_operands(count, err);
    } else if (is_plain) {
        failed = check_operands(operands, count, err) || check_output(options, err) ||
                 name_axes(options, err);
        if (!failed) options->command = pf_result_stamp_command(argc, argv);
        if (!failed && !options->command) failed = pf_fail(err, PF_EXIT_FAILED, "out of memory");
        options->cache = count ? operands[0] : NULL;
        options->table.threads = options->finetune.threads = options->threads;
        options->finetune.output = options->tap;
    }
    free(operands);
    return failed ? -1 : 0;
}

cJSON *pf_train_options_given(const PfTrainOptions *options)
{
    cJSON *given = pf_options_given(table, options->argc, options->argv);
    pf_options_leave_result(table, given);
    return given;
}

void pf_train_options_free(PfTrainOptions *options)
{
    free(options->command);
    for (int i = 0; i < options->axis_count; i++) pf_sweep_axis_free(&options->axes[i]);
    options->axis_count = 0;
    free(options->targets);
    options->table.targets = options->targets = NULL;
}

#include "predict/predict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/file/output.h"
#include "common/thread/processors.h"
#include "extract/backbone/device_list.h"
#include "extract/dataset/sample_reader.h"
#include "extract/image/image.h"

#define FIELD(name) offsetof(PfPredictOptions, name)

static int parse_device(void *settings, const char *value, PfError *err)
{
    if (pf_device_list_check(value, err)) return -1;
    ((PfPredictOptions *)settings)->network.device = value;
    return 0;
}

static int parse_assert(void *settings, const char *value, PfError *err)
{
    PfPredictOptions *options = settings;
    if (options->assertion_count == PF_PREDICT_ASSERTIONS)
        return pf_fail(err, PF_EXIT_USAGE, "--assert: more than %d of them", PF_PREDICT_ASSERTIONS);
    return pf_assertion_parse(value, &options->assertions[options->assertion_count++], err);
}

static int parse_json(void *settings, const char *value, PfError *err)
{
    ((PfPredictOptions *)settings)->json = value;
    return pf_output_check_json_value(value, err);
}

static int parse_target(void *settings, const char *value, PfError *err)
{
    PfPredictOptions *options = settings;
    if (options->dataset.target_count == PF_TARGETS_MAX)
        return pf_fail(err, PF_EXIT_USAGE, "--target: more than %d of them", PF_TARGETS_MAX);
    options->targets[options->dataset.target_count++] = value;
    return 0;
}

/* clang-format off */
static const PfOption table[] = {
    {.name = "Output:", .kind = PF_OPTION_GROUP},
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .offset = FIELD(output),
     .argument = "FILE", .aliases = "export",
     .help = "the predictions as .csv or .json (default -: CSV on standard output); or,\n"
             "without images, network and head, fine-tuned or not, for other programs:\n"
             ".safetensors  the state dict under torchvision's names\n"
             ".onnx         ONNX, from normalised images to probabilities\n"
             ".pt           the same as a TorchScript module"},
    {.name = "json", .kind = PF_OPTION_CALL, .parse = parse_json, .argument = "FILE|-",
     .bare = "-", /* it was a flag once */
     .help = "the predictions as JSON; - is standard output, in place of CSV"},
    {.name = "top", .kind = PF_OPTION_INT, .offset = FIELD(top), .argument = "K", .minimum = 1,
     .maximum = 100000, .help = "the K most probable classes of each image (default 1)"},
    {.name = "threshold", .kind = PF_OPTION_DOUBLE, .offset = FIELD(threshold), .argument = "P",
     .minimum = 0, .maximum = 1,
     .help = "of a model of labels: those whose probability is above P (default 0.5), in the\n"
             "numbers of --evaluate and on the page, too"},
    {.name = "novelty", .kind = PF_OPTION_FLAG, .offset = FIELD(novelty),
     .help = "how unlike the training images each is: 0 to 100, the percentile among them of\n"
             "the distance to the nearest (of a model by train --novelty)"},
    {.name = "reject", .kind = PF_OPTION_DOUBLE, .offset = FIELD(reject), .argument = "P",
     .minimum = 0, .maximum = 100,
     .help = "no label where novelty is beyond P, as 99"},
    {.name = "class-map", .kind = PF_OPTION_TEXT, .offset = FIELD(network.class_map),
     .argument = "FILE",
     .help = "names for the classes, a line each in their order; exports take them, too"},
    {.name = "csv-safe", .kind = PF_OPTION_FLAG, .offset = FIELD(csv_safe),
     .help = "for spreadsheets: a ' before texts that they would take for formulas (= + - @)"},
    {.name = "How good it is:", .kind = PF_OPTION_GROUP},
    {.name = "evaluate", .kind = PF_OPTION_FLAG, .offset = FIELD(evaluate),
     .help = "of one labelled set (class folders, a manifest, an archive, CIFAR, a cache): adds\n"
             "columns of what is true and of the split, and tells accuracy or errors with 95 %\n"
             "intervals, classes and confusion on standard error"},
    {.name = "assert", .kind = PF_OPTION_CALL, .parse = parse_assert, .argument = "CONDITION",
     .help = "with --evaluate: exit with 5 unless a number is as said: 'test.accuracy>=0.95',\n"
             "'all.accuracy>=0.9' of data without splits; may be repeated"},
    {.name = "split-folders", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.split_folders),
     .argument = "train=A,val=B,test=C|none",
     .help = "with --evaluate: which folders are splits (default: by their names, if they hold\n"
             "class folders)"},
    {.name = "target", .kind = PF_OPTION_CALL, .parse = parse_target,
     .argument = "NAME[:KIND][=COLUMNS]",
     .help = "with --evaluate of a manifest, as of extract; may be repeated, and NAME,NAME are two\n"
             "(default: every other column, by what it holds and what the model predicts)"},
    {.name = "root", .kind = PF_OPTION_TEXT, .offset = FIELD(dataset.image_root), .argument = "DIR",
     .help = "with --evaluate of a manifest: what paths are relative to (default: its folder)"},
    {.name = "The model itself:", .kind = PF_OPTION_GROUP},
    {.name = "info", .kind = PF_OPTION_FLAG, .offset = FIELD(info),
     .help = "what the model is, how good it was, when, from which cache and by which command"},
    {.name = "verify", .kind = PF_OPTION_FLAG, .offset = FIELD(verify),
     .help = "whether its file is whole (exit 0 or 1)"},
    {.name = "report", .kind = PF_OPTION_TEXT, .offset = FIELD(report), .argument = "FILE.html",
     .help = "a page with the images and what they are taken for, too; of a cache also\n"
             "what is wrong"},
    {.name = "no-thumbnails", .kind = PF_OPTION_FLAG, .offset = FIELD(no_thumbnails),
     .help = "--report: no pictures"},
    {.name = "anonymous", .kind = PF_OPTION_FLAG, .offset = FIELD(anonymous),
     .help = "--report: numbers in the place of paths"},
    {.name = "Network:", .kind = PF_OPTION_GROUP},
    {.name = "backbone", .kind = PF_OPTION_TEXT, .offset = FIELD(network.backbone), .argument = "FILE.pt|FILE.onnx",
     .help = "the network's file of the model's features (default: where it was, if that file\n"
             "was noted with --trust)"},
    {.name = "weights", .kind = PF_OPTION_TEXT, .offset = FIELD(network.weights),
     .argument = "FILE|hf:ORG/NAME|random:SEED", .help = "the weights, where they are not where they were"},
    {.name = "device", .kind = PF_OPTION_CALL, .parse = parse_device,
     .argument = "auto|cpu|cuda[:I][,cuda:J...]",
     .help = "default auto: a GPU where there is one; several share out images"},
    {.name = "emulate", .kind = PF_OPTION_FLAG, .offset = FIELD(network.emulate),
     .help = "a model of bf16 features: its numbers on a processor without bf16"},
    {.name = "sources-from", .kind = PF_OPTION_TEXT, .offset = FIELD(sources_from),
     .argument = "DIR",
     .help = "folder where the parts of a virtual cache may lie besides its own;\n"
             "others are refused"},
    {.name = "Running:", .kind = PF_OPTION_GROUP},
    {.name = "batch", .kind = PF_OPTION_INT, .offset = FIELD(batch), .argument = "N", .minimum = 1,
     .maximum = 4096, .aliases = "batch-size", .help = "images per forward pass (default: on the CPU 32, or 16 for each thread if that\n"
             "is more; on a GPU as many as it is fastest with, fewer for fewer images)"},
    {.name = "threads", .letter = 'j', .kind = PF_OPTION_INT, .offset = FIELD(threads),
     .argument = "N", .minimum = 1, .maximum = PF_THREADS_MAX,
     .help = "of whatever computes: the network, decoding, reading rows (default: as\n"
             "many processors as it may use, by affinity, quota of the control group,\n"
             "OMP_NUM_THREADS and SLURM_CPUS_PER_TASK)"},
    {.name = "workers", .kind = PF_OPTION_INT, .offset = FIELD(workers), .argument = "N",
     .minimum = 1, .maximum = 256, .help = "decoding threads (default: as --threads)"},
    {.name = "readers", .kind = PF_OPTION_INT, .offset = FIELD(readers), .argument = "N",
     .minimum = 0, .maximum = 1024,
     .help = "files read ahead at once, for disks that answer late (default 16)"},
    {.name = "max-pixels", .kind = PF_OPTION_LONG, .offset = FIELD(max_pixels), .argument = "N",
     .minimum = 1, .maximum = PF_IMAGE_MOST_PIXELS,
     .help = "take images of up to N pixels, however small their files are (default: 268435456,\n"
             "and at most 160 MiB of memory, or 256 times the file, for one image)"},
    {.name = "max-bytes", .kind = PF_OPTION_LONG, .offset = FIELD(max_bytes), .argument = "N",
     .minimum = 1, .maximum = PF_FILE_BYTES_MOST,
     .help = "read files of up to N bytes (default: 1073741824); larger ones are rejected"},
    {.name = "quiet", .letter = 'q', .kind = PF_OPTION_FLAG, .offset = FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG, .offset = FIELD(verbose),
     .help = "more detail"},
    {.name = "trust", .kind = PF_OPTION_TEXT, .offset = FIELD(trust), .argument = "FILE.pt",
     .help = "note a TorchScript file as one that may run where a model or a cache names it,\n"
             "and leave"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, .offset = FIELD(help), .help = "this"},
    {.name = "version", .letter = 'V', .kind = PF_OPTION_FLAG, .offset = FIELD(version), .help = "and leave"},
    {0},
};
/* clang-format on */

static const char usage[] =
    "usage: predict [options] MODEL.safetensors IMAGE|FOLDER|CACHE.h5|-...\n"
    "       predict [options] MODEL.safetensors ARCHIVE\n"
    "       predict [options] NETWORK|hf:ORG/NAME IMAGE|FOLDER|CACHE.h5|-...\n"
    "       predict MODEL.safetensors -o FILE.safetensors|FILE.onnx|FILE.pt\n"
    "       predict [options] MODEL.safetensors --evaluate LABELLED|CACHE.h5\n"
    "       predict MODEL.safetensors --info [--json FILE|-]\n"
    "       predict MODEL.safetensors --verify\n"
    "       predict --trust FILE.pt\n\n"
    "Predicts with a head that train made, through the network whose features\n"
    "it was trained on; any other network is refused (exit 4). Rows of a cache need no\n"
    "network. A NETWORK, such as resnet50, predicts with the classifier that its weights\n"
    "hold; names of its classes come from --class-map. - reads paths from standard input, or "
    "an archive. An ARCHIVE is a .tar\n"
    "or .zip, or several, as extract takes them.\n\n"
    "CSV on standard output, or where -o says: path,label,probability (then label2,\n"
    "probability2, ... with --top); of a model of other targets a column or more for each by "
    "its name: classes,\n"
    "numbers, labels separated by ;, points in pixels. An image that cannot be used is named "
    "on standard error, gets no row, and\n"
    "makes the exit code 3.";

void pf_predict_options_help(void)
{
    puts(usage);
    pf_options_print(table);
}

const PfManual pf_predict_manual = {
    .program = "predict",
    .purpose = "new images through a trained head",
    .usage = usage,
    .table = table,
};

const char *pf_predict_options_of_set(const PfPredictOptions *options)
{
    return options->dataset.split_folders  ? "--split-folders"
           : options->dataset.target_count ? "--target"
           : options->dataset.image_root   ? "--root"
                                           : NULL;
}

/* The first option that only says something of predictions, or NULL. */
static const char *of_predictions(const PfPredictOptions *options)
{
    return options->report           ? "--report"
           : options->no_thumbnails  ? "--no-thumbnails"
           : options->anonymous      ? "--anonymous"
           : options->novelty        ? "--novelty"
           : options->reject <= 100  ? "--reject"
           : options->threshold >= 0 ? "--threshold"
           : options->top > 1        ? "--top"
           : options->csv_safe       ? "--csv-safe"
           : options->sources_from   ? "--sources-from"
                                     : NULL;
}

/* --info and --verify look at the model alone. */
static int check_model_only(const PfPredictOptions *options, int count, PfError *err)
{
    const char *option = options->info ? "--info" : "--verify";
    const char *of_set = pf_predict_options_of_set(options);
    const char *of_rows = of_predictions(options);
    const char *other = options->output                    ? "-o"
                        : options->evaluate                ? "--evaluate"
                        : options->assertion_count         ? "--assert"
                        : of_rows                          ? of_rows
                        : of_set                           ? of_set
                        : options->network.class_map       ? "--class-map"
                        : options->info && options->verify ? "--verify"
                        : options->verify && options->json ? "--json"
                                                           : NULL;
    if (other)
        return pf_fail(err, PF_EXIT_USAGE, "%s looks at the model alone, and does not go with %s",
                       option, other);
    if (count != 1)
        return pf_fail(err, PF_EXIT_USAGE, "%s takes a model and nothing else%s%s%s", option,
                       count ? ", found '" : "", count ? options->operands[1] : "",
                       count ? "'" : "");
    return 0;
}

static int check_evaluate(const PfPredictOptions *options, int count, PfError *err)
{
    const char *option = pf_predict_options_of_set(options);
    if (option && !options->evaluate)
        return pf_fail(err, PF_EXIT_USAGE, "%s goes with --evaluate", option);
    if (options->assertion_count && !options->evaluate)
        return pf_fail(err, PF_EXIT_USAGE, "--assert goes with --evaluate");
    if (!options->evaluate) return 0;
    if (options->export_path)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--evaluate goes with predictions, and -o %s exports the model",
                       options->output);
    if (count > 2)
        return pf_fail(err, PF_EXIT_USAGE, "--evaluate takes one labelled set, found '%s' and '%s'",
                       options->operands[1], options->operands[2]);
    if (count == 2 && !strcmp(options->operands[1], "-"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--evaluate needs labels, and a list of paths has none. Hint: a manifest of "
                       "paths and labels");
    return 0;
}

/* What -o is: a model for other programs, rows, or nothing that predict writes. */
static int read_output(PfPredictOptions *options, PfError *err)
{
    static const char *const written[] = {".csv", ".json", ".safetensors", ".onnx", ".pt"};
    const char *output = options->output;
    if (!output || !strcmp(output, "-")) return 0;
    if (pf_output_check_suffix("-o", output, written, 5, "", err)) return -1;
    for (int i = 0; i < 5; i++) {
        if (!pf_output_has_suffix(output, written[i])) continue;
        if (i > 1) options->export_path = output;
        return 0;
    }
    return pf_output_is_stream(output)
               ? 0
               : pf_fail(err, PF_EXIT_USAGE,
                         "-o '%s': the suffix says what is written: .csv or .json, predictions; "
                         ".safetensors (state dict), .onnx or .pt (TorchScript), the model",
                         output);
}

/* Options that mean something beside others only. */
static int check_companions(const PfPredictOptions *options, PfError *err)
{
    const char *of_rows = options->json ? "--json" : of_predictions(options);
    if (options->export_path && of_rows)
        return pf_fail(err, PF_EXIT_USAGE, "%s goes with predictions, and -o %s exports the model",
                       of_rows, options->export_path);
    if (!options->report && (options->no_thumbnails || options->anonymous))
        return pf_fail(err, PF_EXIT_USAGE, "--%s belongs to --report FILE.html",
                       options->no_thumbnails ? "no-thumbnails" : "anonymous");
    const char *output = options->output;
    bool is_json = output && pf_output_has_suffix(output, ".json");
    if (options->csv_safe && (is_json || (options->json && !output)))
        return pf_fail(err, PF_EXIT_USAGE, "--csv-safe is for CSV, and %s writes JSON",
                       is_json ? "-o FILE.json" : "--json");
    return 0;
}

int pf_predict_options_parse(int argc, char **argv, PfPredictOptions *options, PfError *err)
{
    int count = 0;
    *options = (PfPredictOptions){.network.device = "auto",
                                  .top = 1,
                                  .threshold = -1,
                                  .reject = 101,
                                  .readers = PF_SAMPLE_READERS};
    options->operands = pf_calloc((size_t)argc, sizeof *options->operands, err);
    if (!options->operands ||
        pf_options_parse(table, options, argc, argv, options->operands, &count, err))
        return -1;
    if (options->help || options->version) return 0;
    if (options->trust) return pf_script_file_check_trust_operands(count, err);
    if (options->info || options->verify) {
        options->network.model = count ? options->operands[0] : NULL;
        return check_model_only(options, count, err);
    }
    if (read_output(options, err) || check_evaluate(options, count, err)) return -1;
    if (options->export_path && count > 1)
        return pf_fail(
            err, PF_EXIT_USAGE,
            "-o %s exports the model, and takes no images, found '%s'. Hint: predictions "
            "are .csv or .json",
            options->export_path, options->operands[1]);
    if (count < (options->export_path ? 1 : 2))
        return pf_fail(err, PF_EXIT_USAGE,
                       "%s? Usage: predict MODEL.safetensors IMAGE...; predict --help explains.",
                       count ? "which images" : "which model");
    if (check_companions(options, err)) return -1;
    options->dataset.targets = options->targets;
    options->network.model = options->operands[0];
    options->operand_count = count - 1;
    for (int i = 0; i < options->operand_count; i++)
        options->operands[i] = options->operands[i + 1];
    return 0;
}

void pf_predict_options_free(PfPredictOptions *options)
{
    free(options->operands);
    options->operands = NULL;
}

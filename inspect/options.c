#include "inspect/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/size_text.h"
#include "common/thread/processors.h"
#include "extract/backbone/device_list.h"
#include "extract/image/image.h"

#define FIELD(name) offsetof(PfInspectOptions, name)

static int parse_model(void *settings, const char *value, PfError *err)
{
    PfInspectOptions *options = settings;
    if (options->model_count == PF_INSPECT_MAX_MODELS)
        return pf_fail(err, PF_EXIT_USAGE, "--model: at most %d models", PF_INSPECT_MAX_MODELS);
    options->models[options->model_count++] = value;
    return 0;
}

static int parse_near(void *settings, const char *value, PfError *err)
{
    PfInspectOptions *options = settings;
    if (options->near)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--near is given twice, with '%s' and '%s': it takes one image",
                       options->near, value);
    options->near = value;
    return 0;
}

static int parse_memory(void *settings, const char *value, PfError *err)
{
    return pf_size_text_parse("--memory", value, &((PfInspectOptions *)settings)->rows.memory_bytes,
                              err);
}

static int parse_device(void *settings, const char *value, PfError *err)
{
    if (pf_device_list_check(value, err)) return -1;
    ((PfInspectOptions *)settings)->network.device = value;
    return 0;
}

/* clang-format off */
static const PfOption table[] = {
    {.name = "What to look for (default: all of it):", .kind = PF_OPTION_GROUP},
    {.name = "duplicates", .kind = PF_OPTION_FLAG, .offset = FIELD(duplicates),
     .help = "images that are there twice or almost, also on both sides of a split"},
    {.name = "labels", .kind = PF_OPTION_FLAG, .offset = FIELD(labels),
     .help = "labels that are probably wrong, by confident learning"},
    {.name = "outliers", .kind = PF_OPTION_FLAG, .offset = FIELD(outliers),
     .help = "images unlike all others"},
    {.name = "classes", .kind = PF_OPTION_FLAG, .offset = FIELD(classes),
     .help = "how many images each class has, and which classes look alike"},
    {.name = "features", .kind = PF_OPTION_FLAG, .offset = FIELD(features),
     .help = "features that are NaN, infinite, all zero or the same everywhere"},
    {.name = "knn", .kind = PF_OPTION_FLAG, .offset = FIELD(knn),
     .help = "accuracy of the k nearest neighbours (k = 10, 20, 100, 200)"},
    {.name = "few-shot", .kind = PF_OPTION_FLAG, .offset = FIELD(few_shot),
     .help = "accuracy of heads that learn from 1, 2, 5, ... images of each class"},
    {.name = "map", .kind = PF_OPTION_FLAG, .offset = FIELD(map),
     .help = "places of all images in two dimensions, for --json (a page has them anyway)"},
    {.name = "next", .kind = PF_OPTION_INT, .offset = FIELD(next), .argument = "N", .minimum = 1,
     .maximum = 1000000, .help = "N images to label next, where there are some without a label\n"
             "(default 20)"},
    {.name = "pixels", .kind = PF_OPTION_FLAG, .offset = FIELD(pixels),
     .help = "images of odd size, dark, bright, blank or blurred: reads all images\n"
             "(default: by what extract has noted in the cache)"},
    {.name = "Models and images:", .kind = PF_OPTION_GROUP},
    {.name = "model", .kind = PF_OPTION_CALL, .parse = parse_model, .argument = "FILE",
     .help = "a model of train's: its probabilities judge the labels. Several, each\n"
             "with its own --model, are also compared on the test rows"},
    {.name = "near", .kind = PF_OPTION_CALL, .parse = parse_near, .argument = "IMAGE",
     .help = "the cache's images nearest to this one"},
    {.name = "near-count", .kind = PF_OPTION_INT, .offset = FIELD(near_count), .argument = "N",
     .minimum = 1, .maximum = 100000, .help = "so many (default 10)"},
    {.name = "backbone", .kind = PF_OPTION_TEXT, .offset = FIELD(network.backbone),
     .argument = "FILE.pt|FILE.onnx", .help = "--near: the network's file, where it is not where it was"},
    {.name = "weights", .kind = PF_OPTION_TEXT, .offset = FIELD(network.weights),
     .argument = "FILE|hf:ORG/NAME|random:SEED", .help = "--near: the weights, likewise"},
    {.name = "device", .kind = PF_OPTION_CALL, .parse = parse_device, .argument = "auto|cpu|cuda[:I]",
     .help = "--near: where the network runs (default auto)"},
    {.name = "How:", .kind = PF_OPTION_GROUP},
    {.name = "tap", .kind = PF_OPTION_TEXT, .offset = FIELD(rows.tap), .argument = "NAME",
     .help = "the features (default: the only ones, or the last that are vectors)"},
    {.name = "target", .kind = PF_OPTION_TEXT, .offset = FIELD(rows.target), .argument = "NAME",
     .help = "the classes, where there are several targets of classes"},
    {.name = "threshold", .kind = PF_OPTION_DOUBLE, .offset = FIELD(threshold), .argument = "S",
     .minimum = 0.01, .maximum = 1,
     .help = "cosine similarity from which images are duplicates (default: from the\n"
             "data's own distances)"},
    {.name = "neighbour", .kind = PF_OPTION_INT, .offset = FIELD(neighbour), .argument = "K",
     .minimum = 1, .maximum = 1000, .help = "outliers are far from their K-th neighbour (default 10)"},
    {.name = "exact", .kind = PF_OPTION_FLAG, .offset = FIELD(exact),
     .help = "compare all pairs of images, however long that takes (default: where it\n"
             "is some minutes at most)"},
    {.name = "approximate", .kind = PF_OPTION_FLAG, .offset = FIELD(approximate),
     .help = "compare each image with those in the cells around it only (default: where\n"
             "all pairs would take longer); how many neighbours that finds is measured"},
    {.name = "folds", .kind = PF_OPTION_INT, .offset = FIELD(folds), .argument = "N", .minimum = 2,
     .maximum = 100, .help = "of the heads that judge labels (default 5)"},
    {.name = "seeds", .kind = PF_OPTION_INT, .offset = FIELD(seeds), .argument = "N", .minimum = 1,
     .maximum = 1000, .help = "few-shot: draws of the images (default 5)"},
    {.name = "seed", .kind = PF_OPTION_LONG, .offset = FIELD(seed), .argument = "N", .minimum = 0,
     .maximum = 9007199254740992.0, .help = "of the folds and draws (default 0)"},
    {.name = "Output:", .kind = PF_OPTION_GROUP},
    {.name = "output", .letter = 'o', .kind = PF_OPTION_TEXT, .offset = FIELD(output),
     .argument = "FILE.html",
     .help = "a page that shows it all: mistakes, findings, a map; one file, for any browser"},
    {.name = "images", .kind = PF_OPTION_TEXT, .offset = FIELD(images), .argument = "DATASET",
     .help = "where the images are now, if not where extract found them"},
    {.name = "max-pixels", .kind = PF_OPTION_LONG, .offset = FIELD(max_pixels), .argument = "N",
     .minimum = 1, .maximum = PF_IMAGE_MOST_PIXELS,
     .help = "read images of up to N pixels, as of extract"},
    {.name = "no-thumbnails", .kind = PF_OPTION_FLAG, .offset = FIELD(no_thumbnails),
     .help = "no pictures on the page"},
    {.name = "no-map", .kind = PF_OPTION_FLAG, .offset = FIELD(no_map), .help = "no map on the page"},
    {.name = "export", .kind = PF_OPTION_TEXT, .offset = FIELD(export_folder), .argument = "DIR",
     .help = "features, labels, paths, neighbours and map as .npy, .csv, .parquet, .fvecs"},
    {.name = "json", .kind = PF_OPTION_TEXT, .offset = FIELD(json), .argument = "FILE",
     .help = "all findings as JSON; - for standard output"},
    {.name = "csv", .kind = PF_OPTION_TEXT, .offset = FIELD(csv), .argument = "FILE",
     .help = "a line for each image that was found, which extract --exclude takes; - likewise"},
    {.name = "csv-safe", .kind = PF_OPTION_FLAG, .offset = FIELD(csv_safe),
     .help = "for spreadsheets: a ' before texts that they would take for formulas (= + - @)"},
    {.name = "anonymous", .kind = PF_OPTION_FLAG, .offset = FIELD(anonymous),
     .help = "numbers of rows in the place of paths, everywhere"},
    {.name = "most", .kind = PF_OPTION_INT, .offset = FIELD(most), .argument = "N", .minimum = 0,
     .maximum = 1000000, .help = "entries of a list that are printed (default 5)"},
    {.name = "Running:", .kind = PF_OPTION_GROUP},
    {.name = "memory", .kind = PF_OPTION_CALL, .parse = parse_memory, .argument = "SIZE",
     .help = "that features and neighbours may take, as in 512M or 2G (default: half of\n"
             "the machine's)"},
    {.name = "sources-from", .kind = PF_OPTION_TEXT, .offset = FIELD(sources_from),
     .argument = "DIR",
     .help = "folder where the parts of a virtual cache may lie besides its own;\n"
             "others are refused"},
    {.name = "threads", .letter = 'j', .kind = PF_OPTION_INT, .offset = FIELD(threads),
     .argument = "N", .minimum = 1, .maximum = PF_THREADS_MAX,
     .help = "default: as many processors as it may use, by affinity, quota of the\n"
             "control group, OMP_NUM_THREADS and SLURM_CPUS_PER_TASK"},
    {.name = "quiet", .letter = 'q', .kind = PF_OPTION_FLAG, .offset = FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG, .offset = FIELD(verbose),
     .help = "more detail"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, .offset = FIELD(help), .help = "this"},
    {.name = "version", .letter = 'V', .kind = PF_OPTION_FLAG, .offset = FIELD(version),
     .help = "and leave"},
    {0},
};
/* clang-format on */

static const char usage[] =
    "usage: inspect [options] CACHE.h5\n\n"
    "Says what is wrong with the images of a cache, by their features: which are there\n"
    "twice, which stand under a wrong label, which are unlike all others, and what the\n"
    "features are good for. The findings are printed in words on standard output.";

void pf_inspect_options_help(void)
{
    puts(usage);
    pf_options_print(table);
}

const PfManual pf_inspect_manual = {
    .program = "inspect",
    .purpose = "what is wrong with the images of a cache",
    .usage = usage,
    .table = table,
};

bool pf_inspect_options_wants_all(const PfInspectOptions *options)
{
    return !(options->duplicates || options->labels || options->outliers || options->classes ||
             options->features || options->knn || options->few_shot || options->pixels ||
             options->map || options->next || options->near || options->model_count > 1);
}

PfNeighboursMethod pf_inspect_options_method(const PfInspectOptions *options)
{
    if (options->exact) return PF_NEIGHBOURS_ALL_PAIRS;
    return options->approximate ? PF_NEIGHBOURS_CELLS : PF_NEIGHBOURS_AUTO;
}

static int check_companions(const PfInspectOptions *options, PfError *err)
{
    if (options->csv_safe && !options->csv)
        return pf_fail(err, PF_EXIT_USAGE, "--csv-safe goes with --csv");
    if (options->exact && options->approximate)
        return pf_fail(err, PF_EXIT_USAGE, "--exact and --approximate contradict each other");
    if (options->map && options->no_map)
        return pf_fail(err, PF_EXIT_USAGE, "--map and --no-map contradict each other");
    if (options->near_count && !options->near)
        return pf_fail(err, PF_EXIT_USAGE, "--near-count goes with --near");
    if (!options->near && (options->network.backbone || options->network.weights))
        return pf_fail(err, PF_EXIT_USAGE, "--%s goes with --near",
                       options->network.backbone ? "backbone" : "weights");
    if (options->images && !options->output && !options->pixels)
        return pf_fail(err, PF_EXIT_USAGE, "--images goes with -o or --pixels");
    if (options->max_pixels && !options->output && !options->pixels)
        return pf_fail(err, PF_EXIT_USAGE, "--max-pixels goes with -o or --pixels");
    if (options->json && options->csv && !strcmp(options->json, "-") && !strcmp(options->csv, "-"))
        return pf_fail(err, PF_EXIT_USAGE, "--json - and --csv - would mix on standard output");
    return 0;
}

int pf_inspect_options_parse(int argc, char **argv, PfInspectOptions *options, PfError *err)
{
    int count = 0;
    *options = (PfInspectOptions){.neighbour = 10,
                                  .folds = 5,
                                  .seeds = 5,
                                  .most = 5,
                                  .network.device = "auto",
                                  .argc = argc,
                                  .argv = argv};
    const char **operands = pf_calloc((size_t)argc, sizeof *operands, err);
    if (!operands) return -1;
    int failed = pf_options_parse(table, options, argc, argv, operands, &count, err);
    options->cache = count ? operands[0] : NULL;
    const char *second = count > 1 ? operands[1] : NULL;
    free(operands);
    if (failed || options->help || options->version) return failed;
    if (second)
        return pf_fail(err, PF_EXIT_USAGE, "inspect takes one cache, found '%s' as well", second);
    if (!count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "which cache? Usage: inspect CACHE.h5; inspect --help explains.");
    if (check_companions(options, err)) return -1;
    if (!options->near_count) options->near_count = 10;
    return 0;
}

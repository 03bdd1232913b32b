#include "inspect/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/size_text.h"
#include "common/thread/processors.h"

#define FIELD(name) offsetof(PfInspectOptions, name)

static int parse_model(void *settings, const char *value, PfError *err)
{
    PfInspectOptions *options = settings;
    if (options->model_count == PF_INSPECT_MAX_MODELS)
        return pf_fail(err, PF_EXIT_USAGE, "--model: at most %d models", PF_INSPECT_MAX_MODELS);
    options->models[options->model_count++] = value;
    return 0;
}

/* clang-format off */
static const PfOption table[] = {
    {.name = "threads", .letter = 'j', .kind = PF_OPTION_INT, .offset = FIELD(threads),
     .argument = "N", .minimum = 1, .maximum = PF_THREADS_MAX,
     .help = "default: as many processors as it may use"},
    {.name = "model", .kind = PF_OPTION_CALL, .parse = parse_model, .argument = "FILE",
     .help = "a model of the cache's features; several are compared"},
    {.name = "quiet", .letter = 'q', .kind = PF_OPTION_FLAG, .offset = FIELD(quiet),
     .help = "warnings and errors only"},
    {.name = "verbose", .letter = 'v', .kind = PF_OPTION_FLAG, .offset = FIELD(verbose),
     .help = "more detail"},
    {.name = "help", .letter = 'h', .kind = PF_OPTION_FLAG, .offset = FIELD(help), .help = "this"},
    {.name = "version", .kind = PF_OPTION_FLAG, .offset = FIELD(version), .help = "and leave"},
    {0},
};
/* clang-format on */

void pf_inspect_options_help(void)
{
    puts("usage: inspect [options] CACHE.h5\n\n"
         "Finds what is wrong with the images of a cache.");
    pf_options_print(table);
}

int pf_inspect_options_parse(int argc, char **argv, PfInspectOptions *options, PfError *err)
{
    int count = 0;
    *options = (PfInspectOptions){.neighbour = 10, .folds = 5, .seeds = 5, .most = 5};
    const char **operands = pf_calloc((size_t)argc, sizeof *operands, err);
    if (!operands) return -1;
    int failed = pf_options_parse(table, options, argc, argv, operands, &count, err);
    options->cache = count ? operands[0] : NULL;
    free(operands);
    if (failed || options->help || options->version) return failed;
    if (count == 1) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "%s. Usage: inspect CACHE.h5; inspect --help explains.",
                   count ? "one cache at a time" : "which cache?");
}

#include "extract/options_check.h"

#include <stdbool.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/options.h"
#include "common/file/output.h"

/* The first of the names among the options that are given; NULL: none is. */
static const char *find_given(const PfExtractOptions *options, const char *const *names)
{
    cJSON *words = pf_extract_options_words(options);
    const char *found = NULL;
    for (; *names && !found; names++)
        if (pf_options_words_have(words, *names)) found = *names;
    cJSON_Delete(words);
    return found;
}

/* What decides the numbers of rows, which are made already where caches are merged. */
static int check_merged_rows(const PfExtractOptions *options, PfError *err)
{
    static const char *const names[] = {
        "backbone",       "weights",       "tap",          "precision", "emulate",     "device",
        "store",          "image-size",    "resize",       "crop",      "squash",      "exif",
        "views",          "interpolation", "resize-order", "view-seed", "fast-decode", "background",
        "keep-truncated", "mean",          "std",          NULL};
    const char *given = find_given(options, names);
    if (!given) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--%s is for extracting; --merge takes rows as they are. Expected --virtual, "
                   "--compress and --force beside it at most",
                   given);
}

/* The operands are OUT and the inputs, or with -o inputs only. */
static int check_merge(PfExtractOptions *options, PfError *err)
{
    const char *const *operands = options->operands;
    const int count = options->operand_count;
    bool has_output = options->output != NULL;
    const char *table_option = pf_dataset_table_option(&options->dataset.table);
    if (table_option)
        return pf_fail(err, PF_EXIT_USAGE, "%s is for extracting from a manifest", table_option);
    if (options->dataset.target_count || options->dataset.path_column ||
        options->dataset.image_root || options->dataset.group_column)
        return pf_fail(
            err, PF_EXIT_USAGE,
            "--target, --path-column, --root and --group are for extracting from a manifest");
    if (options->dataset.split_folders)
        return pf_fail(err, PF_EXIT_USAGE, "--split-folders is for extracting");
    if (options->dataset.val_fraction > 0 || options->dataset.test_fraction > 0 ||
        options->dataset.sample || options->dataset.shard.count || options->dataset.exclude)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--split, --exclude, --sample and --shard are for extracting; --merge takes "
                       "rows as they "
                       "are");
    if (check_merged_rows(options, err)) return -1;
    if (!has_output && count) options->output = operands[0];
    options->inputs = operands + !has_output;
    options->input_count = count - !has_output;
    if (options->input_count > 0) return 0;
    return pf_fail(
        err, PF_EXIT_USAGE,
        "which caches? Usage: extract --merge OUT.h5 IN.h5...; extract --help explains.");
}

/* What belongs to a run that extracts: in other modes it would be passed over, and those that write
 * would write. */
static int check_of_run(const PfExtractOptions *options, PfError *err)
{
    const bool is_run = options->mode == PF_EXTRACT_RUN;
    if (options->dry_run && !is_run)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--dry-run goes with a run that extracts, and not with --merge, --list or "
                       "whatever else is done instead");
    if (options->contact_sheet && (!is_run || options->dry_run))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--contact-sheet goes with a run that extracts: it shows images of the "
                       "cache that was written%s",
                       options->dry_run ? ", and --dry-run writes none" : "");
    if (options->augmented && !options->contact_sheet)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--augmented goes with --contact-sheet FILE.html: it says what the page "
                       "shows. Hint: --views V is what a cache has several of");
    return 0;
}

/* The operands are networks. */
static int check_fetch(PfExtractOptions *options, PfError *err)
{
    const char *const *operands = options->operands;
    const int count = options->operand_count;
    if (options->summary + options->info + options->merge + options->verify)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--fetch goes with a run that extracts, or with names of networks alone");
    options->mode = PF_EXTRACT_FETCH;
    if (check_of_run(options, err)) return -1;
    options->inputs = operands;
    options->input_count = count;
    if (count) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "which network? Usage: extract --fetch NAME...; extract --help explains.");
}

/* Only what was given: sides of images are -1 or 0 until then. */
static bool names_a_size(const PfBackboneOptions *backbone)
{
    return backbone->image_size > 0 || backbone->crop >= 0 || backbone->resize >= 0;
}

/* Options that mean something beside others only. */
static int check_companions(const PfExtractOptions *options, PfError *err)
{
    if (check_of_run(options, err)) return -1;
    if (options->backbone.emulate && options->backbone.precision != PF_BF16)
        return pf_fail(err, PF_EXIT_USAGE, "--emulate goes with --precision bf16");
    if (options->shard_base >= 0 && options->shard_source != PF_SHARD_AUTO)
        return pf_fail(err, PF_EXIT_USAGE, "--shard-base goes with --shard auto/N");
    if (options->shard_source != PF_SHARD_TYPED && options->mode != PF_EXTRACT_RUN &&
        options->mode != PF_EXTRACT_LIST) /* which says more of --shard */
        return pf_fail(err, PF_EXIT_USAGE,
                       "--shard auto/N and any/N are for extracting. Hint: --verify takes one "
                       "shard, --shard K/N");
    if (options->shard_source != PF_SHARD_TYPED && options->json)
        return pf_fail(
            err, PF_EXIT_USAGE,
            "--json tells of one cache; with --shard auto/N and any/N there are several");
    if (options->shard_source == PF_SHARD_ANY && options->dry_run)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--dry-run goes with one shard: --shard K/N; any/N takes what is left");
    if (options->shard_source == PF_SHARD_ANY && options->force)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--force with --shard any/N: every process would make every shard anew. "
                       "Hint: remove '%s.parts' first",
                       options->output);
    if (options->shard_source != PF_SHARD_TYPED && options->contact_sheet)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--contact-sheet shows one cache; with --shard auto/N and any/N there are "
                       "several, which would write one file");
    if (options->is_virtual && !options->merge)
        return pf_fail(err, PF_EXIT_USAGE, "--virtual goes with --merge");
    if (options->recompute_all && !options->verified_dataset)
        return pf_fail(err, PF_EXIT_USAGE, "--recompute-all goes with --verify DATASET CACHE.h5");
    if (options->signature && !options->verify)
        return pf_fail(err, PF_EXIT_USAGE, "--signature goes with --verify");
    if (options->mode != PF_EXTRACT_SUMMARY && (options->summary_input || options->summary_classes))
        return pf_fail(err, PF_EXIT_USAGE, "--input and --classes go with --summary");
    if (options->mode != PF_EXTRACT_RUN && (options->max_pixels || options->max_bytes))
        return pf_fail(err, PF_EXIT_USAGE,
                       "%s is for extracting: --summary, --info, --merge and --verify decode no "
                       "image",
                       options->max_pixels ? "--max-pixels" : "--max-bytes");
    if (options->mode == PF_EXTRACT_SUMMARY && names_a_size(&options->backbone))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--image-size, --crop and --resize prepare images: --summary takes none. "
                       "Hint: --input SIZE");
    if (options->mode == PF_EXTRACT_SUMMARY && options->sources_from)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--sources-from goes with a cache: --summary reads none");
    if (options->backbone.views == 1 && options->backbone.view_seed)
        return pf_fail(err, PF_EXIT_USAGE, "--view-seed goes with --views");
    if (options->json && options->mode != PF_EXTRACT_BACKBONES &&
        options->mode != PF_EXTRACT_INFO && (options->mode != PF_EXTRACT_RUN || options->dry_run))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--json tells of a run that extracts, of --backbones and of --info: not of "
                       "a dry run, and "
                       "not of --summary, --merge or --verify");
    return 0;
}

/* At most one of the things that are done instead of extracting. */
static int choose_mode(PfExtractOptions *options, PfError *err)
{
    const struct {
        int is_given;
        PfExtractMode mode;
        const char *name;
    } modes[] = {{options->summary, PF_EXTRACT_SUMMARY, "--summary"},
                 {options->backbones, PF_EXTRACT_BACKBONES, "--backbones"},
                 {options->info, PF_EXTRACT_INFO, "--info"},
                 {options->merge, PF_EXTRACT_MERGE, "--merge"},
                 {options->list, PF_EXTRACT_LIST, "--list"},
                 {options->missing, PF_EXTRACT_MISSING, "--missing"},
                 {options->verify, PF_EXTRACT_VERIFY, "--verify"}};
    const char *first = NULL;
    options->mode = PF_EXTRACT_RUN;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (!modes[i].is_given) continue;
        if (first)
            return pf_fail(err, PF_EXIT_USAGE, "%s and %s are two different things to do", first,
                           modes[i].name);
        first = modes[i].name;
        options->mode = modes[i].mode;
    }
    return 0;
}

static int check_output(const char *output, PfError *err)
{
    static const char *const written[] = {".h5", ".hdf5"};
    if (!output) return 0;
    if (!strcmp(output, "-"))
        return pf_fail(err, PF_EXIT_USAGE, "-o: a cache goes into a file, not to standard output");
    return pf_output_check_suffix("-o", output, written, 2, "", err);
}

static int check_mode(PfExtractOptions *options, PfError *err)
{
    if (choose_mode(options, err) || check_companions(options, err)) return -1;
    if (options->mode == PF_EXTRACT_BACKBONES) return 0;
    if (options->mode == PF_EXTRACT_SUMMARY)
        return options->operand
                   ? pf_fail(err, PF_EXIT_USAGE, "--summary takes no operand, found '%s'",
                             options->operand)
                   : 0;
    if (!options->operand)
        return pf_fail(err, PF_EXIT_USAGE,
                       options->info || options->verify
                           ? "which cache? extract --info CACHE.h5, extract --verify CACHE.h5; "
                             "extract --help explains."
                           : "which dataset? Usage: extract [options] DATASET -o CACHE.h5; extract "
                             "--help explains.");
    if (options->mode == PF_EXTRACT_RUN || options->mode == PF_EXTRACT_MERGE)
        if (check_output(options->output, err)) return -1;
    if (options->mode == PF_EXTRACT_RUN && !options->output)
        return pf_fail(err, PF_EXIT_USAGE, "where to? Give the cache to write with -o CACHE.h5");
    if (options->mode == PF_EXTRACT_LIST && !options->output)
        return pf_fail(err, PF_EXIT_USAGE, "where to? Give the list to write with -o LIST");
    if (options->mode == PF_EXTRACT_LIST && options->dataset.shard.count)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--list lists all of a dataset; --shard is for extracting");
    return 0;
}

/* What to do with several operands. */
static const char *several_hint(const char *operand)
{
    return pf_dataset_names_archives(operand)
               ? ". Hint: several archives are one dataset by the folder that they lie in, or by "
                 "braces in quotes: extract 'part-{000..099}.tar', extract '{a,b}.zip'"
               : ". A list of images goes in on stdin: extract - ...";
}

/* DATASET CACHE, CACHE, or what is read otherwise. */
static int take_operand(PfExtractOptions *options, PfError *err)
{
    const char *const *operands = options->operands;
    int count = options->operand_count;
    if (options->verify && count == 2) {
        options->verified_dataset = operands[0];
        options->operand = operands[1];
        return 0;
    }
    if (count > 1 && !options->merge)
        return pf_fail(err, PF_EXIT_USAGE, "one %s at a time, found '%s' and '%s'%s",
                       options->info ? "cache" : "dataset", operands[0], operands[1],
                       options->info ? "" : several_hint(operands[0]));
    options->operand = count ? operands[0] : NULL;
    return 0;
}

int pf_options_check(PfExtractOptions *options, PfError *err)
{
    const int instead = options->summary + options->info + options->merge + options->verify;
    if (options->trust) return pf_script_file_check_trust_operands(options->operand_count, err);
    if (options->fetch && (!options->output || instead)) return check_fetch(options, err);
    if (options->merge && check_merge(options, err)) return -1;
    return take_operand(options, err) || check_mode(options, err) ? -1 : 0;
}

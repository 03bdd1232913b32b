/* What a run of extract is to extract, and what earlier runs have left. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/cache/pixels.h"
#include "common/fetch/fetch.h"
#include "common/file/atomic_file.h"
#include "common/file/input_file.h"
#include "common/file/output.h"
#include "common/file/path.h"
#include "common/thread/parallel.h"
#include "common/weights/hub_cache.h"
#include "extract/backbone/name.h"
#include "extract/extraction.h"
#include "extract/image/image.h"
#include "extract/plan/feature_pass.h"
#include "extract/plan/identity.h"

/* ---- what is to be extracted ---- */

static bool has_rows_of(const PfCache *cache, PfSplit split)
{
    const uint8_t *splits = pf_cache_splits(cache);
    return splits && memchr(splits, (int)split, (size_t)pf_cache_row_count(cache));
}

/* A cache that is there goes on by the rules that it was made by, unless an option says otherwise;
 * sides that are drawn for the first time are drawn by contents. */
static PfListingRules choose_rules(const PfExtraction *run)
{
    const PfDatasetOptions *options = &run->options->dataset;
    PfListingRules rules = {0};
    if (run->cache) rules = pf_provenance_rules(pf_cache_provenance(run->cache));
    bool is_drawn = options->val_fraction > 0 || options->test_fraction > 0;
    bool has_drawn =
        run->cache && ((options->val_fraction > 0 && has_rows_of(run->cache, PF_SPLIT_VAL)) ||
                       (options->test_fraction > 0 && has_rows_of(run->cache, PF_SPLIT_TEST)));
    rules.has_groups = options->group_column != NULL;
    bool is_first = is_drawn && !has_drawn && !options->shard.count; /* a shard may have had none */
    if (rules.has_groups || is_first) rules.by_path = false;
    if (options->split_folders) rules.exact_names = false;
    return rules;
}

static int open_dataset(PfExtraction *run, PfError *err)
{
    PfDatasetOptions options = run->options->dataset;
    run->rules = choose_rules(run);
    run->fetch_folder = pf_asprintf(err, "%s.fetched", run->options->output);
    if (!run->fetch_folder) return -1;
    options.split_by_path = run->rules.by_path;
    options.exact_split_names = run->rules.exact_names;
    if (run->cache) pf_provenance_know_classes(run->cache, &options);
    options.may_fetch = true;
    options.fetch_folder = run->fetch_folder;
    options.interrupted = run->interrupted;
    const PfCache *begun = pf_provenance_begun_before(run->cache);
    if (pf_dataset_open_for(run->options->operand, &options, begun, &run->dataset, err)) return -1;
    pf_dataset_limit_bytes(run->dataset, run->options->max_bytes);
    run->rules.exact_names = pf_dataset_keeps_split_names(run->dataset);
    pf_work_plan_print_dataset(run->dataset, run->options->operand, run->options->dataset.shard);
    return 0;
}

/* Says what a new cache would have otherwise. */
static void print_goes_on(const char *path, const PfBackboneOptions *asked,
                          const PfBackboneOptions *options)
{
    bool is_ignored = asked->exif < 0 && !options->exif;
    bool is_old_order = asked->resize_order < 0 && options->resize_order == PF_PILLOW12;
    if (!is_ignored && !is_old_order) return;
    pf_say("%s goes on as it began: %s%s%s; a new one, or --force, %s", path,
           is_ignored ? "EXIF rotation is ignored" : "", is_ignored && is_old_order ? ", and " : "",
           is_old_order ? "images are resized in Pillow 12's order" : "",
           !is_old_order ? "applies it"
           : is_ignored  ? "applies it and resizes in Pillow 13's"
                         : "resizes in Pillow 13's");
}

/* What a cache was made with, else the journal that is to become one. */
typedef struct Begun {
    const char *path;
    const char *identity;   /* NULL: nothing has begun */
    const char *provenance; /* NULL of a journal */
} Begun;

static int go_on(PfExtraction *run, const Begun *begun, PfBackboneOptions *options, PfError *err)
{
    if (pf_identity_go_on(begun->path, begun->identity, options, err)) return -1;
    if (begun->identity) print_goes_on(begun->path, &run->options->backbone, options);
    return 0;
}

/* Where weights are neither named nor found, those that it was begun with are meant. */
static int open_plan(PfExtraction *run, const Begun *begun, PfBackboneOptions *options,
                     PfError *err)
{
    if (!begun->identity || options->script || options->onnx)
        return pf_backbone_plan_new(options, &run->backbone, err);
    cJSON *identity = pf_json_read(begun->identity);
    cJSON *provenance = begun->provenance ? pf_json_read(begun->provenance) : NULL;
    const cJSON *backbone = cJSON_GetObjectItemCaseSensitive(identity, "backbone");
    const char *name = pf_json_member_text(backbone, "name");
    char *by = pf_asprintf(err, "'%s'", begun->path);
    PfNotedWeights noted = {.by = by,
                            .source = pf_json_member_text(provenance, "weights_path"),
                            .sha256 = pf_json_member_text(backbone, "weights_sha256")};
    if (name && !strcmp(name, options->backbone) && !options->entry &&
        !pf_pixels_lack_weights(backbone))
        options->noted = &noted;
    int failed = !by || pf_backbone_plan_new(options, &run->backbone, err);
    free(by);
    cJSON_Delete(identity);
    cJSON_Delete(provenance);
    return failed ? -1 : 0;
}

/* A TorchScript file is a program: one that a cache's options name runs only where it is trusted.
 */
static int open_script(const PfExtraction *run, const PfFileStampSha256 *known,
                       PfBackboneOptions *options, PfError *err)
{
    const char *from = run->options->backbone_from;
    if (!from) return pf_script_file_open(options->backbone, known, &options->script, err);
    char *by = pf_asprintf(err, "cache '%s'", from);
    int failed = !by || pf_script_file_open_trusted(options->backbone, by, &options->script, err);
    free(by);
    return failed ? -1 : 0;
}

/* The cache knows what the weights hashed to when it was made: a file that has not been
 * touched since is not read again. */
static int open_named(PfExtraction *run, const Begun *begun, PfBackboneOptions *options,
                      PfBackboneKind kind, PfError *err)
{
    PfFileStampSha256 known = {0};
    if (begun->identity) pf_provenance_known_weights(begun->provenance, begun->identity, &known);
    PfPreprocess preprocess;
    options->known = &known;
    options->follows_files = true;
    if (pf_identity_preprocess(begun->identity, &preprocess)) options->begun = &preprocess;
    options->has_features = run->cache && !pf_pixels_are_all_of(run->cache);
    if (go_on(run, begun, options, err)) return -1;
    if (kind == PF_BACKBONE_ONNX && pf_onnx_open(options->backbone, &known, &options->onnx, err))
        return -1;
    if (kind == PF_BACKBONE_TORCHSCRIPT && open_script(run, &known, options, err)) return -1;
    return open_plan(run, begun, options, err);
}

/* With --fetch: what the command line names, and this machine has not got. */
static int fetch_missing(const PfExtraction *run, PfError *err)
{
    const PfBackboneOptions *backbone = &run->options->backbone;
    const char *name = backbone->backbone, *weights = backbone->weights;
    const char *wanted[2] = {NULL, weights && pf_hub_is_named(weights) ? weights : NULL};
    int failed = 0;
    if (pf_hub_is_named(name) || (!weights && !pf_backbone_name_is_path(name))) wanted[0] = name;
    for (int i = 0; i < 2 && run->options->fetch && !failed; i++) {
        char *place = NULL;
        if (wanted[i]) failed = pf_fetch(wanted[i], run->interrupted, &place, err);
        free(place);
    }
    return failed;
}

static int open_network(PfExtraction *run, const Begun *begun, PfError *err)
{
    PfBackboneOptions options = run->options->backbone;
    PfBackboneName name;
    if (fetch_missing(run, err) || pf_backbone_name_read(&options, &name, err)) return -1;
    int failed = open_named(run, begun, &options, name.kind, err);
    pf_backbone_name_free(&name);
    return failed;
}

static int open_backbone(PfExtraction *run, PfError *err)
{
    const PfCache *cache = run->cache;
    char *journal = NULL;
    run->journal_path = pf_journal_path(run->options->output, err);
    if (!run->journal_path) return -1;
    if (!cache && !run->options->force) pf_journal_begun_with(run->options->output, &journal);
    Begun begun = {.path = cache ? run->options->output : run->journal_path,
                   .identity = cache ? pf_cache_identity(cache) : journal,
                   .provenance = cache ? pf_cache_provenance(cache) : NULL};
    int failed = open_network(run, &begun, err);
    free(journal);
    if (failed) return -1;
    run->session.plan = run->backbone;
    run->session.wanted_batch = run->options->batch;
    run->session.images = run->dataset ? pf_dataset_count(run->dataset) * run->backbone->views : 0;
    run->journal_identity = pf_identity_json(run->backbone, NULL, 0, err);
    return run->journal_identity ? 0 : -1;
}

int64_t pf_extraction_max_rejected(const PfExtraction *run)
{
    return pf_extract_options_bad_limit(&run->options->max_bad, pf_dataset_count(run->dataset));
}

int pf_extraction_worker_count(const PfExtraction *run)
{
    return run->options->workers ? run->options->workers : pf_parallel_processor_count();
}

/* ---- what earlier runs have left ---- */

static int open_journal(PfExtraction *run, PfError *err)
{
    const char *identity;
    PfJournalConfig config = {.output = run->options->output,
                              .identity = run->journal_identity,
                              .sync_seconds = run->options->sync_seconds,
                              .sync_bytes = (int64_t)run->options->sync_mb << 20,
                              .threads = pf_parallel_processor_count()};
    if (pf_journal_open(&config, &run->journal, &identity, err)) return -1;
    if (run->options->force) return 0;
    return pf_identity_check_journal(run->journal_path, identity, run->backbone, err);
}

int pf_extraction_take_journal(PfExtraction *run, PfError *err)
{
    bool is_there = !access(run->journal_path, F_OK);
    if (open_journal(run, err) || pf_atomic_file_check(run->options->output, err)) return -1;
    if (is_there && run->options->force)
        return pf_journal_remove(&run->journal, err) || open_journal(run, err) ? -1 : 0;
    int64_t dropped = pf_journal_dropped_bytes(run->journal);
    if (dropped)
        pf_say("%s: %lld bytes behind its last sync are torn or not whole, and dropped",
               run->journal_path, (long long)dropped);
    return 0;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return pf_path_same_file(a, b) && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

struct stat pf_extraction_stat_cache(const PfExtraction *run)
{
    struct stat status;
    if (stat(run->options->output, &status)) return (struct stat){0};
    return status;
}

static int open_cache(PfExtraction *run, PfError *err)
{
    const char *output = run->options->output;
    run->old = pf_extraction_stat_cache(run);
    if (run->options->force || !run->old.st_ino) return 0;
    return pf_cache_open(output, &run->cache, err);
}

void pf_extraction_forget(PfExtraction *run)
{
    pf_dataset_scan_free(&run->scan);
    pf_row_index_free(&run->known);
    pf_cache_close(&run->cache);
}

bool pf_extraction_is_unchanged(const PfExtraction *run)
{
    struct stat now = pf_extraction_stat_cache(run);
    return same_file(&now, &run->old);
}

int pf_extraction_lock(PfExtraction *run, PfError *err)
{
    if (pf_extraction_take_journal(run, err)) return -1;
    if (pf_extraction_is_unchanged(run)) return 0;
    pf_extraction_forget(run);
    return open_cache(run, err);
}

int pf_extraction_find_rows(PfExtraction *run, PfError *err)
{
    pf_row_index_free(&run->known);
    PfJournal *journal = run->journal ? run->journal : run->peeked;
    if (pf_row_index_new(run->cache, journal, run->wanted.taps, run->wanted.count, &run->known,
                         err))
        return -1;
    if (run->options->max_pixels) pf_row_index_expect_larger(run->known);
    return 0;
}

static int match_cache(PfExtraction *run, PfError *err)
{
    run->match = PF_PLAN_CACHE_DIFFERS;
    if (!run->cache || !pf_provenance_is_of_shard(pf_cache_provenance(run->cache),
                                                  run->options->dataset.shard, run->dataset))
        return 0;
    if (pf_identity_adds_weights(run->cache, run->backbone)) return 0;
    return pf_plan_cache_match(run->cache, run->known, run->scan, run->wanted.taps,
                               run->options->compression, run->options->level, &run->match, err);
}

int pf_extraction_look(PfExtraction *run, PfError *err)
{
    if (run->cache && pf_identity_check_cache(run->cache, run->backbone, err)) return -1;
    pf_dataset_scan_free(&run->scan);
    if (pf_requested_taps_choose(run->backbone, run->cache, &run->session, &run->wanted, err) ||
        pf_extraction_find_rows(run, err) ||
        pf_dataset_scan_new(run->dataset, run->known, run->wanted.count, run->interrupted,
                            &run->scan, err))
        return -1;
    run->found = pf_dataset_scan_count(run->scan);
    if (pf_feature_pass_check_rejected(run->scan, pf_extraction_max_rejected(run), err) ||
        pf_dataset_scan_draw_sides(run->scan, err))
        return -1;
    return match_cache(run, err);
}

/* ---- where it goes ---- */

static int check_against_cache(const PfOutput *json, const PfExtraction *run, PfError *err)
{
    if (json->path && strcmp(json->path, "-") &&
        pf_output_is_same(json->path, run->options->output))
        return pf_fail(err, PF_EXIT_USAGE, "--json: '%s' is the cache itself; choose another file",
                       json->path);
    return 0;
}

/* A cache is read while it is made and when it is found again. */
static int check_is_file(const char *output, PfError *err)
{
    PfOutputPath place;
    int failed = pf_output_path_find(output, &place, err);
    if (!failed && place.kind == PF_OUTPUT_STREAM)
        failed = pf_fail(err, PF_EXIT_FAILED,
                         "cannot write '%s': it is %s, and a cache is a regular file.\n"
                         "Hint: --dry-run computes a part of it and writes nothing",
                         output, pf_output_type_name(place.status.st_mode));
    pf_output_path_free(&place);
    return failed;
}

/* Says now what would go wrong in the end, or would be lost. */
static int check_outputs(PfExtraction *run, PfError *err)
{
    const PfExtractOptions *options = run->options;
    char *journal = pf_journal_path(options->output, err);
    PfOutput outputs[] = {{"-o", options->output, PF_CONTENT_ANY},
                          {"the journal", journal, PF_CONTENT_ANY},
                          {"--json", options->json, PF_CONTENT_JSON},
                          {"--contact-sheet", options->contact_sheet, PF_CONTENT_PAGE}};
    const char *input = strcmp(options->operand, "-") ? options->operand : NULL;
    const char *what = "what the images are read from";
    int failed = !journal || check_is_file(options->output, err) ||
                 check_against_cache(&outputs[2], run, err) ||
                 pf_output_check_all(outputs, 4, &input, &what, 1, err);
    free(journal);
    if (!failed && options->contact_sheet)
        failed = pf_atomic_file_check(options->contact_sheet, err);
    if (failed || !options->json || !strcmp(options->json, "-")) return failed ? -1 : 0;
    return pf_atomic_file_check(options->json, err);
}

/* With --force any file is replaced, but not one that this run reads. */
static int check_images(const PfExtraction *run, PfError *err)
{
    const char *output = run->options->output;
    if (!run->options->force || !run->old.st_ino) return 0;
    PfFileContent *content = pf_file_content_read(output, err);
    if (!content) return -1;
    bool is_cache = pf_file_content_is_hdf5(content);
    free(content);
    if (is_cache || !pf_dataset_has_file(run->dataset, &run->old)) return 0;
    return pf_fail(err, PF_EXIT_USAGE, "-o: '%s' is an image of the dataset; choose another output",
                   output);
}

/* The network's files, where its options or the cache have led to them. */
static int check_network(const PfExtraction *run, PfError *err)
{
    PfOutput outputs[] = {{"-o", run->options->output, PF_CONTENT_ANY},
                          {"--json", run->options->json, PF_CONTENT_ANY}};
    const char *source = pf_backbone_plan_source(run->backbone);
    const char *what = "the network's weights";
    return pf_output_check_all(outputs, 2, &source, &what, 1, err);
}

int pf_extraction_open(PfExtraction *run, PfError *err)
{
    if (check_outputs(run, err) || open_cache(run, err) || pf_extraction_find_fetched(run, err))
        return -1;
    if (!run->is_fetched && (open_dataset(run, err) || check_images(run, err))) return -1;
    if (open_backbone(run, err) || check_network(run, err)) return -1;
    if (!run->is_fetched || pf_extraction_is_of_network(run)) return 0;
    run->is_fetched = false;
    if (open_dataset(run, err)) return -1;
    run->session.images = pf_dataset_count(run->dataset) * run->backbone->views;
    return 0;
}

#include "extraction_look.h"

#include <string.h>
#include <unistd.h>

#include "atomic_file.h"
#include "dataset_as_before.h"
#include "identity.h"
#include "log.h"
#include "parallel.h"
#include "provenance.h"

/* ---- what is to be extracted ---- */

static int open_dataset(PfExtraction *run, PfError *err)
{
    PfDatasetOptions options = {.val_fraction = run->options->val_fraction,
                                .test_fraction = run->options->test_fraction,
                                .sample = run->options->sample,
                                .shard = run->options->shard,
                                .targets = run->options->targets,
                                .target_count = run->options->target_count,
                                .path_column = run->options->path_column,
                                .image_root = run->options->image_root,
                                .table = run->options->table};
    if (pf_dataset_open_for(run->options->operand, &options, run->cache, &run->dataset, err))
        return -1;
    pf_work_plan_say_dataset(run->dataset, run->options->operand, run->options->shard);
    return 0;
}

/* The cache knows what the weights hashed to when it was made: a file that has not been
 * touched since is not read again. */
static int open_backbone(PfExtraction *run, PfError *err)
{
    PfKnownSha256 known = {0};
    PfBackboneOptions options = run->options->backbone;
    if (run->cache)
        pf_provenance_known_weights(pf_cache_provenance(run->cache), pf_cache_identity(run->cache),
                                    &known);
    options.known = &known;
    if (pf_backbone_plan_new(&options, &run->backbone, err)) return -1;
    run->session.plan = run->backbone;
    run->session.wanted_batch = run->options->batch;
    run->journal_path = pf_journal_path(run->options->output, err);
    run->journal_identity = pf_identity_json(run->backbone, NULL, 0, err);
    return run->journal_path && run->journal_identity ? 0 : -1;
}

int64_t pf_extraction_max_rejected(const PfExtraction *run)
{
    return pf_bad_limit(&run->options->max_bad, pf_dataset_count(run->dataset));
}

int pf_extraction_worker_count(const PfExtraction *run)
{
    return run->options->workers ? run->options->workers : pf_processor_count();
}

/* ---- what earlier runs have left ---- */

static int open_journal(PfExtraction *run, PfError *err)
{
    const char *identity;
    PfJournalConfig config = {.output = run->options->output,
                              .identity = run->journal_identity,
                              .sync_seconds = run->options->sync_seconds,
                              .sync_bytes = (int64_t)run->options->sync_mb << 20,
                              .threads = pf_processor_count()};
    if (pf_journal_open(&config, &run->journal, &identity, err)) return -1;
    pf_atomic_file_sweep(run->options->output);
    if (run->options->force) return 0;
    return pf_identity_check(run->journal_path, identity, run->backbone, err);
}

int pf_extraction_take_journal(PfExtraction *run, PfError *err)
{
    int is_there = !access(run->journal_path, F_OK);
    if (pf_atomic_file_check(run->options->output, err) || open_journal(run, err)) return -1;
    if (is_there && run->options->force)
        return pf_journal_remove(&run->journal, err) || open_journal(run, err) ? -1 : 0;
    int64_t dropped = pf_journal_dropped_bytes(run->journal);
    if (dropped)
        pf_say("%s: %lld bytes behind its last sync are torn or not whole, and dropped",
               run->journal_path, (long long)dropped);
    return 0;
}

static int same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
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
    pf_survey_free(&run->survey);
    pf_known_rows_free(&run->known);
    pf_cache_close(&run->cache);
}

int pf_extraction_is_unchanged(const PfExtraction *run)
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
    pf_known_rows_free(&run->known);
    return pf_known_rows_new(run->cache, run->journal, run->wanted.taps, run->wanted.count,
                             &run->known, err);
}

static int match_cache(PfExtraction *run, PfError *err)
{
    run->match = PF_CACHE_DIFFERS;
    if (!run->cache ||
        !pf_provenance_is_of_shard(pf_cache_provenance(run->cache), run->options->shard,
                                   pf_dataset_whole_count(run->dataset)))
        return 0;
    return pf_cache_match(run->cache, run->known, run->survey, run->wanted.taps,
                          run->options->compression, run->options->level, &run->match, err);
}

int pf_extraction_look(PfExtraction *run, PfError *err)
{
    if (run->cache &&
        pf_identity_check(run->options->output, pf_cache_identity(run->cache), run->backbone, err))
        return -1;
    pf_survey_free(&run->survey);
    if (pf_wanted_taps_choose(run->backbone, run->cache, &run->session, &run->wanted, err) ||
        pf_extraction_find_rows(run, err) ||
        pf_survey_new(run->dataset, run->known, run->wanted.count, run->interrupted, &run->survey,
                      err))
        return -1;
    run->found = pf_survey_count(run->survey);
    if (pf_feature_pass_check_rejected(run->survey, pf_extraction_max_rejected(run), err))
        return -1;
    return match_cache(run, err);
}

/* Says now what would go wrong in the end. */
static int check_json(const PfExtractOptions *options, PfError *err)
{
    struct stat json, cache;
    if (!options->json || !strcmp(options->json, "-")) return 0;
    if (!strcmp(options->json, options->output) ||
        (!stat(options->json, &json) && !stat(options->output, &cache) &&
         json.st_dev == cache.st_dev && json.st_ino == cache.st_ino))
        return pf_fail(err, PF_EXIT_USAGE, "--json: '%s' is the cache itself; choose another file",
                       options->json);
    return pf_atomic_file_check(options->json, err);
}

int pf_extraction_open(PfExtraction *run, PfError *err)
{
    return check_json(run->options, err) || open_cache(run, err) || open_dataset(run, err) ||
                   open_backbone(run, err)
               ? -1
               : 0;
}

#include "extract/extraction.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arch/ops.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/thread/parallel.h"
#include "extract/plan/feature_pass.h"
#include "extract/plan/identity.h"
#include "extract/plan/unlisted_rows.h"
#include "extract/shard/scheduler.h"

/* Images that change again and again while they are read would go on for ever. */
#define MAX_PASSES 100

/* ---- the plan ---- */

static int count_rotations(PfExtraction *run, PfError *err)
{
    int readers = run->options->readers;
    return pf_dataset_scan_count_rotations(run->scan,
                                           readers ? readers : pf_extraction_worker_count(run),
                                           run->interrupted, &run->rotations, err);
}

/* Says what there is to do, plans it as far as sizes are known by now, and fails where the disk
 * cannot hold it. */
static int plan(PfExtraction *run, PfError *err)
{
    run->plan = (PfWorkPlan){.output = run->options->output,
                             .compression = run->options->compression,
                             .level = run->options->level,
                             .wanted = &run->wanted};
    pf_extraction_print_task(run);
    if (count_rotations(run, err)) return -1;
    pf_extraction_print_rotations(run);
    if (pf_work_plan_make(&run->plan, run->scan, run->cache, err)) return -1;
    pf_work_plan_print_sizes(&run->plan);
    return pf_work_plan_check_disk(&run->plan, err);
}

/* ---- computing ---- */

/* What a pass over `images` has computed, for the taps that the session is open for. */
static int count_work(PfExtraction *run, int64_t images, PfError *err)
{
    const PfBackboneSession *session = &run->session;
    const char *taps[PF_KNOWN_TAPS_MAX];
    int64_t each;
    if (!run->backbone->arch || !images) return 0;
    for (int t = 0; t < session->tap_count; t++) taps[t] = session->taps[t].name;
    if (pf_arch_multiply_adds(run->backbone->arch, run->backbone->preprocess.crop, taps,
                              session->tap_count, &each, err))
        return -1;
    run->multiply_adds += (double)each * (double)images * run->backbone->views;
    return 0;
}

/* *count: images that lacked something; 0 when all is there. */
static int compute_group(PfExtraction *run, int64_t *count, PfError *err)
{
    PfScanGroup group;
    if (pf_dataset_scan_next_group(run->scan, &group, err)) return -1;
    PfFeaturePass pass = {.scan = run->scan,
                          .group = &group,
                          .wanted = &run->wanted,
                          .session = &run->session,
                          .plan = &run->plan,
                          .journal = run->journal,
                          .workers = pf_extraction_worker_count(run),
                          .readers = run->options->readers,
                          .max_pixels = run->options->max_pixels,
                          .max_rejected = pf_extraction_max_rejected(run),
                          .interrupted = run->interrupted};
    int64_t before = run->stats.images;
    int failed = group.count && (pf_feature_pass_run(&pass, &run->stats, err) ||
                                 count_work(run, run->stats.images - before, err));
    free(group.samples);
    *count = group.count;
    return failed ? -1 : 0;
}

static int compute(PfExtraction *run, PfError *err)
{
    for (int pass = 0; pass < MAX_PASSES; pass++) {
        int64_t count;
        if (compute_group(run, &count, err)) return -1;
        if (!count) return 0;
        if (pf_extraction_find_rows(run, err)) return -1;
        pf_dataset_scan_update(run->scan, run->known);
    }
    return pf_fail(err, PF_EXIT_FAILED, "images of '%s' keep changing while they are read",
                   run->options->operand);
}

/* ---- the finished file ---- */

/* What --like goes by. */
static void add_options(const void *context, cJSON *provenance)
{
    const PfExtractOptions *options = context;
    pf_like_add(provenance, options->operand, pf_extract_options_words(options));
}

static char *make_provenance(const PfExtraction *run, PfError *err)
{
    const PfBackboneSession *session = &run->session;
    const PfScheduledShard *scheduled = run->options->scheduled;
    PfProvenance provenance = {.command = run->command,
                               .add_options = add_options,
                               .context = run->options,
                               .dataset = run->dataset,
                               .plan = run->backbone,
                               .runtime = *session->runtime ? session->runtime : NULL,
                               .batch = session->batch,
                               .shard = run->options->dataset.shard,
                               .scheduler = scheduled ? scheduled->variable : NULL,
                               .scheduler_base = scheduled ? scheduled->base : 0,
                               .rules = run->rules,
                               .previous = run->cache,
                               .is_same = run->cache && run->match == PF_PLAN_CACHE_STAMPS_DIFFER,
                               .scan = run->scan,
                               .known = run->known,
                               .taps = run->wanted.taps};
    return pf_provenance_json(&provenance, err);
}

static int check_rows(const PfExtraction *run, PfError *err)
{
    PfScanCounts counts = pf_dataset_scan_count(run->scan);
    if (counts.reused) return 0;
    return pf_fail(err, PF_EXIT_BAD_IMAGES, "none of the %lld images can be used: nothing to write",
                   (long long)counts.images);
}

/* Programs that know no lock, cp for one, may have put another file there. */
static int check_unchanged(const PfExtraction *run, PfError *err)
{
    if (pf_extraction_is_unchanged(run)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' was replaced by another file while this run worked, and is left alone.\n"
                   "Hint: '%s' has what was computed: the same command goes on from there",
                   run->options->output, run->journal_path);
}

static int build_cache(PfExtraction *run, PfError *err)
{
    if (check_rows(run, err) || check_unchanged(run, err) ||
        pf_dataset_scan_draw_sides(run->scan, err))
        return -1;
    char *provenance = make_provenance(run, err);
    char *identity = provenance
                         ? pf_identity_json(run->backbone, run->wanted.taps, run->wanted.count, err)
                         : NULL;
    PfPlanCacheBuild build = {.scan = run->scan,
                              .known = run->known,
                              .taps = run->wanted.taps,
                              .tap_count = run->wanted.count,
                              .identity = identity,
                              .provenance = provenance,
                              .compression = run->options->compression,
                              .level = run->options->level,
                              .threads = pf_parallel_processor_count(),
                              .interrupted = run->interrupted};
    int failed = !identity || pf_plan_cache_build(&build, run->options->output, &run->built, err);
    free(identity);
    free(provenance);
    return failed ? -1 : 0;
}

/* ---- dates ---- */

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* make compares the cache's date with those of the dataset and of the weights: a
 * right cache must not look older than they are. */
static void touch_for_make(const PfExtraction *run)
{
    const char *inputs[] = {run->options->operand, pf_backbone_plan_source(run->backbone)};
    struct stat cache = pf_extraction_stat_cache(run), input;
    bool is_list = !strcmp(run->options->operand, "-");
    for (int i = is_list; i < 2; i++)
        if (inputs[i] && !stat(inputs[i], &input) && is_before(&cache.st_mtim, &input.st_mtim))
            utimensat(AT_FDCWD, run->options->output, NULL, 0);
}

/* ---- the run ---- */

/* A tap that the journal has rows of and the cache has not: of a run for other taps that
 * was not finished. NULL where there is none. */
static const char *unfinished_tap(const PfExtraction *run)
{
    const PfJournal *journal = run->journal;
    for (int s = 0; s < pf_journal_segment_count(journal); s++)
        for (int t = 0; t < pf_journal_segment_tap_count(journal, s); t++) {
            const char *name = pf_journal_segment_tap(journal, s, t)->name;
            if (pf_journal_row_count(journal, s) && pf_requested_taps_find(&run->wanted, name) < 0)
                return name;
        }
    return NULL;
}

/* Fewer of a journal's rows than one in so many are those of images that were deleted or left out
 * since, which nobody wants again. */
#define FEW_UNLISTED 20

/* Rows of another run that was not finished. Where memory is short to count them, all are. */
static int64_t rows_of_another_run(const PfExtraction *run)
{
    int64_t unlisted, all = 0;
    PfError ignored;
    for (int s = 0; s < pf_journal_segment_count(run->journal); s++)
        all += pf_journal_row_count(run->journal, s);
    if (pf_unlisted_rows_count(run->scan, run->journal, &unlisted, &ignored)) return all;
    return unlisted * FEW_UNLISTED < all ? 0 : unlisted;
}

/* Now that its rows are in the cache. */
static int finish_journal(PfExtraction *run, PfError *err)
{
    const char *tap = unfinished_tap(run);
    const int64_t unlisted = rows_of_another_run(run);
    if (!tap && !unlisted) return pf_journal_remove(&run->journal, err);
    if (tap)
        pf_say("%s stays: it holds rows of tap %s, of a run that was not finished. --tap %s goes "
               "on from there.",
               run->journal_path, tap, tap);
    else
        pf_say("%s stays: it holds %lld rows of images that are not among those of this run, of "
               "one that was not finished. The command of that one goes on from there. Where they "
               "are not wanted any more, remove it.",
               run->journal_path, (long long)unlisted);
    pf_journal_close(&run->journal);
    return 0;
}

static int work(PfExtraction *run, PfError *err)
{
    PfExtractionSummary summary;
    if (plan(run, err) || compute(run, err) || build_cache(run, err)) return -1;
    pf_extraction_sum_up(run, &summary);
    if (finish_journal(run, err)) return -1;
    pf_extraction_measure_peak(run, &summary);
    pf_extraction_print_sides(run);
    if (pf_extraction_find_equal(run, err)) return -1;
    pf_extraction_print_summary(run, &summary);
    return run->options->json ? pf_extraction_write_json(run, &summary, err) : 0;
}

/* Touched files would be read and hashed by every run to come: where that costs more than
 * a new file, their stamps are put into one. It has the old one's date, as whatever was
 * made from that is still right. Nothing is lost where this fails. */
static void refresh_stamps(PfExtraction *run)
{
    PfError ignored;
    struct timespec times[] = {run->old.st_atim, run->old.st_mtim};
    if (run->match != PF_PLAN_CACHE_STAMPS_DIFFER || run->found.hashed_bytes < run->old.st_size)
        return;
    if (!run->journal && pf_extraction_take_journal(run, &ignored)) {
        pf_journal_close(&run->journal);
        return;
    }
    if (build_cache(run, &ignored)) return;
    utimensat(AT_FDCWD, run->options->output, times, 0);
    pf_detail("%s: knows the dates of touched files again", run->options->output);
}

static int leave_as_it_is(PfExtraction *run, PfError *err)
{
    char elapsed[PF_DURATION_SIZE];
    PfExtractionSummary summary;
    refresh_stamps(run);
    touch_for_make(run);
    pf_extraction_sum_up(run, &summary);
    if (pf_extraction_find_equal(run, err)) return -1;
    pf_say("%s: up to date, nothing computed (%s)", run->options->output,
           pf_clock_duration_text(summary.seconds, elapsed));
    if (run->journal && finish_journal(run, err)) return -1;
    return run->options->json ? pf_extraction_write_json(run, &summary, err) : 0;
}

/* A run that finds nothing to do takes no lock: it may look while another one works. */
static int extract(PfExtraction *run, PfError *err)
{
    bool is_there = !access(run->journal_path, F_OK);
    if ((is_there && pf_extraction_lock(run, err)) || pf_extraction_look(run, err)) return -1;
    if (run->match == PF_PLAN_CACHE_DIFFERS && !run->journal &&
        (pf_extraction_lock(run, err) || (!run->scan && pf_extraction_look(run, err))))
        return -1;
    return run->match == PF_PLAN_CACHE_DIFFERS ? work(run, err) : leave_as_it_is(run, err);
}

/* ---- --dry-run ---- */

static int peek_at_journal(PfExtraction *run, PfError *err)
{
    const char *identity;
    if (run->options->force) return 0;
    if (pf_journal_peek(run->options->output, &run->peeked, &identity, err)) return -1;
    return identity ? pf_identity_check_journal(run->journal_path, identity, run->backbone, err)
                    : 0;
}

static int rehearse(PfExtraction *run, PfError *err)
{
    int64_t count;
    if (peek_at_journal(run, err) || pf_extraction_look(run, err)) return -1;
    if (run->match != PF_PLAN_CACHE_DIFFERS) {
        pf_say("%s: up to date, nothing to compute", run->options->output);
        return 0;
    }
    if (plan(run, err) || compute_group(run, &count, err)) return -1;
    if (pf_dataset_is_address(run->options->operand))
        pf_say("dry run: nothing was written but what was fetched, which stays in '%s'",
               run->fetch_folder);
    else
        pf_say("dry run: nothing was written");
    return 0;
}

/* ---- the end ---- */

static bool is_empty(const PfJournal *journal)
{
    for (int s = 0; s < pf_journal_segment_count(journal); s++)
        if (pf_journal_row_count(journal, s)) return false;
    return !pf_journal_reject_count(journal);
}

/* Keeps what was computed, by this run or an earlier one, and says so. */
static void settle(PfExtraction *run, PfError *err)
{
    int64_t computed = run->stats.images + run->stats.repeated + run->stats.rejected;
    bool is_kept = run->journal != NULL;
    if (is_kept && pf_feature_pass_settle(run->journal))
        pf_warn("%s could not be synced: the last seconds may be lost", run->journal_path);
    if (is_kept && !computed && is_empty(run->journal)) {
        pf_journal_remove(&run->journal, NULL);
        is_kept = false;
    }
    if (err->exit_code == PF_EXIT_INTERRUPTED)
        pf_extraction_fail_interrupted(run, computed, err);
    else if (is_kept && err->exit_code != PF_EXIT_IDENTITY && !run->options->force)
        pf_say("%s keeps the work that is done: the same command goes on from there",
               run->journal_path);
}

static void release(PfExtraction *run)
{
    pf_extraction_forget(run);
    pf_journal_close(&run->journal);
    pf_journal_close(&run->peeked);
    pf_backbone_session_close(&run->session);
    pf_backbone_plan_free(&run->backbone);
    pf_dataset_close(&run->dataset);
    free(run->fetch_folder);
    free(run->journal_path);
    free(run->journal_identity);
}

static int run_opened(PfExtraction *run, PfError *err)
{
    const PfExtractOptions *options = run->options;
    if (run->is_fetched) {
        touch_for_make(run);
        pf_say("%s: up to date, of the same versions of the archives; none was fetched",
               options->output);
        return 0;
    }
    if (options->dry_run) return rehearse(run, err);
    if (extract(run, err)) return -1;
    if (options->contact_sheet && pf_extraction_write_sheet(run, err)) return -1;
    pf_dataset_remove_fetched(run->dataset);
    return 0;
}

int pf_extraction_run(const PfExtractOptions *options, const char *command,
                      const volatile sig_atomic_t *interrupted, PfError *err)
{
    PfExtraction run = {.options = options,
                        .command = command,
                        .interrupted = interrupted,
                        .started = pf_clock_seconds()};
    int failed = pf_extraction_open(&run, err) || run_opened(&run, err);
    if (failed) settle(&run, err);
    release(&run);
    return failed ? -1 : 0;
}

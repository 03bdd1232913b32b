#include "extract/plan/feature_pass.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/base/process.h"
#include "common/base/size_text.h"
#include "extract/pipeline/decode_error.h"

/* So many rejected images are named where there are too many of them. */
#define NAMED_MAX 20

/* A pass under way. */
typedef struct Pass {
    const PfFeaturePass *of;
    PfPipelineConfig config;
    PfPipeline *pipeline;
    PfJournalImage *images; /* (batch) what the journal is told */
    PfProgress progress;
    int64_t rejected; /* of the whole dataset */
    bool measured;
} Pass;

static int too_many_rejected(int64_t rejected, int64_t total, int64_t limit, PfError *err)
{
    if (rejected <= limit) return 0;
    return pf_fail(
        err, PF_EXIT_BAD_IMAGES,
        "%lld of %lld images cannot be used so far, and --max-bad allows %lld. Repair or "
        "remove them, or allow more: the work that is done is not lost.",
        (long long)rejected, (long long)total, (long long)limit);
}

/* Those that could not even be read have not been named yet. */
static void name_rejected(const PfDatasetScan *scan, int64_t rejected)
{
    int64_t named = 0;
    for (int64_t i = 0; i < scan->count && named < NAMED_MAX; i++) {
        const PfScannedSample *sample = &scan->samples[i];
        if (sample->state != PF_SAMPLE_REJECTED) continue;
        pf_warn("%s: %" PF_SENTENCE_LINE, sample->file.path, sample->reason);
        named++;
    }
    if (rejected > named) pf_warn("and %lld more", (long long)(rejected - named));
}

int pf_feature_pass_check_rejected(const PfDatasetScan *scan, int64_t max_rejected, PfError *err)
{
    PfScanCounts counts = pf_dataset_scan_count(scan);
    if (counts.rejected > max_rejected) name_rejected(scan, counts.rejected);
    return too_many_rejected(counts.rejected, counts.images, max_rejected, err);
}

/* ---- the sink ---- */

/* Says the sizes once the first rows are there. */
static int measure(Pass *pass, int count, const void *const *features, PfError *err)
{
    const PfFeaturePass *of = pass->of;
    if (pass->measured) return 0;
    pass->measured = true;
    for (int i = 0; i < of->session->tap_count; i++) {
        int tap = pf_requested_taps_find(of->wanted, of->session->taps[i].name);
        if (tap >= 0 && pf_work_plan_measure(of->plan, tap, count, features[i], err)) return -1;
    }
    pf_progress_end(&pass->progress);
    pf_work_plan_print_sizes(of->plan);
    return pf_work_plan_check_disk(of->plan, err);
}

static int sink_rows(void *context, int count, const PfPipelineRow *rows,
                     const void *const *features, PfError *err)
{
    Pass *pass = context;
    PfJournal *journal = pass->of->journal;
    for (int i = 0; i < count; i++) pass->images[i] = (PfJournalImage){.file = rows[i].file};
    if (journal && pf_journal_append(journal, count, pass->images, features, err)) return -1;
    for (int i = 0; i < count; i++)
        pf_dataset_scan_note_known(pass->of->scan, rows[i].sample, &rows[i].file);
    return measure(pass, count, features, err);
}

static int sink_rejected(void *context, const PfPipelineRow *row, const char *reason, PfError *err)
{
    Pass *pass = context;
    const PfFeaturePass *of = pass->of;
    const PfJournalImage image = {.file = row->file, .reason = reason};
    pf_progress_end(&pass->progress);
    pf_warn("%s: %" PF_SENTENCE, row->file.path, reason);
    if (of->journal && pf_journal_reject(of->journal, &image, err)) return -1;
    if (pf_dataset_scan_note_rejected(of->scan, row->sample, &row->file, reason, err)) return -1;
    return too_many_rejected(++pass->rejected, of->scan->count, of->max_rejected, err);
}

static int sink_repeated(void *context, const PfPipelineRow *row, PfError *err)
{
    Pass *pass = context;
    (void)err;
    pf_dataset_scan_note_known(pass->of->scan, row->sample, &row->file);
    return 0;
}

static void sink_progress(void *context, int64_t done)
{
    pf_progress_update(&((Pass *)context)->progress, done, NULL);
}

static void sink_interrupted(void *context)
{
    const PfFeaturePass *of = ((Pass *)context)->of;
    if (of->journal) pf_feature_pass_settle(of->journal); /* what fails is said in the end */
}

/* After a signal a slow disk gets longer than all else. */
#define SETTLING_SECONDS 20

int pf_feature_pass_settle(PfJournal *journal)
{
    pf_process_grant_seconds(SETTLING_SECONDS);
    int failed = pf_journal_sync(journal, NULL);
    pf_process_grant_seconds(PF_PROCESS_GRACE_SECONDS);
    return failed;
}

/* ---- the pass ---- */

static int begin_segment(const PfFeaturePass *of, PfError *err)
{
    PfCacheTap taps[PF_KNOWN_TAPS_MAX];
    int segment;
    if (!of->journal) return 0;
    if (pf_journal_set_runtime(of->journal, of->session->runtime, err)) return -1;
    for (int i = 0; i < of->session->tap_count; i++)
        taps[i] = of->wanted->taps[pf_requested_taps_find(of->wanted, of->session->taps[i].name)];
    return pf_journal_begin(of->journal, taps, of->session->tap_count, of->plan->compression,
                            of->plan->level, &segment, err);
}

/* As the scan found them; 0 where a sample is no file of its own. */
static int64_t largest_file(const PfFeaturePass *of)
{
    uint64_t largest = 0;
    for (int64_t i = 0; i < of->group->count && pf_dataset_has_files(of->scan->dataset); i++) {
        uint64_t size = of->scan->samples[of->group->samples[i]].file.stamp.size_bytes;
        if (size > largest) largest = size;
    }
    return (int64_t)largest;
}

static int images_at_once(const PfBackboneSession *session)
{
    return session->batch / session->plan->views;
}

static int open_pipeline(Pass *pass, int64_t sample_count, PfError *err)
{
    const PfFeaturePass *of = pass->of;
    const PfBackbonePlan *plan = of->session->plan;
    pass->config = (PfPipelineConfig){
        .dataset = of->scan->dataset,
        .samples = of->group->samples,
        .sample_count = sample_count,
        .once = true,
        .preprocess = &plan->preprocess,
        .views = plan->views,
        .view_seed = (uint64_t)plan->view_seed,
        .workers = of->workers,
        .readers = of->readers,
        .max_pixels = of->max_pixels,
        .largest_file = largest_file(of),
        .interrupted = of->interrupted,
    };
    return pf_pipeline_open(&pass->config, &pass->pipeline, err);
}

/* Images are decoded while the network is loaded. Only a rehearsal, of one batch, has to know
 * first how large that is. */
static int open_both(Pass *pass, PfError *err)
{
    const PfFeaturePass *of = pass->of;
    int64_t count = of->group->count;
    if (of->journal && open_pipeline(pass, count, err)) return -1;
    if (pf_requested_taps_open(of->wanted, of->group->taps, of->session, err)) return -1;
    if (of->journal) return 0;
    int batch = images_at_once(of->session);
    return open_pipeline(pass, count < batch ? count : batch, err);
}

/* ", 98 MB for the network (packed weights 62 MB, maps of 2 threads 36 MB)"; nothing where whoever
 * runs it does not say. */
static void network_memory_text(const PfEngineMemory *memory, char *text, size_t size)
{
    char all[PF_SIZE_TEXT], weights[PF_SIZE_TEXT], arenas[PF_SIZE_TEXT];
    *text = '\0';
    if (!memory->threads) return;
    snprintf(text, size, ", %s for the network (packed weights %s, maps of %d thread%s %s)",
             pf_size_text((int64_t)(memory->weights + memory->arenas), all),
             pf_size_text((int64_t)memory->weights, weights), memory->threads,
             memory->threads == 1 ? "" : "s", pf_size_text((int64_t)memory->arenas, arenas));
}

/* Once a run: all passes have the same batch, and the first has most taps. */
static void print_memory(const PfFeaturePass *of, size_t bytes)
{
    char size[PF_SIZE_TEXT], network[160];
    if (of->plan->memory_said) return;
    of->plan->memory_said = true;
    pf_say("runs on %s", of->session->runtime);
    network_memory_text(&of->session->memory, network, sizeof network);
    pf_say("memory: %s for the pipeline (batch %d, %d decoding threads)%s",
           pf_size_text((int64_t)bytes, size), of->session->batch, of->workers, network);
}

/* What fast decoding does to features is measured and said once a run, before other threads have
 * the network. */
static int measure_decode_error(const PfFeaturePass *of, PfError *err)
{
    PfDecodeError found;
    PfImageLimits limits = {of->max_pixels, of->interrupted};
    if (!of->session->plan->preprocess.fast_decode || of->plan->decode_error_measured) return 0;
    of->plan->decode_error_measured = true;
    if (pf_decode_error_measure(of->scan->dataset, of->group->samples, of->group->count,
                                of->session, &limits, &found, err))
        return -1;
    pf_decode_error_print(&found);
    return 0;
}

static int run_pipeline(Pass *pass, PfPipelineStats *stats, PfError *err)
{
    PfBackboneSession *session = pass->of->session;
    PfPipelineNetwork network = {
        .plugin = session->plugin,
        .backbones = session->backbones,
        .backbone_count = session->backbone_count,
        .output_dtype = session->plan->store,
        .batch = images_at_once(session),
    };
    PfPipelineSink sink = {.context = pass,
                           .rows = sink_rows,
                           .rejected = sink_rejected,
                           .repeated = sink_repeated,
                           .progress = sink_progress,
                           .interrupted = sink_interrupted};
    print_memory(pass->of, pf_pipeline_memory(&pass->config, &network));
    if (measure_decode_error(pass->of, err)) return -1;
    pf_progress_start(&pass->progress, "images", pass->config.sample_count);
    int failed = pf_pipeline_run(pass->pipeline, &network, &sink, stats, err);
    pf_progress_end(&pass->progress);
    return failed;
}

static int run_pass(Pass *pass, PfPipelineStats *stats, PfError *err)
{
    const PfFeaturePass *of = pass->of;
    if (open_both(pass, err) || begin_segment(of, err)) return -1;
    pass->images = pf_calloc((size_t)of->session->batch, sizeof *pass->images, err);
    return !pass->images || run_pipeline(pass, stats, err);
}

int pf_feature_pass_run(const PfFeaturePass *of, PfPipelineStats *stats, PfError *err)
{
    Pass pass = {.of = of, .rejected = pf_dataset_scan_count(of->scan).rejected};
    int failed = run_pass(&pass, stats, err);
    pf_pipeline_close(&pass.pipeline);
    free(pass.images);
    pf_backbone_session_warn_of_slices(of->session);
    if (failed) return -1;
    return of->journal ? pf_journal_end(of->journal, err) : 0;
}

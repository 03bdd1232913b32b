#include "extraction_report.h"

#include <stdio.h>
#include <string.h>

#include "bare_convolution.h"
#include "bottleneck.h"
#include "clock.h"
#include "extraction_look.h"
#include "log.h"
#include "memory.h"
#include "parallel.h"
#include "size_text.h"

/* ---- what will be done ---- */

static void say_resuming(const PfExtraction *run)
{
    int64_t count = 0;
    for (int64_t i = 0; i < run->survey->count; i++) {
        const PfSurveySample *sample = &run->survey->samples[i];
        count += sample->state == PF_SAMPLE_KNOWN &&
                 pf_known_rows_in_journal(run->known, sample->digest);
    }
    if (count)
        pf_say("resuming: %lld of %lld images are in %s", (long long)count,
               (long long)run->survey->count, run->journal_path);
}

/* Rejects that only this run has found; those of earlier runs were named then. */
static void name_rejects(const PfExtraction *run)
{
    const PfSample *samples = pf_dataset_samples(run->dataset);
    for (int64_t i = 0; i < run->survey->count; i++) {
        const PfSurveySample *sample = &run->survey->samples[i];
        if (sample->state != PF_SAMPLE_REJECTED) continue;
        if (sample->was_rejected)
            pf_detail("%s: still %s", samples[i].path, sample->reason);
        else
            pf_warn("%s: %s", samples[i].path, sample->reason);
    }
}

int pf_extraction_say_plan(PfExtraction *run, PfError *err)
{
    run->plan = (PfWorkPlan){.output = run->options->output,
                             .compression = run->options->compression,
                             .level = run->options->level,
                             .wanted = &run->wanted};
    pf_work_plan_say_network(run->backbone);
    if (run->journal) say_resuming(run);
    pf_work_plan_say_counts(&run->found, &run->wanted);
    name_rejects(run);
    if (pf_work_plan_make(&run->plan, run->survey, run->cache, err)) return -1;
    return pf_work_plan_say_sizes(&run->plan, err);
}

/* ---- what was done ---- */

/* Below this many seconds of computing a run is not made longer to measure the machine. */
#define WORTH_MEASURING 5

static int processor_has_bf16(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16") != 0;
#else
    return 0;
#endif
}

static PfRunTimes run_times(PfExtraction *run)
{
    const PfCacheWriterStats *written = &run->composed.written;
    const PfBackboneSession *session = &run->session;
    PfJournalStats journal;
    pf_journal_stats(run->journal, &journal);
    return (PfRunTimes){
        .load_seconds = session->load_seconds,
        .cache_seconds = run->composed.seconds,
        .pipeline = run->stats,
        .compress_seconds = journal.compress_seconds + written->compress_seconds,
        .disk_seconds = journal.write_seconds + journal.sync_seconds + written->write_seconds,
        .workers = pf_extraction_worker_count(run),
        .processors = pf_processor_count(),
        .precision = run->backbone->precision,
        .is_gpu = strstr(session->plugin->describe(session->backbone), "cuda") != NULL,
        .processor_has_bf16 = processor_has_bf16(),
        .compression = run->options->compression,
        .level = run->options->level,
    };
}

/* " (184 of 236 GFLOP/s)": what the network reached, of what a bare convolution does. "" where its
 * work is not known. */
static const char *rate_text(PfExtraction *run, char *text, size_t size)
{
    double reached = run->multiply_adds && run->stats.forward_seconds > 0
                         ? 2e-9 * run->multiply_adds / run->stats.forward_seconds
                         : 0;
    double ceiling = 0;
    int measures =
        run->stats.forward_seconds >= WORTH_MEASURING || pf_log_verbosity() == PF_VERBOSE;
    text[0] = '\0';
    if (!reached) return text;
    pf_backbone_session_close(&run->session);
    if (measures && !pf_bare_convolution_measure(run->backbone, run->session.batch, &ceiling, NULL))
        snprintf(text, size, " (%.0f of %.0f GFLOP/s)", reached, ceiling);
    else
        snprintf(text, size, " (%.0f GFLOP/s)", reached);
    return text;
}

/* Where the time went, and why. */
static void say_times(PfExtraction *run)
{
    char text[PF_BOTTLENECK_TEXT], rate[64];
    const PfRunTimes times = run_times(run);
    PfRunShares shares = pf_run_shares(&times);
    pf_say("time: load %.2f s, images %.2f s, cache %.2f s; read %.0f %%, decode %.0f %% (%d "
           "thread%s), network %.0f %%%s, write %.0f %%",
           times.load_seconds, times.pipeline.seconds, times.cache_seconds, 100 * shares.read,
           100 * shares.decode, times.workers, times.workers == 1 ? "" : "s", 100 * shares.network,
           rate_text(run, rate, sizeof rate), 100 * shares.journal);
    pf_say("%s", pf_bottleneck_text(pf_bottleneck_find(&times), &times, text));
}

void pf_extraction_say_summary(PfExtraction *run)
{
    const PfPipelineStats *stats = &run->stats;
    const PfCacheWriterStats *written = &run->composed.written;
    char size[PF_SIZE_TEXT], peak[PF_SIZE_TEXT], total[PF_DURATION_SIZE];
    char rejected[48] = "", rate[48] = "";
    double elapsed = pf_seconds() - run->started;
    pf_size_text((int64_t)pf_peak_memory_bytes(), peak);
    if (written->rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)written->rejected);
    if (stats->images)
        snprintf(rate, sizeof rate, ", %.1f images/s",
                 (double)(stats->images + stats->rejected) / stats->seconds);
    if (stats->images) say_times(run);
    pf_detail("%lld chunks moved as they were, %lld made anew",
              (long long)run->composed.chunks_moved, (long long)run->composed.chunks_encoded);
    pf_say("%s: %lld rows%s, %lld computed, %s (%.2f of raw), %s%s, peak memory %s",
           run->options->output, (long long)written->rows, rejected, (long long)stats->images,
           pf_size_text(written->file_bytes, size),
           written->raw_bytes ? (double)written->stored_bytes / (double)written->raw_bytes : 0,
           pf_duration_text(elapsed, total), rate, peak);
}

void pf_extraction_say_interrupted(const PfExtraction *run, int64_t computed, PfError *err)
{
    pf_fail(err, (PfExit)(128 + *run->interrupted),
            "interrupted after %lld of %lld images; the same command goes on from there",
            (long long)(run->found.reused + run->found.rejected + computed),
            (long long)pf_dataset_count(run->dataset));
}

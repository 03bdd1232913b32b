#include "extraction_report.h"

#include <stdio.h>

#include "clock.h"
#include "extraction_look.h"
#include "log.h"
#include "memory.h"
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

void pf_extraction_say_summary(PfExtraction *run)
{
    const PfPipelineStats *stats = &run->stats;
    const PfCacheWriterStats *written = &run->composed.written;
    char size[PF_SIZE_TEXT], peak[PF_SIZE_TEXT], total[PF_DURATION_SIZE];
    char rejected[48] = "", rate[48] = "";
    PfJournalStats journal;
    pf_journal_stats(run->journal, &journal);
    if (written->rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)written->rejected);
    if (stats->images)
        snprintf(rate, sizeof rate, ", %.1f images/s",
                 (double)(stats->images + stats->rejected) / stats->seconds);
    if (stats->images)
        pf_say("time: load %.2f s; decode %.2f s (%d threads), forward %.2f s, compress %.2f s, "
               "write %.2f s; forward waited %.2f s for images",
               run->session.load_seconds, stats->read_seconds + stats->decode_seconds,
               pf_extraction_worker_count(run), stats->forward_seconds,
               journal.compress_seconds + written->compress_seconds,
               journal.write_seconds + journal.sync_seconds + written->write_seconds,
               stats->forward_wait_seconds);
    pf_detail("%lld chunks moved as they were, %lld made anew",
              (long long)run->composed.chunks_moved, (long long)run->composed.chunks_encoded);
    pf_say("%s: %lld rows%s, %lld computed, %s (%.2f of raw), %s%s, peak memory %s",
           run->options->output, (long long)written->rows, rejected, (long long)stats->images,
           pf_size_text(written->file_bytes, size),
           written->raw_bytes ? (double)written->stored_bytes / (double)written->raw_bytes : 0,
           pf_duration_text(pf_seconds() - run->started, total), rate,
           pf_size_text((int64_t)pf_peak_memory_bytes(), peak));
}

void pf_extraction_say_interrupted(const PfExtraction *run, int64_t computed, PfError *err)
{
    pf_fail(err, (PfExit)(128 + *run->interrupted),
            "interrupted after %lld of %lld images; the same command goes on from there",
            (long long)(run->found.reused + run->found.rejected + computed),
            (long long)pf_dataset_count(run->dataset));
}

#include "extraction_report.h"

#include <stdio.h>

#include "clock.h"
#include "extraction_look.h"
#include "log.h"
#include "size_text.h"

/* ---- what will be done ---- */

static void say_resuming(const PfExtraction *run)
{
    int64_t count = 0;
    for (int64_t i = 0; i < run->survey->count; i++) {
        const PfSurveySample *sample = &run->survey->samples[i];
        count += sample->state == PF_SAMPLE_KNOWN &&
                 pf_known_rows_in_journal(run->known, sample->file.digest);
    }
    if (count)
        pf_say("resuming: %lld of %lld images are in %s", (long long)count,
               (long long)run->survey->count, run->journal_path);
}

/* Rejects that only this run has found; those of earlier runs were named then. */
static void name_rejects(const PfExtraction *run)
{
    for (int64_t i = 0; i < run->survey->count; i++) {
        const PfSurveySample *sample = &run->survey->samples[i];
        if (sample->state != PF_SAMPLE_REJECTED) continue;
        if (sample->was_rejected)
            pf_detail("%s: still %s", sample->file.path, sample->reason);
        else
            pf_warn("%s: %s", sample->file.path, sample->reason);
    }
}

static void say_rotated(const PfExtraction *run, int64_t rotated, int64_t of, const char *which)
{
    const char *what = run->backbone->preprocess.exif ? "applied"
                       : run->cache
                           ? "ignored, as in the rows that are there (--exif apply --force "
                             "makes all of them anew)"
                           : "ignored (--exif apply turns them)";
    pf_say("%lld of %lld image%s%s carr%s an EXIF rotation: %s", (long long)rotated, (long long)of,
           of == 1 ? "" : "s", which, rotated == 1 ? "ies" : "y", what);
}

static int count_rotations(PfExtraction *run, PfError *err)
{
    const PfRotations *found = &run->rotations;
    int readers = run->options->readers;
    if (pf_rotations_count(run->survey, readers ? readers : pf_extraction_worker_count(run),
                           run->interrupted, &run->rotations, err))
        return -1;
    if (found->rotated)
        say_rotated(run, found->rotated, found->looked_at,
                    found->looked_at < found->to_compute     ? " looked at"
                    : found->to_compute < run->survey->count ? " to compute"
                                                             : "");
    return 0;
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
    if (count_rotations(run, err)) return -1;
    if (pf_work_plan_make(&run->plan, run->survey, run->cache, err)) return -1;
    return pf_work_plan_say_sizes(&run->plan, err);
}

/* ---- what was done ---- */

/* " (184 of 236 GFLOP/s)": what the network reached, of what a bare convolution does. "" where its
 * work is not known. */
static const char *rate_text(const PfExtractionSummary *summary, char *text, size_t size)
{
    text[0] = '\0';
    if (summary->bare_gflops > 0)
        snprintf(text, size, " (%.0f of %.0f GFLOP/s)", summary->gflops, summary->bare_gflops);
    else if (summary->gflops > 0)
        snprintf(text, size, " (%.0f GFLOP/s)", summary->gflops);
    return text;
}

/* " (445 images decoded meanwhile)": while the network was loaded. "" where there was none. */
static const char *head_start_text(const PfPipelineStats *stats, char *text, size_t size)
{
    text[0] = '\0';
    if (stats->head_start)
        snprintf(text, size, " (%lld image%s decoded meanwhile)", (long long)stats->head_start,
                 stats->head_start == 1 ? "" : "s");
    return text;
}

/* Where the time went, and why. */
static void say_times(const PfExtractionSummary *summary)
{
    const PfRunTimes *times = &summary->times;
    const PfRunShares shares = pf_run_shares(times);
    char text[PF_BOTTLENECK_TEXT], rate[64], meanwhile[64];
    pf_say("time: load %.2f s%s, images %.2f s, cache %.2f s; read %.0f %%, decode %.0f %% (%d "
           "thread%s), network %.0f %%%s, write %.0f %%",
           times->load_seconds, head_start_text(&times->pipeline, meanwhile, sizeof meanwhile),
           times->pipeline.seconds, times->cache_seconds, 100 * shares.read, 100 * shares.decode,
           times->workers, times->workers == 1 ? "" : "s", 100 * shares.network,
           rate_text(summary, rate, sizeof rate), 100 * shares.journal);
    pf_say("%s", pf_bottleneck_text(summary->bottleneck, times, text));
}

void pf_extraction_say_summary(const PfExtraction *run, const PfExtractionSummary *summary)
{
    char size[PF_SIZE_TEXT], peak[PF_SIZE_TEXT], total[PF_DURATION_SIZE];
    char rejected[48] = "", rate[48] = "";
    double raw_bytes = (double)summary->raw_bytes;
    if (summary->rejected)
        snprintf(rejected, sizeof rejected, ", %lld rejected", (long long)summary->rejected);
    if (summary->computed)
        snprintf(rate, sizeof rate, ", %.1f images/s", summary->images_per_second);
    if (summary->computed) say_times(summary);
    /* What the first lines could not know. */
    if (run->stats.rotated > run->rotations.rotated ||
        (run->rotations.rotated && run->rotations.looked_at < run->rotations.to_compute))
        say_rotated(run, run->stats.rotated, run->stats.images, "");
    if (run->stats.truncated)
        pf_say("%lld of %lld images are JPEGs that end early, taken as far as they go",
               (long long)run->stats.truncated, (long long)run->stats.images);
    pf_detail("%lld chunks moved as they were, %lld made anew",
              (long long)run->composed.chunks_moved, (long long)run->composed.chunks_encoded);
    pf_say("%s: %lld rows%s, %lld computed, %s (%.2f of raw), %s%s, peak memory %s",
           run->options->output, (long long)summary->rows, rejected, (long long)summary->computed,
           pf_size_text(summary->file_bytes, size),
           raw_bytes > 0 ? (double)summary->stored_bytes / raw_bytes : 0,
           pf_duration_text(summary->seconds, total), rate,
           pf_size_text(summary->peak_memory_bytes, peak));
}

void pf_extraction_say_sides(const PfExtraction *run)
{
    const PfDrawing *drawing = pf_dataset_drawing(run->dataset);
    int64_t counts[PF_SPLIT_COUNT] = {0};
    if (!drawing) return;
    for (int64_t i = 0; i < run->survey->count; i++)
        if (run->survey->samples[i].state == PF_SAMPLE_KNOWN)
            counts[run->survey->samples[i].split]++;
    pf_say("sides: %lld train, %lld val, %lld test", (long long)counts[PF_SPLIT_TRAIN],
           (long long)counts[PF_SPLIT_VAL], (long long)counts[PF_SPLIT_TEST]);
}

int pf_extraction_say_equal(PfExtraction *run, PfError *err)
{
    char text[PF_EQUAL_IMAGES_TEXT];
    if (pf_survey_count_equal(run->survey, &run->equal, err)) return -1;
    if (*pf_equal_images_text(&run->equal, text)) pf_warn("%s", text);
    return 0;
}

void pf_extraction_say_interrupted(const PfExtraction *run, int64_t computed, PfError *err)
{
    pf_fail(err, (PfExit)(128 + *run->interrupted),
            "interrupted after %lld of %lld images; the same command goes on from there",
            (long long)(run->found.reused + run->found.rejected + computed),
            (long long)pf_dataset_count(run->dataset));
}

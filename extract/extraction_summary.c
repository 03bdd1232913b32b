#include "extraction_summary.h"

#include <string.h>

#include "bare_convolution.h"
#include "clock.h"
#include "extraction_look.h"
#include "log.h"
#include "memory.h"
#include "parallel.h"
#include "processor.h"

/* Below this many seconds of computing a run is not made longer to measure the machine. */
#define WORTH_MEASURING 5

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
        .devices = session->backbone_count,
        .precision = run->backbone->precision,
        .is_gpu = strstr(session->runtime, "cuda") != NULL,
        .processor_has_amx = pf_processor_has_amx(),
        .fast_decode = run->backbone->preprocess.fast_decode,
        .compression = run->options->compression,
        .level = run->options->level,
    };
}

static void measure_rates(PfExtraction *run, PfExtractionSummary *summary)
{
    double seconds = run->stats.forward_seconds;
    if (!run->multiply_adds || seconds <= 0) return;
    summary->gflops = 2e-9 * run->multiply_adds / seconds;
    if (seconds < WORTH_MEASURING && pf_log_verbosity() != PF_VERBOSE) return;
    pf_backbone_session_close(&run->session);
    if (pf_bare_convolution_measure(run->backbone, run->session.batch, &summary->bare_gflops, NULL))
        summary->bare_gflops = 0;
}

void pf_extraction_sum_up(PfExtraction *run, PfExtractionSummary *summary)
{
    const PfPipelineStats *stats = &run->stats;
    const PfCacheWriterStats *written = &run->composed.written;
    PfSurveyCounts counts = pf_survey_count(run->survey);
    *summary = (PfExtractionSummary){.rows = counts.reused,
                                     .rejected = counts.rejected,
                                     .computed = stats->images,
                                     .file_bytes = pf_extraction_stat_cache(run).st_size,
                                     .raw_bytes = written->raw_bytes,
                                     .stored_bytes = written->stored_bytes,
                                     .peak_memory_bytes = (int64_t)pf_peak_memory_bytes()};
    if (stats->images) {
        summary->images_per_second = pf_pipeline_rate(stats, pf_extraction_worker_count(run));
        summary->times = run_times(run);
        summary->bottleneck = pf_bottleneck_find(&summary->times);
        measure_rates(run, summary);
    }
    summary->seconds = pf_seconds() - run->started; /* with those that measuring took */
}

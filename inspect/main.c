/* inspect: what a cache says of its images. */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/process.h"
#include "common/thread/processors.h"
#include "inspect/findings/findings.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/options.h"
#include "inspect/rows/rows.h"
#include "permafrost/feature_cache.h"

static int inspect_rows(const PfInspectOptions *options, const PfRows *rows, PfFindings *findings,
                        PfError *err)
{
    PfNeighbours all = {.k = 200};
    (void)options, (void)findings;
    double started = pf_clock_seconds();
    int failed = pf_neighbours_find(rows, &all, 1, NULL, NULL, err);
    pf_say("%.3f s", pf_clock_seconds() - started);
    pf_neighbours_free(&all);
    return failed;
}

static int inspect(PfInspectOptions *options, PfError *err)
{
    PfCache *cache;
    PfRows rows;
    PfFindings findings = {0};
    if (options->sources_from && pf_cache_allow_sources(options->sources_from, err)) return -1;
    if (pf_cache_open(options->cache, &cache, err)) return -1;
    int failed = pf_rows_read(cache, &options->rows, &rows, err) ||
                 inspect_rows(options, &rows, &findings, err);
    pf_findings_free(&findings);
    pf_rows_free(&rows);
    pf_cache_close(&cache);
    return failed ? -1 : 0;
}

static int run(int argc, char **argv, PfInspectOptions *options, PfError *err)
{
    if (pf_inspect_options_parse(argc, argv, options, err)) return -1;
    pf_log_setup("inspect", options->quiet ? PF_QUIET : options->verbose ? PF_VERBOSE : PF_NORMAL);
    if (options->help) {
        pf_inspect_options_help();
    } else if (options->version) {
        puts("inspect (permafrost) " PF_VERSION);
    } else {
        pf_processors_set(options->threads);
        options->rows.threads = options->threads;
        options->rows.interrupted = pf_process_catch_interrupts("no findings were written");
        return inspect(options, err);
    }
    return 0;
}

int main(int argc, char **argv)
{
    PfInspectOptions options;
    PfError err = {0};
    pf_process_begin_streams();
    pf_log_setup("inspect", PF_NORMAL);
    int failed = run(argc, argv, &options, &err) || pf_process_finish_output(&err);
    return failed ? pf_process_exit_code(pf_log_error(&err)) : PF_EXIT_DONE;
}

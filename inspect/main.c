/* inspect: what a cache says of its images. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/process.h"
#include "common/file/atomic_file.h"
#include "common/file/output.h"
#include "common/thread/processors.h"
#include "inspect/export/export.h"
#include "inspect/findings/findings.h"
#include "inspect/findings_file.h"
#include "inspect/options.h"
#include "inspect/page/map.h"
#include "inspect/report.h"
#include "inspect/rows/rows.h"
#include "inspect/search.h"
#include "inspect/words.h"
#include "permafrost/feature_cache.h"

/* Words go to standard output, unless that is for JSON or CSV. */
static FILE *words_stream(const PfInspectOptions *options)
{
    bool is_taken = (options->json && !strcmp(options->json, "-")) ||
                    (options->csv && !strcmp(options->csv, "-"));
    return is_taken ? stderr : stdout;
}

static int inspect_rows(const PfInspectOptions *options, const PfRows *rows, PfFindings *findings,
                        PfMap *map, PfError *err)
{
    FILE *stream = words_stream(options);
    if (!options->quiet) pf_words_begin(stream, options, rows);
    if (pf_search_run(options, rows, findings, err)) return -1;
    if (options->map && pf_map_draw(rows, map, err)) return -1;
    if (!options->quiet) pf_words_findings(stream, options, rows, findings, map);
    if (options->json && pf_findings_write_json(options, rows, findings, map, err)) return -1;
    if (options->csv && pf_findings_write_csv(options, rows, findings, err)) return -1;
    if (!options->output && !options->export_folder) return 0;
    return pf_report_write(options, rows, findings, map, err);
}

/* Says now what would go wrong after the search, or would be lost. */
static int check_outputs(const PfInspectOptions *options, PfError *err)
{
    const PfOutput outputs[] = {{"--json", options->json, PF_CONTENT_JSON},
                                {"--csv", options->csv, PF_CONTENT_CSV},
                                {"-o", options->output, PF_CONTENT_PAGE}};
    const char *inputs[2 + PF_INSPECT_MAX_MODELS] = {options->cache, options->near};
    const char *whats[2 + PF_INSPECT_MAX_MODELS] = {"the cache itself", "the image of --near"};
    for (int m = 0; m < options->model_count; m++) {
        inputs[2 + m] = options->models[m];
        whats[2 + m] = "a model that is read";
    }
    if (pf_output_check_all(outputs, 3, inputs, whats, 2 + options->model_count, err)) return -1;
    for (int i = 0; i < 3; i++)
        if (outputs[i].path && strcmp(outputs[i].path, "-") &&
            pf_atomic_file_check(outputs[i].path, err))
            return -1;
    return options->export_folder ? pf_export_check(options->export_folder, outputs, 3, err) : 0;
}

static int inspect(PfInspectOptions *options, PfError *err)
{
    PfCache *cache;
    PfRows rows = {0};
    PfFindings findings = {0};
    PfMap map = {0};
    if (check_outputs(options, err)) return -1;
    if (options->sources_from && pf_cache_allow_sources(options->sources_from, err)) return -1;
    if (pf_cache_open(options->cache, &cache, err)) return -1;
    int failed = pf_report_check(options, cache, err) ||
                 pf_rows_read(cache, &options->rows, &rows, err) ||
                 inspect_rows(options, &rows, &findings, &map, err);
    pf_map_free(&map);
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
    if (pf_manual_answer(&pf_inspect_manual, argc, argv))
        return pf_process_finish_output(&err) ? pf_log_error(&err) : PF_EXIT_DONE;
    int failed = run(argc, argv, &options, &err) || pf_process_finish_output(&err);
    return failed ? pf_process_exit_code(pf_log_error(&err)) : PF_EXIT_DONE;
}

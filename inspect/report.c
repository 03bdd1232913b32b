#include "inspect/report.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "inspect/model/model_outputs.h"
#include "inspect/page/cache_page.h"

int pf_report_write(const PfInspectOptions *options, const PfRows *rows, const PfFindings *findings,
                    PfError *err)
{
    PfCachePage page;
    PfCachePageConfig config = {.images = options->images,
                                .no_thumbnails = options->no_thumbnails,
                                .anonymous = options->anonymous,
                                .threads = options->threads,
                                .interrupted = options->rows.interrupted};
    double started = pf_clock_seconds();
    int failed = pf_cache_page_open(rows->cache, &config, &page, err);
    page.data.findings = findings;
    if (!failed && options->model_count) {
        PfModelNetworkOptions model = {.model = options->models[0], .device = "auto"};
        failed = pf_model_outputs_fill(&page, &model, rows->broken, err);
    }
    if (!failed) {
        pf_page_prepare(&page.data);
        failed = pf_cache_page_nearest(&page, rows, err) ||
                 (!options->no_map && pf_cache_page_map(&page, rows, err)) ||
                 pf_page_write(options->output, &page.data, err);
    }
    pf_cache_page_close(&page);
    if (!failed) pf_say("page: %s, %.1f s", options->output, pf_clock_seconds() - started);
    return failed ? -1 : 0;
}

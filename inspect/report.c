#include "inspect/report.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "inspect/export/export.h"
#include "inspect/model/model_outputs.h"
#include "inspect/models.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/page/cache_page.h"

#define EXPORTED_NEIGHBOURS 10

static int export_rows(const PfInspectOptions *options, const PfRows *rows, const PfPageData *data,
                       PfError *err)
{
    PfNeighbours neighbours = {.k = EXPORTED_NEIGHBOURS};
    PfNeighboursWay way = {.method = pf_inspect_options_method(options)};
    if (rows->count <= neighbours.k) neighbours.k = (int)rows->count - 1;
    bool has_any = neighbours.k > 0;
    int failed = has_any && pf_neighbours_find(rows, &neighbours, 1, &way, NULL, NULL, err);
    if (!failed)
        failed =
            pf_export_write(options->export_folder, data, rows, has_any ? &neighbours : NULL, err);
    if (has_any) pf_neighbours_free(&neighbours);
    if (!failed && way.by_cells)
        pf_say("exported neighbours were looked for in %d of %d cells: %.1f %% of them are the "
               "nearest; --exact compares all pairs",
               way.probes, way.cells, 100 * way.recall[0]);
    if (!failed) pf_say("exported: %s", options->export_folder);
    return failed;
}

static PfModelNetworkOptions model_of(const PfInspectOptions *options)
{
    return (PfModelNetworkOptions){.model = options->models[0], .device = "auto"};
}

int pf_report_check(const PfInspectOptions *options, const PfCache *cache, PfError *err)
{
    if (!options->model_count || (!options->output && !options->export_folder)) return 0;
    const PfModelNetworkOptions model = model_of(options);
    return pf_model_outputs_check_model(&model, cache, err);
}

int pf_report_write(const PfInspectOptions *options, const PfRows *rows, const PfFindings *findings,
                    const PfMap *map, PfError *err)
{
    PfCachePage page;
    PfCachePageConfig config = {.images = options->images,
                                .max_pixels = options->max_pixels,
                                .no_thumbnails = options->no_thumbnails || !options->output,
                                .anonymous = options->anonymous,
                                .threads = options->threads,
                                .interrupted = options->rows.interrupted};
    double started = pf_clock_seconds();
    uint8_t *splits = NULL;
    if (options->model_count && pf_models_find_splits(options->models[0], rows, &splits, err))
        return -1;
    config.splits = splits;
    int failed = pf_cache_page_open(rows->cache, &config, &page, err);
    page.data.findings = findings;
    page.data.inspected = rows->target;
    if (!failed && options->model_count) {
        const PfModelNetworkOptions model = model_of(options);
        failed = pf_model_outputs_fill(&page, &model, rows->broken, err);
    }
    if (!failed) {
        pf_page_prepare(&page.data);
        failed =
            pf_cache_page_nearest(&page, rows, err) ||
            (!options->no_map && pf_cache_page_map(&page, rows, options->map ? map : NULL, err)) ||
            (options->output && pf_page_write(options->output, &page.data, err)) ||
            (options->export_folder && export_rows(options, rows, &page.data, err));
    }
    pf_cache_page_close(&page);
    free(splits);
    if (!failed && options->output)
        pf_say("page: %s, %.1f s", options->output, pf_clock_seconds() - started);
    return failed ? -1 : 0;
}

#include "inspect/report.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/integers.h"
#include "common/base/log.h"
#include "inspect/export/export.h"
#include "inspect/model/model_outputs.h"
#include "inspect/models.h"
#include "inspect/neighbours/neighbours.h"
#include "inspect/page/cache_page.h"

static void on_progress(void *context, int64_t done, int64_t total)
{
    (void)total;
    pf_progress_update(context, done, "neighbours for --export");
}

/* Those that nobody has looked for yet. */
static int find_neighbours(const PfInspectOptions *options, const PfRows *rows,
                           PfNeighbours *neighbours, PfError *err)
{
    PfNeighboursWay way = {.method = pf_inspect_options_method(options)};
    PfProgress progress;
    pf_progress_start(&progress, "rows compared", rows->count);
    int failed = pf_neighbours_find(rows, neighbours, 1, &way, on_progress, &progress, err);
    pf_progress_end(&progress);
    if (!failed && way.by_cells)
        pf_say("exported neighbours were looked for in %d of %d cells: %.1f %% of them are the "
               "nearest; --exact compares all pairs",
               way.probes, way.cells, 100 * way.recall[0]);
    return failed;
}

static int export_rows(const PfInspectOptions *options, const PfRows *rows,
                       const PfFindings *findings, const PfPageData *data, PfError *err)
{
    const PfNeighbourLists *found = &findings->neighbours;
    PfNeighbours own = {.k = (int)pf_min(PF_EXPORT_NEIGHBOURS, rows->count - 1)};
    const PfNeighbours *neighbours = found->nearest.index ? &found->nearest : &own;
    if (neighbours == &own && own.k > 0 && find_neighbours(options, rows, &own, err)) {
        pf_neighbours_free(&own);
        return -1;
    }
    int failed = pf_export_write(options->export_folder, data, rows,
                                 neighbours->k > 0 ? neighbours : NULL, err);
    pf_neighbours_free(&own);
    if (!failed && neighbours != &own && found->way.by_cells)
        pf_say("exported neighbours are the first %d of the %d that were looked for in %d of %d "
               "cells; --exact compares all pairs",
               neighbours->k, found->k[0], found->way.probes, found->way.cells);
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
            (options->export_folder && export_rows(options, rows, findings, &page.data, err));
    }
    pf_cache_page_close(&page);
    free(splits);
    if (!failed && options->output)
        pf_say("page: %s, %.1f s", options->output, pf_clock_seconds() - started);
    return failed ? -1 : 0;
}

#include "cached_features.h"

#include <stdlib.h>
#include <string.h>

#include "backbone_loader.h"
#include "cached_views.h"
#include "log.h"
#include "memory.h"
#include "printable.h"

#define BLOCK_BYTES ((int64_t)64 << 20)
#define MOST_ROWS 4096

static int fail_width(const PfCachedFeatures *cached, const char *model, int64_t expected,
                      int64_t found, PfError *err)
{
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "model '%s' takes %lld numbers, tap '%s' of '%s' has %lld", model,
                   (long long)expected, pf_cache_tap(cached->cache, cached->tap)->name,
                   pf_cache_path(cached->cache), (long long)found);
}

/* Of one view. */
static int64_t tap_width(const PfCachedFeatures *cached)
{
    return pf_shape_count(&pf_cache_tap(cached->cache, cached->tap)->shape) / cached->views;
}

static int find_tap(const char *model, PfCachedFeatures *cached, const char *tap, PfError *err)
{
    PfError unknown = {0};
    if (!pf_cache_find_tap(cached->cache, tap, &cached->tap, &unknown)) return 0;
    return pf_fail(err, unknown.exit_code, "model '%s' needs tap '%s'. %" PF_SENTENCE, model, tap,
                   unknown.message);
}

static int open_suffix(const PfModel *model, const PfPredictOptions *options,
                       PfCachedFeatures *cached, const char *cut, const char *tap, PfError *err)
{
    if (strchr(options->device, ','))
        return pf_fail(err, PF_EXIT_USAGE, "--device %s: rows of a cache go through one device",
                       options->device);
    if (pf_model_network_plan(model, options, tap, &cached->plan, err)) return -1;
    const PfBackbonePlan *plan = cached->plan;
    PfSuffixConfig config = {
        .arch = plan->arch,
        .tensors = plan->tensors,
        .tensor_count = plan->tensor_count,
        .cut = cut,
        .output = tap,
        .input_height = plan->preprocess.crop,
        .input_width = plan->preprocess.crop,
        .device = options->device,
    };
    memcpy(config.mean, plan->preprocess.mean, sizeof config.mean);
    memcpy(config.std, plan->preprocess.std, sizeof config.std);
    if (pf_script_file_lend(plan->script, &config.torchscript, err) ||
        pf_backbone_plugin_load(&cached->plugin, err))
        return -1;
    const PfSuffixPlugin *plugin = cached->plugin->suffix;
    if (!plugin)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the plugin that runs networks cannot run parts of them");
    if (plugin->open(&config, &cached->suffix, err)) return -1;
    int64_t takes = pf_shape_count(plugin->input_shape(cached->suffix));
    int64_t gives = pf_shape_count(plugin->output_shape(cached->suffix));
    if (takes != tap_width(cached))
        return fail_width(cached, pf_model_path(model), takes, tap_width(cached), err);
    if (gives != cached->features)
        return pf_fail(err, PF_EXIT_IDENTITY,
                       "model '%s' takes %lld features, its network gives %lld",
                       pf_model_path(model), (long long)cached->features, (long long)gives);
    cached->rows =
        pf_alloc_aligned((size_t)(cached->block_rows * takes), sizeof *cached->rows, err);
    if (!cached->rows) return -1;
    pf_say("'%s' on from tap '%s' of '%s': %s", pf_model_finetuned_node(model), cut,
           pf_cache_path(cached->cache), plugin->describe(cached->suffix));
    return 0;
}

static int open_views(PfCachedFeatures *cached, int64_t values, PfError *err)
{
    cached->stored =
        pf_alloc_aligned((size_t)(cached->block_rows * values), sizeof *cached->stored, err);
    if (!cached->stored) return -1;
    pf_say("'%s' holds %d views of each image: the centre is used", pf_cache_path(cached->cache),
           cached->views);
    return 0;
}

static int open_features(const PfModel *model, const PfPredictOptions *options, const char *tap,
                         PfCachedFeatures *cached, PfError *err)
{
    const char *path = pf_model_path(model), *cut = pf_model_finetuned_cut(model);
    if (pf_cached_views(cached->cache, &cached->views, err) ||
        find_tap(path, cached, cut ? cut : tap, err))
        return -1;
    int64_t width = tap_width(cached), stored = cached->views * width;
    int64_t fit = BLOCK_BYTES / (stored * (int64_t)sizeof(float));
    cached->block_rows = fit < 1 ? 1 : fit > MOST_ROWS ? MOST_ROWS : fit;
    if (cached->views > 1 && open_views(cached, stored, err)) return -1;
    if (cut) return open_suffix(model, options, cached, cut, tap, err);
    return width == cached->features ? 0 : fail_width(cached, path, cached->features, width, err);
}

int pf_cached_features_open(const PfModel *model, const PfPredictOptions *options, const char *tap,
                            int64_t features, PfCache *cache, PfCachedFeatures *out, PfError *err)
{
    *out = (PfCachedFeatures){.cache = cache, .features = features};
    if (!open_features(model, options, tap, out, err)) return 0;
    pf_cached_features_close(out);
    return -1;
}

void pf_cached_features_close(PfCachedFeatures *cached)
{
    if (cached->suffix) cached->plugin->suffix->close(&cached->suffix);
    pf_backbone_plan_free(&cached->plan);
    free(cached->rows);
    free(cached->stored);
    *cached = (PfCachedFeatures){0};
}

int pf_cached_features_read(PfCachedFeatures *cached, int64_t first, int64_t count, float *out,
                            PfError *err)
{
    float *rows = cached->suffix ? cached->rows : out;
    float *stored = cached->stored ? cached->stored : rows;
    if (pf_cache_read_f32(cached->cache, cached->tap, first, count, stored, 0, err)) return -1;
    int64_t width = tap_width(cached);
    for (int64_t i = 0; i < count && stored != rows; i++)
        memcpy(rows + i * width, stored + i * cached->views * width, (size_t)width * sizeof *rows);
    if (!cached->suffix) return 0;
    return cached->plugin->suffix->forward(cached->suffix, rows, count, out, err);
}

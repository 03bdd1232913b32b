#include "predict/model/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/loader.h"
#include "common/backbone/script_file.h"
#include "common/base/integers.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/cache/pixels.h"
#include "common/cache/views.h"
#include "common/onnx/network.h"

static const cJSON *member(const PfModel *model, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), key);
}

/* Where the network of the features was when extract ran, as extract noted it. */
static const char *noted_source(const PfModel *model, const char *key)
{
    return pf_json_member_text(member(model, "sources"), key);
}

/* The same, or NULL where the file is not there any more. */
static const char *known_source(const PfModel *model, const char *key)
{
    return pf_weights_still_there(noted_source(model, key));
}

/* "model", or what else the command line names. */
static const char *what_is(const PfModelNetworkOptions *options)
{
    return options->what ? options->what : "model";
}

/* The name comes from the model's file: it must be one of the built-in networks. */
static int check_name(const PfModelNetworkOptions *options, const char *name, PfError *err)
{
    PfArch *arch;
    PfError unknown = {0};
    if (!pf_arch_new(name, &arch, &unknown)) {
        pf_arch_free(&arch);
        return 0;
    }
    return pf_fail(err, PF_EXIT_FAILED,
                   "%s '%s' names a backbone that is not built in: %" PF_SENTENCE, what_is(options),
                   options->model, unknown.message);
}

/* Pixels need no weights: named ones are read where the model says which they must be. */
static int choose_weights(const PfModel *model, const PfModelNetworkOptions *options,
                          PfBackboneOptions *backbone, PfError *err)
{
    bool takes_pixels = !strcmp(backbone->taps, PF_PIXEL_TAP);
    if (takes_pixels && options->weights && pf_pixels_lack_weights(member(model, "backbone")))
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights: the head of model '%s' takes the pixels themselves, and no "
                       "weights",
                       options->model);
    backbone->weights =
        options->weights || takes_pixels ? options->weights : known_source(model, "weights_path");
    return 0;
}

static int choose_builtin(const PfModel *model, const PfModelNetworkOptions *options,
                          const char *name, PfBackboneOptions *backbone, PfError *err)
{
    if (options->backbone)
        return pf_fail(err, PF_EXIT_USAGE,
                       "%s '%s' belongs to the built-in backbone %s: --backbone is for "
                       "TorchScript files; give its weights with --weights",
                       what_is(options), options->model, name);
    if (check_name(options, name, err)) return -1;
    backbone->backbone = name;
    return choose_weights(model, options, backbone, err);
}

static int open_trusted(const PfModelNetworkOptions *options, const char *path,
                        PfBackboneOptions *backbone, PfError *err)
{
    char *by = pf_asprintf(err, "%s '%s'", what_is(options), options->model);
    int failed = !by || pf_script_file_open_trusted(path, by, &backbone->script, err);
    free(by);
    return failed ? -1 : 0;
}

static int choose_torchscript(const PfModel *model, const PfModelNetworkOptions *options,
                              PfBackboneOptions *backbone, PfError *err)
{
    const char *path = known_source(model, "backbone_path");
    backbone->weights = options->weights; /* refused by the plan */
    if (options->backbone)
        return pf_script_file_open(options->backbone, NULL, &backbone->script, err);
    if (path) return open_trusted(options, path, backbone, err);
    const char *noted = noted_source(model, "backbone_path");
    const char *sha256 = pf_json_member_text(member(model, "backbone"), "torchscript_sha256");
    return pf_fail(err, PF_EXIT_FAILED,
                   "the TorchScript file that %s '%s' belongs to is not where it was: '%s' "
                   "(SHA-256 %s). Hint: name it with --backbone FILE.pt",
                   what_is(options), options->model, noted ? noted : "not noted",
                   sha256 ? sha256 : "not noted");
}

/* An ONNX file is data: it is read wherever the model says that it is. */
static int choose_onnx(const PfModel *model, const PfModelNetworkOptions *options,
                       const PfPreprocess *preprocess, PfBackboneOptions *backbone, PfError *err)
{
    const char *path = options->backbone ? options->backbone : known_source(model, "backbone_path");
    const char *noted = noted_source(model, "backbone_path");
    const char *sha256 = pf_json_member_text(member(model, "backbone"), "onnx_sha256");
    backbone->weights = options->weights; /* refused by the plan */
    backbone->crop = preprocess->crop;
    if (path) return pf_onnx_open(path, NULL, &backbone->onnx, err);
    return pf_fail(err, PF_EXIT_FAILED,
                   "the ONNX file that %s '%s' belongs to is not where it was: '%s' (SHA-256 "
                   "%s). Hint: name it with --backbone FILE.onnx",
                   what_is(options), options->model, noted ? noted : "not noted", sha256);
}

static int choose_backbone(const PfModel *model, const PfModelNetworkOptions *options,
                           const PfPreprocess *preprocess, PfBackboneOptions *backbone,
                           PfError *err)
{
    const cJSON *object = member(model, "backbone");
    const char *name = pf_json_member_text(object, "name");
    if (!cJSON_IsObject(object))
        return pf_fail(err, PF_EXIT_FAILED,
                       "model '%s' does not say which network its features came from (its cache "
                       "did not): it can score the rows of a cache, not images",
                       options->model);
    if (pf_json_member_text(object, "onnx_sha256"))
        return choose_onnx(model, options, preprocess, backbone, err);
    return name ? choose_builtin(model, options, name, backbone, err)
                : choose_torchscript(model, options, backbone, err);
}

static PfPrecision model_precision(const PfModel *model)
{
    const char *name = cJSON_GetStringValue(member(model, "precision"));
    PfPrecision precision;
    return name && !pf_precision_named(name, &precision) ? precision : PF_FP32;
}

/* Emulation changes nothing but bf16's speed: asked for anything else, it would be ignored. */
static int check_emulation(const PfModel *model, const PfModelNetworkOptions *options, PfError *err)
{
    PfPrecision precision = model_precision(model);
    if (!options->emulate || precision == PF_BF16) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--emulate goes with a model of bf16 features; those of '%s' are %s",
                   options->model, pf_precision_name(precision));
}

static int check_hash(const PfModel *model, const PfModelNetworkOptions *options,
                      const PfBackbonePlan *plan, PfError *err)
{
    const char *key = pf_backbone_plan_sha256_key(plan);
    const char *expected = pf_json_member_text(member(model, "backbone"), key);
    if (pf_backbone_plan_lacks_weights(plan) || (expected && !strcmp(expected, plan->sha256)))
        return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "%s '%s' %s features of other weights: its backbone's sha256 is "
                   "%.12s..., that of %s is %.12s.... Hint: name the right file with %s.",
                   what_is(options), options->model, options->what ? "holds" : "was trained on",
                   expected ? expected : "unknown", pf_backbone_plan_source(plan), plan->sha256,
                   plan->weights ? "--weights" : "--backbone");
}

static const char *finetuned_member(const PfModel *model, const char *key)
{
    return pf_json_member_text(member(model, "finetune"), key);
}

const char *pf_model_network_finetuned_cut(const PfModel *model)
{
    return finetuned_member(model, "cut");
}

const char *pf_model_network_finetuned_node(const PfModel *model)
{
    return finetuned_member(model, "node");
}

/* Put in place of the tensor of that name, or behind all others. */
static void put_tensor(PfBackbonePlan *plan, const char *name, const PfTensorView *view)
{
    size_t i = 0;
    while (i < plan->tensor_count && strcmp(plan->tensors[i].name, name)) i++;
    plan->tensors[i] = (PfNamedTensor){name, *view};
    if (i == plan->tensor_count) plan->tensor_count++;
}

static int fail_shape(const PfModel *model, const char *name, const PfTensorView *view,
                      const PfShape *shape, PfError *err)
{
    char expected[PF_SHAPE_TEXT_SIZE], found[PF_SHAPE_TEXT_SIZE];
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s': its tensor '%.200s' is %s %s, and the network's is %s, of floating "
                   "point",
                   pf_model_path(model), name, pf_shape_text(&view->shape, found),
                   pf_dtype_name(view->dtype), pf_shape_text(shape, expected));
}

static const PfParameter *find_parameter(const PfParameter *parameters, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(parameters[i].name, name)) return &parameters[i];
    return NULL;
}

/* What takes a parameter's place is as it; other tensors nothing reads. A network whose graph is
 * not known looks at its own. names: of tensors that the model has. */
static int check_finetuned_tensors(const PfModel *model, const PfBackbonePlan *plan,
                                   const cJSON *names, PfError *err)
{
    PfParameter *parameters;
    const cJSON *item;
    int count, failed = 0;
    if (!plan->arch) return 0;
    if (pf_arch_parameters(plan->arch, plan->arch->node_count - 1, &parameters, &count, err))
        return -1;
    cJSON_ArrayForEach(item, names)
    {
        const PfTensorView *view = pf_model_tensor(model, item->valuestring);
        const PfParameter *parameter = find_parameter(parameters, count, item->valuestring);
        const bool fits = !parameter || (pf_shape_equal(&view->shape, &parameter->shape) &&
                                         view->dtype <= PF_DTYPE_F64);
        if (!fits) failed = fail_shape(model, item->valuestring, view, &parameter->shape, err);
        if (failed) break;
    }
    free(parameters);
    return failed;
}

static int put_finetuned_tensors(const PfModel *model, PfBackbonePlan *plan, PfError *err)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(member(model, "finetune"), "tensors");
    const cJSON *item;
    size_t more = (size_t)cJSON_GetArraySize(names);
    if (!more) return 0;
    PfNamedTensor *tensors = pf_calloc(plan->tensor_count + more, sizeof *tensors, err);
    if (!tensors) return -1;
    if (plan->tensor_count) memcpy(tensors, plan->tensors, plan->tensor_count * sizeof *tensors);
    free(plan->tensors);
    plan->tensors = tensors;
    cJSON_ArrayForEach(item, names)
    {
        const char *name = cJSON_GetStringValue(item);
        const PfTensorView *view = name ? pf_model_tensor(model, name) : NULL;
        if (!view)
            return pf_fail(err, PF_EXIT_FAILED, "model '%s': its tensor '%.200s' is missing",
                           pf_model_path(model), name ? name : "?");
        put_tensor(plan, name, view);
    }
    return check_finetuned_tensors(model, plan, names, err);
}

static int open_plan(const PfModel *model, PfBackboneOptions *backbone, PfBackbonePlan **out,
                     PfError *err)
{
    char *by = pf_asprintf(err, "model '%s'", pf_model_path(model));
    if (!by) {
        pf_script_file_free(&backbone->script);
        pf_onnx_free(&backbone->onnx);
        return -1;
    }
    PfNotedWeights noted = {.by = by,
                            .source = noted_source(model, "weights_path"),
                            .sha256 =
                                pf_json_member_text(member(model, "backbone"), "weights_sha256"),
                            .no_others = 1};
    PfFileStampSha256 known = {0}; /* without a stamp: which entry of the file it was, no more */
    if (noted.sha256) snprintf(known.sha256, sizeof known.sha256, "%s", noted.sha256);
    backbone->noted = &noted;
    backbone->known = &known;
    int failed = pf_backbone_plan_new(backbone, out, err);
    free(by);
    return failed;
}

/* A cache that was made by hand says less of its images, and so does its model. */
static int read_preprocess(const PfModel *model, PfPreprocess *out, PfError *err)
{
    PfError found = {0};
    const cJSON *object = member(model, "preprocess");
    if (!pf_preprocess_json_read(object, out, &found)) return 0;
    return pf_fail(err, found.exit_code, "model '%s': %" PF_SENTENCE "%s", pf_model_path(model),
                   found.message,
                   pf_preprocess_json_read_later(object, out, NULL)
                       ? ""
                       : ". Hint: as its cache does not say how images are prepared, it predicts "
                         "rows of such caches, and no images");
}

int pf_model_network_plan(const PfModel *model, const PfModelNetworkOptions *options,
                          const char *tap, PfBackbonePlan **out, PfError *err)
{
    PfBackboneOptions backbone = pf_backbone_options_default();
    PfPreprocess preprocess;
    backbone.taps = tap;
    if (check_emulation(model, options, err) || read_preprocess(model, &preprocess, err) ||
        choose_backbone(model, options, &preprocess, &backbone, err))
        return -1;
    backbone.device = options->device;
    backbone.store = PF_DTYPE_F32;
    backbone.precision = model_precision(model);
    backbone.emulate = options->emulate;
    if (open_plan(model, &backbone, out, err)) return -1;
    (*out)->preprocess = preprocess;
    if (!check_hash(model, options, *out, err) && !put_finetuned_tensors(model, *out, err))
        return 0;
    pf_backbone_plan_free(out);
    return -1;
}

/* ==== on the rows of a cache ==== */

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

/* Numbers of the tap of one view. */
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

static int open_suffix(const PfModel *model, const PfModelNetworkOptions *options,
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
        pf_backbone_loader_load(&cached->plugin, err))
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
    pf_say("'%s' on from tap '%s' of '%s': %s", pf_model_network_finetuned_node(model), cut,
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

static int open_features(const PfModel *model, const PfModelNetworkOptions *options,
                         const char *tap, PfCachedFeatures *cached, PfError *err)
{
    const char *path = pf_model_path(model), *cut = pf_model_network_finetuned_cut(model);
    if (pf_cache_views_count(cached->cache, &cached->views, err) ||
        find_tap(path, cached, cut ? cut : tap, err))
        return -1;
    int64_t width = tap_width(cached), stored = cached->views * width;
    int64_t fit = BLOCK_BYTES / (stored * (int64_t)sizeof(float));
    cached->block_rows = pf_max(1, pf_min(fit, MOST_ROWS));
    if (cached->views > 1 && open_views(cached, stored, err)) return -1;
    if (cut) return open_suffix(model, options, cached, cut, tap, err);
    return width == cached->features ? 0 : fail_width(cached, path, cached->features, width, err);
}

/* What a model takes of a cache's rows: of a fine-tuned one the cut. */
static bool reads_pixels(const PfModel *model, const char *tap)
{
    const char *cut = pf_model_network_finetuned_cut(model);
    return !strcmp(cut ? cut : tap, PF_PIXEL_TAP);
}

int pf_model_network_check_cache(const PfModel *model, const char *name, const char *tap,
                                 const PfCache *cache, PfError *err)
{
    static const char *const keys[] = {"backbone", "preprocess"};
    cJSON *identity = pf_json_read(pf_cache_identity(cache));
    cJSON *metadata = cJSON_Duplicate(pf_model_metadata(model), 1);
    int failed = metadata ? 0 : pf_fail(err, PF_EXIT_FAILED, "out of memory");
    if (reads_pixels(model, tap))
        pf_pixels_pass_over_weights(cJSON_GetObjectItemCaseSensitive(metadata, "backbone"),
                                    cJSON_GetObjectItemCaseSensitive(identity, "backbone"));
    for (int i = 0; i < 2 && !failed; i++) {
        const cJSON *wanted = cJSON_GetObjectItemCaseSensitive(metadata, keys[i]);
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(identity, keys[i]);
        if (!cJSON_IsObject(wanted) || !cJSON_IsObject(found) || cJSON_Compare(wanted, found, 1))
            continue;
        char *left = pf_json_text(wanted), *right = pf_json_text(found);
        failed = pf_fail(err, PF_EXIT_IDENTITY,
                         "model '%s' needs %s %" PF_SENTENCE ", cache '%s' has %" PF_SENTENCE, name,
                         keys[i], left, pf_cache_path(cache), right);
        cJSON_free(left);
        cJSON_free(right);
    }
    cJSON_Delete(identity);
    cJSON_Delete(metadata);
    return failed;
}

int pf_cached_features_open(const PfModel *model, const PfModelNetworkOptions *options,
                            const char *tap, int64_t features, PfCache *cache,
                            PfCachedFeatures *out, PfError *err)
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

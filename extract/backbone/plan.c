#include "extract/backbone/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/executor.h"
#include "common/backbone/loader.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "common/base/printable.h"
#include "common/weights/hub_cache.h"
#include "extract/image/pixel_tap.h"
#include "extract/image/view.h"

/* Input of TorchScript files about which nothing else was said. */
static const PfPreprocess imagenet_preprocess = {
    .resize = 256,
    .crop = 224,
    .interpolation = PF_BILINEAR,
    .mean = {0.485f, 0.456f, 0.406f},
    .std = {0.229f, 0.224f, 0.225f},
};

PfBackboneOptions pf_backbone_options_default(void)
{
    return (PfBackboneOptions){.resize = -1,
                               .crop = -1,
                               .interpolation = -1,
                               .exif = -1,
                               .resize_order = -1,
                               .views = 1,
                               .precision = PF_FP32,
                               .store = PF_DTYPE_F16,
                               .device = "auto"};
}

const char *pf_precision_name(PfPrecision precision)
{
    static const char *const names[PF_PRECISIONS] = {
        [PF_FP32] = "fp32", [PF_BF16] = "bf16", [PF_FP16] = "fp16", [PF_TF32] = "tf32"};
    return names[precision];
}

int pf_precision_named(const char *name, PfPrecision *precision)
{
    for (int p = 0; p < PF_PRECISIONS; p++)
        if (!strcmp(name, pf_precision_name((PfPrecision)p))) {
            *precision = (PfPrecision)p;
            return 0;
        }
    return -1;
}

static int use_torchscript(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    if (options->weights)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights goes with a built-in backbone; the TorchScript file '%s' brings "
                       "its own",
                       options->script->path);
    const char *path = options->script->path, *slash = strrchr(path, '/');
    plan->preprocess = imagenet_preprocess;
    plan->name = pf_strdup(slash ? slash + 1 : path, err);
    if (!plan->name) return -1;
    snprintf(plan->sha256, sizeof plan->sha256, "%s", options->script->sha256);
    plan->stamp = options->script->stamp;
    return 0;
}

/* A copy of the list, whose tensors stay lent. */
static int list_tensors(PfBackbonePlan *plan, const PfNamedTensor *tensors, PfError *err)
{
    plan->tensors = pf_calloc(plan->tensor_count + 1, sizeof *plan->tensors, err);
    if (!plan->tensors) return -1;
    if (plan->tensor_count) memcpy(plan->tensors, tensors, plan->tensor_count * sizeof *tensors);
    return 0;
}

static int use_builtin(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    plan->name = pf_strdup(options->backbone, err);
    if (!plan->name || pf_arch_new(options->backbone, &plan->arch, err)) return -1;
    if (!options->entry || options->weights) return 0;
    plan->arch->weights = options->entry; /* no other set is looked for */
    plan->arch->weights_count = 1;
    return 0;
}

/* Weights that are named are read, so that the cache tells which they were. */
static bool needs_weights(const PfBackbonePlan *plan, const PfBackboneOptions *options)
{
    if (!plan->arch) return false;
    for (int t = 0; t < plan->tap_count; t++)
        if (!pf_pixel_tap_is(plan->taps[t])) return true;
    return options->weights || options->has_features;
}

/* Pixels alone need no weights; those that were noted are kept, wherever they are now. */
static void keep_noted_weights(PfBackbonePlan *plan, const PfBackboneOptions *options)
{
    const char *sha256 = options->noted ? options->noted->sha256 : NULL;
    const PfWeightsEntry *entry =
        options->entry ? options->entry : pf_weights_published(plan->arch, sha256);
    plan->preprocess = entry ? entry->preprocess : plan->arch->preprocess;
    if (sha256) snprintf(plan->sha256, sizeof plan->sha256, "%s", sha256);
}

/* A file that is named together with a set of weights is taken for that set, unless its SHA-256 or
 * its repository says that it is another. */
static int check_entry(const PfBackbonePlan *plan, const PfBackboneOptions *options,
                       const PfWeightsEntry **entry, PfError *err)
{
    if (!options->entry) return 0;
    if (*entry && strcmp((*entry)->name, options->entry->name) != 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--backbone names the weights %s of %s, and '%s' holds %s. "
                       "Hint: --backbone %s takes either",
                       options->entry->name, plan->name, pf_weights_source(plan->weights),
                       (*entry)->name, plan->name);
    *entry = options->entry;
    return 0;
}

static int find_weights(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    const PfWeightsEntry *entry = NULL;
    if (!plan->arch || plan->onnx) return 0;
    if (!needs_weights(plan, options)) {
        keep_noted_weights(plan, options);
        return 0;
    }
    const double started = pf_clock_seconds();
    if (options->weights ? pf_weights_load(plan->arch, options->weights, options->known,
                                           &plan->weights, &entry, err)
                         : pf_weights_find_noted(plan->arch, options->noted, options->known,
                                                 &plan->weights, &entry, err))
        return -1;
    plan->weights_seconds = pf_clock_seconds() - started;
    if (check_entry(plan, options, &entry, err)) return -1;
    plan->preprocess = entry ? entry->preprocess : plan->arch->preprocess;
    snprintf(plan->sha256, sizeof plan->sha256, "%s", pf_weights_sha256(plan->weights));
    plan->stamp = *pf_weights_stamp(plan->weights);
    return list_tensors(plan, pf_weights_tensors(plan->weights, &plan->tensor_count), err);
}

/* Networks whose patches allow only some sizes say which are nearest. */
static int check_image_size(const PfArch *arch, int size, PfError *err)
{
    const int patch = arch ? arch->patch : 0;
    const int below = patch ? size / patch * patch : 0;
    if (!patch || size == below) return 0;
    if (!below)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--image-size %d: sides of images for %s are multiples of %d pixels, its "
                       "patches. The nearest is %d",
                       size, arch->name, patch, patch);
    return pf_fail(err, PF_EXIT_USAGE,
                   "--image-size %d: sides of images for %s are multiples of %d pixels, its "
                   "patches. The nearest are %d and %d",
                   size, arch->name, patch, below, below + patch);
}

/* The crop becomes the size, and what is resized keeps its proportion to it: 256 of 224 are 384 of
 * 336, rounded to the nearest. */
static int apply_image_size(const PfArch *arch, const PfBackboneOptions *options,
                            PfPreprocess *preprocess, PfError *err)
{
    const int64_t size = options->image_size, crop = preprocess->crop;
    if (!size) return 0;
    if (options->resize >= 0 || options->crop > 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--image-size sets both --resize and --crop: leave %s out",
                       options->resize < 0 ? "--crop"
                       : options->crop > 0 ? "them"
                                           : "--resize");
    if (check_image_size(arch, (int)size, err)) return -1;
    const int64_t resize = (2 * preprocess->resize * size + crop) / (2 * crop);
    if (resize > PF_SIDE_MAX)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--image-size %d: shorter sides would be resized to %lld pixels, of which "
                       "%d are the most",
                       options->image_size, (long long)resize, PF_SIDE_MAX);
    preprocess->resize = (int)resize;
    preprocess->crop = (int)size;
    return 0;
}

static int apply_preprocess(const PfArch *arch, PfPreprocess *preprocess,
                            const PfBackboneOptions *options, PfError *err)
{
    if (apply_image_size(arch, options, preprocess, err)) return -1;
    if (options->squash && options->resize >= 0)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--squash resizes straight to --crop: leave --resize out");
    if (options->crop > 0) preprocess->crop = options->crop;
    if (options->resize >= 0) {
        preprocess->resize = options->resize;
        preprocess->squash = 0;
    } else if (options->crop > preprocess->resize) {
        preprocess->resize = options->crop; /* a larger crop alone: no black border */
    }
    if (options->squash) {
        preprocess->squash = 1;
        preprocess->resize = 0;
    }
    if (options->interpolation >= 0)
        preprocess->interpolation = (PfInterpolation)options->interpolation;
    if (options->has_mean) memcpy(preprocess->mean, options->mean, sizeof options->mean);
    if (options->has_std) memcpy(preprocess->std, options->std, sizeof options->std);
    if (options->fast_decode && !preprocess->squash && !preprocess->resize)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--fast-decode decodes smaller what is then resized; --resize 0 resizes "
                       "nothing");
    preprocess->fast_decode = options->fast_decode;
    preprocess->keep_truncated = options->keep_truncated;
    preprocess->has_background = options->has_background;
    memcpy(preprocess->background, options->background, sizeof preprocess->background);
    preprocess->exif = options->exif != 0;
    preprocess->resize_order =
        options->resize_order < 0 ? PF_PILLOW13 : (PfResizeOrder)options->resize_order;
    return 0;
}

/* ---- as the file beside the weights asks ---- */

static bool are_equal_pixels(const PfPreprocess *a, const PfPreprocess *b)
{
    return a->resize == b->resize && a->crop == b->crop && !a->squash == !b->squash &&
           a->interpolation == b->interpolation && !memcmp(a->mean, b->mean, sizeof a->mean) &&
           !memcmp(a->std, b->std, sizeof a->std);
}

/* Whether a cache that goes on was begun when such files were not followed yet. */
static bool began_without(const PfBackbonePlan *plan, const PfBackboneOptions *options)
{
    PfPreprocess ours = plan->preprocess;
    return options->begun && !apply_preprocess(plan->arch, &ours, options, NULL) &&
           are_equal_pixels(&ours, options->begun);
}

static PfGivenPixels given_pixels(const PfBackboneOptions *options)
{
    return (PfGivenPixels){
        .size = options->crop > 0 || options->image_size || options->squash,
        .interpolation = options->interpolation >= 0,
        .scale = options->has_mean && options->has_std,
    };
}

static void say_followed(char *path, const PfGivenPixels *given)
{
    if (path && !(given->size && given->interpolation && given->scale))
        pf_say("'%s', beside the weights, says how images are prepared", path);
    free(path);
}

/* Weights of a repository that the tables do not know may be for other pixels. */
static void warn_of_guess(const PfBackbonePlan *plan, const PfGivenPixels *given)
{
    if (given->size && given->interpolation && given->scale) return;
    pf_warn("weights '%s': no JSON beside them says how images are prepared; it is done as for the "
            "usual weights of %s. Hint: --resize, --crop, --interpolation, --mean and --std choose",
            pf_weights_source(plan->weights), plan->name);
}

/* Whether the table says how images are prepared for weights that were typed by such a name. */
static bool is_known_by_name(const PfBackbonePlan *plan, const PfBackboneOptions *options)
{
    return options->entry ||
           (pf_hub_is_named(options->weights) && pf_hub_find_entry(options->weights, plan->arch));
}

/* Whether a cache that goes on was begun when such files were followed for those weights, too. */
static bool began_with(const PfBackbonePlan *plan, const PfBackboneOptions *options,
                       const PfGivenPixels *given)
{
    PfPreprocess theirs = plan->preprocess;
    char *path = NULL;
    if (!options->begun || pf_weights_follow_preprocess(plan->weights, given, &theirs, &path, NULL))
        return false;
    const bool is_so = path && !apply_preprocess(plan->arch, &theirs, options, NULL) &&
                       are_equal_pixels(&theirs, options->begun);
    free(path);
    return is_so;
}

/* Published weights that the table knows, by their SHA-256 or by name, need no other word, and
 * neither do random numbers. */
static int follow_file(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    const PfGivenPixels given = given_pixels(options);
    char *path = NULL;
    if (!options->follows_files || !options->weights || !plan->weights ||
        pf_weights_published(plan->arch, plan->sha256) || began_without(plan, options) ||
        (is_known_by_name(plan, options) && !began_with(plan, options, &given)))
        return 0;
    if (pf_weights_follow_preprocess(plan->weights, &given, &plan->preprocess, &path, err))
        return -1;
    if (!path && pf_hub_is_named(options->weights)) warn_of_guess(plan, &given);
    say_followed(path, &given);
    return 0;
}

/* Of an ONNX file in the hub's cache, what lies beside it there. */
static int follow_folder(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    const PfGivenPixels given = given_pixels(options);
    char *path = NULL;
    if (pf_weights_follow_folder(options->hub_folder, &given, &plan->preprocess, &path, err))
        return -1;
    say_followed(path, &given);
    return 0;
}

/* An ONNX file is for images of one size, or is read for the size that is asked for. */
static int use_onnx(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    const char *path = pf_onnx_path(plan->onnx), *slash = strrchr(path, '/');
    const int side = pf_onnx_side(plan->onnx);
    if (options->weights)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights goes with a built-in backbone; the ONNX file '%s' brings its own",
                       path);
    plan->preprocess = imagenet_preprocess;
    if (side) {
        plan->preprocess.crop = side;
        plan->preprocess.resize = side * imagenet_preprocess.resize / imagenet_preprocess.crop;
    }
    if (options->hub_folder && follow_folder(plan, options, err)) return -1;
    if (side) plan->preprocess.crop = side;
    if (side && options->image_size && options->image_size != side)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--image-size %d: '%s' takes images of %d x %d pixels alone",
                       options->image_size, path, side, side);
    plan->name = pf_strdup(slash ? slash + 1 : path, err);
    if (!plan->name || apply_preprocess(NULL, &plan->preprocess, options, err) ||
        pf_onnx_build(plan->onnx, plan->preprocess.crop, err))
        return -1;
    plan->arch = pf_onnx_arch(plan->onnx);
    snprintf(plan->sha256, sizeof plan->sha256, "%s", pf_onnx_sha256(plan->onnx));
    plan->stamp = *pf_onnx_stamp(plan->onnx);
    return list_tensors(plan, pf_onnx_tensors(plan->onnx, &plan->tensor_count), err);
}

/* Names of an ONNX file become those of the graph. */
static int name_nodes(PfBackbonePlan *plan, PfError *err)
{
    for (int i = 0; i < plan->tap_count && plan->onnx; i++) {
        const char *found;
        if (pf_onnx_find_tap(plan->onnx, plan->taps[i], &found, err)) return -1;
        char *name = pf_strdup(found, err);
        if (!name) return -1;
        free(plan->taps[i]);
        plan->taps[i] = name;
    }
    return 0;
}

static int choose_taps(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    const char *list = options->taps;
    if (!list && plan->arch) list = plan->arch->default_tap;
    if (!list) return 0; /* a TorchScript file says itself what it has */
    if (pf_options_split_list(list, &plan->taps, &plan->tap_count, err) || name_nodes(plan, err))
        return -1;
    for (int i = 0; i < plan->tap_count; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(plan->taps[i], plan->taps[k]))
                return pf_fail(err, PF_EXIT_USAGE, "--tap: '%s' is given twice", plan->taps[i]);
    return 0;
}

/* Taps and shapes exist, and the weight file holds what leads to them. */
static int check_network(const PfBackbonePlan *plan, PfError *err)
{
    if (!plan->arch) return 0;
    PfShape *shapes = pf_calloc((size_t)plan->arch->node_count, sizeof *shapes, err);
    if (!shapes) return -1;
    int side = plan->preprocess.crop;
    int failed = pf_arch_infer_shapes(plan->arch, side, side, shapes, err);
    for (int i = 0; i < plan->tap_count && !failed; i++) {
        int node;
        failed = pf_arch_find_tap(plan->arch, plan->taps[i], &node, err);
        if (!failed && plan->weights)
            failed = pf_weights_check(plan->weights, plan->arch, node, err);
    }
    if (!failed && plan->weights) pf_weights_report_auxiliary(plan->weights, plan->arch);
    free(shapes);
    return failed;
}

static int resolve(PfBackbonePlan *plan, const PfBackboneOptions *options, PfError *err)
{
    if (plan->onnx)
        return use_onnx(plan, options, err) || choose_taps(plan, options, err) ||
                       check_network(plan, err)
                   ? -1
                   : 0;
    if (plan->script ? use_torchscript(plan, options, err) : use_builtin(plan, options, err))
        return -1;
    if (choose_taps(plan, options, err) || find_weights(plan, options, err) ||
        follow_file(plan, options, err) ||
        apply_preprocess(plan->arch, &plan->preprocess, options, err))
        return -1;
    return check_network(plan, err);
}

int pf_backbone_plan_new(const PfBackboneOptions *options, PfBackbonePlan **out, PfError *err)
{
    PfBackbonePlan *plan = pf_calloc(1, sizeof *plan, err);
    PfScriptFile *script = options->script;
    PfOnnx *onnx = options->onnx;
    if (!plan) {
        pf_script_file_free(&script);
        pf_onnx_free(&onnx);
        return -1;
    }
    plan->script = script;
    plan->onnx = onnx;
    pf_backbone_loader_prepare();
    plan->precision = options->precision;
    plan->emulate = options->emulate;
    plan->store = options->store;
    plan->device = options->device;
    plan->views = options->views;
    plan->view_seed = options->view_seed;
    if (resolve(plan, options, err)) {
        pf_backbone_plan_free(&plan);
        return -1;
    }
    *out = plan;
    return 0;
}

void pf_backbone_plan_free(PfBackbonePlan **plan)
{
    if (!*plan) return;
    pf_options_free_list(&(*plan)->taps, &(*plan)->tap_count);
    pf_weights_close(&(*plan)->weights);
    free((*plan)->tensors);
    if (!(*plan)->onnx) pf_arch_free(&(*plan)->arch);
    pf_onnx_free(&(*plan)->onnx);
    pf_script_file_free(&(*plan)->script);
    free((*plan)->name);
    free(*plan);
    *plan = NULL;
}

const char *pf_backbone_plan_source(const PfBackbonePlan *plan)
{
    if (plan->script) return plan->script->path;
    if (plan->onnx) return pf_onnx_path(plan->onnx);
    return plan->weights ? pf_weights_source(plan->weights) : NULL;
}

/* Another program may have added taps to the cache after this one has looked. */
static int check_weights(const PfBackbonePlan *plan, const char *const *taps, int tap_count,
                         PfError *err)
{
    for (int t = 0; pf_backbone_plan_lacks_weights(plan) && t < tap_count; t++)
        if (!pf_pixel_tap_is(taps[t]))
            return pf_fail(err, PF_EXIT_FAILED,
                           "tap '%s' needs the weights of %s, and this run began with pixels "
                           "alone. Hint: begin it again",
                           taps[t], plan->name);
    return 0;
}

int pf_backbone_plan_open(const PfBackbonePlan *plan, const char *const *taps, int tap_count,
                          const PfBackbonePlace *place, const PfBackbonePlugin **plugin,
                          PfBackbone **backbone, PfError *err)
{
    if (check_weights(plan, taps, tap_count, err)) return -1;
    PfBackboneConfig config = {
        .arch = plan->arch,
        .tensors = plan->tensors,
        .tensor_count = plan->tensor_count,
        .taps = taps,
        .tap_count = tap_count,
        .input_height = plan->preprocess.crop,
        .input_width = plan->preprocess.crop,
        .precision = plan->precision,
        .emulate = plan->emulate,
        .output_dtype = plan->store,
        .device = place->device,
        .threads = place->threads,
        .batch = place->batch,
        .images = place->images,
    };
    memcpy(config.mean, plan->preprocess.mean, sizeof config.mean);
    memcpy(config.std, plan->preprocess.std, sizeof config.std);
    if (pf_pixel_tap_is_among(taps, tap_count))
        return pf_pixel_tap_open(&config, plan->device, plugin, backbone, err);
    if (pf_script_file_lend(plan->script, &config.torchscript, err)) return -1;
    return pf_backbone_open(&config, plan->device, plugin, backbone, err);
}

const char *pf_backbone_plan_sha256_key(const PfBackbonePlan *plan)
{
    if (plan->onnx) return "onnx_sha256";
    return plan->script ? "torchscript_sha256" : "weights_sha256";
}

bool pf_backbone_plan_lacks_weights(const PfBackbonePlan *plan)
{
    return plan->arch && !plan->onnx && !plan->weights;
}

cJSON *pf_backbone_plan_identity(const PfBackbonePlan *plan)
{
    cJSON *identity = cJSON_CreateObject();
    cJSON *backbone = cJSON_AddObjectToObject(identity, "backbone");
    if (plan->arch && !plan->onnx) cJSON_AddStringToObject(backbone, "name", plan->name);
    if (*plan->sha256)
        cJSON_AddStringToObject(backbone, pf_backbone_plan_sha256_key(plan), plan->sha256);
    cJSON_AddItemToObject(identity, "preprocess", pf_preprocess_json_new(&plan->preprocess));
    cJSON_AddNumberToObject(identity, "views", plan->views);
    if (plan->views > 1) {
        cJSON_AddNumberToObject(identity, "view_seed", (double)plan->view_seed);
        cJSON_AddNumberToObject(identity, "view_recipe", PF_VIEW_RECIPE);
    }
    cJSON_AddStringToObject(identity, "precision", pf_precision_name(plan->precision));
    cJSON_AddStringToObject(identity, "store", pf_dtype_name(plan->store));
    return identity;
}

const char *pf_preprocess_text(const PfPreprocess *preprocess, char *text, size_t size)
{
    const char *mode = pf_preprocess_json_interpolation_name(preprocess->interpolation);
    const char *fast = preprocess->fast_decode ? ", fast decode" : "";
    const char *order = preprocess->resize_order == PF_PILLOW12 ? " as Pillow 12" : "";
    const char *exif = preprocess->exif ? "" : ", EXIF rotation ignored";
    const char *kept = preprocess->keep_truncated ? ", truncated files kept" : "";
    const uint8_t *over = preprocess->background;
    char laid[40] = "";
    if (preprocess->has_background)
        snprintf(laid, sizeof laid, ", laid over %d,%d,%d", over[0], over[1], over[2]);
    if (preprocess->squash)
        snprintf(text, size, "squash to %dx%d, %s%s%s%s%s%s", preprocess->crop, preprocess->crop,
                 mode, order, fast, exif, kept, laid);
    else if (preprocess->resize)
        snprintf(text, size, "resize %d, centre crop %d, %s%s%s%s%s%s", preprocess->resize,
                 preprocess->crop, mode, order, fast, exif, kept, laid);
    else
        snprintf(text, size, "centre crop %d, no resize%s%s%s", preprocess->crop, exif, kept, laid);
    return text;
}

#include "train/finetune/finetune_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/backbone/script_file.h"
#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/cache/pixels.h"
#include "common/cache/views.h"
#include "common/model/preprocess_json.h"
#include "common/onnx/network.h"

/* What a cache says of the network that filled it. */
typedef struct Origin {
    const PfCache *cache;
    cJSON *identity, *provenance;
    const cJSON *backbone; /* of identity */
    PfPreprocess preprocess;
} Origin;

static int read_origin(const PfCache *cache, Origin *origin, PfError *err)
{
    *origin = (Origin){.cache = cache};
    const char *path = pf_cache_path(cache);
    origin->identity = pf_json_parse_or_empty(pf_cache_identity(cache), path, "identity", err);
    origin->provenance =
        pf_json_parse_or_empty(pf_cache_provenance(cache), path, "provenance", err);
    if (!origin->identity || !origin->provenance) return -1;
    origin->backbone = cJSON_GetObjectItemCaseSensitive(origin->identity, "backbone");
    if (!cJSON_IsObject(origin->backbone))
        return pf_fail(err, PF_EXIT_FAILED,
                       "'%s' does not say which network its features come from: there is nothing "
                       "to fine-tune. Hint: extract writes caches that do.",
                       path);
    return pf_preprocess_json_read(cJSON_GetObjectItemCaseSensitive(origin->identity, "preprocess"),
                                   &origin->preprocess, err);
}

static void free_origin(Origin *origin)
{
    cJSON_Delete(origin->identity);
    cJSON_Delete(origin->provenance);
}

/* Where extract found it, if it is still there. */
static const char *known_source(const Origin *origin, const char *key)
{
    return pf_weights_still_there(pf_json_member_text(origin->provenance, key));
}

static int check_sha256(const Origin *origin, const char *key, const char *found,
                        const char *source, PfError *err)
{
    const char *expected = pf_json_member_text(origin->backbone, key);
    if (expected && !strcmp(expected, found)) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "'%s' holds features of other weights: its backbone's sha256 is %.12s..., that "
                   "of %s is %.12s.... Hint: name the right file with %s.",
                   pf_cache_path(origin->cache), expected ? expected : "unknown", source, found,
                   strcmp(key, "weights_sha256") ? "--backbone" : "--weights");
}

static int find_noted(const Origin *origin, const PfFileStampSha256 *known,
                      PfFinetuneNetwork *network, PfError *err)
{
    const PfWeightsEntry *entry;
    char *by = pf_asprintf(err, "'%s'", pf_cache_path(origin->cache));
    if (!by) return -1;
    PfNotedWeights noted = {.by = by,
                            .source = pf_json_member_text(origin->provenance, "weights_path"),
                            .sha256 = pf_json_member_text(origin->backbone, "weights_sha256"),
                            .no_others = 1};
    int failed =
        pf_weights_find_noted(network->arch, &noted, known, &network->weights, &entry, err);
    free(by);
    return failed;
}

/* Pixels may come without weights: those that are named now, or published, are the network's. */
static bool lacks_weights(const Origin *origin)
{
    return pf_pixels_lack_weights(origin->backbone) && pf_pixels_are_all_of(origin->cache);
}

static int note_backbone(const Origin *origin, PfFinetuneNetwork *network, PfError *err)
{
    network->backbone = cJSON_Duplicate(origin->backbone, 1);
    if (!network->backbone) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    if (network->chose_weights)
        cJSON_AddStringToObject(network->backbone, "weights_sha256",
                                pf_weights_sha256(network->weights));
    return 0;
}

static int find_builtin(const Origin *origin, const PfFinetuneOptions *options,
                        PfFinetuneNetwork *network, PfError *err)
{
    const PfWeightsEntry *entry;
    const char *spec = options->weights ? options->weights : known_source(origin, "weights_path");
    if (options->backbone)
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' belongs to the built-in backbone %s: --backbone is for TorchScript "
                       "files; give its weights with --weights",
                       pf_cache_path(origin->cache), pf_json_member_text(origin->backbone, "name"));
    if (pf_arch_new(pf_json_member_text(origin->backbone, "name"), &network->arch, err))
        return pf_fail(err, PF_EXIT_FAILED, "'%s' names a backbone that is not built in: '%s'",
                       pf_cache_path(origin->cache), pf_json_member_text(origin->backbone, "name"));
    network->chose_weights = lacks_weights(origin);
    if (network->chose_weights)
        return pf_weights_load(network->arch, spec, NULL, &network->weights, &entry, err);
    PfFileStampSha256 known = {0}; /* without a stamp: which entry of the file it was, no more */
    const char *sha256 = pf_json_member_text(origin->backbone, "weights_sha256");
    if (sha256) snprintf(known.sha256, sizeof known.sha256, "%s", sha256);
    if (spec ? pf_weights_load(network->arch, spec, &known, &network->weights, &entry, err)
             : find_noted(origin, &known, network, err))
        return -1;
    return check_sha256(origin, "weights_sha256", pf_weights_sha256(network->weights),
                        pf_weights_source(network->weights), err);
}

static int open_trusted(const Origin *origin, const char *path, PfFinetuneNetwork *network,
                        PfError *err)
{
    char *by = pf_asprintf(err, "'%s'", pf_cache_path(origin->cache));
    int failed = !by || pf_script_file_open_trusted(path, by, &network->script, err);
    free(by);
    return failed ? -1 : 0;
}

static int find_torchscript(const Origin *origin, const PfFinetuneOptions *options,
                            PfFinetuneNetwork *network, PfError *err)
{
    const char *path =
        options->backbone ? options->backbone : known_source(origin, "backbone_path");
    const char *noted = pf_json_member_text(origin->provenance, "backbone_path");
    const char *sha256 = pf_json_member_text(origin->backbone, "torchscript_sha256");
    if (options->weights)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights goes with a built-in backbone; '%s' belongs to a TorchScript "
                       "file, which brings its own: --backbone FILE.pt",
                       pf_cache_path(origin->cache));
    if (!path)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the TorchScript file that '%s' belongs to is not where it was: '%s' "
                       "(SHA-256 %s). Hint: name it with --backbone FILE.pt",
                       pf_cache_path(origin->cache), noted ? noted : "not noted",
                       sha256 ? sha256 : "not noted");
    if (options->backbone ? pf_script_file_open(path, NULL, &network->script, err)
                          : open_trusted(origin, path, network, err))
        return -1;
    return check_sha256(origin, "torchscript_sha256", network->script->sha256, path, err);
}

/* An ONNX file is data: it is read wherever the cache says that it is. */
static int find_onnx(const Origin *origin, const PfFinetuneOptions *options,
                     PfFinetuneNetwork *network, PfError *err)
{
    const char *path =
        options->backbone ? options->backbone : known_source(origin, "backbone_path");
    const char *noted = pf_json_member_text(origin->provenance, "backbone_path");
    if (options->weights)
        return pf_fail(err, PF_EXIT_USAGE,
                       "--weights goes with a built-in backbone; '%s' belongs to an ONNX file, "
                       "which brings its own: --backbone FILE.onnx",
                       pf_cache_path(origin->cache));
    if (!path)
        return pf_fail(err, PF_EXIT_FAILED,
                       "the ONNX file that '%s' belongs to is not where it was: '%s'. Hint: name "
                       "it with --backbone FILE.onnx",
                       pf_cache_path(origin->cache), noted ? noted : "not noted");
    if (pf_onnx_open(path, NULL, &network->onnx, err) ||
        check_sha256(origin, "onnx_sha256", pf_onnx_sha256(network->onnx), path, err) ||
        pf_onnx_build(network->onnx, origin->preprocess.crop, err))
        return -1;
    network->arch = pf_onnx_arch(network->onnx);
    return 0;
}

/* ---- the cut ---- */

/* The shortest name of a node: "layer3" for "layer3.1.relu_1". */
static void short_tap_name(const PfArch *arch, int node, char name[PF_NODE_NAME_SIZE])
{
    const char *full = arch->nodes[node].name;
    for (size_t length = 1; length <= strlen(full); length++) {
        int found;
        PfError ignored = {0};
        if (full[length] && full[length] != '.') continue;
        snprintf(name, PF_NODE_NAME_SIZE, "%.*s", (int)length, full);
        if (!pf_arch_find_tap(arch, name, &found, &ignored) && found == node) return;
    }
}

static int fail_no_tap(const Origin *origin, const char *node, const char *tap, PfError *err)
{
    const char *command = pf_json_member_text(origin->provenance, "command");
    const char *path = pf_cache_path(origin->cache);
    if (command)
        return pf_fail(err, PF_EXIT_USAGE,
                       "to fine-tune '%s' its input is needed, tap '%s', which '%s' does not have. "
                       "Hint: '%s --tap %s' adds it and keeps the others.",
                       node, tap, path, command, tap);
    return pf_fail(err, PF_EXIT_USAGE,
                   "to fine-tune '%s' its input is needed, tap '%s', which '%s' does not have. "
                   "Hint: 'extract DATASET -o %s --tap %s' adds it and keeps the others.",
                   node, tap, path, path, tap);
}

/* The tap of the cache that holds the node's output. */
static int find_cut_tap(const Origin *origin, const PfArch *arch, int cut)
{
    for (int t = 0; t < pf_cache_tap_count(origin->cache); t++) {
        int node;
        PfError ignored = {0};
        if (!pf_arch_find_tap(arch, pf_cache_tap(origin->cache, t)->name, &node, &ignored) &&
            node == cut)
            return t;
    }
    return -1;
}

static int check_behind(const PfArch *arch, int cut, int last, PfError *err)
{
    unsigned char *behind = pf_calloc((size_t)arch->node_count, 1, err);
    int failed = !behind || pf_arch_mark_behind(arch, cut, last, behind, err);
    free(behind);
    return failed ? -1 : 0;
}

static int cut_builtin(const Origin *origin, const PfFinetuneOptions *options,
                       PfFinetuneNetwork *network, PfError *err)
{
    const PfArch *arch = network->arch;
    int cut, last;
    const char *output = options->output ? options->output : arch->default_tap;
    if (pf_arch_find_cut(arch, options->node, &cut, err) ||
        pf_arch_find_tap(arch, output, &last, err) || check_behind(arch, cut, last, err) ||
        (network->weights && pf_weights_check(network->weights, arch, last, err)))
        return -1;
    network->cut_tap = find_cut_tap(origin, arch, cut);
    if (network->cut_tap < 0) {
        char name[PF_NODE_NAME_SIZE];
        short_tap_name(arch, cut, name);
        return fail_no_tap(origin, options->node, name, err);
    }
    network->output = pf_strdup(output, err);
    return network->output ? 0 : -1;
}

static int cut_torchscript(const Origin *origin, const PfFinetuneOptions *options,
                           PfFinetuneNetwork *network, PfError *err)
{
    const char *tap = strcmp(options->node, "all") ? options->node : "input";
    network->cut_tap = -1;
    for (int t = 0; t < pf_cache_tap_count(origin->cache); t++)
        if (!strcmp(pf_cache_tap(origin->cache, t)->name, tap)) network->cut_tap = t;
    if (network->cut_tap < 0) return fail_no_tap(origin, options->node, tap, err);
    network->output = pf_strdup(options->output ? options->output : "output", err);
    return network->output ? 0 : -1;
}

static int open_suffix(const Origin *origin, const PfFinetuneOptions *options,
                       PfFinetuneNetwork *network, PfError *err)
{
    const PfPreprocess *preprocess = &origin->preprocess;
    const PfCacheTap *tap = pf_cache_tap(origin->cache, network->cut_tap);
    int views;
    if (pf_cache_views_count(origin->cache, &views, err)) return -1;
    PfShape cut = pf_cache_views_shape(&tap->shape, views);
    PfSuffixConfig config = {
        .arch = network->arch,
        .cut = tap->name,
        .output = network->output,
        .input_height = preprocess->crop,
        .input_width = preprocess->crop,
        .bf16 = options->bf16,
        .train_batch_norm = options->train_batch_norm,
        .device = options->device,
        .threads = options->threads,
        .local_rank = options->local_rank,
        .ranks = pf_rank_group_ranks(options->ranks),
    };
    memcpy(config.mean, preprocess->mean, sizeof config.mean);
    memcpy(config.std, preprocess->std, sizeof config.std);
    if (network->weights)
        config.tensors = pf_weights_tensors(network->weights, &config.tensor_count);
    if (network->onnx) config.tensors = pf_onnx_tensors(network->onnx, &config.tensor_count);
    if (pf_script_file_lend(network->script, &config.torchscript, err) ||
        pf_backbone_loader_load(&network->plugin, err))
        return -1;
    if (!network->plugin->suffix)
        return pf_fail(err, PF_EXIT_FAILED, "the plugin that runs networks cannot train them");
    if (network->plugin->suffix->open(&config, &network->suffix, err)) return -1;
    const PfShape *shape = network->plugin->suffix->input_shape(network->suffix);
    if (pf_shape_count(shape) == pf_shape_count(&cut)) return 0;
    char expected[PF_SHAPE_TEXT_SIZE], found[PF_SHAPE_TEXT_SIZE];
    return pf_fail(err, PF_EXIT_FAILED, "'%s': tap '%s' holds %s, but the network takes %s there",
                   pf_cache_path(origin->cache), tap->name, pf_shape_text(&cut, found),
                   pf_shape_text(shape, expected));
}

int pf_finetune_network_open(const PfCache *cache, const PfFinetuneOptions *options,
                             PfFinetuneNetwork *out, PfError *err)
{
    Origin origin;
    *out = (PfFinetuneNetwork){0};
    int failed = read_origin(cache, &origin, err);
    if (!failed && pf_json_member_text(origin.backbone, "name"))
        failed =
            find_builtin(&origin, options, out, err) || cut_builtin(&origin, options, out, err);
    else if (!failed && pf_json_member_text(origin.backbone, "onnx_sha256"))
        failed = find_onnx(&origin, options, out, err) || cut_builtin(&origin, options, out, err);
    else if (!failed)
        failed = find_torchscript(&origin, options, out, err) ||
                 cut_torchscript(&origin, options, out, err);
    if (!failed) failed = note_backbone(&origin, out, err);
    if (!failed) failed = open_suffix(&origin, options, out, err);
    free_origin(&origin);
    if (failed) pf_finetune_network_close(out);
    return failed ? -1 : 0;
}

void pf_finetune_network_close(PfFinetuneNetwork *network)
{
    if (network->suffix) network->plugin->suffix->close(&network->suffix);
    pf_weights_close(&network->weights);
    if (!network->onnx) pf_arch_free(&network->arch);
    pf_onnx_free(&network->onnx);
    pf_script_file_free(&network->script);
    free(network->output);
    cJSON_Delete(network->backbone);
    *network = (PfFinetuneNetwork){0};
}

#include "model_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "printable.h"
#include "trusted_scripts.h"

static const cJSON *member(const PfModel *model, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(pf_model_metadata(model), key);
}

static const char *text_member(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* Where the features' network was, as extract noted it. */
static const char *noted_source(const PfModel *model, const char *key)
{
    return text_member(member(model, "sources"), key);
}

/* The same, if it is still there. */
static const char *known_source(const PfModel *model, const char *key)
{
    return pf_weights_still_there(noted_source(model, key));
}

/* A name from a file is one of ours, or nothing. */
static int check_name(const char *model, const char *name, PfError *err)
{
    PfArch *arch;
    PfError unknown = {0};
    if (!pf_arch_new(name, &arch, &unknown)) {
        pf_arch_free(&arch);
        return 0;
    }
    return pf_fail(err, PF_EXIT_FAILED,
                   "model '%s' names a backbone that is not built in: %" PF_SENTENCE, model,
                   unknown.message);
}

static int choose_builtin(const PfModel *model, const PfPredictOptions *options, const char *name,
                          PfBackboneOptions *backbone, PfError *err)
{
    if (options->backbone)
        return pf_fail(err, PF_EXIT_USAGE,
                       "model '%s' belongs to the built-in backbone %s: --backbone is for "
                       "TorchScript files; give its weights with --weights",
                       options->model, name);
    if (check_name(options->model, name, err)) return -1;
    backbone->backbone = name;
    backbone->weights = options->weights ? options->weights : known_source(model, "weights_path");
    return 0;
}

static int open_trusted(const char *model, const char *path, PfBackboneOptions *backbone,
                        PfError *err)
{
    char *by = pf_asprintf(err, "model '%s'", model);
    int failed = !by || pf_trusted_script_open(path, by, &backbone->script, err);
    free(by);
    return failed ? -1 : 0;
}

static int choose_torchscript(const PfModel *model, const PfPredictOptions *options,
                              PfBackboneOptions *backbone, PfError *err)
{
    const char *path = known_source(model, "backbone_path");
    backbone->weights = options->weights; /* refused by the plan */
    if (options->backbone)
        return pf_script_file_open(options->backbone, NULL, &backbone->script, err);
    if (path) return open_trusted(options->model, path, backbone, err);
    const char *noted = noted_source(model, "backbone_path");
    const char *sha256 = text_member(member(model, "backbone"), "torchscript_sha256");
    return pf_fail(err, PF_EXIT_FAILED,
                   "the TorchScript file that model '%s' belongs to is not where it was: '%s' "
                   "(SHA-256 %s). Hint: name it with --backbone FILE.pt",
                   options->model, noted ? noted : "not noted", sha256 ? sha256 : "not noted");
}

static int choose_backbone(const PfModel *model, const PfPredictOptions *options,
                           PfBackboneOptions *backbone, PfError *err)
{
    const cJSON *object = member(model, "backbone");
    const char *name = text_member(object, "name");
    if (!cJSON_IsObject(object))
        return pf_fail(err, PF_EXIT_FAILED,
                       "model '%s' does not say which network its features came from (its cache "
                       "did not): it can score the rows of a cache, not images",
                       options->model);
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
static int check_emulation(const PfModel *model, const PfPredictOptions *options, PfError *err)
{
    PfPrecision precision = model_precision(model);
    if (!options->emulate || precision == PF_BF16) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--emulate goes with a model of bf16 features; those of '%s' are %s",
                   options->model, pf_precision_name(precision));
}

static int check_hash(const PfModel *model, const PfPredictOptions *options,
                      const PfBackbonePlan *plan, PfError *err)
{
    const char *key = plan->arch ? "weights_sha256" : "torchscript_sha256";
    const char *expected = text_member(member(model, "backbone"), key);
    if (expected && !strcmp(expected, plan->sha256)) return 0;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "model '%s' was trained on features of other weights: its backbone's sha256 is "
                   "%.12s..., that of %s is %.12s.... Hint: name the right file with %s.",
                   options->model, expected ? expected : "unknown",
                   plan->arch ? pf_weights_source(plan->weights) : plan->script->path, plan->sha256,
                   plan->arch ? "--weights" : "--backbone");
}

static const char *finetuned_member(const PfModel *model, const char *key)
{
    return text_member(member(model, "finetune"), key);
}

const char *pf_model_finetuned_cut(const PfModel *model)
{
    return finetuned_member(model, "cut");
}

const char *pf_model_finetuned_node(const PfModel *model)
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
    return 0;
}

static int open_plan(const PfModel *model, PfBackboneOptions *backbone, PfBackbonePlan **out,
                     PfError *err)
{
    char *by = pf_asprintf(err, "model '%s'", pf_model_path(model));
    if (!by) {
        pf_script_file_free(&backbone->script);
        return -1;
    }
    PfNotedWeights noted = {.by = by,
                            .source = noted_source(model, "weights_path"),
                            .sha256 = text_member(member(model, "backbone"), "weights_sha256"),
                            .no_others = 1};
    PfKnownSha256 known = {0}; /* without a stamp: which entry of the file it was, no more */
    if (noted.sha256) snprintf(known.sha256, sizeof known.sha256, "%s", noted.sha256);
    backbone->noted = &noted;
    backbone->known = &known;
    int failed = pf_backbone_plan_new(backbone, out, err);
    free(by);
    return failed;
}

int pf_model_network_plan(const PfModel *model, const PfPredictOptions *options, const char *tap,
                          PfBackbonePlan **out, PfError *err)
{
    PfBackboneOptions backbone = pf_backbone_options_default();
    PfPreprocess preprocess;
    if (check_emulation(model, options, err) ||
        pf_preprocess_from_json(member(model, "preprocess"), &preprocess, err) ||
        choose_backbone(model, options, &backbone, err))
        return -1;
    backbone.taps = tap;
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

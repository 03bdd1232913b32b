#include "predict/model/own_classifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "extract/backbone/name.h"

#define WEIGHT "classifier.weight"
#define BIAS "classifier.bias"

/* The node of the network's last Linear, which gives its output. */
static int find_classifier(const PfArch *arch, int *node, PfError *err)
{
    *node = arch->node_count - 1;
    while (arch->nodes[*node].op == PF_OP_DROPOUT) *node = arch->nodes[*node].inputs[0];
    if (arch->nodes[*node].op == PF_OP_LINEAR && arch->nodes[*node].bias) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "%s has no classifier of its own that is a linear layer: its last node is '%s'",
                   arch->name, arch->nodes[*node].name);
}

/* What the classifier takes, before it is only arranged otherwise. */
static int find_features(const PfArch *arch, int classifier)
{
    int node = arch->nodes[classifier].inputs[0];
    while (arch->nodes[node].op == PF_OP_DROPOUT || arch->nodes[node].op == PF_OP_FLATTEN)
        node = arch->nodes[node].inputs[0];
    return node;
}

static const PfTensorView *find_parameter(const PfBackbonePlan *plan, const char *module,
                                          const char *part)
{
    char name[PF_NODE_NAME_SIZE + 16];
    snprintf(name, sizeof name, "%s.%s", module, part);
    return pf_weights_find_tensor(plan->weights, name);
}

/* ["0", "1", ...] */
static cJSON *number_classes(int64_t classes)
{
    cJSON *names = cJSON_CreateArray();
    for (int64_t i = 0; i < classes; i++) {
        char name[24];
        snprintf(name, sizeof name, "%lld", (long long)i);
        cJSON_AddItemToArray(names, cJSON_CreateString(name));
    }
    return names;
}

/* By what is beside the weights, else by their numbers. NULL with a failure. */
static cJSON *name_classes(const PfWeights *weights, int64_t classes, PfError *err)
{
    char *path;
    cJSON *names;
    if (pf_weights_class_names(weights, classes, &names, &path, err)) return NULL;
    if (names) pf_say("'%s', beside the weights, names the classes", path);
    free(path);
    return names ? names : number_classes(classes);
}

/* [{"name", "kind", "classes", "weight", "bias"}]; names: given up. */
static cJSON *list_targets(cJSON *names)
{
    cJSON *list = cJSON_CreateArray(), *target = cJSON_CreateObject();
    cJSON_AddItemToArray(list, target);
    cJSON_AddStringToObject(target, "name", "class");
    cJSON_AddStringToObject(target, "kind", pf_target_kind_name(PF_TARGET_CLASS));
    cJSON_AddItemToObject(target, "classes", names);
    cJSON_AddStringToObject(target, "weight", WEIGHT);
    cJSON_AddStringToObject(target, "bias", BIAS);
    return list;
}

static cJSON *make_metadata(const PfBackbonePlan *plan, int64_t features, int64_t classes,
                            PfError *err)
{
    const double shape[] = {(double)features};
    char *source = pf_weights_noted_source(plan->weights, err);
    if (!source) return NULL;
    pf_json_begin();
    cJSON *names = name_classes(plan->weights, classes, err);
    if (!names) {
        free(source);
        return NULL;
    }
    cJSON *metadata = pf_backbone_plan_identity(plan);
    cJSON_AddNumberToObject(metadata, "version", PF_MODEL_VERSION);
    cJSON_AddStringToObject(metadata, "tap", plan->taps[0]);
    cJSON_AddItemToObject(metadata, "tap_shape", cJSON_CreateDoubleArray(shape, 1));
    cJSON *sources = cJSON_AddObjectToObject(metadata, "sources");
    cJSON_AddStringToObject(sources, "weights_path", source);
    cJSON_AddItemToObject(metadata, "targets", list_targets(names));
    free(source);
    char *text = pf_json_finish(metadata, "the classifier", err);
    metadata = text ? pf_json_read(text) : NULL;
    free(text);
    return metadata;
}

/* plan: of the features, with weights that hold what they need. */
static int make_model(const PfBackbonePlan *plan, int classifier, PfModel **out, PfError *err)
{
    const PfArch *arch = plan->arch;
    if (pf_weights_check(plan->weights, arch, classifier, err)) return -1;
    const PfNode *node = &arch->nodes[classifier];
    const PfTensorView *weight = find_parameter(plan, node->module, "weight");
    const PfTensorView *bias = find_parameter(plan, node->module, "bias");
    if (!weight || !bias)
        return pf_fail(err, PF_EXIT_FAILED, "weights '%s': the classifier '%s' is not there",
                       pf_weights_source(plan->weights), node->module);
    const PfNamedTensor tensors[] = {{WEIGHT, *weight}, {BIAS, *bias}};
    cJSON *metadata = make_metadata(plan, node->in_channels, node->out_channels, err);
    return metadata ? pf_model_new(plan->name, tensors, 2, metadata, out, err) : -1;
}

/* backbone: of a built-in network. */
static int open_classifier(const PfModelNetworkOptions *options, PfBackboneOptions *backbone,
                           PfModel **out, PfError *err)
{
    PfArch *arch;
    PfBackbonePlan *plan;
    int classifier;
    if (pf_arch_new(backbone->backbone, &arch, err)) return -1;
    int failed = find_classifier(arch, &classifier, err);
    if (!failed) {
        backbone->taps = arch->nodes[find_features(arch, classifier)].name;
        backbone->device = options->device;
        backbone->follows_files = true;
        failed = pf_backbone_plan_new(backbone, &plan, err);
    }
    if (!failed) {
        failed = make_model(plan, classifier, out, err);
        pf_backbone_plan_free(&plan);
    }
    pf_arch_free(&arch);
    if (!failed) pf_say("%s: the network's own classifier", options->model);
    return failed ? -1 : 0;
}

int pf_own_classifier_or_model(const PfModelNetworkOptions *options, PfModel **out, PfError *err)
{
    PfBackboneName name;
    PfBackboneOptions backbone = pf_backbone_options_default();
    if (!access(options->model, F_OK) || !pf_backbone_name_is_known(options->model))
        return pf_model_open(options->model, out, err);
    backbone.backbone = options->model;
    backbone.weights = options->weights;
    if (pf_backbone_name_read(&backbone, &name, err)) return -1;
    int failed = name.kind != PF_BACKBONE_BUILTIN
                     ? pf_fail(err, PF_EXIT_USAGE,
                               "'%s' is an ONNX file, whose outputs are not known to be classes. "
                               "Hint: extract its features, and train a head",
                               options->model)
                     : open_classifier(options, &backbone, out, err);
    pf_backbone_name_free(&name);
    return failed ? -1 : 0;
}

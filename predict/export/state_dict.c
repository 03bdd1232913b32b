/* A model as the state dict of the network that it was trained on, its head in place. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/base/memory.h"
#include "predict/export/export.h"

#define TENSORS_OF_NODE 5
#define NAME_SIZE (PF_NODE_NAME_SIZE + 24)

typedef struct StateDict {
    PfNamedTensor *tensors;
    char (*names)[NAME_SIZE]; /* one for each tensor */
    size_t count;
    int64_t *distances; /* owned; of the windows of the network, which are all as large */
} StateDict;

/* ---- does the head fit? ---- */

/* What the network's last Linear takes; of a network without a classifier, its last node. */
static int classifier_input(const PfArch *arch)
{
    const PfNode *last = &arch->nodes[arch->node_count - 1];
    return last->op == PF_OP_LINEAR ? last->inputs[0] : arch->node_count - 1;
}

/* As the network's class calls it; where it has none, as timm does. */
static const char *classifier_name(const PfArch *arch)
{
    const PfNode *last = &arch->nodes[arch->node_count - 1];
    return last->op == PF_OP_LINEAR ? last->module : "head";
}

/* Whether `tap` holds the numbers that the classifier takes: flattening changes their shape alone,
 * dropout nothing outside of training. */
static bool feeds_classifier(const PfArch *arch, int tap)
{
    int node = classifier_input(arch);
    while (node != tap && pf_op_row(arch->nodes[node].op)->keeps_values)
        node = arch->nodes[node].inputs[0];
    return node == tap;
}

static int refuse(const PfExportSource *source, const char *why, PfError *err)
{
    return pf_fail(err, PF_EXIT_USAGE,
                   "model '%s' does not fit into a state dict: %s. Hint: -o FILE.onnx or "
                   "FILE.pt keeps network and head in one",
                   pf_model_path(source->model), why);
}

static int refuse_tap(const PfExportSource *source, PfError *err)
{
    const PfArch *arch = source->plan->arch;
    char why[512];
    snprintf(why, sizeof why,
             "its head takes '%s', while %s of %s, whose place it would have, takes '%s'",
             source->scorer->tap, classifier_name(arch), arch->name,
             arch->nodes[classifier_input(arch)].name);
    return refuse(source, why, err);
}

static int check_head(const PfExportSource *source, PfError *err)
{
    const PfScorer *scorer = source->scorer;
    if (!source->plan->arch || source->plan->onnx)
        return pf_fail(err, PF_EXIT_USAGE,
                       "the network of model '%s' is the %s file '%s', not one whose "
                       "state dict is known. Hint: -o FILE.pt",
                       pf_model_path(source->model), source->plan->onnx ? "ONNX" : "TorchScript",
                       pf_backbone_plan_source(source->plan));
    if (scorer->network->spec.hidden_count)
        return refuse(source, "its head is an MLP, where the network has a single Linear", err);
    if (scorer->target_count > 1)
        return refuse(source, "it has several targets, where the network has one Linear", err);
    if (scorer->unit_length)
        return refuse(source, "its head takes features scaled to length 1 (--normalize l2)", err);
    if (!strcmp(source->plan->arch->family, "SqueezeNet"))
        return refuse(source, "the network's classifier is a convolution with a ReLU behind it",
                      err);
    return feeds_classifier(source->plan->arch, source->tap) ? 0 : refuse_tap(source, err);
}

/* ---- tensors ---- */

static void add_named(StateDict *dict, const char *full_name, const PfTensorView *view)
{
    char *name = dict->names[dict->count];
    snprintf(name, NAME_SIZE, "%s", full_name);
    dict->tensors[dict->count++] = (PfNamedTensor){name, *view};
}

static void add(StateDict *dict, const char *module, const char *part, const PfTensorView *view)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", module, part);
    add_named(dict, name, view);
}

/* How many batches the running statistics have seen, which torch wants to know. */
static void add_batch_count(StateDict *dict, const PfBackbonePlan *plan, const char *module)
{
    static const int64_t none = 0;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.num_batches_tracked", module);
    const PfTensorView *known = pf_export_find_tensor(plan, name);
    PfTensorView zero = {.dtype = PF_DTYPE_I64, .data = &none};
    add(dict, module, "num_batches_tracked",
        known && pf_shape_count(&known->shape) == 1 && known->dtype == PF_DTYPE_I64 ? known
                                                                                    : &zero);
}

/* What torchvision's Swin keeps beside each table of biases: the table's row for each two pixels of
 * a window. */
static int add_distances(StateDict *dict, const PfNode *node, PfError *err)
{
    static const char of_table[] = "relative_position_bias_table";
    const int64_t side = node->kernel[0], pixels = side * side, count = pixels * pixels;
    const size_t length = strlen(node->module), end = strlen(of_table);
    char name[NAME_SIZE];
    if (length < end || strcmp(node->module + length - end, of_table) != 0) return 0;
    if (!dict->distances) {
        dict->distances = pf_calloc((size_t)count, sizeof *dict->distances, err);
        if (!dict->distances) return -1;
        for (int64_t i = 0; i < count; i++)
            dict->distances[i] = pf_window_distance(side, i / pixels, i % pixels);
    }
    snprintf(name, sizeof name, "%.*srelative_position_index", (int)(length - end), node->module);
    add_named(
        dict, name,
        &(PfTensorView){.dtype = PF_DTYPE_I64, .shape = {1, {count}}, .data = dict->distances});
    return 0;
}

/* The model was checked when it was opened: one target, whose weight and bias are there. */
static void add_head(StateDict *dict, const PfExportSource *source, const char *module)
{
    static const char *const parts[] = {"weight", "bias"};
    const cJSON *targets =
        cJSON_GetObjectItemCaseSensitive(pf_model_metadata(source->model), "targets");
    for (int i = 0; i < 2; i++) {
        const char *name = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(targets, 0), parts[i]));
        add(dict, module, parts[i], pf_model_tensor(source->model, name));
    }
}

static int add_network(StateDict *dict, const PfExportSource *source, PfError *err)
{
    const PfArch *arch = source->plan->arch;
    PfParameter *parameters;
    int count;
    if (pf_arch_parameters(arch, classifier_input(arch), &parameters, &count, err)) return -1;
    int failed = 0;
    for (int i = 0; i < count && !failed; i++) {
        const PfNode *node = &arch->nodes[parameters[i].node];
        /* there, and of that shape: the plan has checked */
        add_named(dict, parameters[i].name,
                  pf_export_find_tensor(source->plan, parameters[i].name));
        if (!strcmp(parameters[i].of, "running_var"))
            add_batch_count(dict, source->plan, node->module);
        if (node->op == PF_OP_WINDOW_ATTENTION) failed = add_distances(dict, node, err);
    }
    free(parameters);
    return failed;
}

/* ---- the file ---- */

static int write_file(const StateDict *dict, const PfExportMetadata *metadata, const char *path,
                      PfError *err)
{
    const char *keys[PF_EXPORT_METADATA_MOST + 1] = {"format"};
    const char *values[PF_EXPORT_METADATA_MOST + 1] = {"pt"};
    for (size_t i = 0; i < metadata->count; i++) {
        keys[i + 1] = metadata->keys[i];
        values[i + 1] = metadata->values[i];
    }
    return pf_safetensors_write(path, dict->tensors, dict->count, keys, values, metadata->count + 1,
                                err);
}

int pf_export_state_dict(const PfExportSource *source, const char *path, PfError *err)
{
    if (check_head(source, err)) return -1;
    const PfArch *arch = source->plan->arch;
    size_t most = (size_t)arch->node_count * TENSORS_OF_NODE;
    StateDict dict = {.tensors = pf_calloc(most, sizeof *dict.tensors, err)};
    if (dict.tensors) dict.names = pf_calloc(most, sizeof *dict.names, err);
    int failed = !dict.names || add_network(&dict, source, err);
    if (!failed) {
        add_head(&dict, source, classifier_name(arch));
        failed = write_file(&dict, &source->metadata, path, err);
    }
    free(dict.distances);
    free(dict.names);
    free(dict.tensors);
    return failed ? -1 : 0;
}

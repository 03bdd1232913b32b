/* A model as one ONNX graph: the network up to its tap, then the head. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/arch/positions.h"
#include "common/base/memory.h"
#include "predict/export/export.h"
#include "predict/export/onnx_graph.h"
#include "train/head/head_layer.h"

#define INPUT "image"
#define FEATURES "head/features" /* what the head takes: rows of numbers */
#define NAME_SIZE (PF_NODE_NAME_SIZE + 40)

/* ---- the network: its nodes are "network/<node>", its tensors have their own names ---- */

typedef struct Network {
    PfOnnxGraph *graph;
    const PfBackbonePlan *plan;
    const PfArch *arch;    /* the plan's */
    PfShape *shapes;       /* of every node */
    int *values;           /* of every node: the node whose value it has */
    unsigned char *needed; /* of every node */
} Network;

static const char *value_name(const Network *network, int node, char name[NAME_SIZE])
{
    node = network->values[node];
    if (node)
        snprintf(name, NAME_SIZE, "network/%s", network->arch->nodes[node].name);
    else
        snprintf(name, NAME_SIZE, INPUT);
    return name;
}

#define MOST_INPUTS PF_NODE_MAX_INPUTS
#define WORD_SIZE 32

/* The names of an ONNX node's inputs. */
typedef struct Inputs {
    char names[MOST_INPUTS][NAME_SIZE];
    int count;
} Inputs;

static char *next_name(Inputs *inputs)
{
    assert(inputs->count < MOST_INPUTS);
    return inputs->names[inputs->count++];
}

/* That of ONNX node `number` of an operation, counted from 1: the last of them has the operation's
 * name, those before it "<name>/1", "<name>/2", ... */
static void step_name(const Network *network, int index, const PfOnnxNodes *onnx, int number,
                      char name[NAME_SIZE])
{
    if (number < onnx->count)
        snprintf(name, NAME_SIZE, "network/%s/%d", network->arch->nodes[index].name, number);
    else
        value_name(network, index, name);
}

static void constant_name(const PfNode *node, int number, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "network/%s/constant%d", node->name, number);
}

/* "#2" and "$2": the number, 0 where the word is none of these or there is no such one. */
static int numbered(const char *word, char sign, int count)
{
    const int number = *word == sign ? atoi(word + 1) : 0;
    return number <= count ? number : 0;
}

/* What a word in the inputs of ONNX node `step` stands for, if anything. */
static bool name_word(const Network *network, int index, const PfOnnxNodes *onnx, int step,
                      const char *word, Inputs *inputs)
{
    const PfNode *node = &network->arch->nodes[index];
    const PfOpParameter *parameter = pf_op_find_parameter(node->op, word);
    const int before = inputs->count;
    if (*word >= '0' && *word < '0' + node->input_count && !word[1])
        value_name(network, node->inputs[*word - '0'], next_name(inputs));
    else if (!strcmp(word, "inputs"))
        for (int i = 0; i < node->input_count; i++)
            value_name(network, node->inputs[i], next_name(inputs));
    else if (!strcmp(word, "before") && step > 0)
        step_name(network, index, onnx, step, next_name(inputs));
    else if (numbered(word, '#', step))
        step_name(network, index, onnx, numbered(word, '#', step), next_name(inputs));
    else if (numbered(word, '$', onnx->constant_count))
        constant_name(node, numbered(word, '$', onnx->constant_count), next_name(inputs));
    else if (!strcmp(word, "image"))
        value_name(network, 0, next_name(inputs));
    else if (!strcmp(word, "itself"))
        pf_node_parameter_name(node, "", next_name(inputs));
    else if (parameter && pf_node_has_parameter(node, parameter))
        pf_node_parameter_name(node, word, next_name(inputs));
    return inputs->count > before || parameter;
}

static int name_inputs(const Network *network, int index, const PfOnnxNodes *onnx, int step,
                       Inputs *inputs, PfError *err)
{
    char word[WORD_SIZE];
    int length;
    inputs->count = 0;
    for (const char *c = onnx->nodes[step].inputs; sscanf(c, "%31s%n", word, &length) == 1;
         c += length)
        if (!name_word(network, index, onnx, step, word, inputs))
            return pf_fail(err, PF_EXIT_FAILED,
                           "the ONNX node of operation '%s' has an input that stands for nothing: "
                           "'%s'",
                           pf_op_row(network->arch->nodes[index].op)->name, word);
    return 0;
}

static void set_attribute(PfOnnxGraph *graph, const PfOnnxAttribute *attribute)
{
    switch (attribute->kind) {
    case PF_ONNX_INT: pf_onnx_set_int(graph, attribute->name, attribute->ints[0]); break;
    case PF_ONNX_FLOAT: pf_onnx_set_float(graph, attribute->name, attribute->number); break;
    case PF_ONNX_INTS:
        pf_onnx_set_ints(graph, attribute->name, attribute->ints, (size_t)attribute->count);
        break;
    }
}

static int add_positions(const Network *network, int index, const PfOnnxConstant *constant,
                         const char *name, PfError *err)
{
    const PfNode *node = &network->arch->nodes[index];
    const PfShape *shape = &network->shapes[index];
    const size_t trained = (size_t)pf_shape_count(&node->shape);
    char parameter[PF_PARAMETER_NAME_SIZE];
    pf_node_parameter_name(node, "", parameter);
    const PfTensorView *view = pf_export_find_tensor(network->plan, parameter);
    float *from = pf_calloc(trained, sizeof *from, err);
    float *to = from ? pf_calloc((size_t)pf_shape_count(shape), sizeof *to, err) : NULL;
    int failed = !to;
    if (!failed) {
        pf_f32_from_dtype_array(from, view->data, view->dtype, trained);
        failed = pf_positions_resize(node, constant->ints[0], constant->ints[1], from, to, err);
    }
    if (!failed) pf_onnx_add_numbers(network->graph, name, to, shape);
    free(from);
    free(to);
    return failed ? -1 : 0;
}

static int add_constant(const Network *network, int index, const PfOnnxConstant *constant,
                        const char *name, PfError *err)
{
    const PfShape list = {1, {constant->count}}, single = {.rank = 0};
    PfOnnxGraph *graph = network->graph;
    switch (constant->kind) {
    case PF_ONNX_NUMBER: pf_onnx_add_numbers(graph, name, &constant->number, &single); break;
    case PF_ONNX_INTEGERS: pf_onnx_add_integers(graph, name, constant->ints, &list); break;
    case PF_ONNX_INDICES:
        pf_onnx_add_integers(graph, name, constant->indices, &constant->shape);
        break;
    case PF_ONNX_NUMBERS:
        pf_onnx_add_numbers(graph, name, constant->numbers, &constant->shape);
        break;
    case PF_ONNX_POSITIONS: return add_positions(network, index, constant, name, err);
    }
    return 0;
}

static int add_constants(const Network *network, int index, const PfOnnxNodes *onnx, PfError *err)
{
    char name[NAME_SIZE];
    for (int i = 0; i < onnx->constant_count; i++) {
        constant_name(&network->arch->nodes[index], i + 1, name);
        if (add_constant(network, index, &onnx->constants[i], name, err)) return -1;
    }
    return 0;
}

static void add_step(const Network *network, int index, const PfOnnxNodes *onnx, int step,
                     const Inputs *inputs)
{
    char name[NAME_SIZE];
    const char *names[MOST_INPUTS + 1] = {NULL};
    const PfOnnxNode *node = &onnx->nodes[step];
    for (int i = 0; i < inputs->count; i++) names[i] = inputs->names[i];
    step_name(network, index, onnx, step + 1, name);
    pf_onnx_add_node(network->graph, node->type, name, names);
    for (int i = 0; i < node->attribute_count; i++)
        set_attribute(network->graph, &node->attributes[i]);
}

static int add_steps(Network *network, int index, const PfOnnxNodes *onnx, PfError *err)
{
    Inputs inputs;
    if (!onnx->count)
        network->values[index] = network->values[network->arch->nodes[index].inputs[0]];
    if (add_constants(network, index, onnx, err)) return -1;
    for (int i = 0; i < onnx->count; i++) {
        if (name_inputs(network, index, onnx, i, &inputs, err)) return -1;
        add_step(network, index, onnx, i, &inputs);
    }
    return 0;
}

static int add_operation(Network *network, int index, PfError *err)
{
    const PfNode *node = &network->arch->nodes[index];
    PfShape in[PF_NODE_MAX_INPUTS];
    PfOnnxNodes onnx = {.count = 0};
    pf_node_input_shapes(node, network->shapes, in);
    const int failed =
        pf_op_row(node->op)->onnx(node, in, &onnx, err) || add_steps(network, index, &onnx, err);
    pf_onnx_nodes_free(&onnx);
    return failed ? -1 : 0;
}

/* Of what nodes take: positions that were resized are another constant. */
static int add_tensors(const Network *network, int tap, PfError *err)
{
    PfParameter *parameters;
    int count;
    if (pf_arch_parameters(network->arch, tap, &parameters, &count, err)) return -1;
    for (int i = 0; i < count; i++) /* all are there: the plan has checked */
        if (pf_onnx_is_taken(network->graph, parameters[i].name))
            pf_onnx_add_constant(network->graph, parameters[i].name,
                                 pf_export_find_tensor(network->plan, parameters[i].name));
    free(parameters);
    return 0;
}

static int add_nodes(Network *network, int tap, PfError *err)
{
    const int side = network->plan->preprocess.crop;
    if (pf_arch_infer_shapes(network->arch, side, side, network->shapes, err)) return -1;
    pf_arch_mark_needed(network->arch, tap, network->needed);
    pf_onnx_add_input(network->graph, INPUT, &network->shapes[0]);
    for (int i = 1; i <= tap; i++) {
        network->values[i] = i;
        if (network->needed[i] && add_operation(network, i, err)) return -1;
    }
    return add_tensors(network, tap, err);
}

/* The input, what feeds node `tap`, and its tensors. *shape: of what comes out, without the batch
 * axis; output: its name. plan: lent until the graph is freed. */
static int add_network(PfOnnxGraph *graph, const PfBackbonePlan *plan, int tap, PfShape *shape,
                       char output[NAME_SIZE], PfError *err)
{
    size_t count = (size_t)plan->arch->node_count;
    Network network = {.graph = graph, .plan = plan, .arch = plan->arch};
    network.shapes = pf_calloc(count, sizeof *network.shapes, err);
    network.values = pf_calloc(count, sizeof *network.values, err);
    network.needed = pf_calloc(count, 1, err);
    int failed =
        !network.shapes || !network.values || !network.needed || add_nodes(&network, tap, err);
    if (!failed) {
        *shape = network.shapes[tap];
        value_name(&network, tap, output);
    }
    free(network.shapes);
    free(network.values);
    free(network.needed);
    return failed ? -1 : 0;
}

/* ---- the head ---- */

#define STAGE_SIZE 24 /* "hidden7" */

/* The last value, and what the next ones are called. */
typedef struct Chain {
    PfOnnxGraph *graph;
    const PfExportHead *head;
    char value[NAME_SIZE];
} Chain;

/* A node on one or two values; second may be NULL. */
static void add_node(Chain *chain, const char *op, const char *name, const char *first,
                     const char *second)
{
    pf_onnx_add_node(chain->graph, op, name, (const char *const[]){first, second, NULL});
}

/* The next of the chain: a node on its last value. name: "head/<stage>/<part>". */
static void follow(Chain *chain, const char *op, const char *stage, const char *part,
                   const char *second)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "head/%s/%s", stage, part);
    add_node(chain, op, name, chain->value, second);
    snprintf(chain->value, sizeof chain->value, "%s", name);
}

static void add_number(Chain *chain, const char *name, const float *value)
{
    pf_onnx_add_constant(chain->graph, name, &(PfTensorView){.dtype = PF_DTYPE_F32, .data = value});
}

/* x / (|x| + tiny): rows of zeros stay so. */
static void add_unit_length(Chain *chain)
{
    static const float tiny = 1e-30f;
    char features[NAME_SIZE];
    snprintf(features, sizeof features, "%s", chain->value);
    add_number(chain, "head/length/tiny", &tiny);
    follow(chain, "ReduceL2", "length", "norm", NULL);
    pf_onnx_set_ints(chain->graph, "axes", (const int64_t[]){1}, 1);
    pf_onnx_set_int(chain->graph, "keepdims", 1);
    follow(chain, "Add", "length", "bounded", "head/length/tiny");
    add_node(chain, "Div", "head/length", features, chain->value);
    snprintf(chain->value, sizeof chain->value, "head/length");
}

static void add_mean(Chain *chain, const char *stage, const char *part)
{
    follow(chain, "ReduceMean", stage, part, NULL);
    pf_onnx_set_ints(chain->graph, "axes", (const int64_t[]){1}, 1);
    pf_onnx_set_int(chain->graph, "keepdims", 1);
}

/* (x - mean) / sqrt(variance + epsilon) * weight + bias; opset 13 has no operator for it. */
static void add_layer_norm(Chain *chain, int number)
{
    static const float epsilon = PF_NORM_EPSILON;
    char stage[STAGE_SIZE], x[NAME_SIZE], centred[NAME_SIZE], name[NAME_SIZE];
    snprintf(stage, sizeof stage, "norm%d", number);
    snprintf(x, sizeof x, "%s", chain->value);
    snprintf(name, sizeof name, "head/norm%d/epsilon", number);
    add_number(chain, name, &epsilon);
    add_mean(chain, stage, "mean");
    snprintf(centred, sizeof centred, "head/norm%d/centred", number);
    add_node(chain, "Sub", centred, x, chain->value);
    snprintf(chain->value, sizeof chain->value, "%s", centred);
    follow(chain, "Mul", stage, "squares", centred);
    add_mean(chain, stage, "variance");
    follow(chain, "Add", stage, "bounded", name);
    follow(chain, "Sqrt", stage, "deviation", NULL);
    snprintf(name, sizeof name, "head/norm%d/normalised", number);
    add_node(chain, "Div", name, centred, chain->value);
    snprintf(chain->value, sizeof chain->value, "%s", name);
    snprintf(name, sizeof name, "norm%d.weight", number);
    follow(chain, "Mul", stage, "scaled", name);
    snprintf(name, sizeof name, "norm%d.bias", number);
    follow(chain, "Add", stage, "shifted", name);
}

/* x * (erf(x / sqrt 2) + 1) / 2 */
static void add_gelu(Chain *chain, int number)
{
    static const float root = (float)M_SQRT1_2, one = 1, half = 0.5f;
    char stage[STAGE_SIZE], x[NAME_SIZE];
    snprintf(stage, sizeof stage, "gelu%d", number);
    snprintf(x, sizeof x, "%s", chain->value);
    if (!number) {
        add_number(chain, "head/gelu/root", &root);
        add_number(chain, "head/gelu/one", &one);
        add_number(chain, "head/gelu/half", &half);
    }
    follow(chain, "Mul", stage, "scaled", "head/gelu/root");
    follow(chain, "Erf", stage, "erf", NULL);
    follow(chain, "Add", stage, "raised", "head/gelu/one");
    follow(chain, "Mul", stage, "gated", x);
    follow(chain, "Mul", stage, "halved", "head/gelu/half");
}

static void add_linear(Chain *chain, const char *module, const char *name, const char *value)
{
    char weight[NAME_SIZE], bias[NAME_SIZE];
    snprintf(weight, sizeof weight, "%s.weight", module);
    snprintf(bias, sizeof bias, "%s.bias", module);
    pf_onnx_add_node(chain->graph, "Gemm", name, (const char *const[]){value, weight, bias, NULL});
    pf_onnx_set_int(chain->graph, "transB", 1);
}

static void add_hidden(Chain *chain, int number)
{
    const PfHeadSpec *spec = &chain->head->scorer->network->spec;
    char module[STAGE_SIZE], name[NAME_SIZE];
    snprintf(module, sizeof module, "hidden%d", number);
    snprintf(name, sizeof name, "head/hidden%d", number);
    add_linear(chain, module, name, chain->value);
    snprintf(chain->value, sizeof chain->value, "%s", name);
    if (spec->norm == PF_HEAD_NORM_LAYER) add_layer_norm(chain, number);
    if (spec->activation == PF_GELU)
        add_gelu(chain, number);
    else
        follow(chain, "Relu", module, "relu", NULL);
}

static int add_target(const Chain *hidden, int number, PfError *err)
{
    Chain chain = *hidden;
    const PfScorerTarget *target = &chain.head->scorer->targets[number];
    const char *end = target->kind == PF_TARGET_CLASS        ? "Softmax"
                      : target->kind == PF_TARGET_MULTILABEL ? "Sigmoid"
                                                             : NULL;
    char module[STAGE_SIZE], logits[NAME_SIZE];
    if (pf_onnx_has_value(chain.graph, target->name))
        return pf_fail(err, PF_EXIT_USAGE,
                       "a target named '%s' cannot be an output of that name: the graph has "
                       "something else that is called so. Hint: -o FILE.pt",
                       target->name);
    snprintf(module, sizeof module, "target%d", number);
    snprintf(logits, sizeof logits, "head/target%d", number);
    add_linear(&chain, module, end ? logits : target->name, chain.value);
    if (end) add_node(&chain, end, target->name, logits, NULL);
    if (target->kind == PF_TARGET_CLASS) pf_onnx_set_int(chain.graph, "axis", 1);
    pf_onnx_add_output(chain.graph, target->name, &(PfShape){1, {target->outputs}});
    return 0;
}

/* The head on the value `features`, (n, features), and an output for each target, of its name.
 * Fails where a target is called as something else in the graph. head: lent until the graph is
 * freed. */
static int add_head(PfOnnxGraph *graph, const PfExportHead *head, const char *features,
                    PfError *err)
{
    Chain chain = {.graph = graph, .head = head};
    snprintf(chain.value, sizeof chain.value, "%s", features);
    for (size_t i = 0; i < head->count; i++)
        pf_onnx_add_constant(graph, head->tensors[i].name, &head->tensors[i].view);
    if (head->scorer->unit_length) add_unit_length(&chain);
    for (int i = 0; i < head->scorer->network->spec.hidden_count; i++) add_hidden(&chain, i);
    for (int t = 0; t < head->scorer->target_count; t++)
        if (add_target(&chain, t, err)) return -1;
    return 0;
}

/* ---- both ---- */

static int build(PfOnnxGraph *graph, const PfExportSource *source, const PfExportHead *head,
                 PfError *err)
{
    char value[NAME_SIZE];
    PfShape shape;
    if (add_network(graph, source->plan, source->tap, &shape, value, err)) return -1;
    if (shape.rank > 1)
        pf_onnx_add_node(graph, "Flatten", FEATURES, (const char *const[]){value, NULL});
    for (size_t i = 0; i < source->metadata.count; i++)
        pf_onnx_add_metadata(graph, source->metadata.keys[i], source->metadata.values[i]);
    return add_head(graph, head, shape.rank > 1 ? FEATURES : value, err);
}

int pf_export_onnx(const PfExportSource *source, const char *path, PfError *err)
{
    if (!source->plan->arch)
        return pf_fail(err, PF_EXIT_USAGE,
                       "the network of model '%s' is the TorchScript file '%s', whose graph is not "
                       "known here. Hint: -o FILE.pt",
                       pf_model_path(source->model), source->plan->script->path);
    PfOnnxGraph *graph;
    PfExportHead head;
    if (pf_export_head_new(source->scorer, &head, err)) return -1;
    int failed = pf_onnx_graph_new(source->plan->name, &graph, err);
    if (!failed) {
        failed = build(graph, source, &head, err) || pf_onnx_graph_write(graph, path, err);
        pf_onnx_graph_free(&graph);
    }
    pf_export_head_free(&head);
    return failed ? -1 : 0;
}

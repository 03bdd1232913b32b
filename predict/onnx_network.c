#include "onnx_network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch_ops.h"
#include "export_source.h"
#include "memory.h"

typedef struct Network {
    PfOnnxGraph *graph;
    const PfArch *arch;
    PfShape *shapes;       /* of every node */
    int *values;           /* of every node: the node whose value it has */
    unsigned char *needed; /* of every node */
} Network;

static const char *value_name(const Network *network, int node, char name[PF_ONNX_NAME_SIZE])
{
    node = network->values[node];
    if (node)
        snprintf(name, PF_ONNX_NAME_SIZE, "network/%s", network->arch->nodes[node].name);
    else
        snprintf(name, PF_ONNX_NAME_SIZE, PF_ONNX_INPUT);
    return name;
}

/* ---- operations, as the table of operations describes them ---- */

#define MOST_INPUTS 8
#define WORD_SIZE 32

/* What the words in an ONNX node's inputs stand for, NULL-terminated. before: the name of the node
 * before it. */
static int name_inputs(const Network *network, const PfNode *node, const PfOnnxNode *onnx,
                       const char *before, char names[MOST_INPUTS][PF_ONNX_NAME_SIZE],
                       const char *inputs[MOST_INPUTS + 1], PfError *err)
{
    char word[WORD_SIZE];
    int count = 0, length;
    for (const char *c = onnx->inputs; sscanf(c, "%31s%n", word, &length) == 1; c += length) {
        const PfOpParameter *parameter = pf_op_find_parameter(node->op, word);
        assert(count < MOST_INPUTS);
        char *name = names[count];
        if (*word >= '0' && *word < '0' + node->input_count && !word[1])
            value_name(network, node->inputs[*word - '0'], name);
        else if (!strcmp(word, "before") && *before)
            snprintf(name, PF_ONNX_NAME_SIZE, "%s", before);
        else if (parameter)
            snprintf(name, PF_ONNX_NAME_SIZE, "%s.%s", node->module, word);
        else
            return pf_fail(err, PF_EXIT_FAILED,
                           "the ONNX node of operation '%s' has an input that stands for nothing: "
                           "'%s'",
                           pf_op_row(node->op)->name, word);
        if (parameter && !pf_node_has_parameter(node, parameter)) continue;
        inputs[count++] = name;
    }
    inputs[count] = NULL;
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

/* The last ONNX node has the operation's name, those before it "<name>/1", "<name>/2", ... */
static int add_operation(Network *network, int index, PfError *err)
{
    const PfNode *node = &network->arch->nodes[index];
    char names[MOST_INPUTS][PF_ONNX_NAME_SIZE], name[PF_ONNX_NAME_SIZE], before[sizeof name] = "";
    const char *inputs[MOST_INPUTS + 1];
    PfShape in[PF_NODE_MAX_INPUTS];
    PfOnnxNodes onnx = {.count = 0};
    pf_node_input_shapes(node, network->shapes, in);
    if (pf_op_row(node->op)->onnx(network->arch, node, in, &onnx, err)) return -1;
    if (!onnx.count) network->values[index] = network->values[node->inputs[0]];
    for (int i = 0; i < onnx.count; i++) {
        if (name_inputs(network, node, &onnx.nodes[i], before, names, inputs, err)) return -1;
        if (i + 1 < onnx.count)
            snprintf(name, sizeof name, "network/%s/%d", node->name, i + 1);
        else
            value_name(network, index, name);
        pf_onnx_add_node(network->graph, onnx.nodes[i].type, name, inputs);
        for (int a = 0; a < onnx.nodes[i].attribute_count; a++)
            set_attribute(network->graph, &onnx.nodes[i].attributes[a]);
        snprintf(before, sizeof before, "%s", name);
    }
    return 0;
}

static int add_tensors(const Network *network, const PfBackbonePlan *plan, int tap, PfError *err)
{
    PfParameter *parameters;
    int count;
    if (pf_arch_parameters(network->arch, tap, &parameters, &count, err)) return -1;
    for (int i = 0; i < count; i++) /* all are there: the plan has checked */
        pf_onnx_add_constant(network->graph, parameters[i].name,
                             pf_export_find_tensor(plan, parameters[i].name));
    free(parameters);
    return 0;
}

static int add_network(Network *network, const PfBackbonePlan *plan, int tap, PfError *err)
{
    int side = plan->preprocess.crop;
    if (pf_arch_infer_shapes(network->arch, side, side, network->shapes, err)) return -1;
    pf_arch_mark_needed(network->arch, tap, network->needed);
    pf_onnx_add_input(network->graph, PF_ONNX_INPUT, &network->shapes[0]);
    for (int i = 1; i <= tap; i++) {
        network->values[i] = i;
        if (network->needed[i] && add_operation(network, i, err)) return -1;
    }
    return add_tensors(network, plan, tap, err);
}

int pf_onnx_add_network(PfOnnxGraph *graph, const PfBackbonePlan *plan, int tap, PfShape *shape,
                        char output[PF_ONNX_NAME_SIZE], PfError *err)
{
    size_t count = (size_t)plan->arch->node_count;
    Network network = {.graph = graph, .arch = plan->arch};
    network.shapes = pf_calloc(count, sizeof *network.shapes, err);
    network.values = pf_calloc(count, sizeof *network.values, err);
    network.needed = pf_calloc(count, 1, err);
    int failed = !network.shapes || !network.values || !network.needed ||
                 add_network(&network, plan, tap, err);
    if (!failed) {
        *shape = network.shapes[tap];
        value_name(&network, tap, output);
    }
    free(network.shapes);
    free(network.values);
    free(network.needed);
    return failed ? -1 : 0;
}

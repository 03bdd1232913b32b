#include "onnx_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* A node that also takes the tensors `parts` of its module: NULL-terminated. */
static void add_node(Network *network, int index, const char *op, const char *const *parts)
{
    enum { MOST = PF_NODE_MAX_INPUTS + 4 };
    const PfNode *node = &network->arch->nodes[index];
    char names[MOST][PF_ONNX_NAME_SIZE], name[PF_ONNX_NAME_SIZE];
    const char *inputs[MOST + 1] = {NULL};
    int count = 0;
    for (int i = 0; i < node->input_count; i++, count++)
        inputs[count] = value_name(network, node->inputs[i], names[count]);
    for (; *parts && count < MOST; parts++, count++) {
        snprintf(names[count], PF_ONNX_NAME_SIZE, "%s.%s", node->module, *parts);
        inputs[count] = names[count];
    }
    pf_onnx_add_node(network->graph, op, value_name(network, index, name), inputs);
}

static void set_pair(Network *network, const char *name, int value)
{
    pf_onnx_set_ints(network->graph, name, (const int64_t[]){value, value}, 2);
}

static void set_window(Network *network, const PfNode *node)
{
    const int64_t pads[] = {node->padding, node->padding, node->padding, node->padding};
    set_pair(network, "kernel_shape", node->kernel);
    set_pair(network, "strides", node->stride);
    set_pair(network, "dilations", node->dilation);
    pf_onnx_set_ints(network->graph, "pads", pads, 4);
}

static const char *const none[] = {NULL};
static const char *const weight_alone[] = {"weight", NULL};
static const char *const weight_and_bias[] = {"weight", "bias", NULL};
static const char *const statistics[] = {"weight", "bias", "running_mean", "running_var", NULL};

/* ONNX has no adaptive pooling: windows that do not overlap, where the sizes divide. */
static int add_adaptive_pool(Network *network, int index, PfError *err)
{
    const PfNode *node = &network->arch->nodes[index];
    const PfShape *in = &network->shapes[node->inputs[0]];
    int64_t height = in->dims[1], width = in->dims[2], size = node->pool_size;
    if (height % size || width % size)
        return pf_fail(err, PF_EXIT_USAGE,
                       "ONNX cannot say '%s' of %s for images of this size: it pools maps of "
                       "%lldx%lld to %lldx%lld, which does not divide. Hint: --export FILE.pt",
                       node->name, network->arch->name, (long long)height, (long long)width,
                       (long long)size, (long long)size);
    if (height == size && width == size) {
        network->values[index] = network->values[node->inputs[0]];
        return 0;
    }
    add_node(network, index, size == 1 ? "GlobalAveragePool" : "AveragePool", none);
    if (size == 1) return 0;
    const int64_t window[] = {height / size, width / size};
    pf_onnx_set_ints(network->graph, "kernel_shape", window, 2);
    pf_onnx_set_ints(network->graph, "strides", window, 2);
    return 0;
}

static int add_operation(Network *network, int index, PfError *err)
{
    const PfNode *node = &network->arch->nodes[index];
    switch (node->op) {
    case PF_OP_CONV:
        add_node(network, index, "Conv", node->bias ? weight_and_bias : weight_alone);
        set_window(network, node);
        pf_onnx_set_int(network->graph, "group", node->groups);
        break;
    case PF_OP_BATCH_NORM:
        add_node(network, index, "BatchNormalization", statistics);
        pf_onnx_set_float(network->graph, "epsilon", node->eps);
        break;
    case PF_OP_RELU: add_node(network, index, "Relu", none); break;
    case PF_OP_MAX_POOL:
        add_node(network, index, "MaxPool", none);
        set_window(network, node);
        break;
    case PF_OP_ADAPTIVE_AVG_POOL: return add_adaptive_pool(network, index, err);
    case PF_OP_FLATTEN: add_node(network, index, "Flatten", none); break;
    case PF_OP_LINEAR:
        add_node(network, index, "Gemm", node->bias ? weight_and_bias : weight_alone);
        pf_onnx_set_int(network->graph, "transB", 1);
        break;
    case PF_OP_ADD: add_node(network, index, "Add", none); break;
    case PF_OP_DROPOUT: network->values[index] = network->values[node->inputs[0]]; break;
    case PF_OP_INPUT: break;
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

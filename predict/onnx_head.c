#include "onnx_head.h"

#include <math.h>
#include <stdio.h>

#include "head_layer.h"

#define NAME_SIZE 96
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
                       "something else that is called so. Hint: --export FILE.pt",
                       target->name);
    snprintf(module, sizeof module, "target%d", number);
    snprintf(logits, sizeof logits, "head/target%d", number);
    add_linear(&chain, module, end ? logits : target->name, chain.value);
    if (end) add_node(&chain, end, target->name, logits, NULL);
    if (target->kind == PF_TARGET_CLASS) pf_onnx_set_int(chain.graph, "axis", 1);
    pf_onnx_add_output(chain.graph, target->name, &(PfShape){1, {target->outputs}});
    return 0;
}

int pf_onnx_add_head(PfOnnxGraph *graph, const PfExportHead *head, const char *features,
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

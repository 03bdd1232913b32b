/* The weights of a plan: see plan.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/ops.h"
#include "common/arch/positions.h"
#include "common/arch/rotation.h"
#include "common/base/memory.h"
#include "common/base/printable.h"
#include "common/engine/plan.h"
#include "common/engine/rounding.h"
#include "common/thread/parallel.h"

/* ---- tensors of the network ---- */

static const PfTensorView *find(const PfBackboneConfig *config, const char *name)
{
    for (size_t i = 0; i < config->tensor_count; i++)
        if (!strcmp(config->tensors[i].name, name)) return &config->tensors[i].view;
    return NULL;
}

/* A parameter ("weight") of a node, which has so many numbers. */
static const PfTensorView *parameter(const PfBackboneConfig *config, int node, const char *which,
                                     int64_t count, PfError *err)
{
    char name[PF_PARAMETER_NAME_SIZE];
    pf_node_parameter_name(&config->arch->nodes[node], which, name);
    const PfTensorView *tensor = find(config, name);
    if (tensor && pf_shape_count(&tensor->shape) == count) return tensor;
    pf_fail(err, PF_EXIT_FAILED, "the weights of '%s': expected tensor '%s' of %lld numbers, %s",
            config->arch->name, name, (long long)count,
            tensor ? "found another size" : "found none");
    return NULL;
}

static float *floats(const PfTensorView *tensor, int64_t count, PfError *err)
{
    float *values = pf_calloc((size_t)count, sizeof *values, err);
    if (values) pf_f32_from_dtype_array(values, tensor->data, tensor->dtype, (size_t)count);
    return values;
}

/* (count), or NULL. Free with free(). */
static float *read_parameter(const PfBackboneConfig *config, int node, const char *which,
                             int64_t count, PfError *err)
{
    const PfTensorView *tensor = parameter(config, node, which, count, err);
    return tensor ? floats(tensor, count, err) : NULL;
}

/* ---- norms ---- */

/* y = x scale + shift, of each output channel. */
typedef struct Affine {
    double *scale, *shift; /* (channels), then zeros to the step's stride */
} Affine;

static void free_affine(Affine *affine)
{
    free(affine->scale);
    free(affine->shift);
}

static int fold_norm(const PfBackboneConfig *config, int node, int64_t channels, Affine *affine,
                     PfError *err)
{
    float *weight = read_parameter(config, node, "weight", channels, err);
    float *bias = read_parameter(config, node, "bias", channels, err);
    float *mean = read_parameter(config, node, "running_mean", channels, err);
    float *variance = read_parameter(config, node, "running_var", channels, err);
    const double eps = (double)config->arch->nodes[node].eps;
    int failed = !weight || !bias || !mean || !variance;
    for (int64_t c = 0; c < channels && !failed; c++) {
        const double scale = (double)weight[c] / sqrt((double)variance[c] + eps);
        affine->shift[c] = (affine->shift[c] - (double)mean[c]) * scale + (double)bias[c];
        affine->scale[c] = scale;
    }
    free(weight);
    free(bias);
    free(mean);
    free(variance);
    return failed ? -1 : 0;
}

static int add_bias(const PfBackboneConfig *config, int node, int64_t channels, Affine *affine,
                    PfError *err)
{
    float *bias = read_parameter(config, node, "bias", channels, err);
    for (int64_t c = 0; c < channels && bias; c++) affine->shift[c] = (double)bias[c];
    free(bias);
    return bias ? 0 : -1;
}

/* A sum or product with a parameter of one number, or of one for each channel. */
static int fold_parameter(const PfBackboneConfig *config, int node, int64_t channels,
                          Affine *affine, PfError *err)
{
    const PfNode *of = &config->arch->nodes[node];
    const bool is_first = config->arch->nodes[of->inputs[0]].op == PF_OP_PARAMETER;
    const int input = of->inputs[is_first ? 0 : 1];
    const int64_t count = pf_shape_count(&config->arch->nodes[input].shape);
    float *numbers = read_parameter(config, input, "", count, err);
    for (int64_t c = 0; c < channels && numbers; c++) {
        const double number = (double)numbers[count == 1 ? 0 : c];
        if (of->op == PF_OP_ADD) affine->shift[c] += number;
        if (of->op == PF_OP_SUBTRACT) affine->shift[c] -= number;
        if (of->op == PF_OP_MULTIPLY) affine->shift[c] *= number;
        if (of->op == PF_OP_MULTIPLY) affine->scale[c] *= number;
        if (of->op == PF_OP_DIVIDE) affine->shift[c] /= number;
        if (of->op == PF_OP_DIVIDE) affine->scale[c] /= number;
    }
    free(numbers);
    return numbers ? 0 : -1;
}

/* What follows the step's products: its bias, the norm and what else is folded in. */
static int make_affine(const PfEnginePlan *plan, const PfBackboneConfig *config,
                       const PfEngineStep *step, Affine *affine, PfError *err)
{
    const PfEngineValue *y = &plan->values[step->y];
    const bool has_bias = step->kind == PF_STEP_CONVOLUTION && config->arch->nodes[step->node].bias;
    affine->scale = pf_calloc((size_t)y->stride, sizeof *affine->scale, err);
    affine->shift = pf_calloc((size_t)y->stride, sizeof *affine->shift, err);
    if (!affine->scale || !affine->shift) return -1;
    for (int64_t c = 0; c < y->channels; c++) affine->scale[c] = 1;
    if (has_bias && add_bias(config, step->node, y->channels, affine, err)) return -1;
    if (step->norm >= 0 && fold_norm(config, step->norm, y->channels, affine, err)) return -1;
    for (int i = 0; i < step->folded_count; i++)
        if (fold_parameter(config, step->folded[i], y->channels, affine, err)) return -1;
    return 0;
}

/* To what the plan computes with. */
static float *rounded(const PfEnginePlan *plan, const double *values, int64_t count, PfError *err)
{
    float *floats_of = pf_calloc((size_t)count, sizeof *floats_of, err);
    if (!floats_of) return NULL;
    for (int64_t i = 0; i < count; i++) floats_of[i] = (float)values[i];
    if (plan->bf16) pf_engine_round(floats_of, count);
    return floats_of;
}

/* ---- convolutions ---- */

static void set_pair(int64_t pair[2], const int values[2])
{
    pair[0] = values[0];
    pair[1] = values[1];
}

/* A linear layer takes rows one by one, and the map that a vector is as one window. */
static PfConvolutionConfig convolution_config(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfNode *node = &plan->arch->nodes[step->node];
    const PfEngineValue *x = &plan->values[step->x];
    PfConvolutionConfig config = {.in_channels = x->stride,
                                  .filled_channels = (x->stride - x->channels) % 16,
                                  .out_channels = plan->values[step->y].stride,
                                  .kernel = {x->height, x->width},
                                  .stride = {1, 1},
                                  .dilation = {1, 1},
                                  .map = {x->height, x->width},
                                  .activation = step->activation,
                                  .bf16 = plan->bf16};
    if (node->op == PF_OP_LINEAR) {
        const bool has_rows = plan->values[step->y].shape.rank > 1;
        if (has_rows) config.kernel[0] = config.kernel[1] = 1;
        return config;
    }
    set_pair(config.kernel, node->kernel);
    set_pair(config.stride, node->stride);
    set_pair(config.dilation, node->dilation);
    for (int axis = 0; axis < 2; axis++) {
        config.padding[axis] = step->pads[axis];
        config.more_padding[axis] = step->pads[axis + 2] - step->pads[axis];
    }
    if (node->groups < 2) return config;
    config.groups = node->groups;
    config.group_inputs = node->in_channels / node->groups;
    config.group_outputs = node->out_channels / node->groups;
    return config;
}

/* Whether a tensor is what the convolution takes, as it lies: no channels are filled up. */
static bool lies_ready(const PfEngineValue *x, const PfEngineValue *y, const PfTensorView *tensor)
{
    return tensor->dtype == PF_DTYPE_F32 && !((uintptr_t)tensor->data % sizeof(float)) &&
           x->channels == x->stride && y->channels == y->stride;
}

/* (channels filled up of y, of x, places) from (channels of y, of x, places) */
static float *fill_up(const PfEngineValue *x, const PfEngineValue *y, int64_t places,
                      const PfTensorView *tensor, PfError *err)
{
    const int64_t row = x->channels * places, filled = x->stride * places;
    float *from = floats(tensor, y->channels * row, err);
    float *to = pf_calloc((size_t)(y->stride * filled), sizeof *to, err);
    for (int64_t k = 0; k < y->channels && from && to; k++)
        memcpy(to + k * filled, from + k * row, (size_t)row * sizeof *to);
    if (!from) {
        free(to);
        to = NULL;
    }
    free(from);
    return to;
}

/* Weights, a row of so many for each output channel, become those of bfloat16 that are nearest to
 * them with their scale. */
static void narrow(PfConvolutionConfig *convolution, float *weight, int64_t channels, int64_t row)
{
    for (int64_t k = 0; k < channels && convolution->scale; k++)
        for (int64_t i = 0; i < row; i++)
            weight[k * row + i] = (float)((double)weight[k * row + i] * convolution->scale[k]);
    convolution->scale = NULL;
    pf_engine_round(weight, channels * row);
}

/* Of groups weights are taken as they are: (channels of y, of a group of x, places). */
static int pack_groups(const PfBackboneConfig *config, PfEngineStep *step,
                       PfConvolutionConfig *convolution, PfError *err)
{
    const int64_t places = convolution->kernel[0] * convolution->kernel[1];
    const int64_t row = convolution->group_inputs * places;
    const int64_t strides[] = {row, places, convolution->kernel[1], 1};
    const int64_t channels = convolution->groups * convolution->group_outputs;
    float *weight = read_parameter(config, step->node, "weight", channels * row, err);
    if (weight && convolution->bf16) narrow(convolution, weight, channels, row);
    convolution->weight = weight;
    memcpy(convolution->strides, strides, sizeof strides);
    int failed = !weight || pf_convolution_new(convolution, &step->convolution, err);
    free(weight);
    return failed ? -1 : 0;
}

static int pack(const PfEnginePlan *plan, const PfBackboneConfig *config, PfEngineStep *step,
                const Affine *affine, PfError *err)
{
    const PfEngineValue *x = &plan->values[step->x], *y = &plan->values[step->y];
    PfConvolutionConfig convolution = convolution_config(plan, step);
    float *own = NULL, *bias = rounded(plan, affine->shift, y->stride, err);
    if (step->norm >= 0 || step->folded_count) convolution.scale = affine->scale;
    convolution.bias = bias;
    if (convolution.groups > 1) {
        const int result = bias ? pack_groups(config, step, &convolution, err) : -1;
        free(bias);
        return result;
    }
    const int64_t places = convolution.kernel[0] * convolution.kernel[1];
    const int64_t strides[] = {x->stride * places, places, convolution.kernel[1], 1};
    const PfTensorView *tensor =
        parameter(config, step->node, "weight", x->channels * y->channels * places, err);
    const bool is_ready = tensor && lies_ready(x, y, tensor) && !plan->bf16;
    if (tensor && bias && !is_ready) own = fill_up(x, y, places, tensor, err);
    if (own && plan->bf16) narrow(&convolution, own, y->stride, strides[0]);
    if (tensor && bias) convolution.weight = is_ready ? tensor->data : own;
    convolution.weight_stays = plan->has_few_images && is_ready;
    memcpy(convolution.strides, strides, sizeof strides);
    int failed = !convolution.weight || pf_convolution_new(&convolution, &step->convolution, err);
    free(own);
    free(bias);
    return failed ? -1 : 0;
}

/* ---- norms of rows ---- */

/* (channels of y), then zeros up to its stride, rounded to what the plan computes with. */
static float *read_filled(const PfEnginePlan *plan, const PfBackboneConfig *config,
                          const PfEngineStep *step, const char *which, PfError *err)
{
    const int64_t count = plan->values[step->y].channels, filled = plan->values[step->y].stride;
    const PfTensorView *tensor = parameter(config, step->node, which, count, err);
    float *values = tensor ? pf_calloc((size_t)filled, sizeof *values, err) : NULL;
    if (values) pf_f32_from_dtype_array(values, tensor->data, tensor->dtype, (size_t)count);
    if (values && plan->bf16) pf_engine_round(values, count);
    return values;
}

static int read_layer_norm(const PfEnginePlan *plan, const PfBackboneConfig *config,
                           PfEngineStep *step, PfError *err)
{
    step->scale = read_filled(plan, config, step, "weight", err);
    step->shift = read_filled(plan, config, step, "bias", err);
    return step->scale && step->shift ? 0 : -1;
}

static int read_window_attention(const PfEnginePlan *plan, const PfBackboneConfig *config,
                                 PfEngineStep *step, PfError *err)
{
    const PfWindowAttention attention = pf_engine_window_attention(plan, step);
    const int64_t count = pf_shape_count(&config->arch->nodes[step->node].shape);
    const size_t biases = (size_t)pf_window_attention_biases(&attention);
    float *table = read_parameter(config, step->node, "", count, err);
    if (!table) return -1;
    if (plan->bf16) pf_engine_round(table, count);
    step->scale = pf_calloc(biases, sizeof *step->scale, err);
    if (step->scale) pf_window_attention_fill(&attention, table, step->scale);
    free(table);
    return step->scale ? 0 : -1;
}

static int make_angles(const PfEnginePlan *plan, const PfBackboneConfig *config, PfEngineStep *step,
                       PfError *err)
{
    const PfNode *node = &config->arch->nodes[step->node];
    const int64_t channels = plan->values[step->y].channels / node->heads, half = channels / 2;
    const int64_t height = step->grid[0], width = step->grid[1];
    const size_t count = (size_t)(height * width * half);
    step->scale = pf_calloc(count, sizeof *step->scale, err);
    step->shift = step->scale ? pf_calloc(count, sizeof *step->shift, err) : NULL;
    if (!step->shift) return -1;
    for (int64_t i = 0; i < (int64_t)count; i++)
        pf_rotation_angle(node, channels, height, width, i / half, i % half, &step->scale[i],
                          &step->shift[i]);
    return 0;
}

/* ---- all steps ---- */

static int make_ready(const PfEnginePlan *plan, const PfBackboneConfig *config, PfEngineStep *step,
                      PfError *err)
{
    Affine affine = {0};
    const bool is_convolution = step->kind == PF_STEP_CONVOLUTION;
    if (step->kind == PF_STEP_ROTATE) return make_angles(plan, config, step, err);
    if (step->kind == PF_STEP_WINDOW_ATTENTION)
        return read_window_attention(plan, config, step, err);
    if (step->kind == PF_STEP_LAYER_NORM) return read_layer_norm(plan, config, step, err);
    if (!is_convolution && step->norm < 0) return 0;
    int failed = make_affine(plan, config, step, &affine, err);
    if (!failed && is_convolution) {
        failed = pack(plan, config, step, &affine, err);
    } else if (!failed) {
        const int64_t stride = plan->values[step->y].stride;
        step->scale = rounded(plan, affine.scale, stride, err);
        step->shift = rounded(plan, affine.shift, stride, err);
        failed = !step->scale || !step->shift;
    }
    free_affine(&affine);
    return failed ? -1 : 0;
}

typedef struct Packing {
    PfEnginePlan *plan;
    const PfBackboneConfig *config;
    PfError *errors; /* (steps) */
    int *failed;     /* (steps) */
} Packing;

/* The last steps first: they have the most weights. */
static void make_step_ready(void *context, int64_t index)
{
    const Packing *packing = context;
    const int64_t s = packing->plan->step_count - 1 - index;
    packing->failed[s] =
        make_ready(packing->plan, packing->config, &packing->plan->steps[s], &packing->errors[s]);
}

/* Positions as they are for the map of the node's patches. */
static int read_positions(const PfBackboneConfig *config, PfEngineValue *value, PfError *err)
{
    const PfNode *positions = &config->arch->nodes[value->node];
    const int64_t count = pf_shape_count(&positions->shape);
    float *trained = read_parameter(config, value->node, "", count, err);
    if (!trained) return -1;
    const int failed = pf_positions_resize(positions, value->grid[0], value->grid[1], trained,
                                           value->numbers, err);
    free(trained);
    return failed;
}

static int read_value(const PfBackboneConfig *config, PfEngineValue *value, PfError *err)
{
    if (config->arch->nodes[value->node].op == PF_OP_POSITIONS)
        return read_positions(config, value, err);
    const PfTensorView *tensor = parameter(config, value->node, "", value->channels, err);
    if (!tensor) return -1;
    pf_f32_from_dtype_array(value->numbers, tensor->data, tensor->dtype, (size_t)value->channels);
    return 0;
}

/* Values that are parameters, with zeros to the end of their row. */
static int read_values(PfEnginePlan *plan, const PfBackboneConfig *config, PfError *err)
{
    for (int v = 0; v < plan->value_count; v++) {
        PfEngineValue *value = &plan->values[v];
        if (value->node < 0) continue;
        value->numbers = pf_calloc((size_t)value->stride, sizeof(float), err);
        if (!value->numbers || read_value(config, value, err)) return -1;
        if (plan->bf16) pf_engine_round(value->numbers, value->channels);
    }
    return 0;
}

int pf_engine_plan_weights(PfEnginePlan *plan, const PfBackboneConfig *config, int threads,
                           PfError *err)
{
    const size_t steps = (size_t)plan->step_count;
    Packing packing = {.plan = plan, .config = config};
    packing.errors = pf_calloc(steps, sizeof *packing.errors, err);
    packing.failed = pf_calloc(steps, sizeof *packing.failed, err);
    int failed = !packing.errors || !packing.failed || read_values(plan, config, err);
    if (!failed) pf_parallel_for(plan->step_count, threads, make_step_ready, &packing);
    for (size_t s = 0; s < steps && !failed; s++)
        if (packing.failed[s])
            failed = pf_fail(err, packing.errors[s].exit_code, "%" PF_SENTENCE,
                             packing.errors[s].message);
    free(packing.errors);
    free(packing.failed);
    return failed ? -1 : 0;
}

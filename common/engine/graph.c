/* From the graph to steps: see plan.h. */
#include <stdlib.h>
#include <string.h>

#include "common/base/memory.h"
#include "common/engine/arithmetic.h"
#include "common/engine/arrange.h"
#include "common/engine/builder.h"
#include "common/engine/layout.h"
#include "common/engine/windows.h"

/* ---- operations ---- */

static int make_input(Builder *builder, int node)
{
    PfEngineStep *step = add_maker(builder, PF_STEP_PIXELS, node, -1);
    builder->plan->values[step->y].stride = builder->plan->values[step->y].channels;
    return settle(builder, node, step->y);
}

static int make_average_pool(Builder *builder, int node)
{
    const PfEngineValue *x = &builder->plan->values[input_of(builder, node)];
    const int size = builder->arch->nodes[node].pool_size;
    if (x->height == size && x->width == size)
        return settle(builder, node, input_of(builder, node));
    PfEngineStep *step = add_maker(builder, PF_STEP_AVERAGE_POOL, node, input_of(builder, node));
    return settle(builder, node, step->y);
}

static int make_dropout(Builder *builder, int node)
{
    return settle(builder, node, input_of(builder, node));
}

/* Whether what follows the step (a norm, a sum, an activation) can be computed by the step itself.
 * Behind an activation nothing can. */
static bool can_take_in(const PfEngineStep *step)
{
    return (step->kind == PF_STEP_CONVOLUTION || step->kind == PF_STEP_POINTWISE) &&
           step->activation.kind == PF_ACTIVATION_NONE;
}

static int make_batch_norm(Builder *builder, int node)
{
    const int x = input_of(builder, node);
    PfEngineStep *before = producer(builder, x);
    if (builder->open[x] && before->kind == PF_STEP_CONVOLUTION && can_take_in(before) &&
        before->sum < 0 && before->norm < 0 && !before->folded_count) {
        before->norm = node;
        return settle(builder, node, x);
    }
    if (pf_engine_norm_parts(builder, x, node)) return settle(builder, node, x);
    PfEngineStep *step = add_maker(builder, PF_STEP_POINTWISE, node, x);
    step->norm = node;
    return settle(builder, node, step->y);
}

static const PfActivationKind activations[PF_OP_COUNT] = {
    [PF_OP_RELU] = PF_ACTIVATION_RELU,
    [PF_OP_CLIP] = PF_ACTIVATION_CLIP,
    [PF_OP_SIGMOID] = PF_ACTIVATION_SIGMOID,
    [PF_OP_HARD_SIGMOID] = PF_ACTIVATION_HARD_SIGMOID,
    [PF_OP_HARD_SWISH] = PF_ACTIVATION_HARD_SWISH,
    [PF_OP_SILU] = PF_ACTIVATION_SILU,
    [PF_OP_GELU] = PF_ACTIVATION_GELU,
    [PF_OP_GELU_TANH] = PF_ACTIVATION_GELU_TANH,
    [PF_OP_QUICK_GELU] = PF_ACTIVATION_QUICK_GELU,
    [PF_OP_TANH] = PF_ACTIVATION_TANH,
};

static int make_activation(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    int y = input_of(builder, node);
    PfEngineStep *step = producer(builder, y);
    const bool is_part = step->kind == PF_STEP_PART && step->activation.kind == PF_ACTIVATION_NONE;
    if (!builder->open[y] || !(can_take_in(step) || is_part)) {
        step = add_maker(builder, PF_STEP_POINTWISE, node, y);
        y = step->y;
    }
    step->activation = (PfActivation){activations[of->op], of->low, of->high};
    if (step->kind == PF_STEP_PART) pf_engine_activate_parts(builder, step);
    return settle(builder, node, y);
}

static bool lie_alike(const PfEngineValue *a, const PfEngineValue *b)
{
    return pf_shape_equal(&a->shape, &b->shape) && a->channels == b->channels &&
           a->height == b->height && a->width == b->width && a->stride == b->stride &&
           a->channels_first == b->channels_first;
}

static int make_sum(Builder *builder, int node)
{
    const int *inputs = builder->arch->nodes[node].inputs;
    const PfEngineValue *a = value_of(builder, inputs[0]), *b = value_of(builder, inputs[1]);
    const bool a_is_later = a->first > b->first;
    int later = builder->values[inputs[a_is_later ? 0 : 1]];
    const int earlier = builder->values[inputs[a_is_later ? 1 : 0]];
    if (!lie_alike(a, b) || !pf_value_is_dense(builder->plan, later) ||
        !pf_value_is_dense(builder->plan, earlier))
        return pf_engine_make_arithmetic(builder, node);
    PfEngineStep *step = producer(builder, later);
    if (!builder->open[later] || !can_take_in(step) || step->sum >= 0) {
        step = add_maker(builder, PF_STEP_POINTWISE, node, later);
        later = step->y;
    }
    step->sum = earlier;
    read_in(builder, earlier, (int)(step - builder->plan->steps));
    return settle(builder, node, later);
}

static int make_positions(Builder *builder, int node)
{
    const PfShape *map = &builder->shapes[builder->arch->nodes[node].inputs[0]];
    if (pf_engine_make_parameter(builder, node)) return -1;
    PfEngineValue *value = value_of(builder, node);
    value->grid[0] = map->dims[1];
    value->grid[1] = map->dims[2];
    return 0;
}

/* Of rows, or of a map's pixels, which are rows in memory. */
static int make_layer_norm(Builder *builder, int node)
{
    if (builder->shapes[node].rank > 3)
        return fail_node(builder, node, "layer norms of more than three axes");
    PfEngineStep *step = add_maker(builder, PF_STEP_LAYER_NORM, node, input_of(builder, node));
    return settle(builder, node, step->y);
}

static int make_attention(Builder *builder, int node)
{
    const int *inputs = builder->arch->nodes[node].inputs;
    const int x = builder->values[inputs[0]];
    PfEngineStep *step =
        add_maker_of(builder, PF_STEP_ATTENTION, node, x, laid_out(&builder->shapes[node], false));
    const int index = (int)(step - builder->plan->steps);
    step->sum = builder->values[inputs[1]];
    step->values = builder->values[inputs[2]];
    read_in(builder, step->sum, index);
    read_in(builder, step->values, index);
    return settle(builder, node, step->y);
}

static int make_window_attention(Builder *builder, int node)
{
    PfEngineStep *step =
        add_maker_of(builder, PF_STEP_WINDOW_ATTENTION, node, input_of(builder, node),
                     laid_out(&builder->shapes[node], false));
    return settle(builder, node, step->y);
}

static int make_rotation(Builder *builder, int node)
{
    const PfShape *map = &builder->shapes[builder->arch->nodes[node].inputs[1]];
    PfEngineStep *step = add_maker_of(builder, PF_STEP_ROTATE, node, input_of(builder, node),
                                      laid_out(&builder->shapes[node], false));
    step->grid[0] = map->dims[1];
    step->grid[1] = map->dims[2];
    return settle(builder, node, step->y);
}

/* Of a map (h, w, c): in memory pixels, as the other pads have them. */
static int make_pad_behind(Builder *builder, int node)
{
    const int x = input_of(builder, node);
    const int64_t *from = builder->plan->values[x].shape.dims;
    const PfShape *shape = &builder->shapes[node];
    if (pf_shape_equal(shape, &builder->plan->values[x].shape)) return settle(builder, node, x);
    const int pads[4] = {0, 0, (int)(shape->dims[0] - from[0]), (int)(shape->dims[1] - from[1])};
    PfEngineStep *step = add_maker_of(builder, PF_STEP_PAD, node, x, laid_out(shape, false));
    memcpy(step->pads, pads, sizeof pads);
    return settle(builder, node, step->y);
}

static int make_crop(Builder *builder, int node)
{
    int64_t strides[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, input_of(builder, node), strides);
    return pf_engine_settle_strided(builder, node, x, strides, 0);
}

/* Each row of tokens is a pixel: a view. */
static int make_token_map(Builder *builder, int node)
{
    int64_t from[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, input_of(builder, node), from);
    const int64_t width = builder->shapes[node].dims[2];
    const int64_t strides[PF_MAX_RANK] = {from[1], width * from[0], from[0]};
    return pf_engine_settle_strided(builder, node, x, strides, 0);
}

static int (*const makers[PF_OP_COUNT])(Builder *builder, int node) = {
    [PF_OP_INPUT] = make_input,
    [PF_OP_CONV] = pf_engine_make_convolution,
    [PF_OP_BATCH_NORM] = make_batch_norm,
    [PF_OP_RELU] = make_activation,
    [PF_OP_MAX_POOL] = pf_engine_make_max_pool,
    [PF_OP_AVG_POOL] = pf_engine_make_average_windows,
    [PF_OP_PAD] = pf_engine_make_pad,
    [PF_OP_PAD_SAME] = pf_engine_make_pad,
    [PF_OP_CHANNEL_SHUFFLE] = pf_engine_make_channel_shuffle,
    [PF_OP_ADAPTIVE_AVG_POOL] = make_average_pool,
    [PF_OP_LINEAR] = pf_engine_make_convolution,
    [PF_OP_ADD] = make_sum,
    [PF_OP_DROPOUT] = make_dropout,
    [PF_OP_FLATTEN] = pf_engine_make_reshape,
    [PF_OP_RESHAPE] = pf_engine_make_reshape,
    [PF_OP_PERMUTE] = pf_engine_make_permute,
    [PF_OP_SLICE] = pf_engine_make_slice,
    [PF_OP_LAYER_NORM] = make_layer_norm,
    [PF_OP_LAYER_NORM_2D] = make_layer_norm,
    [PF_OP_ATTENTION] = make_attention,
    [PF_OP_CLIP] = make_activation,
    [PF_OP_SIGMOID] = make_activation,
    [PF_OP_HARD_SIGMOID] = make_activation,
    [PF_OP_HARD_SWISH] = make_activation,
    [PF_OP_SILU] = make_activation,
    [PF_OP_GELU] = make_activation,
    [PF_OP_GELU_TANH] = make_activation,
    [PF_OP_QUICK_GELU] = make_activation,
    [PF_OP_TANH] = make_activation,
    [PF_OP_CONCAT] = pf_engine_make_concat,
    [PF_OP_PARAMETER] = pf_engine_make_parameter,
    [PF_OP_POSITIONS] = make_positions,
    [PF_OP_SUBTRACT] = pf_engine_make_arithmetic,
    [PF_OP_MULTIPLY] = pf_engine_make_arithmetic,
    [PF_OP_DIVIDE] = pf_engine_make_arithmetic,
    [PF_OP_POWER] = pf_engine_make_arithmetic,
    [PF_OP_MAXIMUM] = pf_engine_make_arithmetic,
    [PF_OP_MINIMUM] = pf_engine_make_arithmetic,
    [PF_OP_MEAN] = pf_engine_make_reduction,
    [PF_OP_REDUCE_SUM] = pf_engine_make_reduction,
    [PF_OP_REDUCE_MAX] = pf_engine_make_reduction,
    [PF_OP_SOFTMAX] = pf_engine_make_softmax,
    [PF_OP_MATMUL] = pf_engine_make_product,
    [PF_OP_SQRT] = pf_engine_make_function,
    [PF_OP_EXP] = pf_engine_make_function,
    [PF_OP_LOG] = pf_engine_make_function,
    [PF_OP_ERF] = pf_engine_make_function,
    [PF_OP_NEGATE] = pf_engine_make_function,
    [PF_OP_ABS] = pf_engine_make_function,
    [PF_OP_RECIPROCAL] = pf_engine_make_function,
    [PF_OP_LEAKY_RELU] = pf_engine_make_function,
    [PF_OP_ELU] = pf_engine_make_function,
    [PF_OP_TOKEN_MAP] = make_token_map,
    [PF_OP_PAD_BEHIND] = make_pad_behind,
    [PF_OP_CROP] = make_crop,
    [PF_OP_WINDOW_ATTENTION] = make_window_attention,
    [PF_OP_ROTATE] = make_rotation,
};

/* ---- the whole ---- */

static int find_taps(Builder *builder, const PfBackboneConfig *config)
{
    PfEnginePlan *plan = builder->plan;
    for (int t = 0; t < config->tap_count; t++) {
        int *node = &builder->tap_nodes[t];
        if (pf_arch_find_tap(builder->arch, config->taps[t], node, builder->err)) return -1;
        if (strlen(config->taps[t]) >= sizeof plan->taps[t].name)
            return pf_fail(builder->err, PF_EXIT_FAILED, "tap name '%s' is too long",
                           config->taps[t]);
        strcpy(plan->taps[t].name, config->taps[t]);
        plan->taps[t].shape = pf_arch_stored_shape(builder->shapes[*node]);
    }
    plan->tap_count = config->tap_count;
    return pf_arch_mark_outputs(builder->arch, 0, builder->tap_nodes, config->tap_count,
                                builder->needed, builder->err);
}

static int build(Builder *builder, const PfBackboneConfig *config)
{
    const PfArch *arch = builder->arch;
    if (pf_arch_infer_shapes(arch, config->input_height, config->input_width, builder->shapes,
                             builder->err) ||
        find_taps(builder, config))
        return -1;
    builder->needed[0] = 1;
    for (int i = 0; i < arch->node_count; i++)
        for (int k = 0; k < arch->nodes[i].input_count && builder->needed[i]; k++)
            builder->uses[arch->nodes[i].inputs[k]]++;
    for (int i = 0; i < arch->node_count; i++) {
        if (!builder->needed[i]) continue;
        if (!makers[arch->nodes[i].op]) return fail_node(builder, i, "such operation");
        pf_engine_prepare(builder, i);
        if (makers[arch->nodes[i].op](builder, i)) return -1;
    }
    return 0;
}

/* Room for steps and values: of each node its own, what its inputs become, and what is between. */
static size_t most_steps(const PfArch *arch, int tap_count)
{
    size_t most = (size_t)tap_count;
    for (int i = 0; i < arch->node_count; i++) most += 4 + 3 * (size_t)arch->nodes[i].input_count;
    return most;
}

int pf_engine_plan_steps(PfEnginePlan *plan, const PfBackboneConfig *config, PfError *err)
{
    const size_t nodes = (size_t)config->arch->node_count, taps = (size_t)config->tap_count;
    Builder builder = {.plan = plan, .arch = config->arch, .err = err};
    const size_t most = most_steps(config->arch, config->tap_count);
    plan->steps = pf_calloc(most, sizeof *plan->steps, err);
    plan->values = pf_calloc(most, sizeof *plan->values, err);
    plan->taps = pf_calloc(taps, sizeof *plan->taps, err);
    builder.shapes = pf_calloc(nodes, sizeof *builder.shapes, err);
    builder.tap_nodes = pf_calloc(taps, sizeof *builder.tap_nodes, err);
    builder.needed = pf_calloc(nodes, sizeof *builder.needed, err);
    builder.uses = pf_calloc(nodes, sizeof *builder.uses, err);
    builder.values = pf_calloc(nodes, sizeof *builder.values, err);
    builder.open = pf_calloc(most, sizeof *builder.open, err);
    int failed = !plan->steps || !plan->values || !plan->taps || !builder.shapes ||
                 !builder.tap_nodes || !builder.needed || !builder.uses || !builder.values ||
                 !builder.open || build(&builder, config);
    free(builder.shapes);
    free(builder.tap_nodes);
    free(builder.needed);
    free(builder.uses);
    free(builder.values);
    free(builder.open);
    return failed ? -1 : 0;
}

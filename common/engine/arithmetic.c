#include "common/engine/arithmetic.h"

#include <string.h>

#include "common/engine/arrange.h"
#include "common/engine/layout.h"

/* ---- two values ---- */

/* Strides of an operand in a shape that it is broadcast to: 0 along what it has only one of. */
static int broadcast_strides(Builder *builder, int node, int input, const PfShape *shape,
                             int64_t *strides)
{
    int64_t own[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, builder->values[input], own);
    const int rank = builder->plan->values[x].shape.rank;
    for (int i = 0; i < rank; i++) strides[shape->rank - rank + i] = own[i];
    return x;
}

/* As an input lies that is as large as the result, so that what follows can be read beside it. */
static PfEngineValue result_of(const Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    const PfShape *shape = &builder->shapes[node];
    for (int k = 0; k < of->input_count; k++) {
        const int value = builder->values[of->inputs[k]];
        const PfEngineValue *from = &builder->plan->values[value];
        if (pf_shape_equal(shape, &from->shape) && pf_value_is_regular(from) &&
            pf_value_is_dense(builder->plan, value))
            return laid_out(shape, from->channels_first);
    }
    return laid_out(shape, shape->rank == 3);
}

static void stride_result(const PfEngineValue *result, PfEngineLoops *loops)
{
    const PfAxes axes = pf_axes_of_value(result);
    pf_axes_split(&axes, &result->shape, loops->strides[0]);
}

static PfEngineLoops loops_over(const PfShape *shape)
{
    PfEngineLoops loops = {.rank = shape->rank};
    memcpy(loops.sizes, shape->dims, sizeof shape->dims);
    return loops;
}

/* A step that makes `result` of one or two values. */
static int settle_loops(Builder *builder, PfStepKind kind, int node, const int inputs[2],
                        PfEngineValue result, const PfEngineLoops *loops)
{
    PfEngineStep *step = add_maker_of(builder, kind, node, inputs[0], result);
    step->loops = *loops;
    step->fill = result.stride != result.channels;
    step->sum = inputs[1];
    if (step->sum >= 0) read_in(builder, step->sum, (int)(step - builder->plan->steps));
    return settle(builder, node, step->y);
}

/* Whether it is one number for all, or one for each channel of x. */
static bool is_by_channel(const PfShape *parameter, const PfEngineValue *x)
{
    const int channel_axis = x->channels_first ? 0 : x->shape.rank - 1;
    const int before = x->shape.rank - parameter->rank;
    bool fits = before >= 0 && pf_value_is_regular(x);
    for (int i = 0; i < parameter->rank && fits; i++)
        fits = parameter->dims[i] == 1 ||
               (before + i == channel_axis && parameter->dims[i] == x->channels);
    return fits;
}

static bool is_parameter(const Builder *builder, int node)
{
    return builder->arch->nodes[node].op == PF_OP_PARAMETER;
}

/* Takes the node into the convolution or linear layer before it: at weights that are multiplied
 * once. */
static bool fold(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    const bool commutes = of->op == PF_OP_ADD || of->op == PF_OP_MULTIPLY;
    const bool can = commutes || of->op == PF_OP_SUBTRACT || of->op == PF_OP_DIVIDE;
    const int k = commutes && is_parameter(builder, of->inputs[0]) ? 0 : 1;
    const int x = builder->values[of->inputs[1 - k]];
    const PfEngineValue *value = &builder->plan->values[x];
    if (!can || !builder->open[x] || !is_parameter(builder, of->inputs[k])) return false;
    PfEngineStep *step = producer(builder, x);
    if (step->kind != PF_STEP_CONVOLUTION || step->activation.kind != PF_ACTIVATION_NONE ||
        step->sum >= 0 || step->folded_count == 2 ||
        !pf_shape_equal(&builder->shapes[node], &value->shape) ||
        !is_by_channel(&builder->shapes[of->inputs[k]], value))
        return false;
    step->folded[step->folded_count++] = node;
    settle(builder, node, x);
    return true;
}

/* Whether one number of each channel, (c, 1, 1), is to be multiplied with all of its map. Kernels
 * read what fills up its channels, too: of a part of another value that is not zeros. */
static bool is_factor(const Builder *builder, int map, int factor)
{
    const PfEngineValue *x = &builder->plan->values[map], *by = &builder->plan->values[factor];
    return pf_value_is_dense(builder->plan, map) && pf_value_is_regular(x) &&
           pf_value_is_dense(builder->plan, factor) && pf_value_is_regular(by) &&
           x->shape.rank == 3 && by->shape.rank == 3 && x->channels_first && by->channels_first &&
           x->channels == by->channels && x->stride == by->stride && by->height * by->width == 1 &&
           x->height * x->width > 1;
}

/* A step of its own for squeezed maps that excite the map they are made of. */
static bool multiply_channels(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    for (int k = 0; k < 2 && of->op == PF_OP_MULTIPLY; k++) {
        const int x = builder->values[of->inputs[k]], factor = builder->values[of->inputs[1 - k]];
        if (!is_factor(builder, x, factor)) continue;
        PfEngineStep *step = add_maker(builder, PF_STEP_POINTWISE, node, x);
        step->factor = factor;
        read_in(builder, factor, (int)(step - builder->plan->steps));
        settle(builder, node, step->y);
        return true;
    }
    return false;
}

int pf_engine_make_arithmetic(Builder *builder, int node)
{
    if (fold(builder, node) || multiply_channels(builder, node)) return 0;
    const int *operands = builder->arch->nodes[node].inputs;
    const PfShape *shape = &builder->shapes[node];
    PfEngineLoops loops = loops_over(shape);
    int inputs[2];
    for (int k = 0; k < 2; k++)
        inputs[k] = broadcast_strides(builder, node, operands[k], shape, loops.strides[k + 1]);
    const PfEngineValue result = result_of(builder, node);
    stride_result(&result, &loops);
    pf_loops_simplify(&loops, 0);
    return settle_loops(builder, PF_STEP_ARITHMETIC, node, inputs, result, &loops);
}

/* ---- one value ---- */

int pf_engine_make_function(Builder *builder, int node)
{
    PfEngineStep *step = add_maker(builder, PF_STEP_FUNCTION, node, input_of(builder, node));
    return settle(builder, node, step->y);
}

static bool is_reduced(const PfNode *node, int axis)
{
    bool found = false;
    for (int i = 0; i < node->axis_count; i++) found |= node->axes[i] == axis;
    return found;
}

/* Sums are of doubles, as many as y has floats. */
int pf_engine_make_reduction(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    const PfShape *from = &builder->shapes[of->inputs[0]];
    PfEngineLoops loops = loops_over(from);
    PfShape kept = *from; /* the result's, had it kept all axes */
    for (int i = 0; i < from->rank; i++)
        if (is_reduced(of, i)) kept.dims[i] = 1;
    const int inputs[2] = {
        pf_engine_stride(builder, node, input_of(builder, node), loops.strides[1]), -1};
    const bool channels_first = builder->plan->values[inputs[0]].channels_first;
    const PfEngineValue result = laid_out(&builder->shapes[node], channels_first);
    const PfAxes axes = pf_axes_of_value(&result);
    pf_axes_split(&axes, &kept, loops.strides[0]);
    pf_loops_simplify(&loops, 1);
    settle_loops(builder, PF_STEP_REDUCE, node, inputs, result, &loops);
    return 0;
}

int pf_engine_make_softmax(Builder *builder, int node)
{
    const int axis = builder->arch->nodes[node].axis;
    const PfShape *shape = &builder->shapes[node];
    PfEngineLoops loops = loops_over(shape);
    const int inputs[2] = {
        pf_engine_stride(builder, node, input_of(builder, node), loops.strides[1]), -1};
    const PfEngineValue result = result_of(builder, node);
    stride_result(&result, &loops);
    pf_loops_turn(&loops, axis);
    return settle_loops(builder, PF_STEP_SOFTMAX, node, inputs, result, &loops);
}

int pf_engine_make_product(Builder *builder, int node)
{
    const int *operands = builder->arch->nodes[node].inputs;
    const PfShape *shape = &builder->shapes[node], *left = &builder->shapes[operands[0]];
    const int matrices = shape->rank - 2;
    PfEngineLoops loops = loops_over(shape);
    int64_t strides[2][PF_MAX_RANK] = {{0}};
    int inputs[2];
    for (int k = 0; k < 2; k++) {
        inputs[k] = broadcast_strides(builder, node, operands[k], shape, strides[k]);
        memcpy(loops.strides[k + 1], strides[k], (size_t)matrices * sizeof(int64_t));
    }
    const PfEngineValue result = laid_out(shape, false);
    int64_t to[PF_MAX_RANK] = {0};
    const PfAxes axes = pf_axes_of_value(&result);
    pf_axes_split(&axes, shape, to);
    memcpy(loops.strides[0], to, (size_t)matrices * sizeof *to);
    /* Rows of x, columns of x, columns of sum. */
    const int64_t last[3][3] = {{to[matrices], 0, to[matrices + 1]},
                                {strides[0][matrices], strides[0][matrices + 1], 0},
                                {0, strides[1][matrices], strides[1][matrices + 1]}};
    const int64_t sizes[3] = {shape->dims[matrices], left->dims[left->rank - 1],
                              shape->dims[matrices + 1]};
    loops.rank = matrices + 3;
    memcpy(loops.sizes + matrices, sizes, sizeof sizes);
    for (int k = 0; k < 3; k++) memcpy(loops.strides[k] + matrices, last[k], sizeof last[k]);
    return settle_loops(builder, PF_STEP_PRODUCT, node, inputs, result, &loops);
}

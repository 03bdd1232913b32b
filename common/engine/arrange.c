#include "common/engine/arrange.h"

#include <string.h>

#include "common/arch/ops.h"
#include "common/engine/layout.h"

/* ---- copies ---- */

/* The sizes of a value's axes in memory, in the order of its numbers. */
static PfShape memory_sizes(const PfEngineValue *value)
{
    if (value->channels_first) return (PfShape){3, {value->channels, value->height, value->width}};
    return (PfShape){3, {value->height, value->width, value->channels}};
}

/* Loops over axes in which both are at equal distances; false: there are none. */
static bool loop_over(const PfEngineValue *x, const PfEngineValue *y, PfEngineLoops *loops)
{
    const PfAxes from = pf_axes_of_value(x), to = pf_axes_of_value(y);
    const PfShape choices[] = {y->shape, memory_sizes(x), memory_sizes(y)};
    for (int i = 0; i < 3; i++) {
        *loops = (PfEngineLoops){.rank = choices[i].rank};
        memcpy(loops->sizes, choices[i].dims, sizeof choices[i].dims);
        if (pf_axes_split(&to, &choices[i], loops->strides[0]) &&
            pf_axes_split(&from, &choices[i], loops->strides[1]))
            return true;
    }
    return false;
}

int pf_engine_add_copy(Builder *builder, int node, int x, PfEngineValue target)
{
    PfEngineLoops loops;
    if (!loop_over(&builder->plan->values[x], &target, &loops)) {
        /* One row of numbers can be cut in any way. */
        const PfShape flat = {1, {pf_shape_count(&target.shape)}};
        x = pf_engine_add_copy(builder, node, x, laid_out(&flat, false));
        loop_over(&builder->plan->values[x], &target, &loops);
    }
    pf_loops_simplify(&loops, 0);
    PfEngineStep *step = add_maker_of(builder, PF_STEP_COPY, node, x, target);
    step->loops = loops;
    step->fill = target.stride != target.channels;
    builder->open[step->y] = false; /* but a concatenation's, see pf_engine_norm_parts */
    return step->y;
}

/* ---- views ---- */

int pf_engine_add_view(Builder *builder, int x, PfEngineValue value)
{
    const PfEngineValue *from = &builder->plan->values[x];
    const int index = put_value(builder, value);
    PfEngineValue *view = &builder->plan->values[index];
    view->source = from->source;
    view->first = from->first;
    /* What is computed for each channel may go through it into the step before. */
    builder->open[index] = builder->open[x] && view->begin == from->begin &&
                           view->channels == from->channels && view->stride == from->stride &&
                           pf_shape_count(&view->shape) == pf_shape_count(&from->shape);
    return index;
}

/* Whether numbers at these places are what the value says, with one stride or another. */
static bool lies_as(const PfAxes *axes, const PfEngineValue *from, PfEngineValue *value)
{
    const int64_t strides[] = {from->stride, value->stride};
    for (int i = 0; i < 2; i++) {
        value->stride = strides[i];
        const PfAxes own = pf_axes_of_value(value);
        if (value->stride >= value->channels && pf_axes_equal(&own, axes)) return true;
    }
    return false;
}

/* A view of x of that shape with numbers at these places, or -1. */
static int find_view(Builder *builder, int x, const PfShape *shape, const PfAxes *axes,
                     int64_t begin)
{
    const PfEngineValue *from = &builder->plan->values[x];
    for (int i = 0; i < 2; i++) {
        PfEngineValue value = laid_out(shape, (shape->rank == 3) != (i == 1));
        value.begin = begin;
        if (lies_as(axes, from, &value)) return pf_engine_add_view(builder, x, value);
    }
    return -1;
}

/* The value of the same numbers in the same order that lies as `target`: x itself, a view, a copy.
 */
static int as_target(Builder *builder, int node, int x, PfEngineValue target)
{
    const PfEngineValue *from = &builder->plan->values[x];
    const PfAxes axes = pf_axes_of_value(from);
    PfEngineValue value = target;
    value.begin = from->begin;
    if (lies_as(&axes, from, &value)) {
        const int view = pf_engine_add_view(builder, x, value);
        if (pf_value_is_dense(builder->plan, view)) return view;
        builder->plan->value_count--;
    }
    return pf_engine_add_copy(builder, node, x, target);
}

/* x as plan.h's rules say for its shape. */
static int as_regular(Builder *builder, int node, int x)
{
    const PfEngineValue *from = &builder->plan->values[x];
    if (pf_value_is_regular(from)) return x;
    return as_target(builder, node, x, laid_out(&from->shape, from->shape.rank == 3));
}

int pf_engine_make_reshape(Builder *builder, int node)
{
    const int x = input_of(builder, node);
    const PfEngineValue *from = &builder->plan->values[x];
    const PfShape *shape = &builder->shapes[node];
    const PfAxes axes = pf_axes_of_value(from);
    int y = find_view(builder, x, shape, &axes, from->begin);
    const bool is_one_row = from->height * from->width == 1;
    if (y < 0 && (is_one_row || (shape->rank == 1 && from->channels_first))) {
        PfEngineValue other = *from; /* its readers copy it, or need not */
        other.shape = *shape;
        y = pf_engine_add_view(builder, x, other);
    }
    if (y < 0) y = pf_engine_add_copy(builder, node, x, laid_out(shape, shape->rank == 3));
    return settle(builder, node, y);
}

int pf_engine_settle_strided(Builder *builder, int node, int x, const int64_t *strides,
                             int64_t begin)
{
    const PfShape *shape = &builder->shapes[node];
    PfAxes axes = {0};
    for (int i = 0; i < shape->rank; i++) pf_axes_add(&axes, shape->dims[i], strides[i]);
    int y = find_view(builder, x, shape, &axes, builder->plan->values[x].begin + begin);
    if (y >= 0) return settle(builder, node, y);
    PfEngineLoops loops = {.rank = shape->rank, .begins = {0, begin}};
    const PfEngineValue target = laid_out(shape, shape->rank == 3);
    const PfAxes to = pf_axes_of_value(&target);
    memcpy(loops.sizes, shape->dims, sizeof shape->dims);
    memcpy(loops.strides[1], strides, PF_MAX_RANK * sizeof *strides);
    pf_axes_split(&to, shape, loops.strides[0]);
    pf_loops_simplify(&loops, 0);
    PfEngineStep *step = add_maker_of(builder, PF_STEP_COPY, node, x, target);
    step->loops = loops;
    step->fill = target.stride != target.channels;
    builder->open[step->y] = false;
    return settle(builder, node, step->y);
}

int pf_engine_stride(Builder *builder, int node, int x, int64_t *strides)
{
    for (;; x = as_regular(builder, node, x)) {
        const PfEngineValue *from = &builder->plan->values[x];
        const PfAxes axes = pf_axes_of_value(from);
        if (pf_axes_split(&axes, &from->shape, strides)) return x;
    }
}

int pf_engine_make_permute(Builder *builder, int node)
{
    const PfNode *permute = &builder->arch->nodes[node];
    int64_t from[PF_MAX_RANK] = {0}, strides[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, input_of(builder, node), from);
    for (int i = 0; i < permute->axis_count && i < PF_MAX_RANK; i++)
        strides[i] = from[permute->axes[i]];
    return pf_engine_settle_strided(builder, node, x, strides, 0);
}

int pf_engine_make_slice(Builder *builder, int node)
{
    const PfNode *slice = &builder->arch->nodes[node];
    int64_t strides[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, input_of(builder, node), strides);
    const int64_t begin = slice->start * strides[slice->axis];
    strides[slice->axis] *= slice->step;
    return pf_engine_settle_strided(builder, node, x, strides, begin);
}

int pf_engine_make_channel_shuffle(Builder *builder, int node)
{
    const int64_t groups = builder->arch->nodes[node].groups;
    const PfShape *shape = &builder->shapes[node];
    const int64_t each = shape->dims[0] / groups;
    int64_t from[PF_MAX_RANK] = {0}, to[PF_MAX_RANK] = {0};
    const int x = pf_engine_stride(builder, node, input_of(builder, node), from);
    const PfEngineValue target = laid_out(shape, true);
    const PfAxes axes = pf_axes_of_value(&target);
    pf_axes_split(&axes, shape, to);
    PfEngineLoops loops = {.rank = 4,
                           .sizes = {shape->dims[1], shape->dims[2], each, groups},
                           .strides = {{to[1], to[2], groups * to[0], to[0]},
                                       {from[1], from[2], from[0], each * from[0]}}};
    pf_loops_simplify(&loops, 0);
    PfEngineStep *step = add_maker_of(builder, PF_STEP_COPY, node, x, target);
    step->loops = loops;
    step->fill = target.stride != target.channels;
    builder->open[step->y] = false;
    return settle(builder, node, step->y);
}

/* Each input is copied into its part of the whole. */
int pf_engine_make_concat(Builder *builder, int node)
{
    const PfNode *concat = &builder->arch->nodes[node];
    const PfShape *shape = &builder->shapes[node];
    const PfEngineValue target =
        laid_out(shape, value_of(builder, concat->inputs[0])->channels_first);
    const PfAxes axes = pf_axes_of_value(&target);
    int64_t strides[PF_MAX_RANK] = {0}, begin = 0;
    int y = -1;
    pf_axes_split(&axes, shape, strides);
    for (int k = 0; k < concat->input_count; k++) {
        PfEngineLoops loops = {.rank = shape->rank, .begins = {begin}};
        const PfShape *part = &builder->shapes[concat->inputs[k]];
        const int x =
            pf_engine_stride(builder, node, builder->values[concat->inputs[k]], loops.strides[1]);
        memcpy(loops.strides[0], strides, sizeof strides);
        memcpy(loops.sizes, part->dims, sizeof part->dims);
        begin += part->dims[concat->axis] * strides[concat->axis];
        pf_loops_simplify(&loops, 0);
        PfEngineStep *step = y < 0 ? add_maker_of(builder, PF_STEP_COPY, node, x, target)
                                   : add_step(builder, PF_STEP_COPY, node, x);
        step->fill = y < 0 && target.stride != target.channels;
        step->loops = loops;
        step->y = y = y < 0 ? step->y : y;
        read_in(builder, y, (int)(step - builder->plan->steps));
    }
    return settle(builder, node, y);
}

/* Whether the step puts whole pixels of maps side by side, as the kernels of norms take them. */
static bool is_part(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfEngineValue *x = &plan->values[step->x], *y = &plan->values[step->y];
    return step->kind == PF_STEP_COPY && pf_value_is_dense(plan, step->x) &&
           pf_value_is_regular(x) && x->channels_first && x->shape.rank == 3 &&
           x->channels == x->stride && x->height == y->height && x->width == y->width &&
           step->loops.begins[0] % 16 == 0;
}

bool pf_engine_norm_parts(Builder *builder, int concat, int norm)
{
    PfEnginePlan *plan = builder->plan;
    const int first = plan->values[concat].first;
    bool all = builder->open[concat] && plan->values[concat].source == concat;
    for (int s = first; s < plan->step_count && all; s++)
        if (plan->steps[s].y == concat) all = is_part(plan, &plan->steps[s]);
    for (int s = first; s < plan->step_count && all; s++) {
        if (plan->steps[s].y != concat) continue;
        plan->steps[s].kind = PF_STEP_PART;
        plan->steps[s].norm = norm;
    }
    return all;
}

void pf_engine_activate_parts(Builder *builder, const PfEngineStep *first)
{
    PfEnginePlan *plan = builder->plan;
    for (int s = 0; s < plan->step_count; s++)
        if (plan->steps[s].kind == PF_STEP_PART && plan->steps[s].y == first->y)
            plan->steps[s].activation = first->activation;
}

/* One row of numbers, which is there once for all images. */
int pf_engine_make_parameter(Builder *builder, int node)
{
    const PfShape *shape = &builder->shapes[node];
    const PfShape flat = {1, {pf_shape_count(shape)}};
    PfEngineValue value = laid_out(&flat, false);
    value.shape = *shape;
    const int index = put_value(builder, value);
    builder->plan->values[index].node = node;
    builder->open[index] = false;
    return settle(builder, node, index);
}

/* ---- what kernels take ---- */

typedef enum Need {
    NEED_NOTHING, /* the operation's maker looks for itself */
    NEED_DENSE,   /* each number by itself */
    NEED_PIXELS,  /* maps with channels first, or the image */
    NEED_MAPS,
    NEED_ROWS,
    NEED_TOKENS,  /* rows at equal distances, wherever they begin */
    NEED_FEATURES /* rows; a vector may be a map read flat */
} Need;

static const Need needs[PF_OP_COUNT] = {
    [PF_OP_CONV] = NEED_PIXELS,
    [PF_OP_BATCH_NORM] = NEED_MAPS,
    [PF_OP_MAX_POOL] = NEED_MAPS,
    [PF_OP_AVG_POOL] = NEED_MAPS,
    [PF_OP_ADAPTIVE_AVG_POOL] = NEED_MAPS,
    [PF_OP_PAD] = NEED_PIXELS,
    [PF_OP_PAD_SAME] = NEED_PIXELS,
    [PF_OP_LAYER_NORM_2D] = NEED_MAPS,
    [PF_OP_LINEAR] = NEED_FEATURES,
    [PF_OP_LAYER_NORM] = NEED_ROWS,
    [PF_OP_ATTENTION] = NEED_TOKENS,
    [PF_OP_ROTATE] = NEED_TOKENS,
    [PF_OP_PAD_BEHIND] = NEED_ROWS,
    [PF_OP_WINDOW_ATTENTION] = NEED_ROWS,
    [PF_OP_RELU] = NEED_DENSE,
    [PF_OP_CLIP] = NEED_DENSE,
    [PF_OP_SIGMOID] = NEED_DENSE,
    [PF_OP_HARD_SIGMOID] = NEED_DENSE,
    [PF_OP_HARD_SWISH] = NEED_DENSE,
    [PF_OP_SILU] = NEED_DENSE,
    [PF_OP_GELU] = NEED_DENSE,
    [PF_OP_GELU_TANH] = NEED_DENSE,
    [PF_OP_QUICK_GELU] = NEED_DENSE,
    [PF_OP_TANH] = NEED_DENSE,
    [PF_OP_SQRT] = NEED_DENSE,
    [PF_OP_EXP] = NEED_DENSE,
    [PF_OP_LOG] = NEED_DENSE,
    [PF_OP_ERF] = NEED_DENSE,
    [PF_OP_NEGATE] = NEED_DENSE,
    [PF_OP_ABS] = NEED_DENSE,
    [PF_OP_RECIPROCAL] = NEED_DENSE,
    [PF_OP_LEAKY_RELU] = NEED_DENSE,
    [PF_OP_ELU] = NEED_DENSE,
};

static bool is_image(const PfEnginePlan *plan, const PfEngineValue *value)
{
    return plan->values[value->source].stride == 3 && value->channels_first && !value->begin &&
           value->shape.rank == 3 &&
           pf_engine_value_bytes(value) == pf_engine_value_bytes(&plan->values[value->source]);
}

static bool meets(const PfEnginePlan *plan, int value, Need need)
{
    const PfEngineValue *of = &plan->values[value];
    const bool dense = pf_value_is_dense(plan, value), regular = pf_value_is_regular(of);
    switch (need) {
    case NEED_NOTHING: return true;
    case NEED_DENSE: return dense;
    case NEED_PIXELS:
        if (is_image(plan, of)) return true;
        return dense && regular && of->channels_first;
    case NEED_MAPS: return dense && regular && of->channels_first;
    case NEED_ROWS: return dense && regular && !of->channels_first;
    case NEED_TOKENS: return regular && !of->channels_first;
    case NEED_FEATURES:
        if (of->shape.rank == 1) return dense && (regular || of->channels_first);
        return dense && regular && !of->channels_first;
    }
    return false;
}

void pf_engine_prepare(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    const Need need = needs[of->op];
    for (int k = 0; k < of->input_count; k++) {
        if (pf_node_takes_size_alone(of, k)) continue;
        int *value = &builder->values[of->inputs[k]];
        const PfEngineValue *x = &builder->plan->values[*value];
        const bool maps =
            need == NEED_PIXELS || need == NEED_MAPS || (need == NEED_DENSE && x->shape.rank == 3);
        if (meets(builder->plan, *value, need)) continue;
        *value = as_target(builder, of->inputs[k], *value, laid_out(&x->shape, maps));
    }
}

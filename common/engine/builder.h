/* A plan that is being made: what the files share that turn operations into steps. */
#ifndef PF_COMMON_ENGINE_BUILDER_H
#define PF_COMMON_ENGINE_BUILDER_H

#include "common/arch/ops.h"
#include "common/engine/plan.h"

typedef struct Builder {
    PfEnginePlan *plan;
    const PfArch *arch;
    PfShape *shapes;       /* (nodes) */
    int *tap_nodes;        /* (taps) */
    unsigned char *needed; /* (nodes) */
    int *uses;             /* (nodes) how many needed nodes read it */
    int *values;           /* (nodes) which value it is */
    bool *open; /* (values) only the next node reads it: its step may still take that in */
    PfError *err;
} Builder;

/* ---- steps and values ---- */

static inline PfEngineValue *value_of(const Builder *builder, int node)
{
    return &builder->plan->values[builder->values[node]];
}

/* The first input of a node. */
static inline int input_of(const Builder *builder, int node)
{
    return builder->values[builder->arch->nodes[node].inputs[0]];
}

static inline PfEngineStep *producer(const Builder *builder, int value)
{
    return &builder->plan->steps[builder->plan->values[value].first];
}

/* A value of the shape, as it lies by plan.h's rules. channels_first: of maps (c, h, w) and (c, n).
 */
static inline PfEngineValue laid_out(const PfShape *shape, bool channels_first)
{
    const int rank = shape->rank;
    const int64_t *dims = shape->dims;
    PfEngineValue value = {.shape = *shape, .channels = 1, .height = 1, .width = 1};
    value.channels_first = channels_first && (rank == 2 || rank == 3);
    if (value.channels_first) {
        value.channels = dims[0];
        value.height = dims[1];
        value.width = rank == 3 ? dims[2] : 1;
    } else if (rank < 4) {
        value.channels = rank ? dims[rank - 1] : 1;
        value.height = rank > 1 ? dims[0] : 1;
        value.width = rank > 2 ? dims[1] : 1;
    } else {
        value.channels = pf_shape_count(shape);
    }
    value.stride = (value.channels + 15) / 16 * 16;
    return value;
}

static inline int put_value(Builder *builder, PfEngineValue value)
{
    const int index = builder->plan->value_count++;
    value.home = value.source = index;
    value.node = -1;
    builder->plan->values[index] = value;
    builder->open[index] = true;
    return index;
}

static inline int add_value(Builder *builder, const PfShape *shape, bool channels_first)
{
    return put_value(builder, laid_out(shape, channels_first));
}

static inline void read_in(Builder *builder, int value, int step)
{
    PfEngineValue *values = builder->plan->values, *read = &values[values[value].source];
    if (read->last < step) read->last = step;
}

static inline PfEngineStep *add_step(Builder *builder, PfStepKind kind, int node, int x)
{
    const int index = builder->plan->step_count++;
    PfEngineStep *step = &builder->plan->steps[index];
    *step = (PfEngineStep){
        .kind = kind, .x = x, .sum = -1, .y = -1, .values = -1, .node = node, .norm = -1};
    if (x >= 0) read_in(builder, x, index);
    return step;
}

/* The node's value as a step makes it out of x: where the shape stays, it lies like x. */
static inline PfEngineValue value_like(const Builder *builder, int node, int x)
{
    const PfShape *shape = &builder->shapes[node];
    const PfEngineValue *from = x < 0 ? NULL : &builder->plan->values[x];
    if (from && from->stride % 16 == 0 && pf_shape_equal(shape, &from->shape)) return *from;
    return laid_out(shape, shape->rank == 3 && (!from || from->channels_first));
}

/* A step that makes the value out of x. */
static inline PfEngineStep *add_maker_of(Builder *builder, PfStepKind kind, int node, int x,
                                         PfEngineValue value)
{
    PfEngineStep *step = add_step(builder, kind, node, x);
    step->y = put_value(builder, value);
    PfEngineValue *made = &builder->plan->values[step->y];
    made->first = made->last = (int)(step - builder->plan->steps);
    return step;
}

/* A step that makes the node's value out of x. */
static inline PfEngineStep *add_maker(Builder *builder, PfStepKind kind, int node, int x)
{
    return add_maker_of(builder, kind, node, x, value_like(builder, node, x));
}

static inline bool is_tap(const Builder *builder, int node)
{
    for (int t = 0; t < builder->plan->tap_count; t++)
        if (builder->tap_nodes[t] == node) return true;
    return false;
}

/* The node is that value, which its taps store. */
static inline int settle(Builder *builder, int node, int value)
{
    builder->values[node] = value;
    if (builder->uses[node] != 1 || is_tap(builder, node)) builder->open[value] = false;
    for (int t = 0; t < builder->plan->tap_count; t++)
        if (builder->tap_nodes[t] == node) add_step(builder, PF_STEP_STORE, node, value)->tap = t;
    return 0;
}

static inline int fail_node(const Builder *builder, int node, const char *what)
{
    return pf_fail(builder->err, PF_EXIT_FAILED, "node '%s' of '%s': the C engine has no %s",
                   builder->arch->nodes[node].name, builder->arch->name, what);
}

#endif

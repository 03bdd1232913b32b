#include "common/engine/windows.h"

#include <math.h>

#include "common/engine/arrange.h"

/* ---- pads ---- */

/* The only node that reads another; -1: there is none, or several. */
static int only_reader(const Builder *builder, int node)
{
    if (builder->uses[node] != 1 || is_tap(builder, node)) return -1;
    for (int i = node + 1; i < builder->arch->node_count; i++)
        for (int k = 0; k < builder->arch->nodes[i].input_count && builder->needed[i]; k++)
            if (builder->arch->nodes[i].inputs[k] == node) return i;
    return -1;
}

/* Whether no number of the node is negative. */
static bool is_never_negative(const PfNode *node)
{
    return node->op == PF_OP_RELU || node->op == PF_OP_SIGMOID || node->op == PF_OP_HARD_SIGMOID ||
           (node->op == PF_OP_CLIP && node->low >= 0);
}

/* A pool's own padding is -infinity. Zeros are as good where all numbers of the map are at least
 * that, and each window has one of them. */
static bool maxima_may_take(const Builder *builder, const PfNode *pad, const int pads[4],
                            const PfNode *pool)
{
    bool reaches_map = !pool->ceil_mode;
    for (int i = 0; i < 4; i++)
        reaches_map &=
            pads[i] < pool->kernel[i % 2] && !pool->padding[i % 2] && pool->dilation[i % 2] == 1;
    if (isinf(pad->value) && pad->value < 0) return true;
    return pad->value == 0 && reaches_map &&
           is_never_negative(&builder->arch->nodes[pad->inputs[0]]);
}

/* What a pad of the graph adds to its input. */
static void find_pads(const Builder *builder, int node, int pads[4])
{
    const PfNode *pad = &builder->arch->nodes[node];
    pf_node_pads(pad, &builder->shapes[pad->inputs[0]], pads);
}

/* Whether its reader pads for it. */
static bool is_taken_in(const Builder *builder, int node)
{
    const PfNode *pad = &builder->arch->nodes[node];
    const int reader = only_reader(builder, node);
    const PfNode *of = reader < 0 ? NULL : &builder->arch->nodes[reader];
    int pads[4];
    find_pads(builder, node, pads);
    for (int i = 0; i < 4; i++)
        if (pads[i] < 0) return false;
    if (!of) return false;
    if (of->op == PF_OP_CONV) return pad->value == 0;
    if (of->op == PF_OP_MAX_POOL) return maxima_may_take(builder, pad, pads, of);
    /* What a pad has added counts. */
    return of->op == PF_OP_AVG_POOL && pad->value == 0 &&
           (of->count_padding || (!of->padding[0] && !of->padding[1]));
}

static bool has_taken_in(const Builder *builder, const PfNode *node)
{
    const PfOp before = builder->arch->nodes[node->inputs[0]].op;
    return (before == PF_OP_PAD || before == PF_OP_PAD_SAME) &&
           is_taken_in(builder, node->inputs[0]);
}

static void set_pads(const Builder *builder, PfEngineStep *step)
{
    const PfNode *node = &builder->arch->nodes[step->node];
    int pads[4] = {0};
    if (has_taken_in(builder, node)) find_pads(builder, node->inputs[0], pads);
    for (int i = 0; i < 4; i++) step->pads[i] = node->padding[i % 2] + pads[i];
}

/* The image, where a kernel takes multiples of 16 channels only. */
static int as_wide(Builder *builder, int node, int x)
{
    const PfEngineValue *from = &builder->plan->values[x];
    if (from->stride % 16 == 0) return x;
    return pf_engine_add_copy(builder, node, x, laid_out(&from->shape, true));
}

int pf_engine_make_pad(Builder *builder, int node)
{
    int x = input_of(builder, node);
    if (is_taken_in(builder, node)) return settle(builder, node, x);
    x = as_wide(builder, builder->arch->nodes[node].inputs[0], x);
    PfEngineStep *step = add_maker(builder, PF_STEP_PAD, node, x);
    find_pads(builder, node, step->pads);
    return settle(builder, node, step->y);
}

/* ---- windows ---- */

/* Whatever its shape was before a pad was taken in. */
static PfEngineStep *add_windows(Builder *builder, PfStepKind kind, int node, int x)
{
    PfEngineStep *step =
        add_maker_of(builder, kind, node, x, laid_out(&builder->shapes[node], true));
    set_pads(builder, step);
    return step;
}

int pf_engine_make_convolution(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    int x = input_of(builder, node);
    if (of->op == PF_OP_LINEAR && builder->shapes[node].rank > 3)
        return fail_node(builder, node, "linear layers on more than three axes");
    if (of->op == PF_OP_LINEAR)
        return settle(builder, node, add_maker(builder, PF_STEP_CONVOLUTION, node, x)->y);
    if (of->groups > 1) x = as_wide(builder, of->inputs[0], x);
    return settle(builder, node, add_windows(builder, PF_STEP_CONVOLUTION, node, x)->y);
}

int pf_engine_make_max_pool(Builder *builder, int node)
{
    const int x = input_of(builder, node);
    return settle(builder, node, add_windows(builder, PF_STEP_MAX_POOL, node, x)->y);
}

int pf_engine_make_average_windows(Builder *builder, int node)
{
    const PfNode *of = &builder->arch->nodes[node];
    PfEngineStep *step =
        add_windows(builder, PF_STEP_AVERAGE_WINDOWS, node, input_of(builder, node));
    step->count_padding = of->count_padding || has_taken_in(builder, of);
    return settle(builder, node, step->y);
}

/* Which values are made row by row, when the step that reads them needs them: see plan.h. */
#include "common/base/integers.h"
#include "common/engine/plan.h"

/* Pixels that are made at a time: enough that the weights of a product are read for some work. The
 * rows that there is room for are to stay in a processor's second-level cache, beside weights. Of
 * small maps nothing is gained, and weights are many. */
enum { AHEAD_PIXELS = 96, LEAST_MAP = 196 };
static const size_t ring_bytes = (size_t)256 << 10;

static const PfNode *convolution_of(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfNode *node = step->node < 0 ? NULL : &plan->arch->nodes[step->node];
    return step->kind == PF_STEP_CONVOLUTION && node && node->op == PF_OP_CONV ? node : NULL;
}

/* Whether each pixel of its y is made of the same one of x. */
static bool is_pixelwise(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfNode *node = convolution_of(plan, step);
    bool is = node && node->groups < 2 && plan->values[step->x].stride % 16 == 0;
    for (int i = 0; i < 4 && is; i++)
        is = node->kernel[i % 2] == 1 && node->stride[i % 2] == 1 && !step->pads[i];
    return is;
}

static bool is_depthwise(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfNode *node = convolution_of(plan, step);
    return node && node->groups > 1 && node->groups == node->in_channels &&
           node->groups == node->out_channels;
}

static bool has_source(const PfEnginePlan *plan, int value, int source)
{
    return value >= 0 && plan->values[value].source == source;
}

/* Whether the step reads all that the step before makes, by itself, and does not add, and so may
 * not write over, what that one reads; and that one reads a whole map, no rows that are made for
 * it. */
static bool follows(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfEngineStep *before = step - 1;
    const PfEngineValue *between = &plan->values[step->x];
    const int s = (int)(step - plan->steps);
    return !before->ahead && before->y == step->x && between->source == step->x &&
           between->first == s - 1 && between->last == s && !has_source(plan, step->sum, step->x) &&
           !has_source(plan, step->sum, plan->values[before->x].source);
}

/* Rows that there must be room for, where `ahead` are made at a time: the rows of a window, and
 * those that are made with its last one; in whole pieces, so that none is in two places. */
static int64_t ring_of(const PfNode *node, int64_t ahead)
{
    const int64_t window = (node->kernel[0] - 1) * node->dilation[0] + 1;
    return (window + 2 * (ahead - 1)) / ahead * ahead;
}

static void live_until(PfEnginePlan *plan, int value, int step)
{
    if (value < 0) return;
    PfEngineValue *source = &plan->values[plan->values[value].source];
    source->last = (int)pf_max(source->last, step);
}

static void choose_ring(PfEnginePlan *plan, int s)
{
    PfEngineStep *step = &plan->steps[s], *before = step - 1;
    PfEngineValue *x = &plan->values[step->x];
    const PfNode *node = &plan->arch->nodes[step->node];
    const size_t row = (size_t)(x->width * x->stride) * sizeof(float);
    int64_t ahead = (AHEAD_PIXELS + x->width - 1) / x->width;
    while (ahead > 1 && (size_t)ring_of(node, ahead) * row > ring_bytes) ahead--;
    if (x->height * x->width < LEAST_MAP || ring_of(node, ahead) >= x->height) return;
    step->ahead = ahead;
    x->ring = ring_of(node, ahead);
    live_until(plan, before->x, s);
    live_until(plan, before->factor, s);
}

void pf_engine_choose_rings(PfEnginePlan *plan)
{
    for (int s = 1; s < plan->step_count; s++) {
        const PfEngineStep *step = &plan->steps[s], *before = step - 1;
        const bool widens = is_depthwise(plan, step) && is_pixelwise(plan, before);
        const bool weighs = is_pixelwise(plan, step) && before->kind == PF_STEP_POINTWISE &&
                            before->factor >= 0 && before->norm < 0;
        if ((widens || weighs) && before->sum < 0 && follows(plan, step)) choose_ring(plan, s);
    }
}

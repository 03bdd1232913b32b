#include "common/engine/plan.h"

#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/engine/rounding.h"

/* As torchvision's ToTensor and Normalize compute it, each step rounded. */
static void fill_pixels(PfEnginePlan *plan, const PfBackboneConfig *config)
{
    for (int c = 0; c < 3; c++)
        for (int byte = 0; byte < 256; byte++)
            plan->pixels[c][byte] = ((float)byte / 255.0f - config->mean[c]) / config->std[c];
    for (int c = 0; c < 3 && plan->bf16; c++) pf_engine_round(plan->pixels[c], 256);
}

size_t pf_engine_value_bytes(const PfEngineValue *value)
{
    return (size_t)(value->height * value->width * value->stride) * sizeof(float);
}

int pf_engine_home(const PfEnginePlan *plan, int value)
{
    return plan->values[plan->values[value].source].home;
}

PfAttention pf_engine_attention(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfEngineValue *q = &plan->values[step->x], *k = &plan->values[step->sum];
    const PfEngineValue *v = &plan->values[step->values], *y = &plan->values[step->y];
    const PfNode *node = &plan->arch->nodes[step->node];
    return (PfAttention){.heads = node->heads,
                         .queries = q->height,
                         .keys = k->height,
                         .width = q->channels / node->heads,
                         .value_width = v->channels / node->heads,
                         .scale = node->scale,
                         .q_row = q->stride,
                         .k_row = k->stride,
                         .v_row = v->stride,
                         .y_row = y->stride};
}

PfWindowAttention pf_engine_window_attention(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfEngineValue *x = &plan->values[step->x], *y = &plan->values[step->y];
    const PfNode *node = &plan->arch->nodes[step->node];
    PfWindowAttention attention = {.heads = node->heads,
                                   .side = node->kernel[0],
                                   .sizes = {x->height, x->width},
                                   .width = y->channels / node->heads,
                                   .scale = node->scale,
                                   .biases = step->scale,
                                   .x_row = x->stride,
                                   .y_row = y->stride};
    for (int axis = 0; axis < 2; axis++)
        attention.shifts[axis] = attention.sizes[axis] > attention.side ? node->start : 0;
    return attention;
}

static size_t attention_bytes(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfAttention attention = pf_engine_attention(plan, step);
    return pf_attention_scratch(&attention);
}

static size_t window_attention_bytes(const PfEnginePlan *plan, const PfEngineStep *step)
{
    const PfWindowAttention attention = pf_engine_window_attention(plan, step);
    return pf_window_attention_scratch(&attention);
}

static int find_scratch(PfEnginePlan *plan, PfError *err)
{
    for (int s = 0; s < plan->step_count; s++) {
        if (plan->steps[s].kind == PF_STEP_ATTENTION)
            plan->scratch_bytes =
                pf_max_size(plan->scratch_bytes, attention_bytes(plan, &plan->steps[s]));
        if (plan->steps[s].kind == PF_STEP_WINDOW_ATTENTION)
            plan->scratch_bytes =
                pf_max_size(plan->scratch_bytes, window_attention_bytes(plan, &plan->steps[s]));
        const PfConvolution *convolution = plan->steps[s].convolution;
        plan->scratch_bytes =
            pf_max_size(plan->scratch_bytes, pf_engine_loops_scratch(plan, &plan->steps[s]));
        if (!convolution) continue;
        plan->scratch_bytes = pf_max_size(plan->scratch_bytes, pf_convolution_scratch(convolution));
        plan->weight_bytes += pf_convolution_weight_bytes(convolution);
    }
    return pf_engine_check_bytes(plan, plan->scratch_bytes, err);
}

int pf_engine_plan_new(const PfBackboneConfig *config, int threads, PfEnginePlan **out,
                       PfError *err)
{
    PfEnginePlan *plan = pf_calloc(1, sizeof *plan, err);
    if (!plan) return -1;
    plan->arch = config->arch;
    plan->height = config->input_height;
    plan->width = config->input_width;
    plan->output_dtype = config->output_dtype;
    plan->has_few_images = config->images && config->images <= PF_ENGINE_GROUP;
    plan->bf16 = config->precision == PF_BF16;
    fill_pixels(plan, config);
    if (pf_engine_plan_steps(plan, config, err) || pf_engine_plan_memory(plan, err) ||
        pf_engine_plan_weights(plan, config, threads, err) || find_scratch(plan, err)) {
        pf_engine_plan_free(&plan);
        return -1;
    }
    *out = plan;
    return 0;
}

void pf_engine_plan_free(PfEnginePlan **plan)
{
    if (!*plan) return;
    for (int s = 0; s < (*plan)->step_count; s++) {
        pf_convolution_free(&(*plan)->steps[s].convolution);
        free((*plan)->steps[s].scale);
        free((*plan)->steps[s].shift);
    }
    for (int v = 0; v < (*plan)->value_count; v++) free((*plan)->values[v].numbers);
    free((*plan)->steps);
    free((*plan)->values);
    free((*plan)->taps);
    free(*plan);
    *plan = NULL;
}

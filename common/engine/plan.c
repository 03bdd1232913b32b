#include "common/engine/plan.h"

#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

/* As torchvision's ToTensor and Normalize compute it, each step rounded. */
static void fill_pixels(PfEnginePlan *plan, const PfBackboneConfig *config)
{
    for (int c = 0; c < 3; c++)
        for (int byte = 0; byte < 256; byte++)
            plan->pixels[c][byte] = ((float)byte / 255.0f - config->mean[c]) / config->std[c];
}

size_t pf_engine_value_bytes(const PfEngineValue *value)
{
    return (size_t)(value->height * value->width * value->stride) * sizeof(float);
}

int pf_engine_home(const PfEnginePlan *plan, int value)
{
    return plan->values[plan->values[value].source].home;
}

static void find_scratch(PfEnginePlan *plan)
{
    for (int s = 0; s < plan->step_count; s++) {
        const PfConvolution *convolution = plan->steps[s].convolution;
        plan->scratch_bytes =
            pf_max_size(plan->scratch_bytes, pf_engine_loops_scratch(plan, &plan->steps[s]));
        if (!convolution) continue;
        plan->scratch_bytes = pf_max_size(plan->scratch_bytes, pf_convolution_scratch(convolution));
        plan->weight_bytes += pf_convolution_weight_bytes(convolution);
    }
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
    fill_pixels(plan, config);
    if (pf_engine_plan_steps(plan, config, err) || pf_engine_plan_memory(plan, err) ||
        pf_engine_plan_weights(plan, config, threads, err)) {
        pf_engine_plan_free(&plan);
        return -1;
    }
    find_scratch(plan);
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

/* Does a weight file fit a network? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "printable.h"
#include "weights.h"
#include "weights_internal.h"

#define LISTED 5 /* problems that are spelled out */

static int is_floating(PfDtype dtype)
{
    return dtype == PF_DTYPE_F32 || dtype == PF_DTYPE_F16 || dtype == PF_DTYPE_BF16 ||
           dtype == PF_DTYPE_F64;
}

static int fits(const PfTensorView *view, const PfParameter *parameter)
{
    return view && is_floating(view->dtype) && pf_shape_equal(&view->shape, &parameter->shape);
}

/* Of the parameters of the whole network, how many the file has, and whether
 * all but the classifier's (the last node's). */
typedef struct Match {
    int fitting;
    int features_fit;
} Match;

static int match_arch(const PfWeights *weights, const PfArch *arch, Match *match, PfError *err)
{
    PfParameter *parameters;
    int count;
    *match = (Match){.features_fit = 1};
    if (pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, err)) return -1;
    for (int i = 0; i < count; i++) {
        int good = fits(pf_weights_find_tensor(weights, parameters[i].name), &parameters[i]);
        match->fitting += good;
        if (!good && parameters[i].node != arch->node_count - 1) match->features_fit = 0;
    }
    free(parameters);
    return 0;
}

/* The known network that uses more of the file than arch does and finds all it
 * needs there, but for the classifier; NULL if there is none. Comparing counts
 * matters: every tensor of resnet18 is also in resnet34's file. */
static const char *find_better_arch(const PfWeights *weights, const PfArch *arch)
{
    Match best, match;
    const char *better = NULL;
    if (match_arch(weights, arch, &best, NULL)) return NULL;
    for (const char *const *name = pf_arch_names(); *name; name++) {
        PfArch *candidate;
        if (pf_arch_new(*name, &candidate, NULL)) continue;
        if (!match_arch(weights, candidate, &match, NULL) && match.features_fit &&
            match.fitting > best.fitting) {
            best = match;
            better = *name;
        }
        pf_arch_free(&candidate);
    }
    return better;
}

/* A line for a tensor that does not fit. */
static void describe(char *line, size_t size, const PfParameter *parameter,
                     const PfTensorView *view)
{
    char expected[PF_SHAPE_TEXT_SIZE], found[PF_SHAPE_TEXT_SIZE];
    pf_shape_text(&parameter->shape, expected);
    if (!view)
        pf_format(line, size, "\n  '%s' is missing, expected %s", parameter->name, expected);
    else if (!pf_shape_equal(&view->shape, &parameter->shape))
        pf_format(line, size, "\n  '%s' is %s, expected %s", parameter->name,
                  pf_shape_text(&view->shape, found), expected);
    else
        pf_format(line, size, "\n  '%s' is %s, expected a floating point type", parameter->name,
                  pf_dtype_name(view->dtype));
}

/* Lists the first problems in text; returns how many there are in all. */
static int list_problems(const PfWeights *weights, const PfParameter *parameters, int count,
                         char *text, size_t size)
{
    int problems = 0;
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < count; i++) {
        const PfTensorView *view = pf_weights_find_tensor(weights, parameters[i].name);
        if (fits(view, &parameters[i])) continue;
        if (problems++ < LISTED) {
            describe(text + used, size - used, &parameters[i], view);
            used += strlen(text + used);
        }
    }
    if (problems > LISTED)
        pf_format(text + used, size - used, "\n  and %d more", problems - LISTED);
    return problems;
}

static int report_misfit(const PfWeights *weights, const PfArch *arch, int count, int problems,
                         const char *list, PfError *err)
{
    char hint[500];
    const char *better = find_better_arch(weights, arch);
    size_t tensor_count;
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &tensor_count);
    if (better)
        pf_format(hint, sizeof hint, "\nHint: these look like %s weights", better);
    else
        pf_format(hint, sizeof hint, "\nThe file has %zu tensors; the first is '%.100s'",
                  tensor_count, tensors[0].name);
    size_t used = strlen(hint);
    if (weights->foreign_count)
        pf_format(hint + used, sizeof hint - used,
                  "\n%zu tensors of kinds that are not read (sparse, quantized, complex, fp8, ...) "
                  "were passed over",
                  weights->foreign_count);
    return pf_fail(err, PF_EXIT_FAILED,
                   "weights '%s': %d of %d tensors do not fit %s:%" PF_SENTENCE "%" PF_SENTENCE,
                   pf_weights_source(weights), problems, count, arch->name, list, hint);
}

int pf_weights_check(const PfWeights *weights, const PfArch *arch, int last, PfError *err)
{
    char list[1200];
    PfParameter *parameters;
    int count;
    if (pf_arch_parameters(arch, last, &parameters, &count, err)) return -1;
    int problems = list_problems(weights, parameters, count, list, sizeof list);
    free(parameters);
    if (problems) return report_misfit(weights, arch, count, problems, list, err);
    const char *better = find_better_arch(weights, arch);
    if (better)
        return pf_fail(err, PF_EXIT_FAILED,
                       "weights '%s': these are %s weights; %s would use only a part of them. "
                       "Hint: give --backbone %s",
                       pf_weights_source(weights), better, arch->name, better);
    return 0;
}

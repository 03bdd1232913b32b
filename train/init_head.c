#include "init_head.h"

#include <string.h>

#include "model_head.h"

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int same_classes(const cJSON *classes, const PfTask *task)
{
    if (!task->classes || !cJSON_IsArray(classes)) return !task->classes == !cJSON_IsArray(classes);
    if (cJSON_GetArraySize(classes) != task->outputs) return 0;
    const cJSON *name = classes->child;
    for (int c = 0; c < task->outputs; c++, name = name->next)
        if (strcmp(name->valuestring, task->classes[c])) return 0;
    return 1;
}

static int check_targets(const PfModel *model, const PfTask *tasks, int task_count, PfError *err)
{
    const cJSON *targets = member(pf_model_metadata(model), "targets");
    const cJSON *target = targets->child;
    int same = cJSON_GetArraySize(targets) == task_count;
    for (int t = 0; same && t < task_count; t++, target = target->next) {
        const char *name = cJSON_GetStringValue(member(target, "name"));
        same = name && !strcmp(name, tasks[t].name) &&
               same_classes(member(target, "classes"), &tasks[t]);
    }
    if (same) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--init: the head of '%s' is for other targets, or other classes, than are "
                   "learned here ('%s'%s)",
                   pf_model_path(model), tasks[0].name, task_count > 1 ? ", ..." : "");
}

static int same_shape(const PfHeadSpec *a, const PfHeadSpec *b)
{
    return a->hidden_count == b->hidden_count &&
           !memcmp(a->hidden, b->hidden, (size_t)a->hidden_count * sizeof *a->hidden) &&
           (!a->hidden_count || (a->activation == b->activation && a->norm == b->norm));
}

static int check_network(const PfModel *model, const PfHeadNetwork *network, const PfHeadSpec *spec,
                         int64_t features, PfError *err)
{
    char found[PF_HEAD_SPEC_TEXT_SIZE], wanted[PF_HEAD_SPEC_TEXT_SIZE];
    const char *normalize =
        cJSON_GetStringValue(member(member(pf_model_metadata(model), "config"), "normalize"));
    if (normalize && !strcmp(normalize, "l2"))
        return pf_fail(
            err, PF_EXIT_FAILED,
            "--init: the head of '%s' takes rows of length 1, which the network does not "
            "give",
            pf_model_path(model));
    if (network->features == features && same_shape(&network->spec, spec)) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "--init: the head of '%s' is %s on %lld features, here it is %s on %lld: say so "
                   "with --head, --activation, --head-norm and --tap",
                   pf_model_path(model), pf_head_spec_text(&network->spec, found),
                   (long long)network->features, pf_head_spec_text(spec, wanted),
                   (long long)features);
}

/* From the target's own units to those of its spread. */
static void to_learned_units(PfHeadNetwork *network, const PfTask *tasks, int task_count)
{
    PfHeadLayer *layer = &network->layers[network->layer_count - 1];
    int64_t first = 0;
    for (int t = 0; t < task_count; first += tasks[t++].outputs)
        for (int c = 0; tasks[t].scale && c < tasks[t].outputs; c++) {
            float *column = layer->parameters + first + c;
            column[layer->inputs * layer->columns] -= tasks[t].center[c];
            for (int64_t i = 0; i <= layer->inputs; i++)
                column[i * layer->columns] /= tasks[t].scale[c];
        }
}

int pf_init_head(const char *model_path, const PfHeadSpec *spec, const PfTask *tasks,
                 int task_count, int64_t features, PfHeadNetwork **out, PfError *err)
{
    PfModel *model;
    if (pf_model_open(model_path, &model, err)) return -1;
    *out = NULL;
    int failed = check_targets(model, tasks, task_count, err) ||
                 pf_model_head_read(model, out, err) ||
                 check_network(model, *out, spec, features, err);
    if (!failed) {
        (*out)->spec = *spec; /* its dropout */
        to_learned_units(*out, tasks, task_count);
    } else {
        pf_head_network_free(out);
    }
    pf_model_close(&model);
    return failed ? -1 : 0;
}

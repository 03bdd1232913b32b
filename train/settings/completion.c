#include "train/settings/completion.h"

#include <string.h>

#include "permafrost/feature_cache.h"

static void offer_taps(const PfCompletion *completion, const PfCache *cache)
{
    for (int i = 0; i < pf_cache_tap_count(cache); i++) {
        const PfCacheTap *tap = pf_cache_tap(cache, i);
        char shape[PF_SHAPE_TEXT_SIZE];
        pf_completion_offer(completion, tap->name, pf_shape_text(&tap->shape, shape));
    }
}

static void offer_targets(const PfCompletion *completion, const PfCache *cache)
{
    for (int i = 0; i < pf_cache_target_count(cache); i++) {
        const PfCacheTarget *target = pf_cache_target(cache, i);
        pf_completion_offer(completion, target->name, pf_target_kind_name(target->kind));
    }
}

/* Names of options that one run may take several values of: "lr=". */
static void offer_axes(const PfCompletion *completion)
{
    for (const PfOption *option = completion->table; option->name; option++) {
        char axis[PF_CACHE_NAME_SIZE];
        if (option->kind == PF_OPTION_GROUP || !option->argument ||
            strlen(option->name) + 2 > sizeof axis)
            continue;
        strcpy(axis, option->name);
        pf_completion_offer(completion, strcat(axis, "="), option->help);
    }
}

void pf_train_completion_offer(const PfCompletion *completion)
{
    const char *option = completion->option, *path = pf_completion_operand(completion, 0);
    PfCache *cache;
    if (!option) return;
    if (!strcmp(option, "sweep")) offer_axes(completion);
    const bool is_tap = !strcmp(option, "tap"), is_target = !strcmp(option, "target");
    if (!path || (!is_tap && !is_target) || pf_cache_open(path, &cache, NULL)) return;
    if (is_tap)
        offer_taps(completion, cache);
    else
        offer_targets(completion, cache);
    pf_cache_close(&cache);
}

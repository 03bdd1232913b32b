#include "train/settings/name_check.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/cache/split.h"
#include "train/features/target_kind.h"

#define MOST_WORDS 64

/* Words that a list is made of, each once. */
typedef struct Words {
    const char *words[MOST_WORDS];
    int count;
} Words;

static bool has(const Words *words, const char *word, size_t length)
{
    for (int i = 0; i < words->count; i++)
        if (strlen(words->words[i]) == length && !strncmp(words->words[i], word, length))
            return true;
    return false;
}

static void add(Words *words, const char *word)
{
    if (words->count < MOST_WORDS && !has(words, word, strlen(word)))
        words->words[words->count++] = word;
}

static int fail_unknown(const char *path, const char *key, size_t length, const Words *known,
                        PfError *err)
{
    char list[600] = "";
    for (int i = 0; i < known->count; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", known->words[i]);
    }
    return pf_fail(err, PF_EXIT_USAGE,
                   "--assert: the result will have no '%s': there is no '%.*s' among %s", path,
                   (int)length, key, list);
}

/* ---- assertions ---- */

static bool has_rows(const PfTrainOptions *options, const PfCache *cache, int split)
{
    const uint8_t *splits = pf_cache_splits(cache);
    if (split == PF_SPLIT_TRAIN || (split == PF_SPLIT_VAL && options->table.val != 0)) return true;
    for (int64_t i = 0; splits && i < pf_cache_row_count(cache); i++)
        if (splits[i] == split) return true;
    return false;
}

/* What a split of the result holds for targets of the cache's kinds. */
static void list_metrics(const PfCache *cache, Words *known)
{
    *known = (Words){{"rows"}, 1};
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const PfTargetTraits *traits = pf_target_traits(pf_cache_target(cache, t)->kind);
        for (const PfMetricField *field = traits->metrics->fields; field->key; field++)
            add(known, field->key);
    }
}

/* rest: behind the split's name and a dot. */
static int check_metric(const PfCache *cache, const char *path, const char *rest, PfError *err)
{
    Words known, targets = {0};
    for (int t = 0; t < pf_cache_target_count(cache); t++)
        add(&targets, pf_cache_target(cache, t)->name);
    size_t length = strcspn(rest, ".");
    if (rest[length] && has(&targets, rest, length)) {
        rest += length + 1;
        length = strcspn(rest, ".");
    }
    list_metrics(cache, &known);
    if (rest[length] || has(&known, rest, length)) return 0;
    return fail_unknown(path, rest, length, &known, err);
}

static int check_assertion(const PfTrainOptions *options, const PfCache *cache, const char *path,
                           PfError *err)
{
    static const Words others = {{"train", "val", "test", "best", "epochs", "seconds", "config",
                                  "heads", "sweep", "lbfgs", "equal_images", "search",
                                  "calibration"},
                                 13};
    size_t length = strcspn(path, ".");
    if (!has(&others, path, length)) return fail_unknown(path, path, length, &others, err);
    for (int split = 0; split < PF_SPLIT_COUNT; split++) {
        if (strlen(pf_split_names[split]) != length || strncmp(path, pf_split_names[split], length))
            continue;
        if (!has_rows(options, cache, split))
            return pf_fail(err, PF_EXIT_USAGE,
                           "--assert: the result will have no '%s': '%s' has no %s rows", path,
                           pf_cache_path(cache), pf_split_names[split]);
        if (split == PF_SPLIT_VAL && options->folds)
            return pf_fail(err, PF_EXIT_USAGE,
                           "--assert: with --folds the result has no '%s', as the last head trains "
                           "on all rows. Hint: 'sweep.0.val_accuracy' (or val_loss) is the mean of "
                           "the folds",
                           path);
        return path[length] ? check_metric(cache, path, path + length + 1, err) : 0;
    }
    return 0;
}

/* ---- targets ---- */

static int check_task(const PfCache *cache, const PfTaskSetting *setting, PfError *err)
{
    char list[512] = "";
    if (!*setting->target) return 0;
    for (int t = 0; t < pf_cache_target_count(cache); t++) {
        const char *name = pf_cache_target(cache, t)->name;
        size_t used = strlen(list);
        if (!strcmp(name, setting->target)) return 0;
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", name);
    }
    return pf_fail(
        err, PF_EXIT_USAGE,
        "--loss or --task-weight names target '%s', which is not among those of '%s': %s",
        setting->target, pf_cache_path(cache), list);
}

int pf_name_check(const PfTrainOptions *options, const PfCache *cache, PfError *err)
{
    if (options->table.targets &&
        pf_feature_table_check_targets(cache, options->table.targets, err))
        return -1;
    for (int i = 0; i < options->task_count; i++)
        if (check_task(cache, &options->tasks[i], err)) return -1;
    for (int i = 0; i < options->assertion_count; i++)
        if (check_assertion(options, cache, options->assertions[i].path, err)) return -1;
    return 0;
}

#include <stdio.h>
#include <string.h>

#include "predict/evaluate/evaluator.h"

/* Words of which a path may have one, and the path that is looked up. */
typedef struct Keys {
    const char *path, *rest; /* rest: what is not looked up yet, in path */
    char found[400];         /* "train, val" */
    char example[200];       /* a path that will be there */
    bool has;                /* rest begins with one of them */
} Keys;

static size_t key_length(const Keys *keys)
{
    return strcspn(keys->rest, ".");
}

static void add(Keys *keys, const char *word)
{
    size_t used = strlen(keys->found), length = key_length(keys);
    snprintf(keys->found + used, sizeof keys->found - used, "%s%s", used ? ", " : "", word);
    keys->has |= strlen(word) == length && !strncmp(word, keys->rest, length);
}

/* On to the key behind the one that was looked up. */
static void descend(Keys *keys)
{
    size_t length = key_length(keys);
    keys->rest += length + (keys->rest[length] == '.');
    keys->found[0] = '\0';
    keys->has = false;
}

static int check(const Keys *keys, PfError *err)
{
    if (keys->has) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--assert: the evaluation will have no '%s': there is no '%.*s' among %s. Hint: "
                   "'%s' will be there",
                   keys->path, (int)key_length(keys), keys->rest, keys->found, keys->example);
}

static bool is_evaluated(const PfEvaluator *evaluator, int target)
{
    return evaluator->truth->targets[target].source != NULL;
}

/* The key of the number that a person would ask for first. */
static const char *main_key(const PfMetrics *metrics)
{
    for (const PfMetricField *field = metrics->fields; field->key; field++)
        if (metrics->fields_at + field->value == metrics->main_value) return field->key;
    return metrics->fields->key;
}

/* "val.accuracy", or "val.age.mae": of the last part and the first target. */
static void find_example(const PfEvaluator *evaluator, const bool *parts, Keys *keys)
{
    const PfScorer *scorer = evaluator->scorer;
    int part = 0, target = 0;
    for (int p = 0; p < PF_EVALUATOR_PARTS; p++)
        if (parts[p]) part = p;
    for (int t = scorer->target_count - 1; t >= 0; t--)
        if (is_evaluated(evaluator, t)) target = t;
    bool only = scorer->target_count == 1;
    snprintf(keys->example, sizeof keys->example, "%s.%s%s%s", pf_evaluator_part_name(part),
             only ? "" : scorer->targets[target].name, only ? "" : ".",
             main_key(pf_evaluator_score(evaluator, part, target)->metrics));
}

/* Behind the part: a target, where there are several. *target: which it is. */
static int check_target(const PfEvaluator *evaluator, Keys *keys, int *target, PfError *err)
{
    const PfScorer *scorer = evaluator->scorer;
    *target = 0;
    if (scorer->target_count == 1) return 0;
    for (int t = 0; t < scorer->target_count; t++) {
        bool had = keys->has;
        if (is_evaluated(evaluator, t)) add(keys, scorer->targets[t].name);
        if (keys->has && !had) *target = t;
    }
    if (check(keys, err)) return -1;
    descend(keys);
    return 0;
}

int pf_evaluator_check_path(const PfEvaluator *evaluator, const bool parts[PF_EVALUATOR_PARTS],
                            const char *path, PfError *err)
{
    Keys keys = {.path = path, .rest = path};
    int target;
    find_example(evaluator, parts, &keys);
    for (int part = 0; part < PF_EVALUATOR_PARTS; part++)
        if (parts[part]) add(&keys, pf_evaluator_part_name(part));
    if (check(&keys, err)) return -1;
    descend(&keys);
    if (check_target(evaluator, &keys, &target, err)) return -1;
    if (keys.rest[key_length(&keys)]) return 0; /* "classes.0.recall": not looked up here */
    add(&keys, "rows");
    add(&keys, "unlabelled");
    if (evaluator->scorer->targets[target].kind == PF_TARGET_CLASS) add(&keys, "unknown_class");
    const PfMetricField *field = pf_evaluator_score(evaluator, 0, target)->metrics->fields;
    for (; field->key; field++) add(&keys, field->key);
    return check(&keys, err);
}

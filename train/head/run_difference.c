#include "train/head/run_difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"

/* Keys that are no option of their own name. */
static const struct {
    const char *key, *words;
} named[] = {
    {"cache", "the content of the cache"},
    {"cache_file", "the file of the cache"},
    {"weights", "the network's weights"},
    {"bf16", "--precision bf16"},
    {"targets", "--target"},
    {"tasks", "--loss or --task-weight"},
    {"hidden", "--activation, --head-norm or --dropout"},
    {"batch_norm", "--batch-norm learn"},
    {"schedule_epochs", "the epochs of --schedule"},
    {"schedule_factor", "the factor of --schedule"},
    {"balanced_loss", "--class-weights balanced"},
    {"version", "the version of the file"},
};

static void add(char text[PF_RUN_DIFFERENCE_TEXT], const char *words)
{
    size_t used = strlen(text);
    snprintf(text + used, PF_RUN_DIFFERENCE_TEXT - used, "%s%s", used ? "; " : "", words);
}

/* "0.01", "adamw". */
static char *value_text(const cJSON *item)
{
    if (!item) return NULL;
    return cJSON_IsString(item) ? strdup(item->valuestring) : pf_json_text(item);
}

static void add_setting(const char *key, const cJSON *found, const cJSON *asked,
                        char text[PF_RUN_DIFFERENCE_TEXT])
{
    char name[64], words[256];
    int length = snprintf(name, sizeof name, "--%s", key);
    for (int i = 0; i < length && i < (int)sizeof name - 1; i++)
        if (name[i] == '_') name[i] = '-';
    const char *said = name;
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (!strcmp(named[i].key, key)) said = named[i].words;
    if (*said != '-') {
        snprintf(words, sizeof words, "%s is another", said);
        add(text, words);
        return;
    }
    char *before = value_text(found), *now = value_text(asked);
    if (found && asked)
        snprintf(words, sizeof words, "%s was %s and is %s", said, before ? before : "?",
                 now ? now : "?");
    else
        snprintf(words, sizeof words, "%s %s %s", said,
                 found ? "is not given and was" : "was not given and is",
                 (found ? before : now) ? (found ? before : now) : "?");
    add(text, words);
    free(before);
    free(now);
}

static bool has_grown(const char *key, const cJSON *found, const cJSON *asked)
{
    return !strcmp(key, "epochs") && cJSON_IsNumber(found) && cJSON_IsNumber(asked) &&
           asked->valuedouble > found->valuedouble && found->valuedouble > 0;
}

const char *pf_run_difference_text(const cJSON *found, const cJSON *asked, bool may_grow,
                                   char text[PF_RUN_DIFFERENCE_TEXT])
{
    const cJSON *item;
    text[0] = '\0';
    cJSON_ArrayForEach(item, asked)
    {
        const cJSON *before = cJSON_GetObjectItemCaseSensitive(found, item->string);
        if (before && cJSON_Compare(before, item, 1)) continue;
        if (may_grow && has_grown(item->string, before, item)) continue;
        add_setting(item->string, before, item, text);
    }
    cJSON_ArrayForEach(item, found)
    {
        if (!cJSON_GetObjectItemCaseSensitive(asked, item->string))
            add_setting(item->string, item, NULL, text);
    }
    return text;
}

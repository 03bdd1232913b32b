#include "extract/like.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/address.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/memory.h"
#include "common/base/options.h"
#include "extract/backbone/name.h"
#include "permafrost/feature_cache.h"

static bool is_option(const char *word, const char *name)
{
    size_t length;
    const char *found = pf_options_word_name(word, &length);
    return length == strlen(name) && !strncmp(found, name, length);
}

/* ---- what a cache keeps ---- */

/* Whether the option's value may be a file's path. A folder that is called like a network does not
 * make one of the network's name. */
static bool may_be_file(const char *word, const char *value)
{
    static const char *const files[] = {"weights", "root", "exclude"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (is_option(word, files[i])) return true;
    return is_option(word, "backbone") && pf_backbone_name_is_path(value);
}

/* "--weights=FILE#KEY" with the file's absolute path, where there is such a file. malloc'ed. */
static char *absolute_word(const char *word)
{
    char absolute[PATH_MAX];
    const char *value = strchr(word, '=');
    if (!value || !may_be_file(word, value + 1)) return strdup(word);
    int head = (int)(++value - word);
    if (realpath(value, absolute)) return pf_asprintf(NULL, "%.*s%s", head, word, absolute);
    const char *key = strrchr(value, '#');
    char *file = key ? strndup(value, (size_t)(key - value)) : NULL;
    char *whole = file && realpath(file, absolute)
                      ? pf_asprintf(NULL, "%.*s%s%s", head, word, absolute, key)
                      : strdup(word);
    free(file);
    return whole;
}

/* The operand as it leads to the same from any folder. What has braces in it names several files,
 * none of which is called so. malloc'ed. */
static char *noted_operand(const char *operand)
{
    char absolute[PATH_MAX];
    if (realpath(operand, absolute)) return strdup(absolute);
    if (pf_address_is(operand)) return pf_address_shown(operand, NULL);
    const bool is_relative = *operand != '/' && strcmp(operand, "-") != 0;
    if (!is_relative || !realpath(".", absolute)) return strdup(operand);
    return pf_asprintf(NULL, "%s/%s", absolute, operand);
}

void pf_like_add(cJSON *provenance, const char *operand, cJSON *words)
{
    const cJSON *word;
    if (!words) return;
    char *noted = noted_operand(operand);
    cJSON_AddStringToObject(provenance, "operand", noted ? noted : "");
    free(noted);
    cJSON *kept = cJSON_AddArrayToObject(provenance, "options");
    cJSON_ArrayForEach(word, words)
    {
        char *text = absolute_word(word->valuestring);
        cJSON_AddItemToArray(kept, cJSON_CreateString(text ? text : ""));
        free(text);
    }
    cJSON_Delete(words);
}

/* ---- a command line of it ---- */

static int fail_older(const char *cache, const cJSON *provenance, PfError *err)
{
    const char *command = pf_json_member_text(provenance, "command");
    return pf_fail(err, PF_EXIT_USAGE,
                   "'%s' does not say with which options it was made, as caches have done since; "
                   "it names the command%s%s. Hint: give that once more; rows that are there are "
                   "used again, and with the next new image the cache keeps the options",
                   cache, command ? ": " : " not", command ? command : "");
}

static int add_word(PfLikeCommand *out, const char *word, PfError *err)
{
    out->argv[out->argc] = pf_strdup(word, err);
    return out->argv[out->argc] ? (out->argc++, 0) : -1;
}

/* Whether pf_options_words() may have written the word: any other, put before a command line, could
 * change what the words behind it mean. */
static bool is_word_of(const PfOption *option, const char *word)
{
    return option && (option->argument != NULL) == (strchr(word, '=') != NULL);
}

static int fail_kept(const char *cache, const char *found, PfError *err)
{
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s': among the options that it was made with it has '%s'; expected words like "
                   "--name=value, of options that extract has. Hint: extract --info '%s' shows the "
                   "command that it was made with; give the options of that which are meant",
                   cache, found, cache);
}

/* Caches before this version kept some that are of a run, too. */
static int add_kept(PfLikeCommand *out, const PfOption *table, const char *cache, const cJSON *kept,
                    const cJSON *words, PfError *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, kept)
    {
        const char *word = cJSON_GetStringValue(item);
        if (!word || strncmp(word, "--", 2) != 0)
            return fail_kept(cache, word ? word : "no text", err);
        const PfOption *option = pf_options_find(table, word);
        if (!is_word_of(option, word)) return fail_kept(cache, word, err);
        if (option->effect == PF_OPTION_ON_RUN || pf_options_words_have(words, word)) continue;
        out->names_backbone |= !strcmp(option->name, "backbone");
        if (add_word(out, word, err)) return -1;
    }
    return 0;
}

static bool is_same_operand(const char *dataset, const char *operand)
{
    char *noted = noted_operand(dataset);
    const bool is_same = !strcmp(dataset, operand) || (noted && !strcmp(noted, operand));
    free(noted);
    return is_same;
}

/* The dataset that a cache names is one that is on this machine, and a path. */
static int check_operand(const char *cache, const char *operand, PfError *err)
{
    if (!strcmp(operand, "-"))
        return pf_fail(err, PF_EXIT_USAGE,
                       "the images of '%s' were named on standard input. Hint: extract - --like "
                       "CACHE.h5 takes those that are named there now",
                       cache);
    if (pf_address_is(operand))
        return pf_fail(err, PF_EXIT_USAGE,
                       "the images of '%s' are at %s, and nothing is fetched that was not typed. "
                       "Hint: extract '%s' --like '%s' does so",
                       cache, operand, operand, cache);
    if (*operand && *operand != '-') return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "'%s' says that its dataset is '%s'; expected a path. Hint: extract DATASET "
                   "--like '%s' -o FILE.h5",
                   cache, operand, cache);
}

static int build(const PfOption *table, const char *cache, const char *dataset,
                 const cJSON *provenance, int argc, char **argv, const cJSON *words,
                 PfLikeCommand *out, PfError *err)
{
    const cJSON *kept = cJSON_GetObjectItemCaseSensitive(provenance, "options");
    const char *operand = pf_json_member_text(provenance, "operand");
    if (!cJSON_IsArray(kept) || !operand) return fail_older(cache, provenance, err);
    if (!dataset && check_operand(cache, operand, err)) return -1;
    size_t most = (size_t)argc + (size_t)cJSON_GetArraySize(kept) + 5;
    out->argv = pf_calloc(most, sizeof *out->argv, err);
    if (!out->argv || add_word(out, argv[0], err) || add_kept(out, table, cache, kept, words, err))
        return -1;
    if (dataset && !pf_options_words_have(words, "--output") && !is_same_operand(dataset, operand))
        return pf_fail(err, PF_EXIT_USAGE,
                       "'%s' holds the images of '%s': those of '%s' need a cache of their own. "
                       "Hint: -o FILE.h5; -o '%s' would put them in the place of the others",
                       cache, operand, dataset, cache);
    if (!pf_options_words_have(words, "--output") &&
        (add_word(out, "-o", err) || add_word(out, cache, err)))
        return -1;
    bool skips = !dataset; /* the operand is the cache: the dataset takes its place */
    for (int i = 1; i < argc; i++) {
        bool is_it = skips && !strcmp(argv[i], cache);
        if (is_it) skips = false;
        if (add_word(out, is_it ? operand : argv[i], err)) return -1;
    }
    return 0;
}

int pf_like_command(const PfOption *table, const char *cache, const char *dataset, int argc,
                    char **argv, const cJSON *words, PfLikeCommand *out, PfError *err)
{
    PfCache *opened;
    *out = (PfLikeCommand){0};
    if (pf_cache_open(cache, &opened, err)) return -1;
    cJSON *provenance = pf_json_read(pf_cache_provenance(opened));
    int failed = build(table, cache, dataset, provenance, argc, argv, words, out, err);
    cJSON_Delete(provenance);
    pf_cache_close(&opened);
    if (failed) pf_like_command_free(out);
    return failed ? -1 : 0;
}

void pf_like_command_free(PfLikeCommand *command)
{
    for (int i = 0; i < command->argc; i++) free(command->argv[i]);
    free(command->argv);
    *command = (PfLikeCommand){0};
}

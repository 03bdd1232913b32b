/* A cache of archives at addresses that is finished: it says of which versions of them it was made,
 * so that they are not fetched again to find that nothing is to be done. */
#include <cjson/cJSON.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "extract/extraction.h"
#include "extract/plan/identity.h"

static bool has_option(const cJSON *words, const char *name)
{
    const cJSON *word;
    const size_t length = strlen(name);
    cJSON_ArrayForEach(word, words)
    {
        const char *text = cJSON_GetStringValue(word);
        if (text && !strncmp(text, name, length) && strchr("=", text[length])) return true;
    }
    return false;
}

/* Whether the cache was made by these options, of this shard, by this version; files that options
 * name are compared by what they hold, or as --exclude not at all. */
static bool is_same_command(const cJSON *provenance, const PfExtractOptions *options)
{
    static const char *const keys[] = {"operand", "options", "shard", "permafrost"};
    const PfShard shard = options->dataset.shard;
    const double pair[] = {(double)shard.number, (double)shard.count};
    cJSON *now = cJSON_CreateObject();
    pf_like_add(now, options->operand, pf_extract_options_words(options));
    if (shard.count) cJSON_AddItemToObject(now, "shard", cJSON_CreateDoubleArray(pair, 2));
    cJSON_AddStringToObject(now, "permafrost", PF_VERSION);
    bool same = !has_option(cJSON_GetObjectItemCaseSensitive(now, "options"), "--exclude");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(provenance, keys[i]);
        const cJSON *b = cJSON_GetObjectItemCaseSensitive(now, keys[i]);
        same &= a || b ? cJSON_Compare(a, b, 1) : 1;
    }
    cJSON_Delete(now);
    return same;
}

int pf_extraction_find_fetched(PfExtraction *run, PfError *err)
{
    const PfExtractOptions *options = run->options;
    char version[PF_SHA256_TEXT_SIZE] = "";
    run->is_fetched = false;
    if (!run->cache || !pf_dataset_is_address(options->operand) || options->json ||
        options->contact_sheet || options->dry_run)
        return 0;
    cJSON *provenance = pf_json_read(pf_cache_provenance(run->cache));
    const char *made_of = pf_json_member_text(provenance, PF_FETCHED_KEY);
    PfDatasetOptions listing = options->dataset;
    listing.may_fetch = true;
    listing.interrupted = run->interrupted;
    int failed = 0;
    if (made_of && is_same_command(provenance, options))
        failed = pf_dataset_look_at_addresses(options->operand, &listing, version, err);
    run->is_fetched = !failed && made_of && *version && !strcmp(made_of, version);
    cJSON_Delete(provenance);
    return failed ? -1 : 0;
}

bool pf_extraction_is_of_network(const PfExtraction *run)
{
    PfError ignored = {0};
    return access(run->journal_path, F_OK) &&
           !pf_identity_check_cache(run->cache, run->backbone, &ignored) &&
           !pf_identity_adds_weights(run->cache, run->backbone);
}

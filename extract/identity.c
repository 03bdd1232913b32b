#include "identity.h"

#include <stdlib.h>

#include "identity_diff.h"
#include "json.h"
#include "printable.h"

char *pf_identity_json(const PfBackbonePlan *plan, const PfCacheTap *taps, int tap_count,
                       PfError *err)
{
    pf_json_begin();
    cJSON *identity = pf_backbone_plan_identity(plan);
    cJSON *names = tap_count ? cJSON_AddArrayToObject(identity, "taps") : NULL;
    for (int t = 0; t < tap_count; t++)
        cJSON_AddItemToArray(names, cJSON_CreateString(taps[t].name));
    return pf_json_finish(identity, "identity", err);
}

int pf_identity_go_on(const char *path, const char *found, PfBackboneOptions *options, PfError *err)
{
    PfPreprocess preprocess;
    if (!found) return 0;
    cJSON *identity = pf_json_parse_or_empty(found, path, "identity", err);
    if (!identity) return -1;
    PfError later = {0};
    int failed = pf_preprocess_read_later(cJSON_GetObjectItemCaseSensitive(identity, "preprocess"),
                                          &preprocess, &later);
    cJSON_Delete(identity);
    if (failed) return pf_fail(err, PF_EXIT_IDENTITY, "'%s': %" PF_SENTENCE, path, later.message);
    if (options->exif < 0) options->exif = preprocess.exif;
    if (options->resize_order < 0) options->resize_order = (int)preprocess.resize_order;
    return 0;
}

/* The number of differences; -1 on failure. */
static int compare(const char *path, const char *found, const char *wanted, char **notes,
                   PfError *err)
{
    cJSON *left = pf_json_parse_or_empty(found, path, "identity", err);
    cJSON *right = pf_json_parse(wanted, path, "identity", err);
    int differences = -1;
    if (left && right)
        differences = pf_identity_diff(left, "the cache has", right, "asked for", notes, err);
    cJSON_Delete(left);
    cJSON_Delete(right);
    return differences;
}

int pf_identity_check(const char *path, const char *found, const PfBackbonePlan *plan, PfError *err)
{
    char *notes = NULL, *wanted = pf_identity_json(plan, NULL, 0, err);
    int differences = wanted ? compare(path, found, wanted, &notes, err) : -1;
    if (differences > 0)
        pf_fail(err, PF_EXIT_IDENTITY,
                "'%s' holds features of another kind:%" PF_SENTENCE
                "\nHint: write to another file with -o, or "
                "replace this one with --force.",
                path, notes);
    free(notes);
    free(wanted);
    return differences ? -1 : 0;
}

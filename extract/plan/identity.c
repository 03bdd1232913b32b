#include "extract/plan/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/printable.h"
#include "common/cache/pixels.h"
#include "common/file/path.h"

#define TAPS "taps"

/* ---- of a plan ---- */

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
    int failed = pf_preprocess_json_read_later(
        cJSON_GetObjectItemCaseSensitive(identity, "preprocess"), &preprocess, &later);
    cJSON_Delete(identity);
    if (failed) return pf_fail(err, PF_EXIT_IDENTITY, "'%s': %" PF_SENTENCE, path, later.message);
    if (options->exif < 0) options->exif = preprocess.exif;
    if (options->resize_order < 0) options->resize_order = (int)preprocess.resize_order;
    return 0;
}

bool pf_identity_preprocess(const char *found, PfPreprocess *out)
{
    PfError ignored = {0};
    cJSON *identity = found ? pf_json_read(found) : NULL;
    const bool is_there =
        identity && !pf_preprocess_json_read(
                        cJSON_GetObjectItemCaseSensitive(identity, "preprocess"), out, &ignored);
    cJSON_Delete(identity);
    return is_there;
}

/* ---- where two of them differ ---- */

typedef struct Diff {
    const char *left_has, *right_has;
    FILE *notes;
    int count;
} Diff;

/* What a file means that lacks a member: some came later than the first version. */
static const char *absent_text(const char *name)
{
    if (!strcmp(name, "preprocess.exif")) return "nothing, which means \"ignore\"";
    if (!strcmp(name, "preprocess.resize_order")) return "nothing, which means \"pillow12\"";
    return "nothing";
}

static void note_member(Diff *diff, const char *name, const cJSON *left, const cJSON *right)
{
    if (cJSON_Compare(left, right, 1)) return;
    char *a = left ? pf_json_text(left) : NULL;
    char *b = right ? pf_json_text(right) : NULL;
    pf_print(diff->notes, "\n  %s: %s %" PF_SENTENCE ", %s %" PF_SENTENCE, name, diff->left_has,
             a ? a : absent_text(name), diff->right_has, b ? b : absent_text(name));
    cJSON_free(a);
    cJSON_free(b);
    diff->count++;
}

static void compare_objects(Diff *diff, const char *prefix, const cJSON *left, const cJSON *right)
{
    char name[128];
    const cJSON *entry;
    cJSON_ArrayForEach(entry, left)
    {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(right, entry->string);
        snprintf(name, sizeof name, "%s%s", prefix, entry->string);
        if (cJSON_IsObject(entry) && cJSON_IsObject(other)) {
            strncat(name, ".", sizeof name - strlen(name) - 1);
            compare_objects(diff, name, entry, other);
        } else if (strcmp(name, TAPS) != 0) {
            note_member(diff, name, entry, other);
        }
    }
    cJSON_ArrayForEach(entry, right)
    {
        snprintf(name, sizeof name, "%s%s", prefix, entry->string);
        if (!cJSON_GetObjectItemCaseSensitive(left, entry->string) && strcmp(name, TAPS) != 0)
            note_member(diff, name, NULL, entry);
    }
}

int pf_identity_diff(const cJSON *left, const char *left_has, const cJSON *right,
                     const char *right_has, char **notes, PfError *err)
{
    size_t size;
    Diff diff = {.left_has = left_has, .right_has = right_has};
    *notes = NULL;
    diff.notes = open_memstream(notes, &size);
    if (!diff.notes) return pf_fail_errno(err, "cannot compare identities");
    compare_objects(&diff, "", left, right);
    if (fclose(diff.notes)) return pf_fail_errno(err, "cannot compare identities");
    return diff.count;
}

static cJSON *backbone_of(const cJSON *identity)
{
    return cJSON_GetObjectItemCaseSensitive(identity, "backbone");
}

static bool names_no_weights(const char *identity)
{
    cJSON *object = pf_json_read(identity);
    bool lacks = pf_pixels_lack_weights(backbone_of(object));
    cJSON_Delete(object);
    return lacks;
}

/* The number of differences; -1 on failure. */
static int compare(const char *path, const char *found, const char *wanted, bool of_pixels,
                   char **notes, PfError *err)
{
    cJSON *left = pf_json_parse_or_empty(found, path, "identity", err);
    cJSON *right = pf_json_parse(wanted, path, "identity", err);
    int differences = -1;
    if (left && right) {
        if (of_pixels) pf_pixels_pass_over_weights(backbone_of(left), backbone_of(right));
        differences = pf_identity_diff(left, "the cache has", right, "asked for", notes, err);
    }
    cJSON_Delete(left);
    cJSON_Delete(right);
    return differences;
}

static int check(const char *path, const char *found, const PfBackbonePlan *plan, bool of_pixels,
                 PfError *err)
{
    char *notes = NULL, *wanted = pf_identity_json(plan, NULL, 0, err);
    char *word = pf_path_shell_word(path, "CACHE.h5", NULL);
    int differences = wanted ? compare(path, found, wanted, of_pixels, &notes, err) : -1;
    if (differences > 0)
        pf_fail(err, PF_EXIT_IDENTITY,
                "'%s' holds features of another kind:%" PF_SENTENCE
                "\nHint: extract DATASET --like %s goes on with the options that it has; or "
                "write to another file with -o, or replace this one with --force.",
                path, notes, word ? word : "CACHE.h5");
    free(word);
    free(notes);
    free(wanted);
    return differences ? -1 : 0;
}

int pf_identity_check_cache(const PfCache *cache, const PfBackbonePlan *plan, PfError *err)
{
    return check(pf_cache_path(cache), pf_cache_identity(cache), plan, pf_pixels_are_all_of(cache),
                 err);
}

int pf_identity_check_journal(const char *path, const char *found, const PfBackbonePlan *plan,
                              PfError *err)
{
    if (!plan->arch || !*plan->sha256) return check(path, found, plan, true, err);
    if (!names_no_weights(found)) return check(path, found, plan, false, err);
    if (check(path, found, plan, true, err)) return -1;
    return pf_fail(err, PF_EXIT_IDENTITY,
                   "'%s' holds pixels of an unfinished run that needed no weights, and this one "
                   "has some (SHA-256 %.8s). Hint: finish that one first, with --tap " PF_PIXEL_TAP
                   " and without --weights; this command then adds to its cache. --force begins "
                   "anew",
                   path, plan->sha256);
}

bool pf_identity_adds_weights(const PfCache *cache, const PfBackbonePlan *plan)
{
    return plan->arch && *plan->sha256 && pf_pixels_are_all_of(cache) &&
           names_no_weights(pf_cache_identity(cache));
}

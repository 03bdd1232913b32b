#include "identity_diff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "printable.h"

#define TAPS "taps"

typedef struct Diff {
    const char *left_has, *right_has;
    FILE *notes;
    int count;
} Diff;

/* What it means that one of the members that came later is not there. */
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

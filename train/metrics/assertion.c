#include "train/metrics/assertion.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/options.h"

int pf_assertion_parse(const char *text, PfAssertion *out, PfError *err)
{
    size_t length = strcspn(text, "<>=");
    size_t sign = strspn(text + length, "<>=");
    *out = (PfAssertion){.text = text};
    if (length && length < sizeof out->path && sign && sign < sizeof out->comparison) {
        memcpy(out->path, text, length);
        memcpy(out->comparison, text + length, sign);
    }
    static const char *const known[] = {">=", "<=", ">", "<", "=="};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(out->comparison, known[i]))
            return pf_options_parse_double("--assert", text + length + sign, -1e300, 1e300,
                                           &out->bound, err);
    return pf_fail(err, PF_EXIT_USAGE,
                   "--assert: expected a name, one of >= <= > < ==, and a number, as in "
                   "'val.accuracy>=0.95', found '%s'",
                   text);
}

/* "loss, accuracy, ...": the keys of an object. */
static void list_keys(const cJSON *json, char *text, size_t size)
{
    const cJSON *child;
    size_t used = 0;
    text[0] = '\0';
    cJSON_ArrayForEach(child, json)
    {
        if (!child->string || used + strlen(child->string) + 3 > size) continue;
        used += (size_t)sprintf(text + used, "%s%s", used ? ", " : "", child->string);
    }
}

static const cJSON *child_of(const cJSON *json, const char *key)
{
    if (!cJSON_IsArray(json)) return cJSON_GetObjectItemCaseSensitive(json, key);
    uint64_t index;
    return !pf_options_read_unsigned(key, strlen(key), &index) &&
                   index < (uint64_t)cJSON_GetArraySize(json)
               ? cJSON_GetArrayItem(json, (int)index)
               : NULL;
}

/* The number at a path of object keys and array indices separated by dots. */
static int number_at(const cJSON *json, const char *path, double *out, PfError *err)
{
    char keys[512];
    for (const char *rest = path;;) {
        char key[64];
        size_t length = strcspn(rest, ".");
        snprintf(key, sizeof key, "%.*s", (int)length, rest);
        const cJSON *child = child_of(json, key);
        if (!child) {
            list_keys(json, keys, sizeof keys);
            return pf_fail(err, PF_EXIT_USAGE, "the result has no '%s': there is no '%s'%s%s", path,
                           key, *keys ? " among " : "", keys);
        }
        json = child;
        rest += length;
        if (!*rest++) break;
    }
    if (!cJSON_IsNumber(json)) {
        list_keys(json, keys, sizeof keys);
        return pf_fail(err, PF_EXIT_USAGE, "'%s' in the result is not a number%s%s", path,
                       *keys ? "; it holds: " : "", keys);
    }
    *out = json->valuedouble;
    return 0;
}

static bool holds(double value, const char *comparison, double bound)
{
    bool may_be_equal = strchr(comparison, '=') != NULL;
    if (value == bound) return may_be_equal;
    return (comparison[0] == '>' && value > bound) || (comparison[0] == '<' && value < bound);
}

int pf_assertion_check(const PfAssertion *assertion, const cJSON *result, PfError *err)
{
    double value;
    if (number_at(result, assertion->path, &value, err)) return -1;
    if (holds(value, assertion->comparison, assertion->bound)) return 0;
    return pf_fail(err, PF_EXIT_ASSERT, "not met: %s (it is %.6g)", assertion->text, value);
}

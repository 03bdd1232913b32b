#include "json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local int left_out; /* something, since pf_json_begin */

static void *allocate(size_t size)
{
    void *block = malloc(size);
    if (!block) left_out = 1;
    return block;
}

static void install(void)
{
    cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};
    cJSON_InitHooks(&hooks);
}

void pf_json_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    left_out = 0;
}

int pf_json_check_size(const char *text, size_t size, const char *path, const char *what,
                       PfError *err)
{
    size_t values = 1;
    int quoted = 0;
    for (size_t i = 0; i < size; i++) {
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted)
            values += text[i] == ',' || text[i] == '[' || text[i] == '{';
    }
    if (values <= PF_JSON_MAX_VALUES) return 0;
    return pf_fail(err, PF_EXIT_FAILED, "'%s': its %s holds %zu values, and may hold %d", path,
                   what, values, PF_JSON_MAX_VALUES);
}

/* NULL where memory is short, and where text holds no object, which is no error yet. May
 * come between pf_json_begin and pf_json_finish. */
static cJSON *parse(const char *text, int *is_short)
{
    int before = left_out;
    pf_json_begin();
    cJSON *object = cJSON_Parse(text);
    *is_short = left_out;
    left_out |= before;
    if (cJSON_IsObject(object)) return object;
    cJSON_Delete(object);
    return NULL;
}

cJSON *pf_json_parse(const char *text, const char *path, const char *what, PfError *err)
{
    int is_short;
    if (pf_json_check_size(text, strlen(text), path, what, err)) return NULL;
    cJSON *object = parse(text, &is_short);
    if (!object)
        pf_fail(err, PF_EXIT_FAILED,
                is_short ? "'%s': out of memory for its %s" : "'%s': its %s is no JSON object",
                path, what);
    return object;
}

cJSON *pf_json_parse_or_empty(const char *text, const char *path, const char *what, PfError *err)
{
    int is_short;
    if (pf_json_check_size(text, strlen(text), path, what, err)) return NULL;
    cJSON *object = parse(text, &is_short);
    if (!object && !is_short) object = cJSON_CreateObject();
    if (!object) pf_fail(err, PF_EXIT_FAILED, "'%s': out of memory for its %s", path, what);
    return object;
}

char *pf_json_finish(cJSON *object, const char *what, PfError *err)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (text && !left_out) return text;
    free(text);
    pf_fail(err, PF_EXIT_FAILED, "out of memory for the %s", what);
    return NULL;
}

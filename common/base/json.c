#include "common/base/json.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/printable.h"

#define ESCAPE_LENGTH 6 /* of \uNNNN */

static _Thread_local bool left_out; /* something, since pf_json_begin */

static void *allocate(size_t size)
{
    void *block = malloc(size);
    if (!block) left_out = true;
    return block;
}

static void install(void)
{
    cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};
    cJSON_InitHooks(&hooks);
}

/* ---- bytes that are no UTF-8 ---- */

/* How many bytes the front of text has that stay, or, negative, that become an escape. */
static int next_part(const char *text, char escape[ESCAPE_LENGTH + 1])
{
    uint32_t code = 0;
    int length = pf_printable_utf8_character(text, strnlen(text, 4), &code);
    if (length && (code < ' ' || !pf_printable_needs_escape(code))) return length;
    snprintf(escape, ESCAPE_LENGTH + 1, "\\u%04x",
             length ? code & 0xffff : 0xdc00u | (unsigned char)*text);
    return length ? -length : -1;
}

/* text: what cJSON has printed, given up; all that is not ASCII there is within strings. */
static char *make_valid(char *text)
{
    char escape[ESCAPE_LENGTH + 1];
    size_t size = 1, used = 0, escapes = 0;
    for (const char *at = text; text && *at;) {
        int part = next_part(at, escape);
        size += part > 0 ? (size_t)part : ESCAPE_LENGTH;
        escapes += part < 0;
        at += abs(part);
    }
    if (!escapes) return text;
    char *valid = allocate(size);
    for (const char *at = text; valid && *at;) {
        int part = next_part(at, escape);
        size_t length = part > 0 ? (size_t)part : ESCAPE_LENGTH;
        memcpy(valid + used, part > 0 ? at : escape, length);
        used += length;
        at += abs(part);
    }
    if (valid) valid[used] = '\0';
    free(text);
    return valid;
}

char *pf_json_text(const cJSON *item)
{
    return make_valid(cJSON_PrintUnformatted(item));
}

char *pf_json_indented_text(const cJSON *item)
{
    return make_valid(cJSON_Print(item));
}

/* The number in \uNNNN at text, which has size bytes; -1 where there is none. */
static long escaped_number(const char *text, size_t size)
{
    char digits[5] = "";
    if (size < ESCAPE_LENGTH || text[0] != '\\' || text[1] != 'u') return -1;
    memcpy(digits, text + 2, 4);
    return strspn(digits, "0123456789abcdefABCDEF") == 4 ? strtol(digits, NULL, 16) : -1;
}

/* Copies a JSON text with the bytes that its \udcNN stand for, of which cJSON will not hear;
 * returns how many bytes it then has. out: (size), or NULL to count only. */
static size_t put_bytes_back(const char *text, size_t size, char *out)
{
    size_t used = 0, length;
    for (size_t at = 0; at < size; at += length) {
        long number = escaped_number(text + at, size - at);
        bool is_byte = number >= 0xdc80 && number <= 0xdcff;
        length = number >= 0 ? ESCAPE_LENGTH : text[at] == '\\' && at + 1 < size ? 2 : 1;
        if (number >= 0xd800 && number < 0xdc00 && /* the first of a pair goes with its second */
            escaped_number(text + at + length, size - at - length) >= 0)
            length += ESCAPE_LENGTH;
        if (out && is_byte) out[used] = (char)(number & 0xff);
        if (out && !is_byte) memcpy(out + used, text + at, length);
        used += is_byte ? 1 : length;
    }
    return used;
}

cJSON *pf_json_read_front(const char *text, size_t size, const char **end)
{
    size_t length = memmem(text, size, "\\u", 2) ? put_bytes_back(text, size, NULL) : size;
    if (length == size) return cJSON_ParseWithLengthOpts(text, size, end, 0);
    char *copy = allocate(length);
    const char *copy_end = copy;
    if (copy) put_bytes_back(text, size, copy);
    cJSON *item = copy ? cJSON_ParseWithLengthOpts(copy, length, &copy_end, 0) : NULL;
    *end = text + size - (length - (size_t)(copy_end - copy));
    free(copy);
    return item;
}

cJSON *pf_json_read(const char *text)
{
    const char *end;
    return text ? pf_json_read_front(text, strlen(text) + 1, &end) : NULL;
}

/* ---- whole objects ---- */

void pf_json_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
    left_out = false;
}

int pf_json_check_size(const char *text, size_t size, const char *path, const char *what,
                       PfError *err)
{
    size_t values = 1;
    bool quoted = false;
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
static cJSON *parse(const char *text, bool *is_short)
{
    bool before = left_out;
    pf_json_begin();
    cJSON *object = pf_json_read(text);
    *is_short = left_out;
    left_out = left_out || before;
    if (cJSON_IsObject(object)) return object;
    cJSON_Delete(object);
    return NULL;
}

bool pf_json_is_whole(const cJSON *item, double least, double most)
{
    return cJSON_IsNumber(item) && item->valuedouble >= least && item->valuedouble <= most &&
           item->valuedouble == floor(item->valuedouble);
}

const char *pf_json_member_text(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

cJSON *pf_json_parse(const char *text, const char *path, const char *what, PfError *err)
{
    bool is_short;
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
    bool is_short;
    if (pf_json_check_size(text, strlen(text), path, what, err)) return NULL;
    cJSON *object = parse(text, &is_short);
    if (!object && !is_short) object = cJSON_CreateObject();
    if (!object) pf_fail(err, PF_EXIT_FAILED, "'%s': out of memory for its %s", path, what);
    return object;
}

char *pf_json_finish(cJSON *object, const char *what, PfError *err)
{
    char *text = object ? pf_json_text(object) : NULL;
    cJSON_Delete(object);
    if (text && !left_out) return text;
    free(text);
    pf_fail(err, PF_EXIT_FAILED, "out of memory for the %s", what);
    return NULL;
}

/* JSON texts in and out, none of which is ever incomplete: cJSON leaves out what it has
 * no memory for, and says so only to those who look at every call. */
#ifndef PF_COMMON_BASE_JSON_H
#define PF_COMMON_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "permafrost/error.h"

/* Texts of ours are valid UTF-8 whatever a name holds: a byte 0xNN that is no UTF-8 is written
 * \udcNN, as Python's surrogateescape does (os.fsencode has the name back), and control
 * characters and marks of direction are written \uNNNN. NaN and infinity are null. */

/* An item as JSON on one line, to be freed; NULL where memory is short. */
char *pf_json_text(const cJSON *item);
/* The same for people: a line a member. */
char *pf_json_indented_text(const cJSON *item);
/* As cJSON_Parse, and \udcNN becomes its byte. The caller deletes it. */
cJSON *pf_json_read(const char *text);
/* The same for a text of size bytes without an end of its own; *end: where the item ends. */
cJSON *pf_json_read_front(const char *text, size_t size, const char **end);
/* A text of a file may hold so many numbers, texts, lists and objects: cJSON takes some hundred
 * bytes of memory and half a microsecond for each. A network of 100,000 tensors is described by a
 * million. */
#define PF_JSON_MAX_VALUES 2000000

/* Whether there are no more, by a look at commas and brackets: before anything is parsed. path,
 * what: for messages, as below. */
int pf_json_check_size(const char *text, size_t size, const char *path, const char *what,
                       PfError *err);

/* Whether it is a whole number of least to most, of which a double has every one up to 2^53. NULL
 * is none. */
bool pf_json_is_whole(const cJSON *item, double least, double most);

/* The text of that member; NULL where there is no such member or it is no text. Lent. */
const char *pf_json_member_text(const cJSON *object, const char *key);

/* The object in text; the caller deletes it. Fails where text holds none. path, what: where
 * it is from, for messages ("'photos.h5': its identity is no JSON object"). */
cJSON *pf_json_parse(const char *text, const char *path, const char *what, PfError *err);
/* An empty object where text holds none; NULL only where memory is short. */
cJSON *pf_json_parse_or_empty(const char *text, const char *path, const char *what, PfError *err);

/* Before an object is built... */
void pf_json_begin(void);
/* ...and afterwards its text, to be freed, or NULL where anything was left out since this
 * thread's pf_json_begin. Deletes the object, which may be NULL. */
char *pf_json_finish(cJSON *object, const char *what, PfError *err);

#endif

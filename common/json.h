/* JSON texts in and out, none of which is ever incomplete: cJSON leaves out what it has
 * no memory for, and says so only to those who look at every call. */
#ifndef PF_JSON_H
#define PF_JSON_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "permafrost/error.h"

/* A text of a file may hold so many numbers, texts, lists and objects: cJSON takes some hundred
 * bytes of memory and half a microsecond for each. A network of 100,000 tensors is described by a
 * million. */
#define PF_JSON_MAX_VALUES 2000000

/* Whether there are no more, by a look at commas and brackets: before anything is parsed. path,
 * what: for messages, as below. */
int pf_json_check_size(const char *text, size_t size, const char *path, const char *what,
                       PfError *err);

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

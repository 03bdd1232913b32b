/* libcurl, opened when something is fetched: programs start and run where it is not installed.
 * Once pf_curl_open() has succeeded its functions are called as pf_curl.curl_easy_init(). The types
 * are those of its header, so that the compiler checks the calls. */
#ifndef PF_COMMON_FETCH_CURL_LIBRARY_H
#define PF_COMMON_FETCH_CURL_LIBRARY_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "permafrost/error.h"

#define PF_CURL_FUNCTIONS(_)                                                                       \
    _(curl_global_init)                                                                            \
    _(curl_easy_init)                                                                              \
    _(curl_easy_setopt)                                                                            \
    _(curl_easy_perform)                                                                           \
    _(curl_easy_getinfo)                                                                           \
    _(curl_easy_strerror)                                                                          \
    _(curl_easy_cleanup)                                                                           \
    _(curl_slist_append)                                                                           \
    _(curl_slist_free_all)

#define PF_CURL_POINTER(name) __typeof__(name) *name;
typedef struct PfCurl {
    PF_CURL_FUNCTIONS(PF_CURL_POINTER)
} PfCurl;

extern PfCurl pf_curl;

/* Opens the library, the first time; from the main thread alone. It stays open. */
int pf_curl_open(PfError *err);

#endif

#include "common/fetch/curl_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <string.h>

PfCurl pf_curl;

static bool find_functions(void *library)
{
#define PF_CURL_NAME(name) #name,
    static const char *const names[] = {PF_CURL_FUNCTIONS(PF_CURL_NAME)};
    char *out = (char *)&pf_curl;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++, out += sizeof(void *)) {
        void *function = dlsym(library, names[i]);
        if (!function) return false;
        memcpy(out, &function, sizeof function);
    }
    return true;
}

int pf_curl_open(PfError *err)
{
    static bool is_open;
    if (is_open) return 0;
    void *library = dlopen(PF_CURL_SONAME, RTLD_NOW | RTLD_LOCAL);
    is_open = library && find_functions(library) && !pf_curl.curl_global_init(CURL_GLOBAL_DEFAULT);
    if (is_open) return 0;
    if (library) dlclose(library);
    return pf_fail(err, PF_EXIT_FAILED,
                   "fetching needs %s, which is not installed or cannot be used. Hint: apt install "
                   "%s",
                   PF_CURL_SONAME, PF_CURL_PACKAGE);
}

#include "common/base/address.h"

#include <string.h>
#include <strings.h>

#include "common/base/memory.h"

bool pf_address_is_s3(const char *text)
{
    return !strncasecmp(text, "s3://", 5);
}

bool pf_address_is(const char *text)
{
    return pf_address_is_s3(text) || !strncasecmp(text, "https://", 8) ||
           !strncasecmp(text, "http://", 7);
}

char *pf_address_shown(const char *text, PfError *err)
{
    if (!pf_address_is(text) || pf_address_is_s3(text)) return pf_strdup(text, err);
    const char *host = strstr(text, "://") + 3;
    const size_t size = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', size);
    const char *from = at ? at + 1 : host;
    return pf_asprintf(err, "%.*s%.*s", (int)(host - text), text, (int)strcspn(from, "?#"), from);
}

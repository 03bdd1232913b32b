/* Preloaded (LD_PRELOAD) into a program, hides libraries from it as if they were not installed:
 * dlopen of one whose name stands in PF_HIDE, between spaces, looks for a file that nobody has. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((visibility("default"))) void *dlopen(const char *name, int flags);

static int is_hidden(const char *name)
{
    const char *hidden = getenv("PF_HIDE");
    char list[1024], wanted[256];
    if (!hidden || !name) return 0;
    snprintf(list, sizeof list, " %s ", hidden);
    snprintf(wanted, sizeof wanted, " %s ", name);
    return strstr(list, wanted) != NULL;
}

void *dlopen(const char *name, int flags)
{
    void *(*real)(const char *, int);
    void *found = dlsym(RTLD_NEXT, "dlopen");
    char nobody[512];
    memcpy(&real, &found, sizeof real);
    if (!is_hidden(name)) return real(name, flags);
    snprintf(nobody, sizeof nobody, "%s.hidden", name);
    return real(nobody, flags);
}

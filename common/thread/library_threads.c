/* Libraries that do not survive a thread which cannot be started: OpenBLAS prints a line and sends
 * itself SIGINT, pthreadpool waits for ever, OpenMP calls exit(). All of them start threads by the
 * program's pthread_create(), this one: for them it ends the run in order, and it passes the
 * failures of whoever else calls it on to them. It is linked into programs only; the library that
 * is installed must not change those of others. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"

#ifndef PF_SANITIZED /* sanitizers have a pthread_create() of their own */

typedef int Create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

static bool is_fragile(const char *file)
{
    static const char *const parts[] = {"blas", "pthreadpool", "gomp", "omp5", "torch"};
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    if (strncmp(name, "lib", 3)) return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static Create *create;

static void find_create(void)
{
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&create, &symbol, sizeof create); /* ISO C has no cast for this */
}

/* The journal of a run is whole at any time, and other files are renamed into place. */
static _Noreturn void end_run(const char *library, int cause)
{
    PfError err = {0};
    pf_fail(&err, PF_EXIT_FAILED,
            "cannot start a thread for '%s', which does not go on without: %s. Hint: memory or the "
            "number of threads is limited (ulimit -v, ulimit -u, a control group); --threads 1 "
            "takes fewer",
            library, strerror(cause));
    _exit(pf_log_error(&err));
}

__attribute__((visibility("default"))) int pthread_create(pthread_t *thread,
                                                          const pthread_attr_t *attributes,
                                                          void *(*start)(void *), void *argument)
{
    Dl_info caller;
    pthread_once(&once, find_create);
    int cause = create ? create(thread, attributes, start, argument) : ENOSYS;
    if (cause && dladdr(__builtin_return_address(0), &caller) && caller.dli_fname &&
        is_fragile(caller.dli_fname))
        end_run(caller.dli_fname, cause);
    return cause;
}

#endif

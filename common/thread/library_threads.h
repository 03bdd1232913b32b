/* Libraries that do not survive a thread which cannot be started: OpenBLAS prints a line and sends
 * itself SIGINT, pthreadpool waits for ever, OpenMP calls exit(). All of them start threads by the
 * program's pthread_create(), the one in library_threads.c: there the run ends in order. It passes
 * the failures of whoever else calls it on to them. */
#ifndef PF_COMMON_THREAD_LIBRARY_THREADS_H
#define PF_COMMON_THREAD_LIBRARY_THREADS_H

#include <stdbool.h>

/* Whether the library of that file, "libopenblas.so.0", is such a one. */
bool pf_library_threads_is_fragile(const char *file);

#endif

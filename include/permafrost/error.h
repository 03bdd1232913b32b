/* Errors as values.
 *
 * A function that can fail returns 0 or -1 and takes a PfError * as its last
 * argument. Whoever detects the failure writes the whole sentence (file, what
 * was expected, what was found, a hint where one helps); callers pass it on
 * unchanged. */
#ifndef PERMAFROST_ERROR_H
#define PERMAFROST_ERROR_H

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Exit codes of the programs. */
typedef enum PfExit {
    PF_EXIT_DONE = 0,
    PF_EXIT_FAILED = 1,
    PF_EXIT_USAGE = 2,
    PF_EXIT_BAD_IMAGES = 3, /* more unusable images than --max-bad allows */
    PF_EXIT_IDENTITY = 4,   /* the cache or backbone is not the one asked for */
    PF_EXIT_ASSERT = 5,     /* train --assert was not met */
    PF_EXIT_INTERRUPTED = 130,
} PfExit;

typedef struct PfError {
    int exit_code;      /* a PfExit; 0 while nothing has failed */
    char message[2000]; /* UTF-8, no trailing newline; may hold line breaks */
} PfError;

/* Fills err (if it is not NULL) and returns -1, so that callers can write
 * `return pf_fail(err, PF_EXIT_FAILED, "...")`. */
int pf_fail(PfError *err, PfExit exit_code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As pf_fail, with ": <strerror(errno)>" appended, and exit code PF_EXIT_FAILED, or
 * PF_EXIT_INTERRUPTED where a signal ended what was waited for. */
int pf_fail_errno(PfError *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop
#endif

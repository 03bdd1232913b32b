/* What a program owes its surroundings: standard input, output and error, and signals. */
#ifndef PF_COMMON_BASE_PROCESS_H
#define PF_COMMON_BASE_PROCESS_H

#include <signal.h>

#include "permafrost/error.h"

/* First of all in main(). A program may be started without some of the three (`>&-`): then the
 * first file that it opens would take that number, and what is printed would go into it. Here the
 * number is taken by something that can be neither printed to nor read from. Lines on stderr are
 * written whole. */
void pf_process_begin_streams(void);

/* Prints what waits to be printed on stdout; fails where any of what was printed since the
 * beginning did not get there, on a full disk for instance. */
int pf_process_finish_output(PfError *err);

/* Prints text on stdout, to its end. */
int pf_process_write_output(const char *text, PfError *err);

/* So long after a signal the loops that look at the flag have seen it. */
#ifdef PF_SANITIZED
#define PF_PROCESS_GRACE_SECONDS 15
#else
#define PF_PROCESS_GRACE_SECONDS 1.5
#endif

/* Ctrl-C and SIGTERM as a flag that long loops look at. From now on the first of them sets the
 * flag, so that the run can end in order. What has not ended after 1.5 seconds, in a library for
 * instance that waits for what never comes, is ended there and then, with exit code 130 or 143 and
 * "interrupted, and ended at once: AFTERWARDS"; a second signal does so at once. Files are whole
 * whenever that is: they are renamed into place, or are journals. A file-size limit shows as a
 * failed write instead of a signal. Call after pf_log_setup(). Returns the flag; static storage. */
const volatile sig_atomic_t *pf_process_catch_interrupts(const char *afterwards);

/* The exit code of a run that failed with `code`: after SIGTERM that of SIGTERM. */
int pf_process_exit_code(int code);

/* After a signal: the run may take so many seconds from now on, for what is worth waiting for. */
void pf_process_grant_seconds(double seconds);

#endif

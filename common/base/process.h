/* What a program owes its surroundings: standard input, output and error, and signals. */
#ifndef PF_COMMON_BASE_PROCESS_H
#define PF_COMMON_BASE_PROCESS_H

#include <signal.h>

#include "permafrost/error.h"

/* First of all in main(). A program may be started without some of the three (`>&-`): then the
 * first file that it opens would take that number, and what is printed would go into it. Here the
 * number is taken by something that can be neither printed to nor read from. */
void pf_process_begin_streams(void);

/* Prints what waits to be printed on stdout; fails where any of what was printed since the
 * beginning did not get there, on a full disk for instance. */
int pf_process_finish_output(PfError *err);

/* Prints text on stdout, to its end. */
int pf_process_write_output(const char *text, PfError *err);

/* Ctrl-C and SIGTERM as a flag that long loops look at. From now on the first of them sets the
 * flag, so that the run can end in order; a second one ends it at once. A file-size limit shows as
 * a failed write instead of a signal. Returns the flag; static storage. */
const volatile sig_atomic_t *pf_process_catch_interrupts(void);

#endif

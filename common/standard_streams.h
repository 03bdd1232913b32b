/* Standard input, output and error of a program. */
#ifndef PF_STANDARD_STREAMS_H
#define PF_STANDARD_STREAMS_H

#include "permafrost/error.h"

/* First of all in main(). A program may be started without some of the three (`>&-`): then the
 * first file that it opens would take that number, and what is printed would go into it. Here the
 * number is taken by something that can be neither printed to nor read from. */
void pf_standard_streams_begin(void);

/* Prints what waits to be printed on stdout; fails where any of what was printed since the
 * beginning did not get there, on a full disk for instance. */
int pf_standard_output_finish(PfError *err);

/* Prints text on stdout, to its end. */
int pf_standard_output_write(const char *text, PfError *err);

#endif

/* Ctrl-C and SIGTERM as a flag that long loops look at. */
#ifndef PF_INTERRUPT_H
#define PF_INTERRUPT_H

#include <signal.h>

/* From now on the first SIGINT or SIGTERM sets the flag, so that the run can end
 * in order; a second one ends it at once. A file-size limit shows as a failed
 * write instead of a signal. Returns the flag; static storage. */
const volatile sig_atomic_t *pf_interrupt_catch(void);

#endif

/* How far the work is: a bar on a terminal, else a line every few seconds. */
#ifndef PF_PROGRESS_H
#define PF_PROGRESS_H

#include <stdint.h>

typedef struct PfProgress {
    const char *what; /* "images" */
    int64_t total;
    double started, last_shown; /* pf_seconds() */
    int64_t rate_from;          /* work done when the rate's clock started */
    double rate_since;
    int drawn; /* a bar is on the terminal's last line */
} PfProgress;

void pf_progress_start(PfProgress *progress, const char *what, int64_t total);
/* Call as often as convenient, from one thread; draws at most six times a
 * second on a terminal and every ten seconds elsewhere. note may be NULL. */
void pf_progress_update(PfProgress *progress, int64_t done, const char *note);
/* Erases the bar. */
void pf_progress_end(PfProgress *progress);

#endif

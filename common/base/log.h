/* Words for people: progress on stderr, what was found out on stdout. */
#ifndef PF_COMMON_BASE_LOG_H
#define PF_COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "permafrost/error.h"

/* PF_SILENT: not even warnings. */
typedef enum PfVerbosity {
    PF_SILENT = -2,
    PF_QUIET = -1,
    PF_NORMAL = 0,
    PF_VERBOSE = 1
} PfVerbosity;

/* program: printed before warnings and errors. Call once, before any thread. */
void pf_log_setup(const char *program, PfVerbosity verbosity);
const char *pf_log_program(void); /* static */
PfVerbosity pf_log_verbosity(void);

/* A line of what the program was asked for, such as a table: on stdout, or where pf_log_show_on()
 * said; not with -q. Lines of both streams come in the order in which they were written. */
void pf_show(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* stderr, where something else goes to stdout; before the first pf_show(). */
void pf_log_show_on(FILE *stream);
/* Columns of the terminal that pf_show() writes to; 80 where it is none. */
int pf_log_show_columns(void);

/* A line unless -q was given. */
void pf_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A line only with -v. */
void pf_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "program: warning: ...", also with -q, but not when silent. */
void pf_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "program: error: ...", or nothing where the message is empty, as somebody else has said it;
 * returns the exit code to leave with. */
int pf_log_error(const PfError *err);

/* Whether stderr is a terminal that understands \r and erasing.
 * PF_FAKE_TERMINAL=1 in the environment says yes, for tests, and COLUMNS how wide. */
bool pf_log_is_terminal(void);

/* Columns of the terminal that the descriptor is; 80 where it is none, or does not say. */
int pf_log_columns(int descriptor);

/* ---- how far the work is: a bar on a terminal, as wide as that allows, else now and then a line
 * with the time ---- */

typedef struct PfProgress {
    const char *what; /* "images" */
    int64_t total;
    double started, last_shown; /* pf_clock_seconds() */
    int64_t rate_from;          /* work done when the rate's clock started */
    double rate_since;
    bool drawn; /* a bar is on the terminal's last line */
} PfProgress;

void pf_progress_start(PfProgress *progress, const char *what, int64_t total);
/* Call as often as convenient, from one thread; draws at most six times a
 * second on a terminal; elsewhere every ten seconds of the first two minutes, then
 * every minute, after an hour every five. note may be NULL. */
void pf_progress_update(PfProgress *progress, int64_t done, const char *note);
/* Erases the bar. */
void pf_progress_end(PfProgress *progress);

#endif

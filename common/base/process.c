#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "common/base/log.h"

/* A line is written at once: the lines of processes that share stderr, as the ranks of MPI do, do
 * not mix. */
void pf_process_begin_streams(void)
{
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return;
}

int pf_process_finish_output(PfError *err)
{
    errno = 0;
    if (!fflush(stdout) && !ferror(stdout)) return 0;
    if (errno) return pf_fail_errno(err, "cannot write to standard output");
    return pf_fail(err, PF_EXIT_FAILED, "cannot write to standard output: a part of it is lost");
}

int pf_process_write_output(const char *text, PfError *err)
{
    fputs(text, stdout);
    return pf_process_finish_output(err);
}

/* ==== signals ==== */

/* Whoever sends a signal to a process and to its group, as timeout(1) does, sends it twice. */
#define SAME_SIGNAL_SECONDS 0.2

static volatile sig_atomic_t interrupted;
static double interrupted_at;
static char last_words[256];

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void set_timer(double seconds)
{
    time_t whole = (time_t)seconds;
    struct itimerval timer = {.it_value = {whole, (suseconds_t)(1e6 * (seconds - (double)whole))}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* On Linux all that these two call is safe in a handler. */
static void note_signal(int number)
{
    if (interrupted && now_seconds() - interrupted_at > SAME_SIGNAL_SECONDS) _exit(128 + number);
    if (interrupted) return;
    interrupted_at = now_seconds();
    interrupted = number;
    set_timer(PF_PROCESS_GRACE_SECONDS);
}

static void cut_off(int number)
{
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, last_words, strlen(last_words));
    (void)ignored;
    _exit(128 + interrupted);
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGINT);
    sigaddset(&action.sa_mask, SIGTERM);
    sigaction(number, &action, NULL);
}

const volatile sig_atomic_t *pf_process_catch_interrupts(const char *afterwards)
{
    snprintf(last_words, sizeof last_words, "%s: error: interrupted, and ended at once: %s\n",
             pf_log_program(), afterwards);
    handle(SIGALRM, cut_off);
    handle(SIGINT, note_signal);
    handle(SIGTERM, note_signal);
    signal(SIGXFSZ, SIG_IGN);
    return &interrupted;
}

int pf_process_exit_code(int code)
{
    return code == PF_EXIT_INTERRUPTED && interrupted ? 128 + interrupted : code;
}

void pf_process_grant_seconds(double seconds)
{
    if (interrupted) set_timer(seconds);
}

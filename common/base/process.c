#include "common/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

void pf_process_begin_streams(void)
{
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

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
    interrupted = number;
}

const volatile sig_atomic_t *pf_process_catch_interrupts(void)
{
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGXFSZ, SIG_IGN);
    return &interrupted;
}

#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "printable.h"

static const char *program_name = "permafrost";
static PfVerbosity verbosity_now = PF_NORMAL;

void pf_log_setup(const char *program, PfVerbosity verbosity)
{
    program_name = program;
    verbosity_now = verbosity;
}

const char *pf_log_program(void)
{
    return program_name;
}

PfVerbosity pf_log_verbosity(void)
{
    return verbosity_now;
}

static void say_line(const char *prefix, const char *format, va_list arguments)
{
    /* One stream operation a line, so that lines of two threads never mix. */
    flockfile(stderr);
    if (prefix) pf_print(stderr, "%s: %s: ", program_name, prefix);
    pf_vprint(stderr, format, arguments);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void pf_say(const char *format, ...)
{
    if (verbosity_now < PF_NORMAL) return;
    va_list arguments;
    va_start(arguments, format);
    say_line(NULL, format, arguments);
    va_end(arguments);
}

void pf_detail(const char *format, ...)
{
    if (verbosity_now < PF_VERBOSE) return;
    va_list arguments;
    va_start(arguments, format);
    say_line(NULL, format, arguments);
    va_end(arguments);
}

void pf_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say_line("warning", format, arguments);
    va_end(arguments);
}

int pf_report_error(const PfError *err)
{
    pf_print(stderr, "%s: error: %" PF_SENTENCE "\n", program_name, err->message);
    return err->exit_code ? err->exit_code : PF_EXIT_FAILED;
}

int pf_log_is_terminal(void)
{
    const char *fake = getenv("PF_FAKE_TERMINAL");
    if (fake && !strcmp(fake, "1")) return 1;
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

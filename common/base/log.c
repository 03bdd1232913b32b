#include "common/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/printable.h"

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

static void print_line(const char *prefix, const char *format, va_list arguments)
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
    print_line(NULL, format, arguments);
    va_end(arguments);
}

void pf_detail(const char *format, ...)
{
    if (verbosity_now < PF_VERBOSE) return;
    va_list arguments;
    va_start(arguments, format);
    print_line(NULL, format, arguments);
    va_end(arguments);
}

void pf_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("warning", format, arguments);
    va_end(arguments);
}

int pf_log_error(const PfError *err)
{
    pf_print(stderr, "%s: error: %" PF_SENTENCE "\n", program_name, err->message);
    return err->exit_code ? err->exit_code : PF_EXIT_FAILED;
}

bool pf_log_is_terminal(void)
{
    const char *fake = getenv("PF_FAKE_TERMINAL");
    if (fake && !strcmp(fake, "1")) return true;
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
}

int pf_log_columns(int descriptor)
{
    struct winsize size;
    return ioctl(descriptor, TIOCGWINSZ, &size) ? 0 : size.ws_col;
}

/* ==== how far the work is ==== */

#define BAR_WIDTH 24

void pf_progress_start(PfProgress *progress, const char *what, int64_t total)
{
    double now = pf_clock_seconds();
    *progress = (PfProgress){
        .what = what, .total = total, .started = now, .last_shown = now, .rate_since = now};
}

static double rate_now(const PfProgress *progress, int64_t done, double now)
{
    double elapsed = now - progress->rate_since;
    return elapsed > 0 ? (double)(done - progress->rate_from) / elapsed : 0;
}

/* ", 43/s, 12 s left": what is known. No guess of the rest before a tenth is done. */
static void rate_text(const PfProgress *progress, int64_t done, double rate, char *text,
                      size_t size)
{
    char duration[PF_DURATION_SIZE];
    text[0] = '\0';
    if (rate <= 0) return;
    int used = snprintf(text, size, ", %.0f/s", rate);
    if (done * 10 < progress->total || done >= progress->total) return;
    pf_clock_duration_text((double)(progress->total - done) / rate, duration);
    snprintf(text + used, size - (size_t)used, ", %s left", duration);
}

static void draw_bar(PfProgress *progress, int64_t done, const char *text)
{
    char bar[BAR_WIDTH + 1];
    int filled = progress->total > 0 ? (int)(BAR_WIDTH * done / progress->total) : 0;
    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', (size_t)filled);
    bar[BAR_WIDTH] = '\0';
    /* A line that the terminal breaks could not be erased. The bar goes first, then the text's end.
     */
    int columns = pf_log_columns(STDERR_FILENO), width = (int)strlen(text);
    if (columns && columns <= BAR_WIDTH + 3 + width)
        pf_print(stderr, "\r\033[K%.*s", columns - 1, text);
    else
        pf_print(stderr, "\r\033[K[%s] %s", bar, text);
    fflush(stderr);
    progress->drawn = true;
}

void pf_progress_update(PfProgress *progress, int64_t done, const char *note)
{
    if (pf_log_verbosity() < PF_NORMAL) return;
    double now = pf_clock_seconds();
    bool terminal = pf_log_is_terminal();
    /* The rate leaves out the warm-up: whatever came before the first report. */
    if (!progress->rate_from && done > 0) {
        progress->rate_from = done;
        progress->rate_since = now;
    }
    if (now - progress->last_shown < (terminal ? 1.0 / 6 : 10.0)) return;
    progress->last_shown = now;
    char rate[PF_DURATION_SIZE + 32], text[160];
    rate_text(progress, done, rate_now(progress, done, now), rate, sizeof rate);
    snprintf(text, sizeof text, "%lld/%lld %s%s%s%s", (long long)done, (long long)progress->total,
             progress->what, rate, note && *note ? ", " : "", note ? note : "");
    if (terminal)
        draw_bar(progress, done, text);
    else
        pf_say("%s", text);
}

void pf_progress_end(PfProgress *progress)
{
    if (progress->drawn) fprintf(stderr, "\r\033[K");
    progress->drawn = false;
}

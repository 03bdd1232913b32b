#include "common/base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
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

/* One stream operation a line, so that lines of two threads never mix. */
static void print_line_on(FILE *stream, const char *prefix, const char *format, va_list arguments)
{
    flockfile(stream);
    if (prefix) pf_print(stream, "%s: %s: ", program_name, prefix);
    pf_vprint(stream, format, arguments);
    fputc('\n', stream);
    funlockfile(stream);
}

static void print_line(const char *prefix, const char *format, va_list arguments)
{
    print_line_on(stderr, prefix, format, arguments);
}

/* ---- results ---- */

static FILE *shown_on; /* NULL: stdout */

void pf_log_show_on(FILE *stream)
{
    shown_on = stream;
}

void pf_show(const char *format, ...)
{
    FILE *stream = shown_on ? shown_on : stdout;
    if (verbosity_now < PF_NORMAL) return;
    va_list arguments;
    va_start(arguments, format);
    print_line_on(stream, NULL, format, arguments);
    va_end(arguments);
    fflush(stream); /* whether it got there is asked in the end, pf_process_finish_output() */
}

int pf_log_columns(int descriptor)
{
    struct winsize size;
    const char *said = getenv("COLUMNS"), *fake = getenv("PF_FAKE_TERMINAL");
    if (!ioctl(descriptor, TIOCGWINSZ, &size) && size.ws_col) return size.ws_col;
    int columns = fake && said ? atoi(said) : 0;
    return columns > 0 && columns < 10000 ? columns : 80;
}

int pf_log_show_columns(void)
{
    return pf_log_columns(fileno(shown_on ? shown_on : stdout));
}

/* ---- words ---- */

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
    if (verbosity_now <= PF_SILENT) return;
    va_list arguments;
    va_start(arguments, format);
    print_line("warning", format, arguments);
    va_end(arguments);
}

int pf_log_error(const PfError *err)
{
    if (*err->message)
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

/* ==== how far the work is ==== */

#define BAR_MOST 24
#define BAR_LEAST 6
#define BAR_FRAME 4 /* "[" and "] ", and the last column, where terminals wrap */

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

/* What a line says, most important first. */
typedef struct Parts {
    char done[64], left[PF_DURATION_SIZE + 16], rate[32], note[160];
} Parts;

/* No guess of the rest before a tenth is done, or half a minute is over. */
static void fill_parts(const PfProgress *progress, int64_t done, double now, const char *note,
                       Parts *parts)
{
    char duration[PF_DURATION_SIZE];
    double rate = rate_now(progress, done, now);
    bool is_early = done * 10 < progress->total && now - progress->rate_since < 30;
    *parts = (Parts){0};
    snprintf(parts->done, sizeof parts->done, "%lld/%lld %s", (long long)done,
             (long long)progress->total, progress->what);
    if (note && *note) snprintf(parts->note, sizeof parts->note, ", %s", note);
    if (rate <= 0) return;
    snprintf(parts->rate, sizeof parts->rate, rate < 10 ? ", %.1f/s" : ", %.0f/s", rate);
    if (is_early || done >= progress->total) return;
    pf_clock_duration_text((double)(progress->total - done) / rate, duration);
    snprintf(parts->left, sizeof parts->left, ", %s left", duration);
}

/* Into text, which is returned: as many of the parts as fit into columns. */
static const char *join_parts(const Parts *parts, size_t columns, char *text, size_t size)
{
    const bool has_left = strlen(parts->done) + strlen(parts->left) <= columns;
    const char *left = has_left ? parts->left : "";
    size_t used = strlen(parts->done) + strlen(left);
    const bool has_rate = used + strlen(parts->rate) <= columns;
    const char *rate = has_rate ? parts->rate : "";
    used += strlen(rate);
    const bool has_note = used + strlen(parts->note) <= columns;
    snprintf(text, size, "%s%s%s%s", parts->done, rate, left, has_note ? parts->note : "");
    if (strlen(text) > columns && columns < size) text[columns] = '\0';
    return text;
}

/* The bar takes what the words leave, and goes first where there is no room. */
static void draw_bar(PfProgress *progress, int64_t done, const Parts *parts)
{
    char bar[BAR_MOST + 1], text[320];
    int columns = pf_log_columns(STDERR_FILENO);
    join_parts(parts, columns > 1 ? (size_t)columns - 1 : 1, text, sizeof text);
    int room = columns - BAR_FRAME - (int)strlen(text), width = room < BAR_MOST ? room : BAR_MOST;
    if (width < BAR_LEAST) {
        pf_print(stderr, "\r\033[K%s", text);
    } else {
        int64_t filled = progress->total > 0 ? width * done / progress->total : 0;
        memset(bar, '.', (size_t)width);
        memset(bar, '#', (size_t)(filled < width ? filled : width));
        bar[width] = '\0';
        pf_print(stderr, "\r\033[K[%s] %s", bar, text);
    }
    fflush(stderr);
    progress->drawn = true;
}

static void print_dated(const Parts *parts)
{
    char text[320], now[32];
    time_t seconds = time(NULL);
    struct tm local;
    localtime_r(&seconds, &local);
    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S", &local);
    pf_say("%s %s", now, join_parts(parts, sizeof text - 1, text, sizeof text));
}

/* Seconds between two showings. */
static double pause_of(const PfProgress *progress, double now)
{
    double elapsed = now - progress->started;
    if (pf_log_is_terminal()) return 1.0 / 6;
    return elapsed < 120 ? 10 : elapsed < 3600 ? 60 : 300;
}

void pf_progress_update(PfProgress *progress, int64_t done, const char *note)
{
    if (pf_log_verbosity() < PF_NORMAL) return;
    double now = pf_clock_seconds();
    /* The rate leaves out the warm-up: whatever came before the first report. */
    if (!progress->rate_from && done > 0) {
        progress->rate_from = done;
        progress->rate_since = now;
    }
    if (now - progress->last_shown < pause_of(progress, now)) return;
    progress->last_shown = now;
    Parts parts;
    fill_parts(progress, done, now, note, &parts);
    if (pf_log_is_terminal())
        draw_bar(progress, done, &parts);
    else
        print_dated(&parts);
}

void pf_progress_end(PfProgress *progress)
{
    if (progress->drawn) fprintf(stderr, "\r\033[K");
    progress->drawn = false;
}

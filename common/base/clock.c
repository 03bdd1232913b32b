#include "common/base/clock.h"

#include <stdio.h>
#include <time.h>

double pf_clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

const char *pf_clock_duration_text(double seconds, char text[PF_DURATION_SIZE])
{
    if (seconds < 0) seconds = 0;
    long whole = (long)(seconds + 0.5);
    if (seconds < 10)
        snprintf(text, PF_DURATION_SIZE, "%.2f s", seconds);
    else if (seconds < 100)
        snprintf(text, PF_DURATION_SIZE, "%.1f s", seconds);
    else if (whole < 3600)
        snprintf(text, PF_DURATION_SIZE, "%ld min %02ld s", whole / 60, whole % 60);
    else
        snprintf(text, PF_DURATION_SIZE, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
    return text;
}

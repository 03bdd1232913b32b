/* Monotonic time. */
#ifndef PF_COMMON_BASE_CLOCK_H
#define PF_COMMON_BASE_CLOCK_H

/* Seconds since some fixed point; only differences mean something. */
double pf_clock_seconds(void);

/* "0.16 s", "2 min 05 s", "3 h 12 min": into text, which is returned. */
#define PF_DURATION_SIZE 32
const char *pf_clock_duration_text(double seconds, char text[PF_DURATION_SIZE]);

#endif

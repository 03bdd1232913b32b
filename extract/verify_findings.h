/* What --verify has found: lines on a stream, of each kind not too many. */
#ifndef PF_VERIFY_FINDINGS_H
#define PF_VERIFY_FINDINGS_H

#include <stdint.h>
#include <stdio.h>

typedef struct PfFindings {
    FILE *out;
    int64_t total;
    int64_t of_kind; /* since pf_findings_begin */
} PfFindings;

/* A kind of finding begins: its first lines are shown, with -v all. */
void pf_findings_begin(PfFindings *findings);
void pf_findings_add(PfFindings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Says how many of the kind were not shown. */
void pf_findings_end(PfFindings *findings);

#endif

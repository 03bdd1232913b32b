/* What --verify has found: lines on a stream, of each kind not too many. */
#include <stdarg.h>

#include "common/base/log.h"
#include "common/base/printable.h"
#include "extract/verify/internal.h"

#define SHOWN_OF_A_KIND 20

void pf_findings_begin(PfFindings *findings)
{
    findings->of_kind = 0;
}

void pf_findings_add(PfFindings *findings, const char *format, ...)
{
    va_list arguments;
    findings->total++;
    if (++findings->of_kind > SHOWN_OF_A_KIND && pf_log_verbosity() < PF_VERBOSE) return;
    va_start(arguments, format);
    pf_vprint(findings->out, format, arguments);
    va_end(arguments);
    fputc('\n', findings->out);
}

void pf_findings_end(PfFindings *findings)
{
    if (findings->of_kind > SHOWN_OF_A_KIND && pf_log_verbosity() < PF_VERBOSE)
        pf_print(findings->out, "... and %lld more of this kind (-v shows all)\n",
                 (long long)(findings->of_kind - SHOWN_OF_A_KIND));
}

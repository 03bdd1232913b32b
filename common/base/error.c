#include "permafrost/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "common/base/printable.h"

int pf_fail(PfError *err, PfExit exit_code, const char *format, ...)
{
    if (!err) return -1;
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    err->exit_code = (int)exit_code;
    return -1;
}

int pf_fail_errno(PfError *err, const char *format, ...)
{
    int number = errno;
    if (!err) return -1;
    va_list arguments;
    va_start(arguments, format);
    pf_vformat(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    size_t length = strlen(err->message);
    pf_format(err->message + length, sizeof err->message - length, ": %s", strerror(number));
    err->exit_code = number == EINTR ? PF_EXIT_INTERRUPTED : PF_EXIT_FAILED;
    return -1;
}

#include "common/base/size_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/base/options.h"

const char *pf_size_text(int64_t bytes, char text[PF_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1000 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(text, PF_SIZE_TEXT, unit && value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

/* 1, 1000, ... by the letter at *text, which is stepped over with the B behind it. */
static double unit_of(const char **text)
{
    static const char letters[] = "KMGT";
    double unit = 1;
    const char *found = **text ? strchr(letters, toupper((unsigned char)**text)) : NULL;
    for (const char *letter = letters; found && letter <= found; letter++) unit *= 1000;
    if (found) ++*text;
    if (toupper((unsigned char)**text) == 'B') ++*text;
    return unit;
}

int pf_size_text_parse(const char *what, const char *text, int64_t *bytes, PfError *err)
{
    size_t digits = strspn(text, "0123456789.eE+-");
    const char *rest = text + digits;
    double value = 0;
    int is_number = isdigit((unsigned char)*text) && !pf_options_read_double(text, digits, &value);
    value *= unit_of(&rest);
    if (!is_number || *rest || !(value >= 1) || value > 1e18)
        return pf_fail(err, PF_EXIT_USAGE, "%s: expected a size as in 512M or 2G, found '%s'", what,
                       text);
    *bytes = (int64_t)value;
    return 0;
}

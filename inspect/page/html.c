#include "inspect/page/html.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

/* Of a text that is printable already. */
static void put_references(FILE *stream, const char *text, size_t size)
{
    for (const char *c = text; c < text + size; c++) switch (*c) {
        case '&': fputs("&amp;", stream); break;
        case '<': fputs("&lt;", stream); break;
        case '>': fputs("&gt;", stream); break;
        case '"': fputs("&quot;", stream); break;
        case '\'': fputs("&#39;", stream); break;
        default: fputc(*c, stream);
        }
}

static void put_escaped(FILE *stream, const char *text)
{
    char *printable = pf_asprintf(NULL, "%s", text);
    const char *shown = printable ? printable : "?";
    put_references(stream, shown, strlen(shown));
    free(printable);
}

/* How many bytes of the text fit into the columns. */
static size_t fitting_bytes(const char *text, int columns)
{
    size_t size = strlen(text), taken = 0;
    while (taken < size) {
        uint32_t code;
        int bytes = pf_printable_utf8_character(text + taken, size - taken, &code);
        columns -= bytes && code >= 0x1100 ? 2 : 1;
        if (columns < 0) break;
        taken += (size_t)(bytes ? bytes : 1);
    }
    return taken;
}

bool pf_html_print_short(FILE *stream, const char *text, int columns)
{
    char *printable = pf_asprintf(NULL, "%s", text);
    const char *shown = printable ? printable : "?";
    bool is_cut = fitting_bytes(shown, columns) < strlen(shown);
    size_t size = fitting_bytes(shown, is_cut ? columns - 1 : columns);
    put_references(stream, shown, size);
    if (is_cut) fputs("\xe2\x80\xa6", stream);
    free(printable);
    return is_cut;
}

/* One directive, from its % to its letter, with its argument. Returns what comes behind it. */
static const char *put_directive(FILE *stream, const char *format, va_list *arguments)
{
    char directive[32];
    size_t length = 1 + strspn(format + 1, "-+ #0123456789.l");
    if (format[length] == '\0' || length + 2 > sizeof directive) return format + length;
    memcpy(directive, format, length + 1);
    directive[length + 1] = '\0';
    switch (format[length]) {
    case '%': fputc('%', stream); break;
    case 's': put_escaped(stream, va_arg(*arguments, const char *)); break;
    case 'd':
        if (strstr(directive, "ll"))
            fprintf(stream, "%lld", va_arg(*arguments, long long));
        else
            fprintf(stream, "%d", va_arg(*arguments, int));
        break;
    default: {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
        fprintf(stream, directive, va_arg(*arguments, double));
#pragma GCC diagnostic pop
    }
    }
    return format + length + 1;
}

void pf_html_print(FILE *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    while (*format) {
        size_t plain = strcspn(format, "%");
        fwrite(format, 1, plain, stream);
        format += plain;
        if (*format) format = put_directive(stream, format, &arguments);
    }
    va_end(arguments);
}

int pf_html_json(FILE *stream, cJSON *item, PfError *err)
{
    char *text = item ? pf_json_text(item) : NULL;
    cJSON_Delete(item);
    if (!text) return pf_fail(err, PF_EXIT_FAILED, "out of memory for the page");
    for (const char *c = text; *c; c++)
        if (*c == '<')
            fputs("\\u003c", stream);
        else
            fputc(*c, stream);
    free(text);
    return 0;
}

void pf_html_base64(FILE *stream, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)bytes[i] << 16;
        if (left > 1) three |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2) three |= bytes[i + 2];
        fputc(digits[three >> 18], stream);
        fputc(digits[three >> 12 & 63], stream);
        fputc(left > 1 ? digits[three >> 6 & 63] : '=', stream);
        fputc(left > 2 ? digits[three & 63] : '=', stream);
    }
}

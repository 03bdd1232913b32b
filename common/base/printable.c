#include "common/base/printable.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define SPEC_SIZE 64
#define NUMBER_SIZE 512 /* of a double in %f, 309 digits, and what is behind the point */

/* ---- characters ---- */

int pf_printable_utf8_character(const char *text, size_t size, uint32_t *code)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    int length = bytes[0] < 0x80   ? 1
                 : bytes[0] < 0xc0 ? 0
                 : bytes[0] < 0xe0 ? 2
                 : bytes[0] < 0xf0 ? 3
                 : bytes[0] < 0xf8 ? 4
                                   : 0;
    if (!length || (size_t)length > size) return 0;
    *code = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | (bytes[i] & 0x3fu);
    }
    bool is_surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < least[length] || is_surrogate || *code > 0x10ffff ? 0 : length;
}

bool pf_printable_needs_escape(uint32_t code)
{
    static const uint32_t ranges[][2] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     /* control characters */
        {0x61c, 0x61c},   {0x200e, 0x200f}, /* marks of direction */
        {0x2028, 0x202e},                   /* separators of lines, embeddings, overrides */
        {0x2066, 0x2069},                   /* isolates */
        {0xfeff, 0xfeff},                   /* a byte order mark */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (code >= ranges[i][0] && code <= ranges[i][1]) return true;
    return false;
}

/* ---- where it goes ---- */

typedef struct Sink {
    FILE *stream; /* NULL: into text */
    char *text;   /* (size), lent */
    size_t size;
    size_t used, length; /* bytes in text, and what all of it has */
    bool is_full;
} Sink;

/* Bytes that stay together. */
static void put(Sink *sink, const char *bytes, size_t count)
{
    sink->length += count;
    if (sink->stream) {
        fwrite(bytes, 1, count, sink->stream);
        return;
    }
    if (sink->is_full || sink->used + count >= sink->size) {
        sink->is_full = true;
        return;
    }
    memcpy(sink->text + sink->used, bytes, count);
    sink->used += count;
}

static void put_spaces(Sink *sink, long count)
{
    for (; count > 0; count--) put(sink, " ", 1);
}

/* Kinds of conversions whose texts are escaped: %s and %c, PF_SENTENCE, PF_SENTENCE_LINE. */
enum { TEXT = 's', SENTENCE = 'T', SENTENCE_LINE = 'L' };

/* What stands for the character at the front of (size > 0) bytes; returns how many bytes it has
 * there. */
static size_t escape(const char *text, size_t size, char kind, char out[8])
{
    static const char plain[] = "\n\r\t\\", letters[] = "nrt\\";
    uint32_t code = 0;
    int length = pf_printable_utf8_character(text, size, &code);
    const char *found = length == 1 && code ? strchr(plain, (int)code) : NULL;
    bool stays = found && ((kind == SENTENCE && code == '\n') || (kind != TEXT && code == '\\'));
    if (found && !stays)
        snprintf(out, 8, "\\%c", letters[found - plain]);
    else if (!length || (code < 0x80 && pf_printable_needs_escape(code) && !stays))
        snprintf(out, 8, "\\x%02x", (unsigned char)*text);
    else if (pf_printable_needs_escape(code) && !stays)
        snprintf(out, 8, "\\u%04x", (unsigned)code);
    else
        snprintf(out, 8, "%.*s", length, text);
    return length ? (size_t)length : 1;
}

/* ---- conversions ---- */

/* "%-8.3lf": spec has it with its "*" replaced by numbers. */
typedef struct Conversion {
    char spec[SPEC_SIZE];
    size_t spec_length;
    bool is_left, is_limit;
    long width, precision; /* precision: -1 where there is none */
    char length[3], kind;
} Conversion;

static void add_to_spec(Conversion *conversion, const char *text, size_t count)
{
    if (conversion->spec_length + count >= SPEC_SIZE) return;
    memcpy(conversion->spec + conversion->spec_length, text, count);
    conversion->spec_length += count;
    conversion->spec[conversion->spec_length] = '\0';
}

/* Digits, or "*" with its argument. */
static long read_count(const char **at, va_list *arguments)
{
    long value = 0;
    if (**at == '*') {
        ++*at;
        return va_arg(*arguments, int);
    }
    for (; **at >= '0' && **at <= '9'; ++*at)
        if (value < 100000) value = value * 10 + (**at - '0');
    return value;
}

static void add_count(Conversion *conversion, const char *before, long count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%s%ld", before, count);
    add_to_spec(conversion, digits, (size_t)length);
}

/* What begins after a '%'; returns where it ends. */
static const char *read_conversion(const char *at, va_list *arguments, Conversion *conversion)
{
    *conversion = (Conversion){.precision = -1};
    add_to_spec(conversion, "%", 1);
    for (; *at && strchr("-+ #0'", *at); at++) {
        if (*at == '-') conversion->is_left = true;
        add_to_spec(conversion, at, 1);
    }
    conversion->width = read_count(&at, arguments);
    if (conversion->width < 0) {
        conversion->is_left = true;
        conversion->width = -conversion->width;
        add_to_spec(conversion, "-", 1);
    }
    if (conversion->width) add_count(conversion, "", conversion->width);
    if (*at == '.') {
        at++;
        conversion->is_limit = *at != '*';
        conversion->precision = read_count(&at, arguments);
        if (conversion->precision < 0) conversion->precision = -1;
    }
    if (conversion->precision >= 0) add_count(conversion, ".", conversion->precision);
    for (int i = 0; *at && strchr("hljztL", *at); at++) {
        if (i < 2) conversion->length[i++] = *at;
        add_to_spec(conversion, at, 1);
    }
    conversion->kind = *at;
    if (*at) add_to_spec(conversion, at++, 1);
    if (conversion->kind == 'p' && (*at == SENTENCE || *at == SENTENCE_LINE))
        conversion->kind = *at++;
    return at;
}

/* Bytes of text that a precision leaves. One that the format itself names is a limit, which cuts
 * no character in two; "%.*s" says how long a text is that need not end there. */
static size_t kept_bytes(const char *text, const Conversion *conversion)
{
    uint32_t code;
    if (conversion->precision < 0) return strlen(text);
    size_t size = strnlen(text, (size_t)conversion->precision);
    if (!conversion->is_limit || size < (size_t)conversion->precision) return size;
    size_t start = size;
    while (start && size - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) start--;
    if (!start || (unsigned char)text[start - 1] < 0xc0) return size;
    return pf_printable_utf8_character(text + start - 1, size - start + 1, &code) ? size
                                                                                  : start - 1;
}

static void put_text(Sink *sink, const Conversion *conversion, const char *text)
{
    char out[8];
    if (!text) text = "(null)";
    size_t size = kept_bytes(text, conversion), width = 0;
    for (size_t i = 0; i < size;) {
        i += escape(text + i, size - i, conversion->kind, out);
        width += strlen(out);
    }
    long pad = conversion->width - (long)width;
    if (!conversion->is_left) put_spaces(sink, pad);
    for (size_t i = 0; i < size;) {
        i += escape(text + i, size - i, conversion->kind, out);
        put(sink, out, strlen(out));
    }
    if (conversion->is_left) put_spaces(sink, pad);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static int signed_number(const Conversion *conversion, va_list *arguments, char *out)
{
    const char *spec = conversion->spec;
    switch (conversion->length[0]) {
    case 'l':
        if (conversion->length[1] == 'l')
            return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, long long));
        return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, long));
    case 'j': return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, intmax_t));
    case 'z':
    case 't': return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, ptrdiff_t));
    default: return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, int));
    }
}

static int unsigned_number(const Conversion *conversion, va_list *arguments, char *out)
{
    const char *spec = conversion->spec;
    switch (conversion->length[0]) {
    case 'l':
        if (conversion->length[1] == 'l')
            return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, unsigned long long));
        return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, unsigned long));
    case 'j': return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, uintmax_t));
    case 'z':
    case 't': return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, size_t));
    default: return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, unsigned));
    }
}

static int real_number(const Conversion *conversion, va_list *arguments, char *out)
{
    const char *spec = conversion->spec;
    if (conversion->length[0] == 'L')
        return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, long double));
    return snprintf(out, NUMBER_SIZE, spec, va_arg(*arguments, double));
}

static int pointer(const Conversion *conversion, va_list *arguments, char *out)
{
    return snprintf(out, NUMBER_SIZE, conversion->spec, va_arg(*arguments, void *));
}

#pragma GCC diagnostic pop

static void put_number(Sink *sink, const Conversion *conversion, va_list *arguments)
{
    char out[NUMBER_SIZE];
    int length = strchr("di", conversion->kind)     ? signed_number(conversion, arguments, out)
                 : strchr("uoxX", conversion->kind) ? unsigned_number(conversion, arguments, out)
                 : strchr("fFeEgGaA", conversion->kind) ? real_number(conversion, arguments, out)
                                                        : pointer(conversion, arguments, out);
    if (length >= NUMBER_SIZE) length = NUMBER_SIZE - 1;
    if (length > 0) put(sink, out, (size_t)length);
}

static void put_conversion(Sink *sink, const Conversion *conversion, va_list *arguments)
{
    switch (conversion->kind) {
    case '%': put(sink, "%", 1); break;
    case 's':
    case SENTENCE:
    case SENTENCE_LINE: put_text(sink, conversion, va_arg(*arguments, const char *)); break;
    case 'c': {
        const char one[2] = {(char)va_arg(*arguments, int), '\0'};
        put_text(sink, conversion, one);
        break;
    }
    default: put_number(sink, conversion, arguments); break;
    }
}

/* The format's own text goes as it is. */
static void put_all(Sink *sink, const char *format, va_list *arguments)
{
    while (*format) {
        Conversion conversion;
        uint32_t code;
        if (*format == '%') {
            format = read_conversion(format + 1, arguments, &conversion);
            put_conversion(sink, &conversion, arguments);
            continue;
        }
        size_t plain = sink->stream ? strcspn(format, "%") : 0;
        int length = pf_printable_utf8_character(format, strnlen(format, 4), &code);
        if (!plain) plain = length ? (size_t)length : 1;
        put(sink, format, plain);
        format += plain;
    }
}

int pf_vformat(char *text, size_t size, const char *format, va_list arguments)
{
    Sink sink = {.text = text, .size = size};
    va_list copy; /* an array on some machines: only a copy's address has the right type */
    va_copy(copy, arguments);
    put_all(&sink, format, &copy);
    va_end(copy);
    if (size) text[sink.used] = '\0';
    return (int)sink.length;
}

int pf_format(char *text, size_t size, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = pf_vformat(text, size, format, arguments);
    va_end(arguments);
    return length;
}

void pf_vprint(FILE *stream, const char *format, va_list arguments)
{
    Sink sink = {.stream = stream};
    va_list copy;
    va_copy(copy, arguments);
    flockfile(stream);
    put_all(&sink, format, &copy);
    funlockfile(stream);
    va_end(copy);
}

void pf_print(FILE *stream, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pf_vprint(stream, format, arguments);
    va_end(arguments);
}

const char *pf_printable_text(const char *text, size_t size, char out[PF_PRINTABLE_SIZE])
{
    if (size > PF_PRINTABLE_SIZE - 1) size = PF_PRINTABLE_SIZE - 1;
    for (size_t i = 0; i < size; i++) out[i] = text[i] ? text[i] : '?';
    out[size] = 0;
    return out;
}

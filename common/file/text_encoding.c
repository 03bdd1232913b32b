#include "common/file/text_encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/memory.h"

/* ---- UTF-8 ---- */

/* Of a character that begins so; 0 where none does. */
static size_t character_size(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first < 0xe0) return 2;
    if (first >= 0xe0 && first < 0xf0) return 3;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/* Neither written with more bytes than it needs, nor half of a pair, nor above U+10FFFF. */
static bool is_second(unsigned char first, unsigned char second)
{
    unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

static bool is_character(const unsigned char *text, size_t length, size_t size)
{
    if (!length || length > size) return false;
    if (length > 1 && !is_second(text[0], text[1])) return false;
    for (size_t i = 2; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return false;
    return true;
}

size_t pf_text_encoding_utf8_length(const char *text, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;
    while (at < size) {
        size_t length = character_size(bytes[at]);
        if (!is_character(bytes + at, length, size - at)) break;
        at += length;
    }
    return at;
}

/* ---- others ---- */

static const char *iconv_name(const char *encoding)
{
    static const char *const spellings[][2] = {
        {"latin-1", "ISO-8859-1"},  {"utf8", "UTF-8"},          {"utf-8-sig", "UTF-8"},
        {"utf_8_sig", "UTF-8"},     {"latin_1", "ISO-8859-1"},  {"ansi", "WINDOWS-1252"},
        {"mac_roman", "MACINTOSH"}, {"mac-roman", "MACINTOSH"},
    };
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (!strcasecmp(encoding, spellings[i][0])) return spellings[i][1];
    return encoding;
}

static int open_converter(const char *encoding, iconv_t *converter, PfError *err)
{
    *converter = iconv_open("UTF-8", iconv_name(encoding));
    if (*converter != (iconv_t)-1) return 0;
    return pf_fail(err, PF_EXIT_USAGE,
                   "--encoding: '%s' is not known here; expected utf-8, latin1, windows-1252, "
                   "utf-16 or another name of iconv -l",
                   encoding);
}

int pf_text_encoding_check(const char *encoding, PfError *err)
{
    iconv_t converter;
    if (open_converter(encoding, &converter, err)) return -1;
    iconv_close(converter);
    return 0;
}

/* The rest of the text, until the room is used up. 1: more room is needed. */
static int convert_part(iconv_t converter, char **text, size_t *left, char **to, size_t *room)
{
    if (iconv(converter, text, left, to, room) != (size_t)-1)
        return iconv(converter, NULL, NULL, to, room) == (size_t)-1;
    return errno == E2BIG ? 1 : -1;
}

int pf_text_encoding_to_utf8(const char *encoding, const char *text, size_t size, char **out,
                             size_t *out_size, size_t *bad, PfError *err)
{
    iconv_t converter;
    char *from = (char *)(uintptr_t)text;
    size_t capacity = 0, left = size, used = 0;
    int status = 1;
    *out = NULL;
    *bad = size;
    if (open_converter(encoding, &converter, err)) return -1;
    while (status > 0) {
        if (pf_grow(out, &capacity, used + left + 65536, 1, err)) break;
        char *to = *out + used;
        size_t room = capacity - used - 1;
        status = convert_part(converter, &from, &left, &to, &room);
        used = (size_t)(to - *out);
    }
    iconv_close(converter);
    if (!status) {
        (*out)[used] = '\0';
        *out_size = used;
        return 0;
    }
    if (status < 0) *bad = size - left;
    free(*out);
    *out = NULL;
    return -1;
}

/* Text from outside made fit to be printed: names of files, classes, targets and tensors, reasons,
 * other programs' messages. What could move a cursor, begin a line or turn the direction of
 * reading becomes a visible escape, from which the text can be had back:
 *
 *   \\            a backslash
 *   \n \r \t      line feed, carriage return, tab
 *   \xNN          another control byte, or a byte that is no UTF-8
 *   \uNNNN        another control character, a separator of lines, a mark of direction
 *
 * pf_fail, pf_say and the others that take a format do so with every "%s" and "%c"; what stands
 * in the format itself, and numbers, stay as they are. "%" PF_SENTENCE takes a text that one
 * of these functions has made, such as the message of a PfError: its line breaks and backslashes
 * stay. "%" PF_SENTENCE_LINE takes one that was kept in a file, and comes from whoever wrote that:
 * its backslashes stay, and its line breaks are escaped. */
#ifndef PF_COMMON_BASE_PRINTABLE_H
#define PF_COMMON_BASE_PRINTABLE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PF_SENTENCE "pT"
#define PF_SENTENCE_LINE "pL"

/* As snprintf: text of size bytes at most with its end, and the length that all of it has. What
 * does not fit is cut at a character or an escape, never within one. */
int pf_format(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int pf_vformat(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* As fprintf, without a result: the stream's error flag tells of failures. */
void pf_print(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));
void pf_vprint(FILE *stream, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* A text from a file, of `size` bytes without an end, for the "%s" of a message: cut to fit, with
 * '?' for a zero, which would end it. Returns out. */
#define PF_PRINTABLE_SIZE 160
const char *pf_printable_text(const char *text, size_t size, char out[PF_PRINTABLE_SIZE]);

/* The character at the front of (size > 0) bytes: how many bytes it has, or 0 where they are no
 * UTF-8. *code is its number. */
int pf_printable_utf8_character(const char *text, size_t size, uint32_t *code);
/* Whether a character is one of those that are not printed as they are; backslashes are. */
bool pf_printable_needs_escape(uint32_t code);

#ifdef __cplusplus
}
#endif

#endif

/* HTML with what came out of files made harmless. */
#ifndef PF_INSPECT_PAGE_HTML_H
#define PF_INSPECT_PAGE_HTML_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "permafrost/error.h"

/* The format is markup, as it is. "%s" takes a text from anywhere: first it is made fit to be
 * printed (common/base/printable.h: control characters, marks of direction and bytes that are no
 * UTF-8 become visible escapes), then & < > " ' become references, so that it can stand between
 * tags and within quotes. "%d", "%lld", "%f", "%g" and their flags are numbers as printf has them;
 * "%%" is a percent sign. Nothing else is known. The stream's error flag tells of failures. */
void pf_html_print(FILE *stream, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As "%s", but of at most so many columns: a longer text is cut and ends in an ellipsis. Characters
 * of East Asian scripts take two columns. Returns whether it was cut. */
bool pf_html_print_short(FILE *stream, const char *text, int columns);

/* JSON for a <script type="application/json">: as json.h writes it, and each < is \u003c, so that
 * nothing in it ends the element. Deletes the item, which may be NULL. */
int pf_html_json(FILE *stream, cJSON *item, PfError *err);

/* Base64 of RFC 4648. */
void pf_html_base64(FILE *stream, const uint8_t *bytes, size_t size);

#endif

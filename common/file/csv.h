/* CSV files (RFC 4180), read and written.
 *
 * Quoted fields may hold commas, quotes and line breaks; lines end in LF, CRLF or CR. Spaces around
 * a field that is not quoted are not part of it. Empty lines are passed over.
 *
 * The delimiter is the one of comma, semicolon and tab that the first line has most of, or
 * else a vertical bar; another one that the first line has too, where that divides all lines
 * alike and the first does not, or leaves no image's name in the first line. A first line "sep=;"
 * says which, and is no record. Lines without any of them are one field, but where each has the
 * same number of words, more than one: then spaces and tabs delimit, unless all lines but the first
 * end in an image's ending. */
#ifndef PF_COMMON_FILE_CSV_H
#define PF_COMMON_FILE_CSV_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "permafrost/error.h"

/* ---- reading ---- */

typedef struct PfCsvReader PfCsvReader;

typedef struct PfCsvOptions {
    const char *encoding; /* of the file (iconv's name); NULL: as it is, but UTF-16 by its mark */
    bool only_first_line; /* delimiters are comma, semicolon and tab, told by the first line
                            alone; a .tsv has tabs; UTF-16 is refused */
} PfCsvOptions;

/* Reads the whole file into memory. options may be NULL. */
int pf_csv_open(const char *path, const PfCsvOptions *options, PfCsvReader **out, PfError *err);
void pf_csv_close(PfCsvReader **reader);

/* The next record: 1, with its fields lent until the next call; 0 where there is none;
 * -1 with the line in err. */
int pf_csv_next(PfCsvReader *reader, const char *const **fields, int *count, PfError *err);
/* The line, from 1, on which the record that was read last begins. */
int64_t pf_csv_line(const PfCsvReader *reader);
/* What stands between fields; a line feed where a line is one field. */
char pf_csv_delimiter(const PfCsvReader *reader);
/* Whether it was UTF-16, as its byte order mark said. */
bool pf_csv_was_utf16(const PfCsvReader *reader);
/* Back to the first record. */
void pf_csv_rewind(PfCsvReader *reader);

/* ---- writing ---- */

typedef struct PfCsv {
    FILE *stream;          /* its error flag tells of failures */
    bool is_terminal;      /* texts are shown as printable.h has it, as people read them */
    bool shields_formulas; /* a text that a spreadsheet would take for a formula, because it begins
                            * with = + - @, a tab or the end of a line, gets a ' in front */
} PfCsv;

/* A text, quoted only where it must be. */
void pf_csv_write_field(const PfCsv *csv, const char *text);
/* The same with an ending, which holds nothing to quote: "age" and "_probability". */
void pf_csv_write_column(const PfCsv *csv, const char *name, const char *ending);

#endif

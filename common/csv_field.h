/* Fields of a CSV file as they are written (RFC 4180). */
#ifndef PF_CSV_FIELD_H
#define PF_CSV_FIELD_H

#include <stdio.h>

typedef struct PfCsv {
    FILE *stream;         /* its error flag tells of failures */
    int is_terminal;      /* texts are shown as printable.h has it, as people read them */
    int shields_formulas; /* a text that a spreadsheet would take for a formula, because it begins
                           * with = + - @, a tab or the end of a line, gets a ' in front */
} PfCsv;

/* A text, quoted only where it must be. */
void pf_csv_write_field(const PfCsv *csv, const char *text);
/* The same with an ending, which holds nothing to quote: "age" and "_probability". */
void pf_csv_write_column(const PfCsv *csv, const char *name, const char *ending);

#endif

/* A field of a CSV file as it is written (RFC 4180). */
#ifndef PF_CSV_FIELD_H
#define PF_CSV_FIELD_H

#include <stdio.h>

/* Quoted only where it must be. The stream's error flag tells of failures. */
void pf_csv_write_field(FILE *stream, const char *text);

#endif

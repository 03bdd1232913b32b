/* Records of a CSV file (RFC 4180): quoted fields with commas, quotes and line breaks in
 * them, LF, CRLF or CR, a byte order mark. Tabs in a .tsv; where the first line has more
 * semicolons or tabs than commas, those. Spaces around a field that is not quoted are not
 * part of it. Empty lines are passed over. */
#ifndef PF_CSV_READER_H
#define PF_CSV_READER_H

#include <stdint.h>

#include "permafrost/error.h"

typedef struct PfCsvReader PfCsvReader;

/* Reads the whole file into memory. */
int pf_csv_open(const char *path, PfCsvReader **out, PfError *err);
void pf_csv_close(PfCsvReader **reader);

/* The next record: 1, with its fields lent until the next call; 0 where there is none;
 * -1 with the line in err. */
int pf_csv_next(PfCsvReader *reader, const char *const **fields, int *count, PfError *err);
/* The line, from 1, on which the record that was read last begins. */
int64_t pf_csv_line(const PfCsvReader *reader);
/* Back to the first record. */
void pf_csv_rewind(PfCsvReader *reader);

#endif

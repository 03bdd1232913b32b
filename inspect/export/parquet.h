/* Parquet files: tables of columns, one group of rows after the other, plain and uncompressed.
 *
 * https://parquet.apache.org/docs/file-format/: pages of PLAIN values with RLE levels, a footer in
 * Thrift's compact protocol. No more of the format is written than these columns need; every reader
 * has to know it. */
#ifndef PF_INSPECT_EXPORT_PARQUET_H
#define PF_INSPECT_EXPORT_PARQUET_H

#include <stdint.h>
#include <stdio.h>

#include "permafrost/error.h"

typedef enum PfParquetKind {
    PF_PARQUET_INT,    /* int32 */
    PF_PARQUET_FLOAT,  /* float32 */
    PF_PARQUET_TEXT,   /* UTF-8 */
    PF_PARQUET_VECTOR, /* a list of `width` float32 in each row */
    PF_PARQUET_LIST,   /* a list of `width` int32 in each row */
} PfParquetKind;

typedef struct PfParquetColumn {
    const char *name;
    PfParquetKind kind;
    int64_t width;            /* of vectors and lists, at least 1 */
    const int32_t *ints;      /* (rows), or (rows, width): those of a group */
    const float *floats;      /* (rows), or (rows, width) */
    const char *const *texts; /* (rows) valid UTF-8 */
} PfParquetColumn;

typedef struct PfParquet PfParquet;

/* Writes to the stream, whose error flag tells of failures. The columns' names and kinds are
 * copied. Free with pf_parquet_finish. */
int pf_parquet_begin(FILE *stream, const PfParquetColumn *columns, int column_count,
                     PfParquet **out, PfError *err);
/* columns: as at the beginning, with the values of `rows` rows; each column takes less than 2 GB.
 */
int pf_parquet_add(PfParquet *parquet, const PfParquetColumn *columns, int64_t rows, PfError *err);
/* The footer; frees. */
int pf_parquet_finish(PfParquet **parquet, PfError *err);

#endif

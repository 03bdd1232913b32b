/* Rows come in, columns are read: what a metric has to keep until the end, such as
 * scores to be ranked. Sixteen rows of a column lie in one cache line. */
#ifndef PF_METRICS_COLUMNS_H
#define PF_METRICS_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "permafrost/error.h"

#define PF_COLUMNS_BLOCK 16

/* Start from {.columns, .max_values}. */
typedef struct PfColumns {
    int64_t columns;
    int64_t max_values; /* 0: as many as there are; else nothing is kept of a larger table */
    int64_t rows;
    int dropped;   /* the table became too large */
    float *values; /* (rows / 16, columns, 16) */
    size_t capacity;
} PfColumns;

/* One row more: its column c is to be written to (*row)[c * PF_COLUMNS_BLOCK] before the
 * next is added. *row is NULL where the table has been dropped. */
int pf_columns_add(PfColumns *table, float **row, PfError *err);

/* A row's column, with the row's next at PF_COLUMNS_BLOCK from it. */
static inline const float *pf_columns_at(const PfColumns *table, int64_t row, int64_t column)
{
    int64_t block = row / PF_COLUMNS_BLOCK * table->columns + column;
    return table->values + block * PF_COLUMNS_BLOCK + row % PF_COLUMNS_BLOCK;
}

void pf_columns_free(PfColumns *table);

#endif

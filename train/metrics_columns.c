#include "metrics_columns.h"

#include <stdlib.h>

#include "memory.h"

int pf_columns_add(PfColumns *table, float **row, PfError *err)
{
    int64_t blocks = table->rows / PF_COLUMNS_BLOCK + 1;
    int64_t needed = blocks * PF_COLUMNS_BLOCK * table->columns;
    *row = NULL;
    if (table->dropped) return 0;
    if (table->max_values && needed > table->max_values) {
        pf_columns_free(table);
        table->dropped = 1;
        return 0;
    }
    if (pf_grow(&table->values, &table->capacity, (size_t)needed, sizeof *table->values, err))
        return -1;
    *row = table->values + (pf_columns_at(table, table->rows++, 0) - table->values);
    return 0;
}

void pf_columns_free(PfColumns *table)
{
    free(table->values);
    table->values = NULL;
    table->capacity = 0;
}

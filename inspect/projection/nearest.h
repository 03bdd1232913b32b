/* The nearest rows of each row, by Euclidean distance: all distances are looked at. */
#ifndef PF_INSPECT_PROJECTION_NEAREST_H
#define PF_INSPECT_PROJECTION_NEAREST_H

#include <stdint.h>

#include "common/thread/thread_pool.h"
#include "permafrost/error.h"

/* x: (rows, columns). indices, squares: (rows, k) other rows and their squared distances, nearest
 * first, of equal ones the first row; k < rows. Squared distances that are told apart are those of
 * float32 products: of rows that are nearly equal their order is rounding's. */
int pf_nearest_find(const float *x, int64_t rows, int64_t columns, int k, PfThreadPool *pool,
                    int32_t *indices, float *squares, PfError *err);

#endif

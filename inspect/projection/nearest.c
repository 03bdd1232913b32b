#include "inspect/projection/nearest.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "train/kernels/gemm.h"

/* Rows whose neighbours are looked for at a time, among so many. */
#define QUERY_ROWS ((int64_t)192)
#define SOURCE_ROWS ((int64_t)1024)

typedef struct Search {
    const float *x;
    int64_t rows, columns;
    int k;
    float *lengths; /* (rows) squared */
    int32_t *indices;
    float *squares;
    atomic_bool is_out_of_memory;
} Search;

/* Whether (square, index) is behind the root of a heap whose root is last. */
static int comes_after(float square, int32_t index, float other_square, int32_t other_index)
{
    return square > other_square || (square == other_square && index > other_index);
}

/* Puts an entry into the place of the root, and down to where it belongs. */
static void sift_down(float *squares, int32_t *indices, int count, float square, int32_t index)
{
    int place = 0;
    for (int child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count &&
            comes_after(squares[child + 1], indices[child + 1], squares[child], indices[child]))
            child++;
        if (!comes_after(squares[child], indices[child], square, index)) break;
        squares[place] = squares[child];
        indices[place] = indices[child];
    }
    squares[place] = square;
    indices[place] = index;
}

static void sort_heap(float *squares, int32_t *indices, int count)
{
    while (--count > 0) {
        float square = squares[count];
        int32_t index = indices[count];
        squares[count] = squares[0];
        indices[count] = indices[0];
        sift_down(squares, indices, count, square, index);
    }
}

/* products: (count) of row with rows [first, first + count). */
static void take_products(const Search *search, int64_t row, int64_t first, int64_t count,
                          const float *products)
{
    float *squares = search->squares + row * search->k;
    int32_t *indices = search->indices + row * search->k;
    const float length = search->lengths[row];
    for (int64_t j = 0; j < count; j++) {
        float square = length + search->lengths[first + j] - 2 * products[j];
        if (square > squares[0] || first + j == row) continue;
        square = square > 0 ? square : 0;
        int32_t index = (int32_t)(first + j);
        if (comes_after(squares[0], indices[0], square, index))
            sift_down(squares, indices, search->k, square, index);
    }
}

static void search_block(void *context, int64_t block)
{
    Search *search = context;
    int64_t from = block * QUERY_ROWS, count = pf_min(QUERY_ROWS, search->rows - from);
    float *products = pf_alloc_aligned((size_t)(QUERY_ROWS * SOURCE_ROWS), sizeof(float), NULL);
    if (!products) {
        atomic_store(&search->is_out_of_memory, true);
        return;
    }
    for (int64_t i = from * search->k; i < (from + count) * search->k; i++) {
        search->squares[i] = INFINITY;
        search->indices[i] = INT32_MAX;
    }
    for (int64_t first = 0; first < search->rows; first += SOURCE_ROWS) {
        int64_t sources = pf_min(SOURCE_ROWS, search->rows - first);
        PfGemm product = {.m = count,
                          .n = sources,
                          .k = search->columns,
                          .a = search->x + from * search->columns,
                          .lda = search->columns,
                          .b = search->x + first * search->columns,
                          .ldb = search->columns,
                          .c = products,
                          .ldc = SOURCE_ROWS};
        pf_gemm_nt(&product, NULL);
        for (int64_t i = 0; i < count; i++)
            take_products(search, from + i, first, sources, products + i * SOURCE_ROWS);
    }
    for (int64_t i = from; i < from + count; i++)
        sort_heap(search->squares + i * search->k, search->indices + i * search->k, search->k);
    free(products);
}

int pf_nearest_find(const float *x, int64_t rows, int64_t columns, int k, PfThreadPool *pool,
                    int32_t *indices, float *squares, PfError *err)
{
    Search search = {
        .x = x, .rows = rows, .columns = columns, .k = k, .indices = indices, .squares = squares};
    search.lengths = pf_alloc_aligned((size_t)rows, sizeof(float), err);
    if (!search.lengths) return -1;
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0;
        for (int64_t j = 0; j < columns; j++)
            sum += (double)x[i * columns + j] * x[i * columns + j];
        search.lengths[i] = (float)sum;
    }
    pf_thread_pool_for(pool, (rows + QUERY_ROWS - 1) / QUERY_ROWS, search_block, &search);
    free(search.lengths);
    if (atomic_load(&search.is_out_of_memory))
        return pf_fail(err, PF_EXIT_FAILED, "out of memory for distances");
    return 0;
}

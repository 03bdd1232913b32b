#include "inspect/findings/outliers.h"

#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/base/printable.h"

#define FENCE 3 /* distances between the quartiles */

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The farthest first. */
static int compare_outliers(const void *a, const void *b)
{
    const PfOutlier *x = a, *y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Rows with their distances; those without k neighbours have none. */
static int64_t list_distances(const PfRows *rows, const PfNeighbours *neighbours, int k,
                              PfOutlier *list)
{
    int64_t count = 0;
    for (int64_t i = 0; i < rows->count; i++) {
        int64_t place = i * neighbours->k + k - 1;
        if (neighbours->index[place] >= 0)
            list[count++] = (PfOutlier){(int32_t)i, 1 - neighbours->similarity[place]};
    }
    return count;
}

static int find_fence(const PfOutlier *list, int64_t count, PfOutliers *out, PfError *err)
{
    float *sorted = pf_calloc((size_t)count, sizeof *sorted, err);
    if (!sorted) return -1;
    for (int64_t i = 0; i < count; i++) sorted[i] = list[i].distance;
    qsort(sorted, (size_t)count, sizeof *sorted, compare_floats);
    double low = (double)sorted[count / 4], high = (double)sorted[count * 3 / 4];
    out->typical = (double)sorted[count / 2];
    out->threshold = high + FENCE * (high - low);
    free(sorted);
    return 0;
}

int pf_outliers_find(const PfRows *rows, const PfNeighbours *neighbours, int k, PfOutliers *out,
                     PfError *err)
{
    int64_t sound = rows->count - rows->broken_count - rows->zero_count;
    out->k = (int)pf_min(pf_min(k, neighbours->k), sound - 1);
    if (out->k < 1) {
        pf_format(out->status.reason, sizeof out->status.reason,
                  "there are fewer than two rows to compare");
        return 0;
    }
    PfOutlier *list = pf_calloc((size_t)rows->count, sizeof *list, err);
    if (!list) return -1;
    int64_t count = list_distances(rows, neighbours, out->k, list);
    if (find_fence(list, count, out, err)) {
        free(list);
        return -1;
    }
    for (int64_t i = 0; i < count; i++)
        if ((double)list[i].distance > out->threshold) list[out->count++] = list[i];
    if (out->count) qsort(list, (size_t)out->count, sizeof *list, compare_outliers);
    out->outliers = list;
    out->status.done = true;
    return 0;
}

/* Attention within windows of a map, whose places may be shifted. */
#ifndef PF_COMMON_CONV_WINDOW_ATTENTION_H
#define PF_COMMON_CONV_WINDOW_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

/* Of one image. */
typedef struct PfWindowAttention {
    int64_t heads, side;  /* side: of a window, in pixels */
    int64_t sizes[2];     /* of the map: multiples of side */
    int64_t shifts[2];    /* 0 along an axis of one window */
    int64_t width;        /* channels of a head */
    float scale;          /* of the products */
    const float *biases;  /* (4, heads, side^2, side^2): of a window in the middle, in the last row,
                             in the last column, in both */
    const float *x;       /* pixels of queries, keys, values, (3, heads, width) each */
    int64_t x_row, y_row; /* floats from one pixel to the next: multiples of 16 */
    float *y;             /* (heads, width), with zeros to the end of the row; not x */
} PfWindowAttention;

/* Numbers of all biases. */
int64_t pf_window_attention_biases(const PfWindowAttention *attention);

/* From the table of distances, ((2 side - 1)^2, heads). */
void pf_window_attention_fill(const PfWindowAttention *attention, const float *table,
                              float *biases);

/* Bytes that pf_window_attention_run needs, 64-byte aligned; of it only the sizes are read. */
size_t pf_window_attention_scratch(const PfWindowAttention *attention);
void pf_window_attention_run(const PfWindowAttention *attention, void *scratch);

#endif

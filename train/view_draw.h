/* Which of a row's views a pass takes: the centre, or, where it is learned from, one that the pass
 * draws. It follows from the pass and the row alone, not from where rows come from nor from their
 * order; a row that comes several times in a pass is the same each time. */
#ifndef PF_VIEW_DRAW_H
#define PF_VIEW_DRAW_H

#include "feature_table.h"
#include "random.h"

typedef struct PfViewDraw {
    uint64_t seed;
    int views; /* drawn from; 1: always the centre */
} PfViewDraw;

/* shuffle: the stream of a pass that is learned from, which is not moved on; NULL: of another. */
PfViewDraw pf_view_draw_begin(const PfFeatureTable *table, const PfRandom *shuffle);
/* 0, the centre, to views - 1. */
int pf_view_draw_of(const PfViewDraw *draw, int32_t row);

#endif

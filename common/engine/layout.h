/* Where the numbers of a value lie, as sizes and strides of axes. */
#ifndef PF_COMMON_ENGINE_LAYOUT_H
#define PF_COMMON_ENGINE_LAYOUT_H

#include "common/engine/plan.h"

/* Axes, the last one fastest; strides in floats. Of the same numbers in the same order there may be
 * several lists; pf_axes_add makes the shortest. */
typedef struct PfAxes {
    int count;
    int64_t sizes[PF_MAX_RANK], strides[PF_MAX_RANK];
} PfAxes;

/* One more axis behind the others, joined with the one before where that gives the same places. An
 * axis of size 1 adds nothing. */
void pf_axes_add(PfAxes *axes, int64_t size, int64_t stride);

/* Of a value's numbers in row-major order of its shape, from value->begin on. */
PfAxes pf_axes_of_value(const PfEngineValue *value);

bool pf_axes_equal(const PfAxes *a, const PfAxes *b);

/* The same numbers by axes of these sizes: (rank) strides, of those of size 1 zeros. false: they
 * are no places at equal distances. */
bool pf_axes_split(const PfAxes *axes, const PfShape *sizes, int64_t *strides);

/* Whether the value lies as its shape says by plan.h's rules, not only its source's shape. */
bool pf_value_is_regular(const PfEngineValue *value);

/* Whether all images of it lie one after the other, filled up with zeros, in an arena: so that any
 * kernel can take it whose order of axes fits. */
bool pf_value_is_dense(const PfEnginePlan *plan, int value);

/* Takes out what the loops need not do: axes of size 1, and those that can be one. The order of the
 * axes becomes that in memory of y (0) or x (1). */
void pf_loops_simplify(PfEngineLoops *loops, int by);

/* The axis becomes the last one. */
void pf_loops_turn(PfEngineLoops *loops, int axis);

/* Going through all loops but those inside: `at` are the places of y, x and sum. */
typedef struct PfPlaces {
    int64_t at[3], index[PF_ENGINE_LOOPS];
} PfPlaces;

PfPlaces pf_places_of(const PfEngineLoops *loops);

/* Goes on, the last `inside` loops left out; false: that was all. */
bool pf_places_next(const PfEngineLoops *loops, int inside, PfPlaces *places);

#endif

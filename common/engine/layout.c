#include "common/engine/layout.h"

#include "common/engine/builder.h"

void pf_axes_add(PfAxes *axes, int64_t size, int64_t stride)
{
    const int last = axes->count - 1;
    if (size == 1) return;
    if (last >= 0 && axes->strides[last] == size * stride) {
        axes->sizes[last] *= size;
        axes->strides[last] = stride;
        return;
    }
    axes->sizes[axes->count] = size;
    axes->strides[axes->count++] = stride;
}

PfAxes pf_axes_of_value(const PfEngineValue *value)
{
    PfAxes axes = {0};
    if (value->channels_first) pf_axes_add(&axes, value->channels, 1);
    pf_axes_add(&axes, value->height, value->width * value->stride);
    pf_axes_add(&axes, value->width, value->stride);
    if (!value->channels_first) pf_axes_add(&axes, value->channels, 1);
    return axes;
}

bool pf_axes_equal(const PfAxes *a, const PfAxes *b)
{
    bool equal = a->count == b->count;
    for (int i = 0; i < a->count && equal; i++)
        equal = a->sizes[i] == b->sizes[i] && a->strides[i] == b->strides[i];
    return equal;
}

bool pf_axes_split(const PfAxes *axes, const PfShape *sizes, int64_t *strides)
{
    int axis = axes->count - 1;
    int64_t left = axis < 0 ? 1 : axes->sizes[axis]; /* of this axis, not split off yet */
    for (int i = sizes->rank - 1; i >= 0; i--) {
        const int64_t size = sizes->dims[i];
        strides[i] = 0;
        if (size == 1) continue;
        if (left == 1 && axis > 0) left = axes->sizes[--axis];
        if (left % size) return false;
        strides[i] = axes->strides[axis] * (axes->sizes[axis] / left);
        left /= size;
    }
    return left == 1 && axis <= 0;
}

bool pf_value_is_regular(const PfEngineValue *value)
{
    const PfEngineValue rule = laid_out(&value->shape, value->channels_first);
    return rule.channels_first == value->channels_first && rule.channels == value->channels &&
           rule.height == value->height && rule.width == value->width;
}

bool pf_value_is_dense(const PfEnginePlan *plan, int value)
{
    const PfEngineValue *of = &plan->values[value], *source = &plan->values[of->source];
    const bool is_clean = of->channels == of->stride ||
                          (of->channels == source->channels && of->stride == source->stride);
    return source->node < 0 && !of->begin && is_clean && of->stride % 16 == 0 &&
           pf_engine_value_bytes(of) == pf_engine_value_bytes(source);
}

/* ---- loops ---- */

static void swap_axes(PfEngineLoops *loops, int a, int b)
{
    const int64_t size = loops->sizes[a];
    loops->sizes[a] = loops->sizes[b];
    loops->sizes[b] = size;
    for (int k = 0; k < 3; k++) {
        const int64_t stride = loops->strides[k][a];
        loops->strides[k][a] = loops->strides[k][b];
        loops->strides[k][b] = stride;
    }
}

static void move_axis(PfEngineLoops *loops, int from, int to)
{
    loops->sizes[to] = loops->sizes[from];
    for (int k = 0; k < 3; k++) loops->strides[k][to] = loops->strides[k][from];
}

/* Whether an axis goes on where the next one ends. */
static bool can_join(const PfEngineLoops *loops, int axis, int next)
{
    bool joined = true;
    for (int k = 0; k < 3; k++)
        joined &= loops->strides[k][axis] == loops->sizes[next] * loops->strides[k][next];
    return joined;
}

void pf_loops_simplify(PfEngineLoops *loops, int by)
{
    int rank = 0;
    for (int i = 0; i < loops->rank; i++)
        if (loops->sizes[i] != 1) move_axis(loops, i, rank++);
    for (int i = 1; i < rank; i++)
        for (int k = i; k > 0 && loops->strides[by][k] > loops->strides[by][k - 1]; k--)
            swap_axes(loops, k, k - 1);
    int joined = 0;
    for (int i = 0; i < rank; i++) {
        if (joined && can_join(loops, joined - 1, i)) {
            const int64_t size = loops->sizes[joined - 1] * loops->sizes[i];
            move_axis(loops, i, joined - 1);
            loops->sizes[joined - 1] = size;
        } else {
            move_axis(loops, i, joined++);
        }
    }
    loops->rank = joined;
}

void pf_loops_turn(PfEngineLoops *loops, int axis)
{
    for (; axis + 1 < loops->rank; axis++) swap_axes(loops, axis, axis + 1);
}

PfPlaces pf_places_of(const PfEngineLoops *loops)
{
    PfPlaces places = {0};
    for (int k = 0; k < 3; k++) places.at[k] = loops->begins[k];
    return places;
}

bool pf_places_next(const PfEngineLoops *loops, int inside, PfPlaces *places)
{
    for (int axis = loops->rank - 1 - inside; axis >= 0; axis--) {
        const bool goes_on = ++places->index[axis] < loops->sizes[axis];
        const int64_t steps = goes_on ? 1 : 1 - loops->sizes[axis];
        for (int k = 0; k < 3; k++) places->at[k] += steps * loops->strides[k][axis];
        if (goes_on) return true;
        places->index[axis] = 0;
    }
    return false;
}

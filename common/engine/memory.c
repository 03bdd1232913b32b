/* Where the values of a plan lie: see plan.h. */
#include <stdlib.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "common/engine/plan.h"

/* What the maps of a group may take in the steps that all its images go through together, and in
 * those before, where a few do: these stay in the processor's caches. A stem, up to the first
 * convolution of maps, has hardly any weights: few images at a time cost it nothing. */
static const size_t group_bytes = (size_t)96 << 20, stem_bytes = (size_t)32 << 20,
                    early_bytes = (size_t)16 << 20;

/* The same of a network that begins with steps whose weights cost as much for one image at a time:
 * there are few of them, as in those that are made for telephones; or an image has as many rows as
 * a product takes before it reads all weights again, as small transformers' tokens are. (Of large
 * ones, all weights together leave the third-level cache before they are read for the next image.)
 * Then maps are what must not leave a second-level cache. */
static const size_t light_group_bytes = (size_t)8 << 20, light_early_bytes = (size_t)1 << 20,
                    light_weight_bytes = (size_t)640 << 10,
                    light_product_bytes = (size_t)2560 << 10;
static const int64_t light_rows = 96;

/* ---- sums in the place of what they add to ---- */

/* Whether the step may write over a value that it reads. A convolution may not over its x: of that
 * it reads the pixels around each one that it writes. */
static bool may_write_over(const PfEnginePlan *plan, int s, int value)
{
    const PfEngineStep *step = &plan->steps[s];
    if (value < 0) return false;
    const PfEngineValue *over = &plan->values[value], *y = &plan->values[step->y];
    const int home = pf_engine_home(plan, value);
    const bool is_its_x =
        step->kind == PF_STEP_CONVOLUTION && pf_engine_home(plan, step->x) == home;
    return over->node < 0 && !is_its_x && plan->values[home].last == s &&
           over->stride == y->stride && !over->begin &&
           pf_engine_value_bytes(&plan->values[home]) == pf_engine_value_bytes(y);
}

static void share_home(PfEnginePlan *plan, int value, int y)
{
    const int place = pf_engine_home(plan, value);
    PfEngineValue *home = &plan->values[place];
    plan->values[y].home = place;
    home->last = (int)pf_max(home->last, plan->values[y].last);
}

static void find_homes(PfEnginePlan *plan)
{
    for (int s = 0; s < plan->step_count; s++) {
        const PfEngineStep *step = &plan->steps[s];
        if (step->kind != PF_STEP_CONVOLUTION && step->kind != PF_STEP_POINTWISE) continue;
        if (plan->values[step->y].ring) continue;
        if (may_write_over(plan, s, step->sum))
            share_home(plan, step->sum, step->y);
        else if (step->kind == PF_STEP_POINTWISE && may_write_over(plan, s, step->x))
            share_home(plan, step->x, step->y);
    }
}

/* ---- early steps ---- */

/* Whether it has memory of its own in the arena. */
static bool is_home(const PfEnginePlan *plan, int value)
{
    const PfEngineValue *of = &plan->values[value];
    return of->source == value && of->home == value && of->node < 0;
}

/* Of each step, the bytes of one image's maps that are there while it runs; malloc'ed. */
static size_t *new_bytes_of_steps(const PfEnginePlan *plan, PfError *err)
{
    size_t *bytes = pf_calloc((size_t)plan->step_count + 1, sizeof *bytes, err);
    if (!bytes) return NULL;
    /* First what comes and, modulo the type's range, goes; then sums of that. */
    for (int v = 0; v < plan->value_count; v++) {
        const PfEngineValue *value = &plan->values[v];
        if (!is_home(plan, v) || value->ring) continue;
        bytes[value->first] += pf_engine_value_bytes(value);
        bytes[value->last + 1] -= pf_engine_value_bytes(value);
    }
    for (int s = 1; s < plan->step_count; s++) bytes[s] += bytes[s - 1];
    return bytes;
}

static bool is_convolution_of_maps(const PfEnginePlan *plan, int s)
{
    const PfEngineStep *step = &plan->steps[s];
    return step->kind == PF_STEP_CONVOLUTION && plan->values[step->x].stride % 16 == 0;
}

/* About what it reads besides maps; Winograd's weights are four times those of the file. */
static size_t weight_bytes(const PfEnginePlan *plan, int s)
{
    const PfEngineStep *step = &plan->steps[s];
    if (step->kind != PF_STEP_CONVOLUTION) return 0;
    const PfNode *node = &plan->arch->nodes[step->node];
    const PfEngineValue *x = &plan->values[step->x], *y = &plan->values[step->y];
    if (node->op == PF_OP_LINEAR) return (size_t)(node->in_channels * y->stride) * sizeof(float);
    const int64_t places = (int64_t)node->kernel[0] * node->kernel[1];
    const int64_t inputs = node->groups > 1 ? node->in_channels / node->groups : x->stride;
    const bool may_be_winograd = places == 9 && node->groups < 2 && node->stride[0] == 1;
    return (size_t)((may_be_winograd ? 36 : places) * inputs * y->stride) * sizeof(float);
}

/* A product of a matrix with rows that it takes from x: tokens, pixels, or patches that do not
 * overlap. */
static bool is_product_of_rows(const PfEnginePlan *plan, const PfEngineStep *step)
{
    if (step->kind != PF_STEP_CONVOLUTION) return false;
    const PfNode *node = &plan->arch->nodes[step->node];
    return node->op == PF_OP_LINEAR || (node->groups < 2 && node->kernel[0] == node->stride[0] &&
                                        node->kernel[1] == node->stride[1]);
}

/* Whether its weights cost as much for one image at a time. */
static bool is_light(const PfEnginePlan *plan, int s)
{
    const PfEngineStep *step = &plan->steps[s];
    const size_t bytes = weight_bytes(plan, s);
    if (!is_product_of_rows(plan, step)) return bytes <= light_weight_bytes;
    const PfEngineValue *y = &plan->values[step->y];
    return bytes <= (y->height * y->width >= light_rows ? light_product_bytes : light_weight_bytes);
}

/* The first steps whose maps of a group take more than may be; light: of light ones only. */
static int steps_above(const PfEnginePlan *plan, const size_t *bytes, size_t others, bool light)
{
    int early = 0;
    size_t limit = stem_bytes;
    for (int s = 0; s < plan->step_count && (!light || is_light(plan, s)); s++) {
        if (is_convolution_of_maps(plan, s)) limit = others;
        if (bytes[s] > limit / PF_ENGINE_GROUP) early = s + 1;
    }
    return early;
}

static int choose_early_steps(PfEnginePlan *plan, PfError *err)
{
    size_t *bytes = new_bytes_of_steps(plan, err);
    if (!bytes) return -1;
    const int light = steps_above(plan, bytes, light_group_bytes, true);
    size_t most = 0, limit = early_bytes;
    plan->early_steps = steps_above(plan, bytes, group_bytes, false);
    if (light > plan->early_steps) {
        plan->early_steps = light;
        limit = light_early_bytes;
    }
    for (int s = 0; s < plan->early_steps; s++) most = pf_max_size(most, bytes[s]);
    plan->early_images = PF_ENGINE_GROUP;
    while (plan->early_images > 1 && most > limit / (size_t)plan->early_images)
        plan->early_images /= 2;
    free(bytes);
    return 0;
}

/* ---- places ---- */

/* From which step on its memory is its own. Early steps run again and again: what outlives them is
 * there from the first one on. */
static int first_of(const PfEnginePlan *plan, const PfEngineValue *home)
{
    return home->whole && home->first < plan->early_steps ? 0 : home->first;
}

static size_t room_of(const PfEnginePlan *plan, const PfEngineValue *value)
{
    if (value->ring) return (size_t)(value->ring * value->width * value->stride) * sizeof(float);
    const size_t images = (size_t)(value->whole ? PF_ENGINE_GROUP : plan->early_images);
    return (images * pf_engine_value_bytes(value) + 63) / 64 * 64;
}

typedef struct Home {
    PfEngineValue *value;
    size_t room;
    int first, last; /* the steps in which it lives */
} Home;

static bool live_together(const Home *a, const Home *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The largest come first; of several as large, those of earlier values. */
static int compare_homes(const void *a, const void *b)
{
    const Home *left = a, *right = b;
    if (left->room != right->room) return left->room > right->room ? -1 : 1;
    return (left->value > right->value) - (left->value < right->value);
}

int pf_engine_check_bytes(const PfEnginePlan *plan, size_t bytes, PfError *err)
{
    if (bytes <= SIZE_MAX / 4) return 0;
    return pf_fail(err, PF_EXIT_FAILED,
                   "out of memory: images of %d x %d take more memory in '%s' than there can be. "
                   "Hint: a smaller --crop",
                   plan->width, plan->height, plan->arch->name);
}

/* The lowest place that none of the others takes that live at the same time. placed: ascending by
 * place; it is put among them. */
static int place(PfEnginePlan *plan, const Home *home, const Home **placed, int count, PfError *err)
{
    size_t offset = 0;
    int at = count;
    if (pf_engine_check_bytes(plan, home->room, err)) return -1;
    /* It only moves upwards: what is passed is never in its way again. */
    for (int i = 0; i < count && placed[i]->value->offset < offset + home->room; i++) {
        const size_t end = placed[i]->value->offset + placed[i]->room;
        if (offset < end && live_together(home, placed[i])) offset = end;
    }
    if (pf_engine_check_bytes(plan, offset, err)) return -1;
    home->value->offset = offset;
    plan->maps_bytes = pf_max_size(plan->maps_bytes, offset + home->room);
    for (; at > 0 && placed[at - 1]->value->offset > offset; at--) placed[at] = placed[at - 1];
    placed[at] = home;
    return 0;
}

static int list_homes(PfEnginePlan *plan, Home *homes)
{
    int count = 0;
    for (int v = 0; v < plan->value_count; v++) {
        PfEngineValue *value = &plan->values[v];
        if (is_home(plan, v))
            homes[count++] =
                (Home){value, room_of(plan, value), first_of(plan, value), value->last};
    }
    qsort(homes, (size_t)count, sizeof *homes, compare_homes);
    return count;
}

static int place_all(PfEnginePlan *plan, PfError *err)
{
    const size_t values = (size_t)plan->value_count;
    Home *homes = pf_calloc(values, sizeof *homes, err);
    const Home **placed = pf_calloc(values, sizeof *placed, err);
    int failed = !homes || !placed;
    const int count = failed ? 0 : list_homes(plan, homes);
    for (int i = 0; i < count && !failed; i++) failed = place(plan, &homes[i], placed, i, err);
    free(homes);
    free(placed);
    return failed ? -1 : 0;
}

int pf_engine_plan_memory(PfEnginePlan *plan, PfError *err)
{
    pf_engine_choose_rings(plan);
    find_homes(plan);
    if (choose_early_steps(plan, err)) return -1;
    for (int v = 0; v < plan->value_count; v++)
        plan->values[v].whole = plan->values[v].last >= plan->early_steps && !plan->values[v].ring;
    return place_all(plan, err);
}

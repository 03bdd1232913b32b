/* The tree is rebuilt for each cloud: points are sorted by the interleaved bits of their
 * coordinates, and a cell is a range of them. Its nodes lie in depth-first order with the node that
 * comes after each subtree, so that walking it takes no stack. A leaf's points walk together, as
 * far as the nearest of them could tell cells apart, and collect what pushes them in a list; then
 * all of them take the list, a vector of points at a time. */
#include "inspect/projection/repulsion.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"

#define LEAF_POINTS 16
#define LEVELS 16
/* In a cell so narrow, q of two points is 1 to within its square: they push as if all of them lay
 * in their mean. */
#define SPOT_SIDE 0.01f
/* A list that is full is taken and begun again. */
#define LIST_SIZE 1024

typedef struct Node {
    float x, y;    /* the mean of its points */
    float side;    /* of its cell */
    int32_t first; /* its points, in sorted order */
    int32_t count;
    int32_t after; /* the node behind its subtree; the next node where it is a leaf */
} Node;

struct PfRepulsion {
    int64_t points;
    double theta;
    uint32_t *codes, *spare_codes; /* (points) */
    int32_t *order, *spare_order;  /* (points) which point stands where */
    float *x, *y;                  /* (points + LEAF_POINTS) in sorted order */
    Node *nodes;
    size_t node_capacity;
    int32_t node_count;
    int32_t *leaves; /* (points) nodes */
    int32_t leaf_count;
    double *sums;           /* (points) of q, by leaf */
    float *push_x, *push_y; /* the caller's */
};

int pf_repulsion_new(int64_t points, double theta, PfRepulsion **out, PfError *err)
{
    PfRepulsion *r = *out = pf_calloc(1, sizeof *r, err);
    size_t n = (size_t)points;
    if (!r) return -1;
    r->points = points;
    r->theta = theta;
    /* Each level can split every leaf's worth of points once more. */
    r->node_capacity = n * 2 + LEVELS * 4 + 1;
    if ((r->codes = pf_calloc(n, sizeof *r->codes, err)) &&
        (r->spare_codes = pf_calloc(n, sizeof *r->codes, err)) &&
        (r->order = pf_calloc(n, sizeof *r->order, err)) &&
        (r->spare_order = pf_calloc(n, sizeof *r->order, err)) &&
        (r->x = pf_calloc(n + LEAF_POINTS, sizeof *r->x, err)) &&
        (r->y = pf_calloc(n + LEAF_POINTS, sizeof *r->y, err)) &&
        (r->leaves = pf_calloc(n, sizeof *r->leaves, err)) &&
        (r->sums = pf_calloc(n, sizeof *r->sums, err)) &&
        (r->nodes = pf_calloc(r->node_capacity, sizeof *r->nodes, err)))
        return 0;
    pf_repulsion_free(out);
    return -1;
}

void pf_repulsion_free(PfRepulsion **repulsion)
{
    PfRepulsion *r = *repulsion;
    if (!r) return;
    free(r->codes);
    free(r->spare_codes);
    free(r->order);
    free(r->spare_order);
    free(r->x);
    free(r->y);
    free(r->leaves);
    free(r->sums);
    free(r->nodes);
    free(r);
    *repulsion = NULL;
}

/* The low 16 bits, with a zero bit above each. */
static uint32_t spread_bits(uint32_t value)
{
    value = (value | value << 8) & 0x00ff00ff;
    value = (value | value << 4) & 0x0f0f0f0f;
    value = (value | value << 2) & 0x33333333;
    return (value | value << 1) & 0x55555555;
}

/* Returns the side of the square that holds all points. */
static float find_codes(PfRepulsion *r, const float *x, const float *y)
{
    float left = x[0], right = x[0], top = y[0], bottom = y[0];
    for (int64_t i = 1; i < r->points; i++) {
        left = fminf(left, x[i]);
        right = fmaxf(right, x[i]);
        top = fminf(top, y[i]);
        bottom = fmaxf(bottom, y[i]);
    }
    float side = fmaxf(fmaxf(right - left, bottom - top), 1e-30f) * 1.0001f;
    float scale = 65536 / side;
    for (int64_t i = 0; i < r->points; i++) {
        uint32_t column = (uint32_t)((x[i] - left) * scale), row = (uint32_t)((y[i] - top) * scale);
        r->codes[i] = spread_bits(column) | spread_bits(row) << 1;
        r->order[i] = (int32_t)i;
    }
    return side;
}

/* By 11 bits at a time; equal codes stay in the points' order. */
static void sort_codes(PfRepulsion *r)
{
    for (int shift = 0; shift < 33; shift += 11) {
        size_t starts[2049] = {0};
        for (int64_t i = 0; i < r->points; i++) starts[(r->codes[i] >> shift & 2047) + 1]++;
        for (int b = 0; b < 2048; b++) starts[b + 1] += starts[b];
        for (int64_t i = 0; i < r->points; i++) {
            size_t place = starts[r->codes[i] >> shift & 2047]++;
            r->spare_codes[place] = r->codes[i];
            r->spare_order[place] = r->order[i];
        }
        uint32_t *codes = r->codes;
        int32_t *order = r->order;
        r->codes = r->spare_codes;
        r->order = r->spare_order;
        r->spare_codes = codes;
        r->spare_order = order;
    }
}

/* The first of sorted points [first, end) whose code is not below bound. */
static int32_t find_code(const PfRepulsion *r, int32_t first, int32_t end, uint64_t bound)
{
    while (first < end) {
        int32_t middle = first + (end - first) / 2;
        if (r->codes[middle] < bound)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

/* Sums in double, so that a mean does not lie beside its points. */
typedef struct Sum {
    double x, y;
} Sum;

static Sum add_leaf(PfRepulsion *r, int32_t node, int32_t first, int32_t count)
{
    Sum sum = {0};
    for (int32_t i = first; i < first + count; i++) {
        sum.x += r->x[i];
        sum.y += r->y[i];
    }
    r->leaves[r->leaf_count++] = node;
    return sum;
}

/* The node of sorted points [first, first + count), which share the bits of `code` above `level`
 * pairs of them. A cell with one inhabited quarter is that quarter. */
static Sum add_node(PfRepulsion *r, int32_t first, int32_t count, int level, uint64_t code,
                    float side)
{
    int32_t bounds[5];
    for (;; level--, side *= 0.5f) {
        uint64_t quarter = level ? (uint64_t)1 << 2 * (level - 1) : 0;
        if (count <= LEAF_POINTS || !level) break;
        bounds[0] = first;
        for (int q = 1; q < 4; q++)
            bounds[q] = find_code(r, bounds[q - 1], first + count, code + (uint64_t)q * quarter);
        bounds[4] = first + count;
        int only = -1;
        for (int q = 0; q < 4; q++)
            if (bounds[q + 1] - bounds[q] == count) only = q;
        if (only < 0) break;
        code += (uint64_t)only * quarter;
    }
    int32_t node = r->node_count++;
    Sum sum = {0};
    if (count <= LEAF_POINTS || !level) {
        sum = add_leaf(r, node, first, count);
    } else {
        uint64_t quarter = (uint64_t)1 << 2 * (level - 1);
        for (int q = 0; q < 4; q++) {
            int32_t points = bounds[q + 1] - bounds[q];
            if (!points) continue;
            Sum part = add_node(r, bounds[q], points, level - 1, code + (uint64_t)q * quarter,
                                0.5f * side);
            sum.x += part.x;
            sum.y += part.y;
        }
    }
    r->nodes[node] = (Node){.x = (float)(sum.x / count),
                            .y = (float)(sum.y / count),
                            .side = side,
                            .first = first,
                            .count = count,
                            .after = r->node_count};
    return sum;
}

/* Points of a leaf that walk together, and the list of what pushes them. */
typedef struct Walk {
    float x[LEAF_POINTS], y[LEAF_POINTS];
    float push_x[LEAF_POINTS], push_y[LEAF_POINTS], sum[LEAF_POINTS];
    float list_x[LIST_SIZE], list_y[LIST_SIZE], list_count[LIST_SIZE];
    int listed;
} Walk;

/* The same operations on wider vectors: every number is the same. */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(PF_SANITIZED)
__attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#endif
static void
take_list(Walk *walk)
{
    for (int s = 0; s < walk->listed; s++) {
        const float x = walk->list_x[s], y = walk->list_y[s], count = walk->list_count[s];
        for (int p = 0; p < LEAF_POINTS; p++) {
            float dx = walk->x[p] - x, dy = walk->y[p] - y;
            float q = 1 / (1 + dx * dx + dy * dy);
            float weighted = count * q, push = weighted * q;
            walk->sum[p] += weighted;
            walk->push_x[p] += push * dx;
            walk->push_y[p] += push * dy;
        }
    }
    walk->listed = 0;
}

static void list_source(Walk *walk, float x, float y, float count)
{
    if (walk->listed == LIST_SIZE) take_list(walk);
    walk->list_x[walk->listed] = x;
    walk->list_y[walk->listed] = y;
    walk->list_count[walk->listed++] = count;
}

/* Points that are equal, or nearly, as those of copies of one image are. */
static bool is_spot(const Node *leaf)
{
    return leaf->count > LEAF_POINTS && leaf->side < SPOT_SIDE;
}

/* From the box of the points, so that each of them is at least as far. */
static void walk_tree(const PfRepulsion *r, Walk *walk, int points)
{
    float left = walk->x[0], right = left, top = walk->y[0], bottom = top;
    for (int p = 1; p < points; p++) {
        left = fminf(left, walk->x[p]);
        right = fmaxf(right, walk->x[p]);
        top = fminf(top, walk->y[p]);
        bottom = fmaxf(bottom, walk->y[p]);
    }
    const float bound = (float)(r->theta * r->theta);
    for (int32_t n = 0; n < r->node_count;) {
        const Node *node = &r->nodes[n];
        float dx = fmaxf(fmaxf(left - node->x, node->x - right), 0);
        float dy = fmaxf(fmaxf(top - node->y, node->y - bottom), 0);
        bool is_leaf = node->after == n + 1;
        if (node->side * node->side < bound * (dx * dx + dy * dy) || (is_leaf && is_spot(node))) {
            list_source(walk, node->x, node->y, (float)node->count);
            n = node->after;
            continue;
        }
        for (int32_t i = node->first; is_leaf && i < node->first + node->count; i++)
            list_source(walk, r->x[i], r->y[i], 1);
        n++;
    }
    take_list(walk);
}

/* Up to LEAF_POINTS of a leaf's points from `first` on; where more lie on one spot, several times.
 */
static double push_points(const PfRepulsion *r, int32_t first, int points)
{
    Walk walk;
    double sum = 0;
    memset(&walk, 0, offsetof(Walk, list_x));
    walk.listed = 0;
    for (int p = 0; p < points; p++) {
        walk.x[p] = r->x[first + p];
        walk.y[p] = r->y[first + p];
    }
    walk_tree(r, &walk, points);
    for (int p = 0; p < points; p++) {
        r->push_x[r->order[first + p]] = walk.push_x[p];
        r->push_y[r->order[first + p]] = walk.push_y[p];
        sum += walk.sum[p] - 1; /* without itself */
    }
    return sum;
}

static void push_leaf(void *context, int64_t leaf)
{
    PfRepulsion *r = context;
    const Node *node = &r->nodes[r->leaves[leaf]];
    double sum = 0;
    for (int32_t done = 0; done < node->count; done += LEAF_POINTS)
        sum += push_points(r, node->first + done, (int)pf_min(LEAF_POINTS, node->count - done));
    r->sums[leaf] = sum;
}

/* So that threads do not meet at the counter for every leaf. */
#define TASK_LEAVES 32

static void push_leaves(void *context, int64_t task)
{
    PfRepulsion *r = context;
    for (int64_t leaf = task * TASK_LEAVES; leaf < pf_min((task + 1) * TASK_LEAVES, r->leaf_count);
         leaf++)
        push_leaf(r, leaf);
}

double pf_repulsion_run(PfRepulsion *r, const float *x, const float *y, float *push_x,
                        float *push_y, PfThreadPool *pool)
{
    float side = find_codes(r, x, y);
    sort_codes(r);
    for (int64_t i = 0; i < r->points; i++) {
        r->x[i] = x[r->order[i]];
        r->y[i] = y[r->order[i]];
    }
    r->node_count = r->leaf_count = 0;
    add_node(r, 0, (int32_t)r->points, LEVELS, 0, side);
    r->push_x = push_x;
    r->push_y = push_y;
    pf_thread_pool_for(pool, (r->leaf_count + TASK_LEAVES - 1) / TASK_LEAVES, push_leaves, r);
    double sum = 0;
    for (int32_t leaf = 0; leaf < r->leaf_count; leaf++) sum += r->sums[leaf];
    return sum;
}

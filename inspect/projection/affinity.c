#include "inspect/projection/affinity.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/integers.h"
#include "common/base/memory.h"
#include "inspect/projection/nearest.h"

#define BISECTIONS 64
#define TASK_ROWS ((int64_t)256)

typedef struct Graph {
    int64_t rows;
    int k;
    double perplexity;
    int32_t *indices; /* (rows, k) */
    float *weights;   /* (rows, k) squared distances, then the weights of a row, of sum 1 */
} Graph;

/* The weights exp(-beta d) of a row's neighbours for which their entropy is log(perplexity), in
 * place of their squared distances d. */
static void weigh_row(float *weights, int k, double perplexity)
{
    double low = 0, high = INFINITY, beta = 1, nearest = weights[0], sum = 0;
    double mean = 0;
    for (int j = 0; j < k; j++) mean += (weights[j] - nearest) / k;
    if (mean > 0) beta = 1 / mean;
    for (int i = 0; i < BISECTIONS; i++) {
        double moment = 0;
        sum = 0;
        for (int j = 0; j < k; j++) {
            double d = weights[j] - nearest, weight = exp(-beta * d);
            sum += weight;
            moment += d * weight;
        }
        double excess = log(sum) + beta * moment / sum - log(perplexity);
        if (fabs(excess) < 1e-6) break;
        if (excess > 0)
            low = beta;
        else
            high = beta;
        beta = isinf(high) ? 2 * beta : 0.5 * (low + high);
        if (beta > 1e30) break; /* as many equal rows as neighbours: all weigh the same */
    }
    for (int j = 0; j < k; j++) weights[j] = (float)(exp(-beta * (weights[j] - nearest)) / sum);
}

static void weigh_rows(void *context, int64_t task)
{
    const Graph *graph = context;
    int64_t end = pf_min((task + 1) * TASK_ROWS, graph->rows);
    for (int64_t i = task * TASK_ROWS; i < end; i++)
        weigh_row(graph->weights + i * graph->k, graph->k, graph->perplexity);
}

typedef struct Edge {
    int32_t partner;
    float weight;
} Edge;

static int compare_edges(const void *a, const void *b)
{
    const Edge *left = a, *right = b;
    return (left->partner > right->partner) - (left->partner < right->partner);
}

typedef struct Joining {
    const int64_t *starts; /* (rows + 1) of the edges of both directions */
    Edge *edges;
    int64_t *counts; /* (rows) partners that are left */
} Joining;

/* Sorts a row's edges by partner and adds up those of the same. */
static void join_rows(void *context, int64_t task)
{
    const Joining *joining = ((void **)context)[0];
    int64_t rows = *(int64_t *)((void **)context)[1];
    for (int64_t i = task * TASK_ROWS; i < pf_min((task + 1) * TASK_ROWS, rows); i++) {
        Edge *edges = joining->edges + joining->starts[i];
        int64_t count = joining->starts[i + 1] - joining->starts[i], kept = 0;
        qsort(edges, (size_t)count, sizeof *edges, compare_edges);
        for (int64_t e = 0; e < count; e++) {
            if (kept && edges[kept - 1].partner == edges[e].partner)
                edges[kept - 1].weight += edges[e].weight;
            else
                edges[kept++] = edges[e];
        }
        joining->counts[i] = kept;
    }
}

/* Each neighbour is an edge at both of its ends. */
static void list_edges(const Graph *graph, int64_t *starts, int64_t *next, Edge *edges)
{
    int64_t rows = graph->rows, count = rows * graph->k;
    float scale = (float)(0.5 / (double)rows);
    for (int64_t i = 0; i < rows; i++) starts[i + 1] = graph->k;
    for (int64_t e = 0; e < count; e++) starts[graph->indices[e] + 1]++;
    for (int64_t i = 0; i < rows; i++) starts[i + 1] += starts[i];
    memcpy(next, starts, (size_t)rows * sizeof *next);
    for (int64_t e = 0; e < count; e++) {
        int32_t from = (int32_t)(e / graph->k), to = graph->indices[e];
        float weight = graph->weights[e] * scale;
        edges[next[from]++] = (Edge){to, weight};
        edges[next[to]++] = (Edge){from, weight};
    }
}

static int keep_edges(const Joining *joining, PfAffinity *out, PfError *err)
{
    for (int64_t i = 0; i < out->rows; i++)
        out->starts[i + 1] = out->starts[i] + joining->counts[i];
    size_t total = (size_t)out->starts[out->rows];
    out->partners = pf_alloc_aligned(total, sizeof *out->partners, err);
    out->weights = out->partners ? pf_alloc_aligned(total, sizeof *out->weights, err) : NULL;
    if (!out->weights) return -1;
    for (int64_t i = 0; i < out->rows; i++)
        for (int64_t e = 0; e < joining->counts[i]; e++) {
            out->partners[out->starts[i] + e] = joining->edges[joining->starts[i] + e].partner;
            out->weights[out->starts[i] + e] = joining->edges[joining->starts[i] + e].weight;
        }
    return 0;
}

static int make_symmetric(const Graph *graph, PfThreadPool *pool, PfAffinity *out, PfError *err)
{
    size_t rows = (size_t)graph->rows;
    int64_t *starts = pf_calloc(rows + 1, sizeof *starts, err), *counts = NULL;
    Joining joining = {.starts = starts};
    int failed = !starts || !(joining.counts = counts = pf_calloc(rows, sizeof *counts, err)) ||
                 !(joining.edges =
                       pf_alloc_aligned(2 * rows * (size_t)graph->k, sizeof *joining.edges, err)) ||
                 !(out->starts = pf_calloc(rows + 1, sizeof *out->starts, err));
    if (!failed) {
        int64_t count = graph->rows;
        void *context[] = {&joining, &count};
        list_edges(graph, starts, counts, joining.edges);
        pf_thread_pool_for(pool, (count + TASK_ROWS - 1) / TASK_ROWS, join_rows, context);
        failed = keep_edges(&joining, out, err);
    }
    free(starts);
    free(counts);
    free(joining.edges);
    return failed;
}

int pf_affinity_find(const float *x, int64_t rows, int64_t columns, double perplexity,
                     PfThreadPool *pool, PfAffinity *out, PfError *err)
{
    Graph graph = {.rows = rows};
    graph.perplexity = fmin(perplexity, (double)(rows - 1) / 3);
    graph.k = (int)pf_max(1, pf_min(rows - 1, (int64_t)(3 * graph.perplexity)));
    size_t count = (size_t)rows * (size_t)graph.k;
    *out = (PfAffinity){.rows = rows};
    int failed =
        !(graph.indices = pf_alloc_aligned(count, sizeof *graph.indices, err)) ||
        !(graph.weights = pf_alloc_aligned(count, sizeof *graph.weights, err)) ||
        pf_nearest_find(x, rows, columns, graph.k, pool, graph.indices, graph.weights, err);
    if (!failed) {
        pf_thread_pool_for(pool, (rows + TASK_ROWS - 1) / TASK_ROWS, weigh_rows, &graph);
        failed = make_symmetric(&graph, pool, out, err);
    }
    free(graph.indices);
    free(graph.weights);
    return failed;
}

void pf_affinity_free(PfAffinity *affinity)
{
    free(affinity->starts);
    free(affinity->partners);
    free(affinity->weights);
    *affinity = (PfAffinity){0};
}

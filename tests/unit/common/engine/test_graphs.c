/* Operations of any axes against their definitions in double: random graphs of several of them one
 * after the other, with taps in the middle, in memory full of what is no number. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/arch/ops.h"
#include "common/arch/positions.h"
#include "common/base/memory.h"
#include "common/engine/execute.h"
#include "common/engine/rounding.h"
#include "common/thread/thread_pool.h"
#include "tests/unit/assert_each.h"
#include "tests/unit/random_between.h"

enum { SIDE = 8, IMAGES = 3, MOST = 64, GRAPHS = 45, LARGEST = 6000 };
enum { ROWS_SIDE = 17 }; /* maps that are large enough to be made row by row */

/* ---- a network ---- */

typedef struct Graph {
    PfArch arch;
    PfArchBuilder builder;
    PfRandom random;
    PfPrecision precision; /* of the engine */
    PfError err;
    PfNamedTensor tensors[4 * MOST];
    char names[4 * MOST][PF_PARAMETER_NAME_SIZE];
    int tensor_count;
    PfShape shapes[MOST];
    double *values[MOST]; /* of one image, in the order of their shapes */
    double scales[MOST];  /* of rounding errors */
    int side;
    uint8_t pixels[IMAGES * 3 * ROWS_SIDE * ROWS_SIDE]; /* (IMAGES, side, side, 3) */
} Graph;

static PfNode *node_of(Graph *graph, int index)
{
    return &graph->arch.nodes[index];
}

static const uint8_t *pixels_of(const Graph *graph, int image)
{
    return graph->pixels + (size_t)image * 3 * (size_t)(graph->side * graph->side);
}

static const float *tensor(const Graph *graph, int node, const char *which)
{
    char name[PF_PARAMETER_NAME_SIZE];
    pf_node_parameter_name(&graph->arch.nodes[node], which, name);
    for (int i = 0; i < graph->tensor_count; i++)
        if (!strcmp(graph->names[i], name)) return graph->tensors[i].view.data;
    return NULL;
}

static void draw_tensor(Graph *graph, const PfNode *node, const PfOpParameter *parameter)
{
    const int index = graph->tensor_count++;
    const PfShape shape = parameter->shape(node);
    const int64_t count = pf_shape_count(&shape);
    const double scale =
        shape.rank > 1 && *parameter->name ? sqrt(1.0 * node->out_channels / (double)count) : 1;
    float *values = calloc((size_t)count, sizeof *values);
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(scale * pf_random_normal(&graph->random));
    /* Divisors, and roots. */
    if (!*parameter->name || !strcmp(parameter->name, "running_var"))
        for (int64_t i = 0; i < count; i++) values[i] = 0.5f + fabsf(values[i]);
    pf_node_parameter_name(node, parameter->name, graph->names[index]);
    graph->tensors[index] = (PfNamedTensor){graph->names[index], {PF_DTYPE_F32, shape, values}};
}

/* ---- definitions ---- */

/* Along each axis, of the number that is `at` in row-major order. */
static void place_of(const PfShape *shape, int64_t at, int64_t *place)
{
    for (int i = shape->rank - 1; i >= 0; i--) {
        place[i] = at % shape->dims[i];
        at /= shape->dims[i];
    }
}

static int64_t at_place(const PfShape *shape, const int64_t *place)
{
    int64_t at = 0;
    for (int i = 0; i < shape->rank; i++) at = at * shape->dims[i] + place[i];
    return at;
}

/* The number of an operand that is broadcast to a shape of that rank. */
static double broadcast(const Graph *graph, int operand, int rank, const int64_t *place)
{
    const PfShape *shape = &graph->shapes[operand];
    int64_t own[PF_MAX_RANK];
    for (int i = 0; i < shape->rank; i++)
        own[i] = shape->dims[i] == 1 ? 0 : place[rank - shape->rank + i];
    return graph->values[operand][at_place(shape, own)];
}

static double combine(PfOp op, double a, double b)
{
    switch (op) {
    case PF_OP_ADD: return a + b;
    case PF_OP_SUBTRACT: return a - b;
    case PF_OP_MULTIPLY: return a * b;
    case PF_OP_DIVIDE: return a / b;
    case PF_OP_POWER: return pow(a, b);
    case PF_OP_MAXIMUM: return fmax(a, b);
    default: return fmin(a, b);
    }
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double function_of(const PfNode *node, double x)
{
    switch (node->op) {
    case PF_OP_RELU: return x < 0 ? 0 : x;
    case PF_OP_SQRT: return sqrt(x);
    case PF_OP_EXP: return exp(x);
    case PF_OP_LOG: return log(x);
    case PF_OP_ERF: return erf(x);
    case PF_OP_NEGATE: return -x;
    case PF_OP_ABS: return fabs(x);
    case PF_OP_RECIPROCAL: return 1 / x;
    case PF_OP_LEAKY_RELU: return x < 0 ? (double)node->value * x : x;
    case PF_OP_CLIP: return x < (double)node->low ? (double)node->low : fmin(x, (double)node->high);
    case PF_OP_SIGMOID: return sigmoid(x);
    case PF_OP_HARD_SIGMOID: return fmin(fmax(x + 3, 0), 6) / 6;
    case PF_OP_HARD_SWISH: return x * fmin(fmax(x + 3, 0), 6) / 6;
    case PF_OP_SILU: return x * sigmoid(x);
    case PF_OP_GELU: return x * erfc(-x / sqrt(2)) / 2;
    case PF_OP_GELU_TANH:
        return x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x))) / 2;
    case PF_OP_QUICK_GELU: return x * sigmoid(1.702 * x);
    case PF_OP_TANH: return tanh(x);
    case PF_OP_ELU: return x < 0 ? (double)node->value * (exp(x) - 1) : x;
    default: return x;
    }
}

static bool is_among(const PfNode *node, int axis)
{
    bool found = false;
    for (int i = 0; i < node->axis_count; i++) found |= node->axes[i] == axis;
    return found;
}

static void reduce(const Graph *graph, const PfNode *node, const PfShape *out, double *y)
{
    const PfShape *in = &graph->shapes[node->inputs[0]];
    const int64_t count = pf_shape_count(in), results = pf_shape_count(out);
    for (int64_t i = 0; i < results; i++) y[i] = node->op == PF_OP_REDUCE_MAX ? -INFINITY : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t place[PF_MAX_RANK], to = 0;
        const double x = graph->values[node->inputs[0]][i];
        place_of(in, i, place);
        for (int axis = 0; axis < in->rank; axis++)
            if (!is_among(node, axis)) to = to * in->dims[axis] + place[axis];
        y[to] = node->op == PF_OP_REDUCE_MAX ? fmax(y[to], x) : y[to] + x;
    }
    for (int64_t i = 0; i < results && node->op == PF_OP_MEAN; i++)
        y[i] /= (double)(count / results);
}

static double softmax_at(const PfShape *shape, int axis, const double *x, int64_t at)
{
    int64_t place[PF_MAX_RANK];
    double sum = 0;
    place_of(shape, at, place);
    for (place[axis] = 0; place[axis] < shape->dims[axis]; place[axis]++)
        sum += exp(x[at_place(shape, place)] - x[at]);
    return 1 / sum;
}

static double product_at(const Graph *graph, const PfNode *node, int rank, const int64_t *place)
{
    const PfShape *left = &graph->shapes[node->inputs[0]];
    double sum = 0;
    for (int64_t k = 0; k < left->dims[left->rank - 1]; k++) {
        int64_t a[PF_MAX_RANK], b[PF_MAX_RANK];
        memcpy(a, place, sizeof a);
        memcpy(b, place, sizeof b);
        a[rank - 1] = b[rank - 2] = k;
        sum +=
            broadcast(graph, node->inputs[0], rank, a) * broadcast(graph, node->inputs[1], rank, b);
    }
    return sum;
}

static double concatenated_at(const Graph *graph, const PfNode *node, int64_t *place)
{
    for (int k = 0;; k++) {
        const PfShape *part = &graph->shapes[node->inputs[k]];
        if (place[node->axis] < part->dims[node->axis])
            return graph->values[node->inputs[k]][at_place(part, place)];
        place[node->axis] -= part->dims[node->axis];
    }
}

/* The number of a map (c, h, w); `outside` around it. */
static double pixel_at(const PfShape *shape, const double *x, int64_t c, int64_t row,
                       int64_t column, double outside)
{
    const int64_t place[] = {c, row, column};
    const bool inside = row >= 0 && row < shape->dims[1] && column >= 0 && column < shape->dims[2];
    return inside ? x[at_place(shape, place)] : outside;
}

static double convolution_at(const Graph *graph, int index, const int64_t *place)
{
    const PfNode *node = &graph->arch.nodes[index];
    const PfShape *in = &graph->shapes[node->inputs[0]];
    const double *x = graph->values[node->inputs[0]];
    const float *weight = tensor(graph, index, "weight");
    const int64_t inputs = node->in_channels / node->groups;
    const int64_t first = place[0] / (node->out_channels / node->groups) * inputs;
    double sum = node->bias ? (double)tensor(graph, index, "bias")[place[0]] : 0;
    for (int64_t c = 0; c < inputs; c++)
        for (int i = 0; i < node->kernel[0]; i++)
            for (int j = 0; j < node->kernel[1]; j++) {
                const int64_t at =
                    ((place[0] * inputs + c) * node->kernel[0] + i) * node->kernel[1] + j;
                sum +=
                    (double)weight[at] *
                    pixel_at(in, x, first + c,
                             place[1] * node->stride[0] - node->padding[0] + i * node->dilation[0],
                             place[2] * node->stride[1] - node->padding[1] + j * node->dilation[1],
                             0);
            }
    return sum;
}

/* How many of so many places, a step apart from `from` on, lie in [low, high). */
static int64_t places_in(int64_t from, int64_t count, int64_t low, int64_t high)
{
    int64_t inside = 0;
    for (int64_t i = 0; i < count; i++) inside += from + i >= low && from + i < high;
    return inside;
}

static double pool_at(const Graph *graph, const PfNode *node, const int64_t *place)
{
    const PfShape *in = &graph->shapes[node->inputs[0]];
    const double *x = graph->values[node->inputs[0]];
    double most = -INFINITY, sum = 0;
    int64_t counted = 1, from[2];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = in->dims[axis + 1];
        const int64_t padding = node->count_padding ? node->padding[axis] : 0;
        from[axis] = place[axis + 1] * node->stride[axis] - node->padding[axis];
        counted *= places_in(from[axis], node->kernel[axis], -padding, size + padding);
    }
    for (int64_t i = 0; i < node->kernel[0]; i++)
        for (int64_t j = 0; j < node->kernel[1]; j++) {
            const int64_t row = from[0] + i * node->dilation[0];
            const int64_t column = from[1] + j * node->dilation[1];
            most = fmax(most, pixel_at(in, x, place[0], row, column, -INFINITY));
            sum += pixel_at(in, x, place[0], row, column, 0);
        }
    return node->op == PF_OP_MAX_POOL ? most : sum / (double)counted;
}

static double linear_at(const Graph *graph, int index, int64_t at)
{
    const PfNode *node = &graph->arch.nodes[index];
    const double *x = graph->values[node->inputs[0]] + at / node->out_channels * node->in_channels;
    const int64_t k = at % node->out_channels;
    double sum = (double)tensor(graph, index, "bias")[k];
    for (int64_t c = 0; c < node->in_channels; c++)
        sum += (double)tensor(graph, index, "weight")[k * node->in_channels + c] * x[c];
    return sum;
}

/* What a batch norm multiplies a channel with, and what it adds. */
static void norm_factors(const Graph *graph, int index, int64_t c, double factors[2])
{
    const double variance = (double)tensor(graph, index, "running_var")[c];
    factors[0] = (double)tensor(graph, index, "weight")[c] /
                 sqrt(variance + (double)graph->arch.nodes[index].eps);
    factors[1] = (double)tensor(graph, index, "bias")[c] -
                 (double)tensor(graph, index, "running_mean")[c] * factors[0];
}

static double norm_at(const Graph *graph, int index, double x, int64_t c)
{
    double factors[2];
    norm_factors(graph, index, c, factors);
    for (int i = 0; i < 2 && graph->precision == PF_BF16; i++) {
        float rounded = (float)factors[i];
        pf_engine_round(&rounded, 1);
        factors[i] = (double)rounded;
    }
    return x * factors[0] + factors[1];
}

/* x: of the pixel or row, numbers `stride` apart; c: which of them. */
static double layer_norm_at(const Graph *graph, int index, const double *x, int64_t stride,
                            int64_t c)
{
    const PfNode *node = &graph->arch.nodes[index];
    const double count = node->out_channels;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < node->out_channels; i++) mean += x[i * stride] / count;
    for (int64_t i = 0; i < node->out_channels; i++)
        variance += (x[i * stride] - mean) * (x[i * stride] - mean) / count;
    return (x[c * stride] - mean) / sqrt(variance + (double)node->eps) *
               (double)tensor(graph, index, "weight")[c] +
           (double)tensor(graph, index, "bias")[c];
}

/* Of query `place[0]`, number place[1] of all heads'. */
static double attention_at(const Graph *graph, const PfNode *node, const int64_t *place)
{
    const PfShape *k = &graph->shapes[node->inputs[1]], *v = &graph->shapes[node->inputs[2]];
    const int64_t width = k->dims[1] / node->heads;
    const int64_t begin = place[1] / (v->dims[1] / node->heads) * width;
    const double *query = graph->values[node->inputs[0]] + place[0] * k->dims[1] + begin;
    double sum = 0, total = 0;
    for (int64_t key = 0; key < k->dims[0]; key++) {
        const double *at = graph->values[node->inputs[1]] + key * k->dims[1] + begin;
        double score = 0;
        for (int64_t c = 0; c < width; c++) score += query[c] * at[c];
        const double share = exp((double)node->scale * score);
        sum += share * graph->values[node->inputs[2]][key * v->dims[1] + place[1]];
        total += share;
    }
    return sum / total;
}

/* Of pixel (place[0], place[1]), number place[2] of all heads'. Pixels are of one window where
 * their places, counted from the shift on, are. */
static double window_attention_at(const Graph *graph, int index, const int64_t *place)
{
    const PfNode *node = &graph->arch.nodes[index];
    const PfShape *in = &graph->shapes[node->inputs[0]];
    const float *table = tensor(graph, index, "");
    const int64_t h = in->dims[0], w = in->dims[1], all = in->dims[2] / 3, side = node->kernel[0];
    const int64_t width = all / node->heads, head = place[2] / width;
    const int64_t down = h > side ? node->start : 0, right = w > side ? node->start : 0;
    const int64_t y = (place[0] + h - down) % h, x = (place[1] + w - right) % w;
    const double *pixels = graph->values[node->inputs[0]];
    const double *query = pixels + (place[0] * w + place[1]) * 3 * all + head * width;
    double sum = 0, total = 0;
    for (int64_t k = 0; k < side * side; k++) {
        const int64_t ky = y / side * side + k / side, kx = x / side * side + k % side;
        const int64_t at_y = (ky + down) % h, at_x = (kx + right) % w;
        const double *key = pixels + (at_y * w + at_x) * 3 * all + all + head * width;
        const int64_t distance = (y - ky + side - 1) * (2 * side - 1) + x - kx + side - 1;
        double score = 0;
        for (int64_t c = 0; c < width; c++) score += query[c] * key[c];
        score = score * (double)node->scale + (double)table[distance * node->heads + head];
        if ((place[0] < down) != (at_y < down) || (place[1] < right) != (at_x < right))
            score -= 100;
        sum += exp(score) * key[all + place[2] % width];
        total += exp(score);
    }
    return sum / total;
}

/* Of token place[0], number place[1] of all heads'. */
static double rotated_at(const Graph *graph, const PfNode *node, const int64_t *place)
{
    const PfShape *in = &graph->shapes[node->inputs[0]], *map = &graph->shapes[node->inputs[1]];
    const int64_t h = map->dims[1], w = map->dims[2], patch = place[0] - (in->dims[0] - h * w);
    const double *x = graph->values[node->inputs[0]] + place[0] * in->dims[1];
    const int64_t quarter = in->dims[1] / node->heads / 4, i = place[1] % (4 * quarter);
    const int64_t pair = i % (2 * quarter), other = i < 2 * quarter ? 2 * quarter : -2 * quarter;
    if (patch < 0) return x[place[1]];
    const double y = pair < quarter ? (0.5 + (double)(patch / w)) / (double)h
                                    : (0.5 + (double)(patch % w)) / (double)w;
    const double angle = 2 * acos(-1) * (2 * y - 1) *
                         pow((double)node->value, -(double)(pair % quarter) / (double)quarter);
    return x[place[1]] * cos(angle) + (other > 0 ? -1 : 1) * x[place[1] + other] * sin(angle);
}

static double value_at(const Graph *graph, int index, int64_t at)
{
    const PfNode *node = &graph->arch.nodes[index];
    const PfShape *in = &graph->shapes[node->inputs[0]], *out = &graph->shapes[index];
    const double *x = graph->values[node->inputs[0]];
    int64_t place[PF_MAX_RANK] = {0}, from[PF_MAX_RANK] = {0};
    place_of(out, at, place);
    switch (node->op) {
    case PF_OP_CONV: return convolution_at(graph, index, place);
    case PF_OP_MAX_POOL:
    case PF_OP_AVG_POOL: return pool_at(graph, node, place);
    case PF_OP_PAD:
        return pixel_at(in, x, place[0], place[1] - node->pads[0], place[2] - node->pads[1],
                        (double)node->value);
    case PF_OP_PAD_SAME: /* of an odd number the more behind */
        return pixel_at(in, x, place[0], place[1] - (out->dims[1] - in->dims[1]) / 2,
                        place[2] - (out->dims[2] - in->dims[2]) / 2, 0);
    case PF_OP_CHANNEL_SHUFFLE: {
        const int64_t each = in->dims[0] / node->groups, c = place[0];
        place[0] = c % node->groups * each + c / node->groups;
        return x[at_place(in, place)];
    }
    case PF_OP_LINEAR: return linear_at(graph, index, at);
    case PF_OP_LAYER_NORM:
        return layer_norm_at(graph, index, x + at - at % node->out_channels, 1,
                             at % node->out_channels);
    case PF_OP_LAYER_NORM_2D: {
        const int64_t area = out->dims[1] * out->dims[2];
        return layer_norm_at(graph, index, x + at % area, area, place[0]);
    }
    case PF_OP_ATTENTION: return attention_at(graph, node, place);
    case PF_OP_BATCH_NORM: return norm_at(graph, index, x[at], place[0]);
    case PF_OP_PARAMETER: return (double)tensor(graph, index, "")[at];
    case PF_OP_PERMUTE:
        for (int i = 0; i < out->rank; i++) from[node->axes[i]] = place[i];
        return x[at_place(in, from)];
    case PF_OP_SLICE:
        place[node->axis] = node->start + place[node->axis] * node->step;
        return x[at_place(in, place)];
    case PF_OP_TOKEN_MAP:
        from[0] = place[1] * out->dims[2] + place[2];
        from[1] = place[0];
        return x[at_place(in, from)];
    case PF_OP_PAD_BEHIND:
        return place[0] < in->dims[0] && place[1] < in->dims[1] ? x[at_place(in, place)] : 0;
    case PF_OP_CROP: return x[at_place(in, place)];
    case PF_OP_ROTATE: return rotated_at(graph, node, place);
    case PF_OP_WINDOW_ATTENTION: return window_attention_at(graph, index, place);
    case PF_OP_CONCAT: return concatenated_at(graph, node, place);
    case PF_OP_SOFTMAX: return softmax_at(out, node->axis, x, at);
    case PF_OP_MATMUL: return product_at(graph, node, out->rank, place);
    case PF_OP_ADD:
    case PF_OP_SUBTRACT:
    case PF_OP_MULTIPLY:
    case PF_OP_DIVIDE:
    case PF_OP_POWER:
    case PF_OP_MAXIMUM:
    case PF_OP_MINIMUM:
        return combine(node->op, broadcast(graph, node->inputs[0], out->rank, place),
                       broadcast(graph, node->inputs[1], out->rank, place));
    default: return function_of(node, x[at]);
    }
}

static void compute_positions(const Graph *graph, int index, double *y)
{
    const PfNode *node = &graph->arch.nodes[index];
    const PfShape *map = &graph->shapes[node->inputs[0]];
    const int64_t count = pf_shape_count(&graph->shapes[index]);
    float *resized = calloc((size_t)count, sizeof *resized);
    ck_assert_int_eq(pf_positions_resize(node, map->dims[1], map->dims[2], tensor(graph, index, ""),
                                         resized, NULL),
                     0);
    for (int64_t i = 0; i < count; i++) y[i] = (double)resized[i];
    free(resized);
}

static void compute_node(Graph *graph, int index, int image)
{
    const PfNode *node = node_of(graph, index);
    const uint8_t *pixels = pixels_of(graph, image);
    const int64_t area = (int64_t)graph->side * graph->side;
    const PfShape *out = &graph->shapes[index];
    double *y = graph->values[index];
    if (node->op == PF_OP_MEAN || node->op == PF_OP_REDUCE_SUM || node->op == PF_OP_REDUCE_MAX) {
        reduce(graph, node, out, y);
        return;
    }
    if (node->op == PF_OP_POSITIONS) {
        compute_positions(graph, index, y);
        return;
    }
    for (int64_t i = 0; i < pf_shape_count(out); i++)
        y[i] = index ? value_at(graph, index, i)
                     : ((double)pixels[3 * (i % area) + i / area] / 255 - 0.5) / 0.25;
}

static double largest_of(const Graph *graph, int index)
{
    double largest = 0;
    for (int64_t i = 0; i < pf_shape_count(&graph->shapes[index]); i++)
        largest = fmax(largest, fabs(graph->values[index][i]));
    return largest;
}

/* What a node's rounding errors are in proportion to: where nearly nothing is left of larger
 * inputs, their errors are. */
static double error_scale(const Graph *graph, int index)
{
    const PfNode *node = &graph->arch.nodes[index];
    double scale = largest_of(graph, index);
    if (node->op == PF_OP_DIVIDE || node->op == PF_OP_SOFTMAX) return scale;
    for (int k = 0; k < node->input_count; k++) scale = fmax(scale, graph->scales[node->inputs[k]]);
    return scale;
}

/* ---- growing ---- */

static void open_graph_of(Graph *graph, int side, uint64_t seed)
{
    *graph = (Graph){.side = side, .random = pf_random_seeded(seed, 0)};
    graph->builder = (PfArchBuilder){.arch = &graph->arch, .err = &graph->err};
    snprintf(graph->arch.name, sizeof graph->arch.name, "random");
    for (int k = 0; k < IMAGES * 3 * side * side; k++)
        graph->pixels[k] = (uint8_t)between(&graph->random, 0, 255);
}

static void open_graph(Graph *graph, uint64_t seed)
{
    open_graph_of(graph, SIDE, seed);
}

static void close_graph(Graph *graph)
{
    for (int i = 0; i < graph->tensor_count; i++) {
        const void *data = graph->tensors[i].view.data;
        float *values;
        memcpy(&values, &data, sizeof values);
        free(values);
    }
    for (int i = 0; i < graph->arch.node_count; i++) free(graph->values[i]);
    free(graph->arch.nodes);
}

/* A node that the caller fills in, and then gives to finish(). */
static PfNode *begin(Graph *graph, PfOp op, int input)
{
    char name[32];
    int index;
    snprintf(name, sizeof name, "%d.%s", graph->arch.node_count, "x");
    PfNode *node = pf_arch_add(&graph->builder, op, name, NULL, input, &index);
    ck_assert_int_lt(index, MOST);
    if (op == PF_OP_PARAMETER) node->input_count = 0;
    node->eps = 1e-3f;
    return node;
}

/* Shape, weights and numbers of the last node; returns its index. */
static int finish(Graph *graph)
{
    const int index = graph->arch.node_count - 1;
    const PfNode *node = node_of(graph, index);
    PfShape in[PF_NODE_MAX_INPUTS] = {{3, {3, graph->side, graph->side}}};
    pf_node_input_shapes(node, graph->shapes, in);
    ck_assert_msg(!pf_op_row(node->op)->shape(node, in, &graph->shapes[index], &graph->err), "%s",
                  graph->err.message);
    for (const PfOpParameter *p = pf_op_row(node->op)->parameters; p->name; p++)
        if (pf_node_has_parameter(node, p)) draw_tensor(graph, node, p);
    graph->values[index] = calloc((size_t)pf_shape_count(&graph->shapes[index]), sizeof(double));
    compute_node(graph, index, 0);
    graph->scales[index] = error_scale(graph, index);
    return index;
}

static int add(Graph *graph, PfOp op, int a, int b)
{
    PfNode *node = begin(graph, op, a);
    if (b >= 0) node->inputs[node->input_count++] = b;
    return finish(graph);
}

static int64_t draw(Graph *graph, int64_t low, int64_t high)
{
    return between(&graph->random, low, high);
}

static int add_conv(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CONV, x);
    const int kernel = draw(graph, 0, 1) ? 3 : 1;
    pf_arch_set_window(node, kernel, 1, kernel / 2);
    node->in_channels = (int)graph->shapes[x].dims[0];
    node->out_channels = (int)(draw(graph, 0, 1) ? 16 * draw(graph, 1, 2) : draw(graph, 1, 24));
    node->bias = (int)draw(graph, 0, 1);
    node->groups = 1;
    return finish(graph);
}

/* A random divisor. */
static int64_t draw_divisor(Graph *graph, int64_t number)
{
    int64_t divisor = draw(graph, 1, number);
    while (number % divisor) divisor--;
    return divisor;
}

/* Windows that fit, of any sizes along either axis. */
static void draw_windows(Graph *graph, PfNode *node, int x, bool dilated)
{
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = graph->shapes[x].dims[axis + 1];
        node->kernel[axis] = (int)draw(graph, 1, size < 5 ? size : 5);
        node->stride[axis] = (int)draw(graph, 1, 2);
        node->padding[axis] = (int)draw(graph, 0, node->kernel[axis] / 2);
        node->dilation[axis] =
            dilated && 2 * node->kernel[axis] <= size ? (int)draw(graph, 1, 2) : 1;
    }
}

/* Each channel by itself, or groups. */
static int add_groups(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CONV, x);
    const int channels = (int)graph->shapes[x].dims[0];
    node->groups = draw(graph, 0, 1) ? channels : (int)draw_divisor(graph, channels);
    node->in_channels = channels;
    node->out_channels = node->groups * (int)draw(graph, 1, 1 + 20 / node->groups);
    if (draw(graph, 0, 1)) node->out_channels = channels;
    node->bias = (int)draw(graph, 0, 1);
    draw_windows(graph, node, x, true);
    return finish(graph);
}

/* Rounded up, there is a window also where it is larger than the map. */
static void draw_larger_windows(Graph *graph, PfNode *node, int x)
{
    for (int axis = 0; axis < 2; axis++) {
        const bool is_whole = node->kernel[axis] == graph->shapes[x].dims[axis + 1];
        const bool may_grow = node->stride[axis] == 2 && node->dilation[axis] == 1;
        if (is_whole && may_grow) node->kernel[axis] += (int)draw(graph, 0, 1);
    }
}

static int add_pool(Graph *graph, int x)
{
    const bool maxima = draw(graph, 0, 1);
    PfNode *node = begin(graph, maxima ? PF_OP_MAX_POOL : PF_OP_AVG_POOL, x);
    draw_windows(graph, node, x, maxima);
    node->ceil_mode = (int)draw(graph, 0, 1);
    if (node->ceil_mode) draw_larger_windows(graph, node, x);
    node->count_padding = (int)draw(graph, 0, 1);
    return finish(graph);
}

/* And most often a reader that may take it in. */
static int add_pad(Graph *graph, int x)
{
    const bool is_cut = draw(graph, 0, 2) == 0;
    if (is_cut) x = add(graph, PF_OP_RELU, x, -1);
    PfNode *node = begin(graph, PF_OP_PAD, x);
    for (int i = 0; i < 4; i++) node->pads[i] = (int)draw(graph, 0, 2);
    if (draw(graph, 0, 3) == 0) node->value = 0.5f;
    x = finish(graph);
    return draw(graph, 0, 1) ? add_pool(graph, x) : add_groups(graph, x);
}

/* Most often with the convolution that it pads for, of the same window. */
static int add_pad_same(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_PAD_SAME, x);
    for (int axis = 0; axis < 2; axis++) {
        node->kernel[axis] = (int)draw(graph, 1, 5);
        node->stride[axis] = (int)draw(graph, 1, 3);
        node->dilation[axis] = 1;
    }
    const PfNode window = *node;
    const int padded = finish(graph);
    if (!draw(graph, 0, 3)) return padded;
    PfNode *conv = begin(graph, PF_OP_CONV, padded);
    memcpy(conv->kernel, window.kernel, sizeof conv->kernel);
    memcpy(conv->stride, window.stride, sizeof conv->stride);
    memcpy(conv->dilation, window.dilation, sizeof conv->dilation);
    conv->in_channels = conv->out_channels = (int)graph->shapes[padded].dims[0];
    conv->groups = draw(graph, 0, 1) ? conv->in_channels : 1;
    const int index = finish(graph);
    for (int axis = 0; axis < 2; axis++) {
        const int64_t stride = window.stride[axis];
        ck_assert_int_eq(graph->shapes[index].dims[1 + axis],
                         (graph->shapes[x].dims[1 + axis] + stride - 1) / stride);
    }
    return index;
}

static int add_channel_shuffle(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CHANNEL_SHUFFLE, x);
    node->groups = (int)draw_divisor(graph, graph->shapes[x].dims[0]);
    return finish(graph);
}

/* A map multiplied with what it is squeezed to. */
static int add_excitation(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_MEAN, x);
    node->axes[0] = 1;
    node->axes[1] = 2;
    node->axis_count = 2;
    node->keep_axes = 1;
    const int factor = add(graph, PF_OP_HARD_SIGMOID, finish(graph), -1);
    const bool turned = draw(graph, 0, 1);
    return add(graph, PF_OP_MULTIPLY, turned ? factor : x, turned ? x : factor);
}

static int add_norm(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_BATCH_NORM, x);
    node->in_channels = node->out_channels = (int)graph->shapes[x].dims[0];
    return finish(graph);
}

static int add_linear(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_LINEAR, x);
    node->in_channels = (int)graph->shapes[x].dims[graph->shapes[x].rank - 1];
    node->out_channels = (int)draw(graph, 1, 40);
    node->bias = 1;
    return finish(graph);
}

static int add_layer_norm(Graph *graph, int x)
{
    const PfShape *shape = &graph->shapes[x];
    const bool of_pixels = shape->rank == 3 && draw(graph, 0, 1);
    PfNode *node = begin(graph, of_pixels ? PF_OP_LAYER_NORM_2D : PF_OP_LAYER_NORM, x);
    node->in_channels = node->out_channels =
        (int)(of_pixels ? shape->dims[0] : shape->dims[shape->rank - 1]);
    return finish(graph);
}

static int add_positions(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_POSITIONS, x);
    const int64_t side = draw(graph, 1, 9);
    node->start = draw(graph, 0, 2);
    node->align_corners = (int)draw(graph, 0, 1);
    node->antialias = !node->align_corners && draw(graph, 0, 1);
    node->value = 0.1f;
    node->shape = (PfShape){2, {node->start + side * side, graph->shapes[x].dims[0]}};
    node->leading_one = 1;
    return finish(graph);
}

static int add_part(Graph *graph, int x, int64_t start, int64_t count)
{
    PfNode *node = begin(graph, PF_OP_SLICE, x);
    node->axis = 1;
    node->start = start;
    node->count = count;
    node->step = 1;
    return finish(graph);
}

/* Queries, keys and values are parts of one linear layer's; or all are x itself. */
static int add_attention(Graph *graph, int x)
{
    const int heads = (int)draw(graph, 1, 3), width = (int)draw(graph, 1, 2) * 8;
    const int values = (int)draw(graph, 1, 20), keys = heads * width;
    int parts[] = {x, x, x};
    if (draw(graph, 0, 3)) {
        PfNode *linear = begin(graph, PF_OP_LINEAR, x);
        linear->in_channels = (int)graph->shapes[x].dims[1];
        linear->out_channels = 2 * keys + heads * values;
        linear->bias = 1;
        const int fused = finish(graph);
        parts[0] = add_part(graph, fused, 0, keys);
        parts[1] = add_part(graph, fused, keys, keys);
        parts[2] = add_part(graph, fused, 2 * keys, heads * values);
    }
    PfNode *node = begin(graph, PF_OP_ATTENTION, parts[0]);
    node->inputs[1] = parts[1];
    node->inputs[2] = parts[2];
    node->input_count = 3;
    node->heads = parts[0] == x ? 1 : heads;
    node->scale = 0.1f;
    return finish(graph);
}

static int add_reshape(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_RESHAPE, x);
    int64_t left = pf_shape_count(&graph->shapes[x]);
    node->shape.rank = (int)draw(graph, 1, 5);
    for (int i = 0; i + 1 < node->shape.rank; i++)
        left /= node->shape.dims[i] = draw_divisor(graph, left);
    node->shape.dims[node->shape.rank - 1] = left;
    return finish(graph);
}

/* As networks do it: the axes of a map become one. */
static int add_tokens(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_RESHAPE, x);
    const PfShape *from = &graph->shapes[x];
    const int first = (int)draw(graph, 0, 1);
    node->shape = (PfShape){2, {from->dims[0], from->dims[1] * from->dims[2]}};
    if (first) node->shape = (PfShape){2, {from->dims[0] * from->dims[1], from->dims[2]}};
    return finish(graph);
}

/* Tokens as a map again, as large as x; some stand before them. */
static int add_token_map(Graph *graph, int x)
{
    const PfShape map = graph->shapes[x];
    PfNode *node = begin(graph, PF_OP_RESHAPE, x);
    node->shape = (PfShape){2, {map.dims[1] * map.dims[2], map.dims[0]}};
    int tokens = finish(graph);
    if (pf_shape_count(&map) * 2 < LARGEST && draw(graph, 0, 1)) {
        node = begin(graph, PF_OP_CONCAT, tokens);
        node->inputs[node->input_count++] = tokens;
        tokens = finish(graph);
        node = begin(graph, PF_OP_SLICE, tokens);
        node->start = map.dims[1] * map.dims[2];
        node->count = PF_TO_THE_END;
        node->step = 1;
        tokens = finish(graph);
    }
    node = begin(graph, PF_OP_TOKEN_MAP, tokens);
    node->inputs[node->input_count++] = x;
    return finish(graph);
}

static int add_permute(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_PERMUTE, x);
    node->axis_count = graph->shapes[x].rank;
    for (int i = 0; i < node->axis_count; i++) {
        const int k = (int)draw(graph, 0, i);
        node->axes[i] = node->axes[k];
        node->axes[k] = i;
    }
    return finish(graph);
}

static int add_slice(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_SLICE, x);
    const PfShape *from = &graph->shapes[x];
    node->axis = (int)draw(graph, 0, from->rank - 1);
    const int64_t size = from->dims[node->axis];
    node->step = draw(graph, 1, 2);
    node->start = draw(graph, 0, size - 1);
    node->count = draw(graph, 1, 1 + (size - 1 - node->start) / node->step);
    return finish(graph);
}

static int add_concat(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CONCAT, x);
    node->axis = (int)draw(graph, 0, graph->shapes[x].rank - 1);
    for (int i = 0; i < x && node->input_count < 4; i++) { /* what fits */
        PfShape other = graph->shapes[i];
        if (other.rank != graph->shapes[x].rank) continue;
        other.dims[node->axis] = graph->shapes[x].dims[node->axis];
        if (pf_shape_equal(&other, &graph->shapes[x])) node->inputs[node->input_count++] = i;
    }
    if (node->input_count == 1) node->inputs[node->input_count++] = x;
    return finish(graph);
}

static int add_reduction(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_MEAN, PF_OP_REDUCE_SUM, PF_OP_REDUCE_MAX};
    PfNode *node = begin(graph, ops[draw(graph, 0, 2)], x);
    for (int i = 0; i < graph->shapes[x].rank; i++)
        if (draw(graph, 0, 1)) node->axes[node->axis_count++] = i;
    if (!node->axis_count) node->axes[node->axis_count++] = 0;
    node->keep_axes = (int)draw(graph, 0, 1);
    return finish(graph);
}

static int add_softmax(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_SOFTMAX, x);
    node->axis = (int)draw(graph, 0, graph->shapes[x].rank - 1);
    return finish(graph);
}

/* One number, one for each channel, or some other part of the shape. */
static int add_parameter(Graph *graph, int like)
{
    PfNode *node = begin(graph, PF_OP_PARAMETER, 0);
    const PfShape *shape = &graph->shapes[like];
    const int dropped = (int)draw(graph, 0, shape->rank);
    node->shape.rank = shape->rank - dropped;
    for (int i = 0; i < node->shape.rank; i++)
        node->shape.dims[i] = draw(graph, 0, 1) ? shape->dims[i + dropped] : 1;
    node->leading_one = node->shape.rank < PF_MAX_RANK && draw(graph, 0, 1);
    return finish(graph);
}

static int add_arithmetic(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_ADD,    PF_OP_SUBTRACT, PF_OP_MULTIPLY,
                               PF_OP_DIVIDE, PF_OP_MAXIMUM,  PF_OP_MINIMUM};
    const int parameter = add_parameter(graph, x);
    return add(graph, ops[draw(graph, 0, 5)], x, parameter);
}

/* x and something before it of the same shape, or its own maxima. */
static int add_two(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_ADD, PF_OP_MULTIPLY, PF_OP_MAXIMUM, PF_OP_MINIMUM};
    int other = x;
    for (int i = 0; i < x; i++)
        if (pf_shape_equal(&graph->shapes[i], &graph->shapes[x]) && draw(graph, 0, 1)) other = i;
    if (other == x && draw(graph, 0, 1)) {
        PfNode *node = begin(graph, PF_OP_REDUCE_MAX, x);
        node->axes[node->axis_count++] = (int)draw(graph, 0, graph->shapes[x].rank - 1);
        node->keep_axes = 1;
        other = finish(graph);
    }
    const bool turned = draw(graph, 0, 1);
    return add(graph, ops[draw(graph, 0, 3)], turned ? other : x, turned ? x : other);
}

/* With itself, its last two axes exchanged; with fewer axes before them on one side. */
static int add_product(Graph *graph, int x)
{
    const int rank = graph->shapes[x].rank;
    PfNode *node = begin(graph, PF_OP_PERMUTE, x);
    node->axis_count = rank;
    for (int i = 0; i < rank; i++) node->axes[i] = i;
    node->axes[rank - 2] = rank - 1;
    node->axes[rank - 1] = rank - 2;
    int other = finish(graph);
    if (rank > 2 && draw(graph, 0, 1)) {
        node = begin(graph, PF_OP_MEAN, other);
        node->axes[node->axis_count++] = 0;
        node->keep_axes = (int)draw(graph, 0, 1);
        other = finish(graph);
    }
    return add(graph, PF_OP_MATMUL, x, other);
}

static int add_function(Graph *graph, int x, double largest)
{
    static const PfOp ops[] = {PF_OP_RELU,    PF_OP_NEGATE,       PF_OP_ABS,        PF_OP_CLIP,
                               PF_OP_SIGMOID, PF_OP_HARD_SIGMOID, PF_OP_HARD_SWISH, PF_OP_SILU,
                               PF_OP_GELU,    PF_OP_GELU_TANH,    PF_OP_QUICK_GELU, PF_OP_TANH,
                               PF_OP_ERF,     PF_OP_LEAKY_RELU,   PF_OP_ELU,        PF_OP_EXP};
    PfNode *node = begin(graph, ops[draw(graph, 0, largest < 4 ? 15 : 11)], x);
    node->value = 0.3f;
    node->low = -0.5f;
    node->high = 0.7f;
    return finish(graph);
}

/* Roots and logarithms of what is no less than a half. */
static int add_root(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_SQRT, PF_OP_LOG, PF_OP_RECIPROCAL, PF_OP_POWER};
    const PfOp op = ops[draw(graph, 0, 3)];
    x = add(graph, PF_OP_ABS, x, -1);
    x = add(graph, PF_OP_ADD, x, add_parameter(graph, x));
    return add(graph, op, x, op == PF_OP_POWER ? add_parameter(graph, x) : -1);
}

/* Maps of 16 channels each, then a norm and a ReLU of them all, as DenseNet has them. */
static int add_dense_layer(Graph *graph, int x)
{
    int parts[3];
    for (int k = 0; k < 3; k++) {
        PfNode *node = begin(graph, PF_OP_CONV, k ? parts[k - 1] : x);
        pf_arch_set_window(node, 3, 1, 1);
        node->in_channels = (int)graph->shapes[node->inputs[0]].dims[0];
        node->out_channels = draw(graph, 0, 7) ? 16 * (k + 1) : 8;
        node->groups = 1;
        parts[k] = finish(graph);
    }
    PfNode *node = begin(graph, PF_OP_CONCAT, parts[0]);
    for (int k = 1; k < 3; k++) node->inputs[node->input_count++] = parts[k];
    x = add_norm(graph, finish(graph));
    if (draw(graph, 0, 3)) x = add(graph, PF_OP_RELU, x, -1);
    return add_conv(graph, x);
}

/* Something with one number, or one for each channel, on either side. */
static int add_channel_parameter(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_ADD, PF_OP_MULTIPLY, PF_OP_SUBTRACT, PF_OP_DIVIDE};
    const PfShape shape = graph->shapes[x];
    const bool is_map = graph->arch.nodes[x].op == PF_OP_CONV;
    if (is_map && draw(graph, 0, 1)) x = add_norm(graph, x);
    for (int k = (int)draw(graph, 1, 3); k > 0; k--) {
        PfNode *node = begin(graph, PF_OP_PARAMETER, 0);
        node->shape = (PfShape){1, {draw(graph, 0, 3) ? shape.dims[shape.rank - 1] : 1}};
        if (is_map) node->shape = (PfShape){3, {draw(graph, 0, 3) ? shape.dims[0] : 1, 1, 1}};
        const int parameter = finish(graph);
        const PfOp op = ops[draw(graph, 0, 3)];
        const bool turned = op != PF_OP_DIVIDE && draw(graph, 0, 1);
        x = add(graph, op, turned ? parameter : x, turned ? x : parameter);
    }
    return draw(graph, 0, 1) ? add(graph, PF_OP_RELU, x, -1) : x;
}

/* x, divided by its largest absolute value. */
static int add_scaled(Graph *graph, int x)
{
    const int absolute = add(graph, PF_OP_ABS, x, -1);
    PfNode *node = begin(graph, PF_OP_REDUCE_MAX, absolute);
    for (int i = 0; i < graph->shapes[x].rank; i++) node->axes[node->axis_count++] = i;
    const int largest = finish(graph);
    return add(graph, PF_OP_DIVIDE, x, largest);
}

static bool can_multiply(const PfShape *shape)
{
    const int64_t rows = shape->rank < 2 ? 0 : shape->dims[shape->rank - 2];
    return rows && rows * pf_shape_count(shape) / shape->dims[shape->rank - 1] < LARGEST &&
           rows * pf_shape_count(shape) < 200000;
}

/* One more operation that the value can take; x where this one cannot. */
static int grow(Graph *graph, int x)
{
    const PfShape *shape = &graph->shapes[x];
    const double largest = largest_of(graph, x);
    const bool is_map = shape->rank == 3;
    const bool is_small = pf_shape_count(shape) * 2 < LARGEST;
    if (largest < 1e-3 * graph->scales[x]) return 0;
    if (largest > 50) return add_scaled(graph, x);
    switch (draw(graph, 0, 30)) {
    case 0: return is_map && shape->dims[0] < 100 ? add_conv(graph, x) : x;
    case 1: return is_map ? add_norm(graph, x) : x;
    case 2:
        return shape->rank && shape->rank < 4 && pf_shape_count(shape) < 2000 ? add_linear(graph, x)
                                                                              : x;
    case 3: return add(graph, PF_OP_FLATTEN, x, -1);
    case 4: return add_reshape(graph, x);
    case 5: return is_map ? add_tokens(graph, x) : x;
    case 6:
    case 7: return shape->rank ? add_permute(graph, x) : x;
    case 8: return shape->rank ? add_slice(graph, x) : x;
    case 9: return shape->rank && is_small ? add_concat(graph, x) : x;
    case 10: return shape->rank ? add_reduction(graph, x) : x;
    case 11: return shape->rank && largest < 10 ? add_softmax(graph, x) : x;
    case 12: return add_arithmetic(graph, x);
    case 13: return shape->rank && largest < 7 ? add_two(graph, x) : x;
    case 14: return can_multiply(shape) ? add_product(graph, x) : x;
    case 15: return add_root(graph, x);
    case 17: return shape->rank && shape->rank < 4 ? add_layer_norm(graph, x) : x;
    case 18:
        return shape->rank == 2 && shape->dims[0] <= 70 && is_small && largest < 7
                   ? add_attention(graph, x)
                   : x;
    case 19: return is_map ? add_function(graph, add_conv(graph, x), 9) : x;
    case 20: return is_map ? add_positions(graph, x) : x;
    case 30: return is_map ? add_token_map(graph, x) : x;
    case 16: return is_map ? add(graph, PF_OP_RELU, add_conv(graph, x), -1) : x;
    case 21: return is_map && shape->dims[0] < 100 ? add_dense_layer(graph, x) : x;
    case 22: return is_map ? add_channel_parameter(graph, add_conv(graph, x)) : x;
    case 23: return is_map && shape->dims[0] > 1 && is_small ? add_groups(graph, x) : x;
    case 24: return is_map && is_small ? add_pool(graph, x) : x;
    case 25: return is_map && is_small ? add_pad(graph, x) : x;
    case 26: return is_map && largest < 7 ? add_excitation(graph, x) : x;
    case 28: return is_map && is_small && shape->dims[0] < 100 ? add_pad_same(graph, x) : x;
    case 29: return is_map ? add_channel_shuffle(graph, x) : x;
    case 27:
        return shape->rank && pf_shape_count(shape) < 2000 && shape->rank < 4
                   ? add_channel_parameter(graph, add_linear(graph, x))
                   : x;
    default: return add_function(graph, x, largest);
    }
}

static void grow_graph(Graph *graph)
{
    int x = (begin(graph, PF_OP_INPUT, 0), node_of(graph, 0)->input_count = 0, finish(graph));
    const int nodes = (int)draw(graph, 4, MOST - 36);
    if (draw(graph, 0, 3)) x = add_conv(graph, x);
    while (graph->arch.node_count < nodes) {
        const int other = (int)draw(graph, 0, graph->arch.node_count - 1);
        if (draw(graph, 0, 9) == 0 && node_of(graph, other)->op != PF_OP_PARAMETER) x = other;
        x = grow(graph, x);
    }
    ck_assert_int_eq(graph->builder.failed, 0);
}

/* ---- the engine ---- */

typedef struct Features {
    float *taps[MOST]; /* (IMAGES, numbers) */
} Features;

static void free_features(Features *features)
{
    for (int t = 0; t < MOST; t++) free(features->taps[t]);
}

static size_t arena_bytes(const PfEnginePlan *plan)
{
    return plan->maps_bytes + plan->scratch_bytes;
}

/* So many images at a time, in memory that is full of what is no number. */
static void execute(const Graph *graph, const PfEnginePlan *plan, const int *nodes, int at_a_time,
                    void *arena, const PfEngineTeam *team, Features *features)
{
    void *outputs[MOST];
    *features = (Features){0};
    for (int t = 0; t < plan->tap_count; t++) {
        const int64_t count = pf_shape_count(&graph->shapes[nodes[t]]);
        outputs[t] = features->taps[t] = calloc((size_t)(IMAGES * count), sizeof(float));
    }
    for (int first = 0; first < IMAGES; first += at_a_time) {
        const int count = first + at_a_time < IMAGES ? at_a_time : IMAGES - first;
        const PfEngineImages images = {pixels_of(graph, first), first, count, outputs};
        memset(arena, 0xff, arena_bytes(plan));
        pf_engine_execute(plan, &images, arena, team);
    }
}

static void check_tap(const Graph *graph, int node, const float *found, int image)
{
    const int64_t count = pf_shape_count(&graph->shapes[node]);
    const double largest = fmax(graph->scales[node], largest_of(graph, node));
    for (int64_t i = 0; i < count; i++) {
        const double expected = graph->values[node][i], got = (double)found[image * count + i];
        if (!(fabs(got - expected) <= 1e-4 * largest))
            ck_abort_msg("%s '%s' of image %d: %g at %ld, not %g",
                         pf_op_row(graph->arch.nodes[node].op)->name, graph->arch.nodes[node].name,
                         image, got, (long)i, expected);
    }
}

static PfEnginePlan *plan_of(Graph *graph, const int *nodes, int tap_count)
{
    const char *taps[MOST];
    PfEnginePlan *plan;
    for (int t = 0; t < tap_count; t++) taps[t] = graph->arch.nodes[nodes[t]].name;
    const PfBackboneConfig config = {.arch = &graph->arch,
                                     .tensors = graph->tensors,
                                     .tensor_count = (size_t)graph->tensor_count,
                                     .taps = taps,
                                     .tap_count = tap_count,
                                     .input_height = graph->side,
                                     .input_width = graph->side,
                                     .mean = {0.5f, 0.5f, 0.5f},
                                     .std = {0.25f, 0.25f, 0.25f},
                                     .precision = graph->precision,
                                     .images = IMAGES,
                                     .output_dtype = PF_DTYPE_F32};
    ck_assert_msg(!pf_engine_plan_new(&config, 1, &plan, &graph->err), "%s", graph->err.message);
    return plan;
}

/* Some nodes as taps, and what the engine made of them. */
typedef struct Run {
    int nodes[MOST], count;
    Features features;
} Run;

static void check_same(const Graph *graph, const PfEnginePlan *plan, const int *nodes,
                       const Features *expected, Features *found, const char *how)
{
    for (int t = 0; t < plan->tap_count; t++) {
        const int64_t count = pf_shape_count(&graph->shapes[nodes[t]]);
        ck_assert_msg(
            !memcmp(expected->taps[t], found->taps[t], (size_t)(IMAGES * count) * sizeof(float)),
            "'%s' has other bits %s", plan->taps[t].name, how);
    }
    free_features(found);
}

/* All images at once; the same bits one by one, by the plain kernels, and by several threads. */
static void execute_all_ways(Graph *graph, const PfEnginePlan *plan, const int *nodes,
                             Features *together)
{
    enum { THREADS = 3 };
    Features other;
    void *arenas[THREADS];
    PfEngineTeam team = {.threads = THREADS, .arenas = arenas};
    ck_assert_int_eq(pf_thread_pool_new(THREADS, &team.pool, &graph->err), 0);
    for (int t = 0; t < THREADS; t++)
        arenas[t] = pf_alloc_aligned(arena_bytes(plan) + 64, 1, &graph->err);
    execute(graph, plan, nodes, IMAGES, arenas[0], NULL, together);
    setenv("PF_KERNELS", "plain", 1);
    execute(graph, plan, nodes, 1, arenas[0], NULL, &other);
    unsetenv("PF_KERNELS");
    check_same(graph, plan, nodes, together, &other, "alone");
    execute(graph, plan, nodes, IMAGES, arenas[0], &team, &other);
    check_same(graph, plan, nodes, together, &other, "by a team");
    pf_thread_pool_free(&team.pool);
    for (int t = 0; t < THREADS; t++) free(arenas[t]);
}

static void run_taps(Graph *graph, Run *run)
{
    PfEnginePlan *plan = plan_of(graph, run->nodes, run->count);
    execute_all_ways(graph, plan, run->nodes, &run->features);
    pf_engine_plan_free(&plan);
}

static void check_image(const Graph *graph, const Run *runs, int run_count, int image)
{
    for (int r = 0; r < run_count; r++)
        for (int t = 0; t < runs[r].count; t++)
            check_tap(graph, runs[r].nodes[t], runs[r].features.taps[t], image);
}

/* The first image, of which the graph has the numbers since it grew, and the last. */
static void check_runs(Graph *graph, Run *runs, int run_count)
{
    for (int r = 0; r < run_count; r++) run_taps(graph, &runs[r]);
    check_image(graph, runs, run_count, 0);
    for (int i = 0; i < graph->arch.node_count; i++) compute_node(graph, i, IMAGES - 1);
    check_image(graph, runs, run_count, IMAGES - 1);
    for (int r = 0; r < run_count; r++) free_features(&runs[r].features);
}

/* All nodes, the last one, and some. */
START_TEST(random_graphs_are_as_defined)
{
    for (int g = 0; g < GRAPHS; g++) {
        Graph *graph = malloc(sizeof *graph);
        enum { ALL, LAST, SOME };
        Run runs[] = {[ALL] = {{0}}, [LAST] = {{0}}, [SOME] = {{0}}};
        open_graph(graph, (uint64_t)(_i * GRAPHS + g));
        grow_graph(graph);
        for (int i = 0; i < graph->arch.node_count; i++)
            if (graph->arch.nodes[i].op != PF_OP_PARAMETER) runs[ALL].nodes[runs[ALL].count++] = i;
        runs[LAST].nodes[runs[LAST].count++] = runs[ALL].nodes[runs[ALL].count - 1];
        for (int i = 0; i < runs[ALL].count; i++)
            if (!draw(graph, 0, 4)) runs[SOME].nodes[runs[SOME].count++] = runs[ALL].nodes[i];
        check_runs(graph, runs, runs[SOME].count ? 3 : 2);
        close_graph(graph);
        free(graph);
    }
}
END_TEST

/* ---- windows and rotations ---- */

/* Attention in windows of a map (h, w, c), which is padded for them, and cut again. */
static int add_windows(Graph *graph, int x)
{
    const int heads = (int)draw(graph, 1, 3), width = (int)draw(graph, 1, 18);
    const int side = (int)draw(graph, 1, 4);
    PfNode *node = begin(graph, PF_OP_PAD_BEHIND, x);
    node->kernel[0] = node->kernel[1] = side;
    int y = finish(graph);
    node = begin(graph, PF_OP_LINEAR, y);
    node->in_channels = (int)graph->shapes[y].dims[2];
    node->out_channels = 3 * heads * width;
    node->bias = 1;
    y = finish(graph);
    node = begin(graph, PF_OP_WINDOW_ATTENTION, y);
    node->kernel[0] = node->kernel[1] = side;
    node->heads = heads;
    node->scale = 0.1f;
    node->start = draw(graph, 0, side - 1);
    node->shape = (PfShape){2, {(2 * side - 1) * (2 * side - 1), heads}};
    y = finish(graph);
    node = begin(graph, PF_OP_CROP, y);
    node->inputs[node->input_count++] = x;
    return finish(graph);
}

/* Tokens, of which the last are the patches of map x, in parts of a wider layer. */
static int add_rotation(Graph *graph, int x)
{
    const PfShape map = graph->shapes[x];
    const int heads = (int)draw(graph, 1, 3), width = 4 * heads * (int)draw(graph, 1, 5);
    PfNode *node = begin(graph, PF_OP_RESHAPE, x);
    node->shape = (PfShape){2, {map.dims[1] * map.dims[2], map.dims[0]}};
    int y = finish(graph);
    if (draw(graph, 0, 1)) {
        node = begin(graph, PF_OP_CONCAT, y);
        node->inputs[node->input_count++] = y;
        y = finish(graph);
    }
    node = begin(graph, PF_OP_LINEAR, y);
    node->in_channels = (int)map.dims[0];
    node->out_channels = 2 * width;
    node->bias = 1;
    y = add_part(graph, finish(graph), (int)draw(graph, 0, 1) * width, width);
    node = begin(graph, PF_OP_ROTATE, y);
    node->inputs[node->input_count++] = x;
    node->heads = heads;
    node->value = 100;
    return finish(graph);
}

static int add_input_map(Graph *graph)
{
    begin(graph, PF_OP_INPUT, 0)->input_count = 0;
    return add_conv(graph, finish(graph));
}

/* Pixels last, as such networks have them. */
static int add_turned(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_PERMUTE, x);
    node->axis_count = 3;
    node->axes[0] = 1;
    node->axes[1] = 2;
    node->axes[2] = 0;
    return finish(graph);
}

/* All nodes as taps, and the last one. */
static void check_graph(Graph *graph)
{
    enum { ALL, LAST };
    Run runs[] = {[ALL] = {.count = 0}, [LAST] = {.count = 0}};
    for (int i = 0; i < graph->arch.node_count; i++) runs[0].nodes[runs[0].count++] = i;
    runs[1].nodes[runs[1].count++] = graph->arch.node_count - 1;
    check_runs(graph, runs, 2);
}

START_TEST(rotations_are_as_defined)
{
    for (int g = 0; g < 25; g++) {
        Graph *graph = malloc(sizeof *graph);
        open_graph(graph, (uint64_t)(7000 + g));
        add_rotation(graph, add_input_map(graph));
        check_graph(graph);
        close_graph(graph);
        free(graph);
    }
}
END_TEST

START_TEST(windows_are_as_defined)
{
    for (int g = 0; g < 25; g++) {
        Graph *graph = malloc(sizeof *graph);
        open_graph(graph, (uint64_t)(5000 + g));
        add_windows(graph, add_turned(graph, add_input_map(graph)));
        check_graph(graph);
        close_graph(graph);
        free(graph);
    }
}
END_TEST

/* ---- bf16 ---- */

/* The plan is made: from now on the definitions have the weights that it computes with. Norms and
 * positions round what they have made of theirs. */
static void round_tensors(Graph *graph)
{
    for (int i = 0; i < graph->arch.node_count; i++) {
        const PfNode *node = node_of(graph, i);
        if (node->op == PF_OP_BATCH_NORM || node->op == PF_OP_POSITIONS) continue;
        for (const PfOpParameter *p = pf_op_row(node->op)->parameters; p->name; p++) {
            if (!pf_node_has_parameter(node, p)) continue;
            const void *data = tensor(graph, i, p->name);
            const PfShape shape = p->shape(node);
            float *values;
            memcpy(&values, &data, sizeof values);
            pf_engine_round(values, pf_shape_count(&shape));
        }
    }
}

static void check_is_bf16(const Graph *graph, int node, const float *found)
{
    const int64_t count = IMAGES * pf_shape_count(&graph->shapes[node]);
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &found[i], sizeof bits);
        if (bits & 0xffff)
            ck_abort_msg("%s '%s': %a is not a bfloat16",
                         pf_op_row(graph->arch.nodes[node].op)->name, graph->arch.nodes[node].name,
                         (double)found[i]);
    }
}

/* found: of the image. Off by half of the last bit of eight, and by what float32 loses on numbers
 * as large as `largest`. */
static void check_nearest(const Graph *graph, int node, const float *found, double largest)
{
    for (int64_t i = 0; i < pf_shape_count(&graph->shapes[node]); i++) {
        const double expected = graph->values[node][i], off = fabs((double)found[i] - expected);
        if (!(off <= fabs(expected) / 256 + 1e-4 * largest))
            ck_abort_msg("%s '%s': %g at %ld, not %g", pf_op_row(graph->arch.nodes[node].op)->name,
                         graph->arch.nodes[node].name, (double)found[i], (long)i, expected);
    }
}

/* Each node, of the numbers that its inputs have in the engine: these become its own for those that
 * follow. found[i]: (IMAGES, numbers) of node i; NULL: a parameter. */
static void check_nodes(Graph *graph, float *const *found, int image)
{
    for (int i = 0; i < graph->arch.node_count; i++) {
        const PfNode *node = node_of(graph, i);
        const int64_t count = pf_shape_count(&graph->shapes[i]);
        compute_node(graph, i, image);
        if (!found[i]) continue;
        double largest = largest_of(graph, i);
        for (int k = 0; k < node->input_count; k++)
            largest = fmax(largest, largest_of(graph, node->inputs[k]));
        check_nearest(graph, i, found[i] + image * count, largest);
        for (int64_t n = 0; n < count; n++)
            graph->values[i][n] = (double)found[i][image * count + n];
    }
}

/* All nodes, so that none is part of another's step. Then the last one alone. */
static void run_rounded(Graph *graph)
{
    int nodes[MOST], count = 0;
    float *found[MOST] = {0};
    Features features;
    for (int i = 0; i < graph->arch.node_count; i++)
        if (graph->arch.nodes[i].op != PF_OP_PARAMETER) nodes[count++] = i;
    PfEnginePlan *all = plan_of(graph, nodes, count);
    PfEnginePlan *last = plan_of(graph, nodes + count - 1, 1);
    round_tensors(graph);
    execute_all_ways(graph, all, nodes, &features);
    for (int t = 0; t < count; t++) {
        check_is_bf16(graph, nodes[t], features.taps[t]);
        found[nodes[t]] = features.taps[t];
    }
    for (int image = 0; image < IMAGES; image += IMAGES - 1) check_nodes(graph, found, image);
    free_features(&features);
    execute_all_ways(graph, last, nodes + count - 1, &features);
    check_is_bf16(graph, nodes[count - 1], features.taps[0]);
    free_features(&features);
    pf_engine_plan_free(&all);
    pf_engine_plan_free(&last);
}

START_TEST(random_graphs_are_rounded_node_by_node)
{
    for (int g = 0; g < GRAPHS; g++) {
        Graph *graph = malloc(sizeof *graph);
        open_graph(graph, (uint64_t)(1000 + g));
        grow_graph(graph);
        graph->precision = PF_BF16;
        run_rounded(graph);
        close_graph(graph);
        free(graph);
    }
}
END_TEST

/* ---- what makes no step ---- */

static int add_input(Graph *graph)
{
    begin(graph, PF_OP_INPUT, 0)->input_count = 0;
    return finish(graph);
}

static int add_reshape_to(Graph *graph, int x, PfShape shape)
{
    begin(graph, PF_OP_RESHAPE, x)->shape = shape;
    return finish(graph);
}

static int add_permute_by(Graph *graph, int x, int count, const int *axes)
{
    PfNode *node = begin(graph, PF_OP_PERMUTE, x);
    node->axis_count = count;
    memcpy(node->axes, axes, (size_t)count * sizeof *axes);
    return finish(graph);
}

static int add_conv_of(Graph *graph, int x, int channels)
{
    PfNode *node = begin(graph, PF_OP_CONV, x);
    pf_arch_set_window(node, 3, 1, 1);
    node->in_channels = (int)graph->shapes[x].dims[0];
    node->out_channels = channels;
    node->groups = 1;
    return finish(graph);
}

static int count_of(const PfEnginePlan *plan, PfStepKind kind)
{
    int count = 0;
    for (int s = 0; s < plan->step_count; s++) count += plan->steps[s].kind == kind;
    return count;
}

/* The graph computes what is defined, by as many steps of a kind. */
static void check_steps(Graph *graph, int last, PfStepKind kind, int count)
{
    PfEnginePlan *plan = plan_of(graph, &last, 1);
    ck_assert_int_eq(count_of(plan, PF_STEP_COPY), 0);
    ck_assert_int_eq(count_of(plan, PF_STEP_ARITHMETIC), 0);
    ck_assert_int_eq(count_of(plan, PF_STEP_POINTWISE), 0);
    ck_assert_int_eq(count_of(plan, kind), count);
    pf_engine_plan_free(&plan);
    check_runs(graph, &(Run){.nodes = {last}, .count = 1}, 1);
}

/* Maps become tokens, are read by a linear layer, and become maps again. */
START_TEST(maps_and_tokens_are_views)
{
    static const int exchanged[] = {1, 0}, last[] = {1, 2, 0}, first[] = {2, 0, 1};
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 1);
    int x = add_conv_of(graph, add_input(graph), 20);
    x = add_reshape_to(graph, x, (PfShape){2, {20, SIDE * SIDE}});
    x = add_linear(graph, add_permute_by(graph, x, 2, exchanged));
    const int64_t channels = graph->shapes[x].dims[1];
    x = add_permute_by(graph, x, 2, exchanged);
    x = add_reshape_to(graph, x, (PfShape){3, {channels, SIDE, SIDE}});
    x = add_linear(graph, add_permute_by(graph, add_conv_of(graph, x, 9), 3, last));
    x = add_conv_of(graph, add_permute_by(graph, x, 3, first), 16);
    check_steps(graph, x, PF_STEP_CONVOLUTION, 5);
    close_graph(graph);
    free(graph);
}
END_TEST

/* A layer's scale goes through the views into the linear layer, and the sum behind it as well. */
START_TEST(scales_and_sums_go_through_views)
{
    static const int last[] = {1, 2, 0}, first[] = {2, 0, 1};
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 2);
    const int before = add_conv_of(graph, add_input(graph), 24);
    PfNode *node = begin(graph, PF_OP_LINEAR, add_permute_by(graph, before, 3, last));
    node->in_channels = node->out_channels = 24;
    node->bias = 1;
    int x = add_permute_by(graph, finish(graph), 3, first);
    begin(graph, PF_OP_PARAMETER, 0)->shape = (PfShape){3, {24, 1, 1}};
    x = add(graph, PF_OP_MULTIPLY, finish(graph), x);
    x = add(graph, PF_OP_ADD, x, before);
    check_steps(graph, x, PF_STEP_CONVOLUTION, 2);
    close_graph(graph);
    free(graph);
}
END_TEST

START_TEST(norms_go_into_concatenations)
{
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 3);
    const int a = add_conv_of(graph, add_input(graph), 32), b = add_conv_of(graph, a, 16);
    PfNode *node = begin(graph, PF_OP_CONCAT, a);
    node->inputs[node->input_count++] = b;
    node->inputs[node->input_count++] = a;
    const int x = add(graph, PF_OP_RELU, add_norm(graph, finish(graph)), -1);
    check_steps(graph, x, PF_STEP_PART, 3);
    close_graph(graph);
    free(graph);
}
END_TEST

/* The weights and the bias of a convolution become, rounded, what they are with the norm behind it.
 */
static void fold_rounded(Graph *graph, int conv, int norm)
{
    const PfNode *node = node_of(graph, conv);
    const void *data[] = {tensor(graph, conv, "weight"), tensor(graph, conv, "bias")};
    const int64_t row = node->in_channels * node->kernel[0] * node->kernel[1];
    float *weight, *bias;
    memcpy(&weight, &data[0], sizeof weight);
    memcpy(&bias, &data[1], sizeof bias);
    for (int64_t k = 0; k < node->out_channels; k++) {
        double factors[2];
        norm_factors(graph, norm, k, factors);
        for (int64_t i = 0; i < row; i++)
            weight[k * row + i] = (float)((double)weight[k * row + i] * factors[0]);
        bias[k] = (float)((double)bias[k] * factors[0] + factors[1]);
    }
    pf_engine_round(weight, node->out_channels * row);
    pf_engine_round(bias, node->out_channels);
}

/* A convolution, its norm, a sum and a ReLU are one step, which rounds weights with the norm in
 * them once, and its result once. */
START_TEST(what_is_taken_in_is_rounded_once)
{
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 4);
    graph->precision = PF_BF16;
    int nodes[2] = {add_conv_of(graph, add_input(graph), 32), 0};
    PfNode *node = begin(graph, PF_OP_CONV, nodes[0]);
    pf_arch_set_window(node, 3, 1, 1);
    node->in_channels = node->out_channels = 32;
    node->groups = node->bias = 1;
    const int conv = finish(graph), norm = add_norm(graph, conv);
    nodes[1] = add(graph, PF_OP_RELU, add(graph, PF_OP_ADD, norm, nodes[0]), -1);
    const int64_t count = pf_shape_count(&graph->shapes[conv]);
    PfEnginePlan *plan = plan_of(graph, nodes, 2);
    Features features;
    execute_all_ways(graph, plan, nodes, &features);
    check_is_bf16(graph, nodes[1], features.taps[1]);
    fold_rounded(graph, conv, norm);
    for (int image = 0; image < IMAGES; image++) {
        for (int64_t i = 0; i < count; i++)
            graph->values[nodes[0]][i] = (double)features.taps[0][image * count + i];
        compute_node(graph, conv, image);
        for (int64_t i = 0; i < count; i++)
            graph->values[nodes[1]][i] =
                fmax(0, graph->values[conv][i] + graph->values[nodes[0]][i]);
        check_nearest(graph, nodes[1], features.taps[1] + image * count,
                      largest_of(graph, nodes[1]) / 10);
    }
    free_features(&features);
    pf_engine_plan_free(&plan);
    close_graph(graph);
    free(graph);
}
END_TEST

/* ---- rows that are made when they are needed ---- */

static int add_pixelwise(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CONV, x);
    pf_arch_set_window(node, 1, 1, 0);
    node->in_channels = (int)graph->shapes[x].dims[0];
    node->out_channels = (int)draw(graph, 10, 40);
    node->bias = (int)draw(graph, 0, 1);
    node->groups = 1;
    return finish(graph);
}

/* A norm and an activation, both or neither. */
static int add_ends(Graph *graph, int x)
{
    static const PfOp ops[] = {PF_OP_RELU, PF_OP_HARD_SWISH, PF_OP_SILU, PF_OP_GELU};
    if (draw(graph, 0, 1)) x = add_norm(graph, x);
    return draw(graph, 0, 1) ? add(graph, ops[draw(graph, 0, 3)], x, -1) : x;
}

/* Each channel by itself, most often with a map as large as its own. */
static int add_each_channel(Graph *graph, int x)
{
    PfNode *node = begin(graph, PF_OP_CONV, x);
    node->groups = node->in_channels = node->out_channels = (int)graph->shapes[x].dims[0];
    node->bias = (int)draw(graph, 0, 1);
    for (int axis = 0; axis < 2; axis++) {
        node->kernel[axis] = 1 + 2 * (int)draw(graph, 0, 3);
        node->stride[axis] = draw(graph, 0, 7) ? 1 : 2;
        node->dilation[axis] = (int)draw(graph, 1, 2);
        node->padding[axis] = node->kernel[axis] / 2 * node->dilation[axis];
        if (!draw(graph, 0, 7)) node->padding[axis] = (int)draw(graph, 0, node->padding[axis]);
    }
    return finish(graph);
}

/* What is narrow becomes wide, or is weighed, in any order, and is added to what it was. */
static int add_rows(Graph *graph, int x)
{
    const int before = x;
    if (draw(graph, 0, 1)) x = add_excitation(graph, x);
    if (draw(graph, 0, 3)) x = add_ends(graph, add_pixelwise(graph, x));
    if (draw(graph, 0, 3)) x = add_ends(graph, add_each_channel(graph, x));
    if (pf_shape_equal(&graph->shapes[x], &graph->shapes[before]) && x != before)
        x = add(graph, PF_OP_ADD, x, before);
    return x;
}

static int count_rings(const PfEnginePlan *plan, PfStepKind before)
{
    int count = 0;
    for (int s = 1; s < plan->step_count; s++)
        count += plan->steps[s].ahead && plan->steps[s - 1].kind == before;
    return count;
}

/* Behind either kind of step, with taps and without. */
START_TEST(rows_made_when_needed_are_as_defined)
{
    enum { ROW_GRAPHS = 16 };
    int wide = 0, weighed = 0;
    for (int g = 0; g < ROW_GRAPHS; g++) {
        Graph *graph = malloc(sizeof *graph);
        Run runs[] = {{.count = 0}, {.count = 0}};
        open_graph_of(graph, (int)(ROWS_SIDE - g % 3), (uint64_t)(2000 + g));
        int x = add_conv_of(graph, add_input(graph), 16);
        while (graph->arch.node_count < 12) x = add_rows(graph, x);
        runs[0].nodes[runs[0].count++] = x;
        for (int i = 1; i < graph->arch.node_count; i++)
            if (i == x || !draw(graph, 0, 4)) runs[1].nodes[runs[1].count++] = i;
        PfEnginePlan *plan = plan_of(graph, &x, 1);
        wide += count_rings(plan, PF_STEP_CONVOLUTION);
        weighed += count_rings(plan, PF_STEP_POINTWISE);
        pf_engine_plan_free(&plan);
        check_runs(graph, runs, 2);
        close_graph(graph);
        free(graph);
    }
    ck_assert_msg(wide > 3 && weighed > 3, "%d, %d rings", wide, weighed);
}
END_TEST

/* bfloat16, too: whether a tap has them stored as well or not, these are the same bits. */
START_TEST(rows_made_when_needed_are_rounded)
{
    Graph *graph = malloc(sizeof *graph);
    open_graph_of(graph, ROWS_SIDE, 3000);
    graph->precision = PF_BF16;
    int nodes[3], x = add_conv_of(graph, add_input(graph), 16);
    nodes[0] = add(graph, PF_OP_GELU, add_pixelwise(graph, x), -1);
    PfNode *node = begin(graph, PF_OP_CONV, nodes[0]);
    pf_arch_set_window(node, 3, 1, 1);
    node->groups = node->in_channels = node->out_channels = (int)graph->shapes[nodes[0]].dims[0];
    x = add(graph, PF_OP_SILU, finish(graph), -1);
    nodes[1] = add_excitation(graph, x);
    nodes[2] = add_pixelwise(graph, nodes[1]);
    Features all, last;
    PfEnginePlan *stored = plan_of(graph, nodes, 3), *made = plan_of(graph, nodes + 2, 1);
    ck_assert_int_eq(count_rings(stored, PF_STEP_CONVOLUTION), 0);
    ck_assert_int_eq(count_rings(stored, PF_STEP_POINTWISE), 0);
    ck_assert_int_eq(count_rings(made, PF_STEP_CONVOLUTION), 1);
    ck_assert_int_eq(count_rings(made, PF_STEP_POINTWISE), 1);
    execute_all_ways(graph, stored, nodes, &all);
    execute_all_ways(graph, made, nodes + 2, &last);
    for (int t = 0; t < 3; t++) check_is_bf16(graph, nodes[t], all.taps[t]);
    check_same(graph, made, nodes + 2, &(Features){.taps = {all.taps[2]}}, &last, "in a ring");
    free_features(&all);
    pf_engine_plan_free(&stored);
    pf_engine_plan_free(&made);
    close_graph(graph);
    free(graph);
}
END_TEST

/* A factor that is some channels of another value. What fills them up there are no zeros. */
START_TEST(factors_may_be_parts)
{
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 5);
    const int map = add_conv_of(graph, add_input(graph), 8);
    PfNode *node = begin(graph, PF_OP_MEAN, add_conv_of(graph, map, 16));
    node->axes[0] = 1;
    node->axes[1] = 2;
    node->axis_count = 2;
    node->keep_axes = 1;
    const int squeezed = finish(graph);
    PfNode *part = begin(graph, PF_OP_SLICE, squeezed);
    part->start = part->count = 8;
    part->step = 1;
    const int product = add(graph, PF_OP_MULTIPLY, map, finish(graph));
    const int last = add_conv_of(graph, product, 16);
    check_runs(graph, (Run[]){{.nodes = {last}, .count = 1}}, 1);
    close_graph(graph);
    free(graph);
}
END_TEST

/* A norm behind a product with a parameter is not one before it. */
START_TEST(norms_stay_behind_parameters)
{
    Graph *graph = malloc(sizeof *graph);
    open_graph(graph, 6);
    const int conv = add_conv_of(graph, add_input(graph), 20);
    begin(graph, PF_OP_PARAMETER, 0)->shape = (PfShape){3, {20, 1, 1}};
    const int product = add(graph, PF_OP_MULTIPLY, conv, finish(graph));
    const int last = add(graph, PF_OP_RELU, add_norm(graph, product), -1);
    check_runs(graph, (Run[]){{.nodes = {last}, .count = 1}}, 1);
    close_graph(graph);
    free(graph);
}
END_TEST

/* ---- large maps ---- */

enum { LARGE = 200, LARGE_IMAGES = 3 };

static void large_graph(PfArch *arch, PfError *err)
{
    PfArchBuilder builder = {.arch = arch, .err = err};
    static const int last[] = {1, 2, 0};
    int x, view, slice, both;
    snprintf(arch->name, sizeof arch->name, "large");
    pf_arch_add(&builder, PF_OP_INPUT, "input", NULL, 0, &x);
    arch->nodes[0].input_count = 0;
    x = pf_arch_add_conv(&builder, "stem", x, 3, 32, 3, 1, 1, false);
    const int more = pf_arch_add_conv(&builder, "more", x, 32, 16, 1, 1, 0, false);
    PfNode *node = pf_arch_add(&builder, PF_OP_CONCAT, "both", NULL, x, &both);
    node->inputs[node->input_count++] = more;
    node = pf_arch_add(&builder, PF_OP_PERMUTE, "view", NULL, both, &view);
    node->axis_count = 3;
    memcpy(node->axes, last, sizeof last);
    node = pf_arch_add(&builder, PF_OP_SLICE, "slice", NULL, view, &slice);
    node->axis = 2;
    node->start = 5;
    node->count = 8;
    node->step = 1;
    node = pf_arch_add(&builder, PF_OP_MEAN, "means", NULL, slice, &x);
    node->axis_count = 2;
    node->axes[1] = 1;
    pf_arch_add_max_pool(&builder, "maxima", both, 8, 8, 0);
    ck_assert_int_eq(builder.failed, 0);
}

/* Of images whose maps are large, a few at a time: views and concatenations as well. */
START_TEST(large_values_go_in_parts)
{
    static const char *const taps[] = {"means", "maxima", "both"};
    static const int64_t rows[] = {8, 48 * LARGE * LARGE / 64, 48 * LARGE * LARGE};
    static uint8_t pixels[LARGE_IMAGES][3 * LARGE * LARGE];
    PfError err = {0};
    PfArch arch = {0};
    PfEnginePlan *plan;
    PfRandom random = pf_random_seeded(7, 0);
    large_graph(&arch, &err);
    float stem[32 * 3 * 9], more[16 * 32];
    for (size_t i = 0; i < sizeof stem / sizeof *stem; i++)
        stem[i] = (float)pf_random_normal(&random);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        more[i] = (float)pf_random_normal(&random);
    const PfNamedTensor tensors[] = {
        {"stem.weight", {PF_DTYPE_F32, {4, {32, 3, 3, 3}}, stem}},
        {"more.weight", {PF_DTYPE_F32, {4, {16, 32, 1, 1}}, more}},
    };
    const PfBackboneConfig config = {.arch = &arch,
                                     .tensors = tensors,
                                     .tensor_count = 2,
                                     .taps = taps,
                                     .tap_count = 3,
                                     .input_height = LARGE,
                                     .input_width = LARGE,
                                     .std = {1, 1, 1},
                                     .output_dtype = PF_DTYPE_F32};
    for (int i = 0; i < LARGE_IMAGES; i++)
        for (int k = 0; k < 3 * LARGE * LARGE; k++)
            pixels[i][k] = (uint8_t)between(&random, 0, 255);
    ck_assert_msg(!pf_engine_plan_new(&config, 1, &plan, &err), "%s", err.message);
    ck_assert_int_gt(plan->early_steps, 3);
    ck_assert_int_lt(plan->early_images, LARGE_IMAGES);
    const size_t room = plan->maps_bytes + plan->scratch_bytes;
    void *arena = pf_alloc_aligned(room, 1, &err), *together[3], *alone[3];
    for (int t = 0; t < 3; t++) {
        together[t] = calloc((size_t)(LARGE_IMAGES * rows[t]), sizeof(float));
        alone[t] = calloc((size_t)(LARGE_IMAGES * rows[t]), sizeof(float));
    }
    PfEngineImages images = {pixels[0], 0, LARGE_IMAGES, together};
    memset(arena, 0xff, room);
    pf_engine_execute(plan, &images, arena, NULL);
    for (int i = 0; i < LARGE_IMAGES; i++) {
        images = (PfEngineImages){pixels[i], i, 1, alone};
        memset(arena, 0xff, room);
        pf_engine_execute(plan, &images, arena, NULL);
    }
    for (int t = 0; t < 3; t++) {
        const float *found = together[t];
        ck_assert_msg(!memcmp(found, alone[t], (size_t)(LARGE_IMAGES * rows[t]) * sizeof(float)),
                      "'%s' has other bits", taps[t]);
        for (int64_t i = 0; i < LARGE_IMAGES * rows[t]; i++)
            assert_each(isfinite(found[i]), "'%s' is not finite", taps[t]);
        free(together[t]);
        free(alone[t]);
    }
    free(arena);
    pf_engine_plan_free(&plan);
    free(arch.nodes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graphs");
    TCase *cases = tcase_create("graphs");
    tcase_set_timeout(cases, 300);
    tcase_add_loop_test(cases, random_graphs_are_as_defined, 0, 2);
    tcase_add_test(cases, windows_are_as_defined);
    tcase_add_test(cases, rotations_are_as_defined);
    tcase_add_test(cases, maps_and_tokens_are_views);
    tcase_add_test(cases, scales_and_sums_go_through_views);
    tcase_add_test(cases, norms_go_into_concatenations);
    tcase_add_test(cases, random_graphs_are_rounded_node_by_node);
    tcase_add_test(cases, what_is_taken_in_is_rounded_once);
    tcase_add_test(cases, rows_made_when_needed_are_as_defined);
    tcase_add_test(cases, rows_made_when_needed_are_rounded);
    tcase_add_test(cases, factors_may_be_parts);
    tcase_add_test(cases, norms_stay_behind_parameters);
    tcase_add_test(cases, large_values_go_in_parts);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

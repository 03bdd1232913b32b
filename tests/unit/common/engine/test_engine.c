/* The engine against the definitions of the operations in double, on a network of its own that has
 * all of them: every tap, from any batch, threads and instruction set with the same bits. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/arch/ops.h"
#include "common/base/memory.h"
#include "common/engine/engine.h"
#include "common/engine/execute.h"
#include "common/weights/weights.h"
#include "tests/unit/random_between.h"

enum { SIDE = 26, IMAGES = 37, CHANNELS = 24, CLASSES = 10, MOST = 64 };

static const float mean[] = {0.4f, 0.5f, 0.45f}, deviation[] = {0.2f, 0.25f, 0.3f};

/* ---- a network ---- */

typedef struct Network {
    PfArch arch;
    PfParameter *parameters;
    PfNamedTensor *tensors;
    int tensor_count;
    PfShape shapes[MOST];
    double *values[MOST]; /* of one image, channels first */
    uint8_t *pixels;
} Network;

static int add_block(PfArchBuilder *builder, int number, int input, int in, int out, int stride)
{
    char conv[32], norm[32], relu[32], sum[32];
    snprintf(conv, sizeof conv, "conv%d", number);
    snprintf(norm, sizeof norm, "norm%d", number);
    snprintf(relu, sizeof relu, "relu%d", number);
    snprintf(sum, sizeof sum, "sum%d", number);
    int node = pf_arch_add_conv(builder, conv, input, in, out, 3, stride, 1, number % 2);
    node = pf_arch_add_batch_norm(builder, norm, node, out);
    if (in == out && stride == 1) node = pf_arch_add_sum(builder, sum, input, node);
    return pf_arch_add_relu(builder, relu, NULL, node);
}

/* Channels that are no multiple of 16, sums of a value with itself, a ReLU of a value that others
 * read, a norm without a convolution, a pool that overlaps, linears behind maps and vectors. */
static void build(Network *network, PfError *err)
{
    PfArchBuilder builder = {.arch = &network->arch, .err = err};
    int node;
    snprintf(network->arch.name, sizeof network->arch.name, "test");
    pf_arch_add(&builder, PF_OP_INPUT, "input", NULL, 0, &node);
    node = pf_arch_add_conv(&builder, "stem", node, 3, CHANNELS, 5, 2, 2, true);
    node = pf_arch_add_max_pool(&builder, "maxima", node, 3, 1, 1);
    node = pf_arch_add_batch_norm(&builder, "alone", node, CHANNELS);
    node = add_block(&builder, 0, node, CHANNELS, CHANNELS, 1);
    node = add_block(&builder, 1, node, CHANNELS, 32, 2);
    const int before = add_block(&builder, 2, node, 32, 32, 1);
    node = pf_arch_add_relu(&builder, "again", NULL, before);
    node = pf_arch_add_sum(&builder, "twice", node, node);
    node = pf_arch_add_sum(&builder, "late", node, before);
    const int side = pf_arch_add_conv(&builder, "one", node, 32, 32, 1, 1, 0, false);
    node = pf_arch_add_sum(&builder, "own", side, node); /* what the convolution reads as well */
    node = pf_arch_add_avg_pool(&builder, "means", node, 3);
    node = pf_arch_add_flatten(&builder, node);
    node = pf_arch_add_linear(&builder, "wide", node, 32 * 9, 20);
    node = pf_arch_add_relu(&builder, "cut", NULL, node);
    node = pf_arch_add_dropout(&builder, "drop", node, 0.5f);
    pf_arch_add_linear(&builder, "classes", node, 20, CLASSES);
    ck_assert_int_eq(builder.failed, 0);
    ck_assert_int_le(network->arch.node_count, MOST);
}

static void fill_tensors(Network *network, PfError *err)
{
    PfRandom random = pf_random_seeded(5, 0);
    PfArch *arch = &network->arch;
    ck_assert_int_eq(pf_arch_parameters(arch, arch->node_count - 1, &network->parameters,
                                        &network->tensor_count, err),
                     0);
    network->tensors = calloc((size_t)network->tensor_count, sizeof *network->tensors);
    for (int i = 0; i < network->tensor_count; i++) {
        const PfParameter *parameter = &network->parameters[i];
        const int64_t count = pf_shape_count(&parameter->shape);
        const double scale = parameter->shape.rank == 1 ? 0.5 : sqrt(2.0 / ((double)count / 24));
        float *values = calloc((size_t)count, sizeof *values);
        for (int64_t k = 0; k < count; k++) values[k] = (float)(scale * pf_random_normal(&random));
        for (int64_t k = 0; strstr(parameter->name, "running_var") && k < count; k++)
            values[k] = 0.5f + values[k] * values[k];
        network->tensors[i] =
            (PfNamedTensor){parameter->name, {PF_DTYPE_F32, parameter->shape, values}};
    }
    network->pixels = calloc(IMAGES, SIDE * SIDE * 3);
    for (int i = 0; i < IMAGES * SIDE * SIDE * 3; i++)
        network->pixels[i] = (uint8_t)between(&random, 0, 255);
}

static void open_network(Network *network)
{
    PfError err = {0};
    *network = (Network){0};
    build(network, &err);
    fill_tensors(network, &err);
    ck_assert_int_eq(pf_arch_infer_shapes(&network->arch, SIDE, SIDE, network->shapes, &err), 0);
    for (int i = 0; i < network->arch.node_count; i++)
        network->values[i] = calloc((size_t)pf_shape_count(&network->shapes[i]), sizeof(double));
}

static void close_network(Network *network)
{
    for (int i = 0; i < network->tensor_count; i++) {
        const void *data = network->tensors[i].view.data;
        float *values;
        memcpy(&values, &data, sizeof values);
        free(values);
    }
    for (int i = 0; i < network->arch.node_count; i++) free(network->values[i]);
    free(network->parameters);
    free(network->tensors);
    free(network->pixels);
    free(network->arch.nodes);
}

/* ---- the definitions ---- */

static const float *tensor(const Network *network, int node, const char *which)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", network->arch.nodes[node].module, which);
    for (int i = 0; i < network->tensor_count; i++)
        if (!strcmp(network->tensors[i].name, name)) return network->tensors[i].view.data;
    return NULL;
}

/* (c, h, w) of a node's first input and of itself. */
typedef struct Shapes {
    const double *x;
    double *y;
    int64_t in, height, width, out, rows, columns;
} Shapes;

static Shapes shapes_of(const Network *network, int node)
{
    const int input = network->arch.nodes[node].inputs[0];
    const PfShape *x = &network->shapes[input], *y = &network->shapes[node];
    return (Shapes){.x = network->values[input],
                    .y = network->values[node],
                    .in = x->dims[0],
                    .height = x->rank == 3 ? x->dims[1] : 1,
                    .width = x->rank == 3 ? x->dims[2] : 1,
                    .out = y->dims[0],
                    .rows = y->rank == 3 ? y->dims[1] : 1,
                    .columns = y->rank == 3 ? y->dims[2] : 1};
}

static double convolution_at(const Network *network, int index, Shapes s, int64_t k, int64_t y,
                             int64_t x)
{
    const PfNode *node = &network->arch.nodes[index];
    const float *weight = tensor(network, index, "weight"), *bias = tensor(network, index, "bias");
    double sum = node->bias ? (double)bias[k] : 0;
    for (int64_t c = 0; c < s.in; c++)
        for (int64_t i = 0; i < node->kernel[0]; i++)
            for (int64_t j = 0; j < node->kernel[1]; j++) {
                const int64_t row = y * node->stride[0] - node->padding[0] + i;
                const int64_t column = x * node->stride[1] - node->padding[1] + j;
                if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
                const int64_t at = ((k * s.in + c) * node->kernel[0] + i) * node->kernel[1] + j;
                sum += (double)weight[at] * s.x[(c * s.height + row) * s.width + column];
            }
    return sum;
}

static double linear_at(const Network *network, int index, Shapes s, int64_t k)
{
    const int64_t count = s.in * s.height * s.width;
    const float *weight = tensor(network, index, "weight");
    double sum = (double)tensor(network, index, "bias")[k];
    for (int64_t i = 0; i < count; i++) sum += (double)weight[k * count + i] * s.x[i];
    return sum;
}

static double norm_at(const Network *network, int index, double x, int64_t c)
{
    const double scale = (double)tensor(network, index, "weight")[c] /
                         sqrt((double)tensor(network, index, "running_var")[c] +
                              (double)network->arch.nodes[index].eps);
    return (x - (double)tensor(network, index, "running_mean")[c]) * scale +
           (double)tensor(network, index, "bias")[c];
}

/* Of all the pixels of one channel in [top, bottom) x [left, right), as far as they are there. */
static double window_of(Shapes s, int64_t c, int64_t top, int64_t bottom, int64_t left,
                        int64_t right, bool mean_of)
{
    double most = -INFINITY, sum = 0;
    int count = 0;
    for (int64_t i = top < 0 ? 0 : top; i < bottom && i < s.height; i++)
        for (int64_t j = left < 0 ? 0 : left; j < right && j < s.width; j++) {
            const double x = s.x[(c * s.height + i) * s.width + j];
            most = fmax(most, x);
            sum += x;
            count++;
        }
    return mean_of ? sum / count : most;
}

static double value_at(const Network *network, int index, Shapes s, int64_t c, int64_t y, int64_t x)
{
    const PfNode *node = &network->arch.nodes[index];
    const int64_t at = (c * s.rows + y) * s.columns + x;
    const int64_t top = y * node->stride[0] - node->padding[0],
                  left = x * node->stride[1] - node->padding[1];
    switch (node->op) {
    case PF_OP_CONV: return convolution_at(network, index, s, c, y, x);
    case PF_OP_LINEAR: return linear_at(network, index, s, c);
    case PF_OP_BATCH_NORM: return norm_at(network, index, s.x[at], c);
    case PF_OP_RELU: return s.x[at] < 0 ? 0 : s.x[at];
    case PF_OP_ADD: return s.x[at] + network->values[node->inputs[1]][at];
    case PF_OP_MAX_POOL:
        return window_of(s, c, top, top + node->kernel[0], left, left + node->kernel[1], false);
    case PF_OP_ADAPTIVE_AVG_POOL:
        return window_of(s, c, y * s.height / s.rows, ((y + 1) * s.height + s.rows - 1) / s.rows,
                         x * s.width / s.columns, ((x + 1) * s.width + s.columns - 1) / s.columns,
                         true);
    default: return s.x[at];
    }
}

static void compute(Network *network, int image)
{
    const uint8_t *pixels = network->pixels + (size_t)image * SIDE * SIDE * 3;
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < SIDE * SIDE; p++)
            network->values[0][c * SIDE * SIDE + p] =
                ((double)pixels[3 * p + c] / 255 - (double)mean[c]) / (double)deviation[c];
    for (int i = 1; i < network->arch.node_count; i++) {
        const Shapes s = shapes_of(network, i);
        for (int64_t at = 0; at < s.out * s.rows * s.columns; at++)
            s.y[at] = value_at(network, i, s, at / (s.rows * s.columns), at / s.columns % s.rows,
                               at % s.columns);
    }
}

/* ---- the engine ---- */

/* Features of all images and taps, one after the other; the caller frees them. */
typedef struct Features {
    char *taps[MOST];
    size_t bytes[MOST];
    int count;
} Features;

static void run(const Network *network, const char *const *taps, int tap_count, PfDtype dtype,
                int threads, int batch, int images, Features *features)
{
    PfError err = {0};
    PfBackbone *backbone;
    const PfBackbonePlugin *engine = pf_engine_plugin();
    const PfTapInfo *infos;
    PfBackboneConfig config = {.arch = &network->arch,
                               .tensors = network->tensors,
                               .tensor_count = (size_t)network->tensor_count,
                               .taps = taps,
                               .tap_count = tap_count,
                               .input_height = SIDE,
                               .input_width = SIDE,
                               .output_dtype = dtype,
                               .threads = threads,
                               .images = images};
    memcpy(config.mean, mean, sizeof mean);
    memcpy(config.std, deviation, sizeof deviation);
    ck_assert_msg(!engine->open(&config, &backbone, &err), "%s", err.message);
    ck_assert_int_eq(engine->depth(backbone), 1);
    features->count = engine->taps(backbone, &infos);
    ck_assert_int_eq(features->count, tap_count);
    for (int t = 0; t < tap_count; t++) {
        features->bytes[t] = pf_dtype_size(dtype) * (size_t)pf_shape_count(&infos[t].shape);
        features->taps[t] = calloc(IMAGES, features->bytes[t]);
    }
    for (int first = 0; first < IMAGES; first += batch) {
        void *outputs[MOST];
        for (int t = 0; t < tap_count; t++)
            outputs[t] = features->taps[t] + (size_t)first * features->bytes[t];
        const int n = first + batch < IMAGES ? batch : IMAGES - first;
        const uint8_t *pixels = network->pixels + (size_t)first * SIDE * SIDE * 3;
        ck_assert_int_eq(engine->submit(backbone, pixels, n, outputs, &err), 0);
        ck_assert_int_eq(engine->collect(backbone, &err), 0);
    }
    engine->close(&backbone);
    ck_assert_ptr_null(backbone);
}

static void free_features(Features *features)
{
    for (int t = 0; t < features->count; t++) free(features->taps[t]);
}

static void check_node(const Network *network, int node, const char *found_of, int image)
{
    const int64_t count = pf_shape_count(&network->shapes[node]);
    const float *found = (const float *)(const void *)found_of + image * count;
    double largest = 0;
    for (int64_t i = 0; i < count; i++) largest = fmax(largest, fabs(network->values[node][i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - network->values[node][i]) <= 1e-5 * largest))
            ck_abort_msg("'%s' of image %d: %g at %ld, not %g", network->arch.nodes[node].name,
                         image, (double)found[i], (long)i, network->values[node][i]);
}

static int all_taps(const Network *network, const char **taps)
{
    for (int i = 0; i < network->arch.node_count; i++) taps[i] = network->arch.nodes[i].name;
    return network->arch.node_count;
}

/* Each node alone, with all that may be taken in taken in. */
START_TEST(each_tap_is_as_defined)
{
    Network network;
    open_network(&network);
    for (int node = 0; node < network.arch.node_count; node++) {
        const char *tap = network.arch.nodes[node].name;
        Features features;
        run(&network, &tap, 1, PF_DTYPE_F32, 2, IMAGES, 0, &features);
        for (int image = 0; image < IMAGES; image += 12) {
            compute(&network, image);
            check_node(&network, node, features.taps[0], image);
        }
        free_features(&features);
    }
    close_network(&network);
}
END_TEST

/* All nodes at once, where nothing may be. */
START_TEST(all_taps_at_once_are_as_defined)
{
    Network network;
    const char *taps[MOST];
    Features features;
    open_network(&network);
    run(&network, taps, all_taps(&network, taps), PF_DTYPE_F32, 2, IMAGES, 0, &features);
    for (int image = 0; image < IMAGES; image += 12) {
        compute(&network, image);
        for (int node = 0; node < network.arch.node_count; node++)
            check_node(&network, node, features.taps[node], image);
    }
    free_features(&features);
    close_network(&network);
}
END_TEST

START_TEST(any_way_of_running_gives_the_same_bits)
{
    static const char *const taps[] = {"classes", "relu1", "own"};
    static const struct {
        const char *kernels;
        int threads, batch, images;
    } ways[] = {
        {"plain", 1, IMAGES, 0}, {"plain", 3, 5, 0}, {"avx2", 2, IMAGES, 0}, {"avx512", 1, 1, 0},
        {"", 4, 17, 0},          {"", 3, 16, 16},    {"", 2, 1, 1},          {"plain", 5, 7, 7},
        {"", 3, IMAGES, 16}}; /* more come than was said */
    Network network;
    Features first, other;
    open_network(&network);
    run(&network, taps, 3, PF_DTYPE_F32, 1, IMAGES, 0, &first);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        setenv("PF_KERNELS", ways[w].kernels, 1);
        run(&network, taps, 3, PF_DTYPE_F32, ways[w].threads, ways[w].batch, ways[w].images,
            &other);
        for (int t = 0; t < 3; t++)
            ck_assert_msg(!memcmp(first.taps[t], other.taps[t], IMAGES * first.bytes[t]),
                          "way %zu differs at '%s'", w, taps[t]);
        free_features(&other);
    }
    free_features(&first);
    close_network(&network);
}
END_TEST

/* Features of two images by a built-in network, and the bytes of its packed weights. */
static size_t run_built_in(const PfArch *arch, const PfNamedTensor *tensors, size_t count,
                           int threads, int images, float *features)
{
    static const char *const tap = "layer4";
    enum { WIDE = 96 };
    PfError err = {0};
    PfBackbone *backbone;
    void *output = features;
    uint8_t *pixels = calloc(2, (size_t)WIDE * WIDE * 3);
    PfRandom random = pf_random_seeded(7, 0);
    for (int i = 0; i < 2 * WIDE * WIDE * 3; i++) pixels[i] = (uint8_t)between(&random, 0, 255);
    PfBackboneConfig config = {.arch = arch,
                               .tensors = tensors,
                               .tensor_count = count,
                               .taps = &tap,
                               .tap_count = 1,
                               .input_height = WIDE,
                               .input_width = WIDE,
                               .std = {1, 1, 1},
                               .threads = threads,
                               .output_dtype = PF_DTYPE_F32,
                               .images = images};
    ck_assert_msg(!pf_engine_plugin()->open(&config, &backbone, &err), "%s", err.message);
    const size_t bytes = pf_engine_memory(backbone).weights;
    ck_assert_int_eq(pf_engine_plugin()->submit(backbone, pixels, 2, &output, &err), 0);
    pf_engine_plugin()->close(&backbone);
    free(pixels);
    return bytes;
}

/* The last layers' weights, of 38 MB when packed, are packed while they are used. */
START_TEST(of_few_images_large_weights_are_not_kept)
{
    enum { NUMBERS = 2 * 512 * 3 * 3 };
    PfError err = {0};
    PfArch *arch;
    PfWeights *weights;
    const PfWeightsEntry *entry;
    size_t count;
    static float kept[NUMBERS], fleeting[NUMBERS];
    ck_assert_msg(!pf_arch_new("resnet18", &arch, &err), "%s", err.message);
    ck_assert_msg(!pf_weights_load(arch, "random:3", NULL, &weights, &entry, &err), "%s",
                  err.message);
    const PfNamedTensor *tensors = pf_weights_tensors(weights, &count);
    const size_t bytes = run_built_in(arch, tensors, count, 2, 0, kept);
    for (int threads = 1; threads <= 3; threads++) {
        const size_t fewer = run_built_in(arch, tensors, count, threads, 2, fleeting);
        ck_assert_msg(fewer < bytes / 4, "%zu of %zu bytes", fewer, bytes);
        ck_assert_msg(!memcmp(kept, fleeting, sizeof kept), "%d threads", threads);
    }
    pf_weights_close(&weights);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(f16_is_f32_rounded)
{
    static const char *const taps[] = {"stem", "classes"};
    Network network;
    Features single, half;
    open_network(&network);
    run(&network, taps, 2, PF_DTYPE_F32, 2, 16, 0, &single);
    run(&network, taps, 2, PF_DTYPE_F16, 2, 16, 0, &half);
    for (int t = 0; t < 2; t++) {
        const float *from = (const float *)(const void *)single.taps[t];
        const uint16_t *to = (const uint16_t *)(const void *)half.taps[t];
        for (size_t i = 0; i < IMAGES * half.bytes[t] / sizeof *to; i++)
            if (to[i] != pf_f16_from_f32(from[i])) ck_abort_msg("%g at %zu", (double)from[i], i);
    }
    free_features(&single);
    free_features(&half);
    close_network(&network);
}
END_TEST

/* Of images whose first maps are large: a few at a time, and the others behind them. */
START_TEST(large_maps_go_in_parts)
{
    enum { LARGE = 512, COUNT = 5 };
    static const char *const taps[] = {"maxpool", "layer1", "fc"};
    PfError err = {0};
    PfArch *arch;
    PfWeights *weights;
    PfEnginePlan *plan;
    PfRandom random = pf_random_seeded(6, 0);
    PfBackboneConfig config = {.taps = taps,
                               .tap_count = 3,
                               .input_height = LARGE,
                               .input_width = LARGE,
                               .std = {1, 1, 1}};
    ck_assert_int_eq(pf_arch_new("resnet18_w16", &arch, &err), 0);
    ck_assert_int_eq(pf_weights_random(arch, 0, &weights, &err), 0);
    config.arch = arch;
    config.tensors = pf_weights_tensors(weights, &config.tensor_count);
    ck_assert_int_eq(pf_engine_plan_new(&config, 1, &plan, &err), 0);
    ck_assert_int_gt(plan->early_steps, 0);
    ck_assert_int_lt(plan->early_images, COUNT);
    uint8_t *pixels = calloc(COUNT, LARGE * LARGE * 3);
    for (int i = 0; i < COUNT * LARGE * LARGE * 3; i++)
        pixels[i] = (uint8_t)between(&random, 0, 255);
    void *arena = pf_alloc_aligned(1, plan->maps_bytes + plan->scratch_bytes, &err);
    float *together[3], *alone[3];
    size_t rows[3];
    for (int t = 0; t < 3; t++) {
        rows[t] = (size_t)pf_shape_count(&plan->taps[t].shape);
        together[t] = calloc(COUNT * rows[t], sizeof(float));
        alone[t] = calloc(COUNT * rows[t], sizeof(float));
    }
    PfEngineImages images = {pixels, 0, COUNT, (void *const *)together};
    pf_engine_execute(plan, &images, arena, NULL);
    for (int i = 0; i < COUNT; i++) {
        images =
            (PfEngineImages){pixels + (size_t)i * LARGE * LARGE * 3, i, 1, (void *const *)alone};
        pf_engine_execute(plan, &images, arena, NULL);
    }
    for (int t = 0; t < 3; t++) {
        ck_assert_msg(!memcmp(together[t], alone[t], COUNT * rows[t] * sizeof(float)),
                      "'%s' has other bits", taps[t]);
        ck_assert_msg(memcmp(together[t], together[t] + rows[t], rows[t] * sizeof(float)) != 0,
                      "'%s' of two images is the same", taps[t]);
        free(together[t]);
        free(alone[t]);
    }
    free(arena);
    free(pixels);
    pf_engine_plan_free(&plan);
    pf_weights_close(&weights);
    pf_arch_free(&arch);
}
END_TEST

START_TEST(missing_tensors_are_named)
{
    static const char *const tap = "stem";
    PfError err = {0};
    PfBackbone *backbone;
    Network network;
    open_network(&network);
    PfBackboneConfig config = {.arch = &network.arch,
                               .tensors = network.tensors + 1,
                               .tensor_count = (size_t)network.tensor_count - 1,
                               .taps = &tap,
                               .tap_count = 1,
                               .input_height = SIDE,
                               .input_width = SIDE,
                               .std = {1, 1, 1}};
    ck_assert_int_eq(pf_engine_plugin()->open(&config, &backbone, &err), -1);
    ck_assert_msg(strstr(err.message, "stem.weight") != NULL, "%s", err.message);
    close_network(&network);
}
END_TEST

#ifndef PF_SANITIZED /* sanitizers end the program that asks for more than there can be */
/* More than any processor can address. */
START_TEST(memory_for_large_maps_is_short)
{
    enum { VAST = 1 << 23 };
    static const char *const tap = "stem";
    PfError err = {0};
    PfBackbone *backbone;
    Network network;
    open_network(&network);
    PfBackboneConfig config = {.arch = &network.arch,
                               .tensors = network.tensors,
                               .tensor_count = (size_t)network.tensor_count,
                               .taps = &tap,
                               .tap_count = 1,
                               .input_height = VAST,
                               .input_width = VAST,
                               .std = {1, 1, 1},
                               .threads = 1};
    ck_assert_int_eq(pf_engine_plugin()->open(&config, &backbone, &err), -1);
    ck_assert_int_eq(err.exit_code, PF_EXIT_FAILED);
    ck_assert_msg(strstr(err.message, "out of memory: images of 8388608 x 8388608 take ") &&
                      strstr(err.message, "for each of 1 thread. Hint: "),
                  "%s", err.message);
    close_network(&network);
}
END_TEST
#endif

int main(void)
{
    Suite *suite = suite_create("engine");
    TCase *cases = tcase_create("engine");
    tcase_set_timeout(cases, 300);
    tcase_add_test(cases, each_tap_is_as_defined);
    tcase_add_test(cases, all_taps_at_once_are_as_defined);
    tcase_add_test(cases, any_way_of_running_gives_the_same_bits);
    tcase_add_test(cases, of_few_images_large_weights_are_not_kept);
    tcase_add_test(cases, f16_is_f32_rounded);
    tcase_add_test(cases, large_maps_go_in_parts);
    tcase_add_test(cases, missing_tensors_are_named);
#ifndef PF_SANITIZED
    tcase_add_test(cases, memory_for_large_maps_is_short);
#endif
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

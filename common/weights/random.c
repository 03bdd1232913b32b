/* Random weights, as the table of operations and the network's family say that they are drawn. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arch/family.h"
#include "common/base/integers.h"
#include "common/base/random.h"
#include "common/thread/parallel.h"
#include "common/weights/internal.h"

/* Every block of a tensor has a stream of its own, so that neither the order of
 * tensors nor the number of threads matters. */
#define BLOCK_VALUES 65536

typedef struct Tensor {
    uint64_t seed, stream;
    PfInitialValues initial;
    float *values;
    int64_t count;
} Tensor;

static void fill_block(void *context, int64_t block)
{
    const Tensor *tensor = context;
    int64_t first = block * BLOCK_VALUES, end = pf_min(first + BLOCK_VALUES, tensor->count);
    PfRandom random = pf_random_seeded(tensor->seed, tensor->stream + (uint64_t)block);
    double scale = tensor->initial.scale;
    for (int64_t i = first; i < end; i++) {
        double value = scale;
        if (tensor->initial.distribution == PF_INITIAL_NORMAL) value *= pf_random_normal(&random);
        if (tensor->initial.distribution == PF_INITIAL_UNIFORM)
            value *= 2 * pf_random_uniform(&random) - 1;
        tensor->values[i] = (float)value;
    }
}

static int add_random(PfWeights *weights, const PfArch *arch, const PfParameter *parameter,
                      uint64_t seed, PfError *err)
{
    const PfNode *node = &arch->nodes[parameter->node];
    const PfOpParameter *of_op = pf_op_find_parameter(node->op, parameter->of);
    Tensor tensor = {.seed = seed,
                     .stream = pf_digest_xxh64_text(parameter->name),
                     .initial = pf_arch_initial_values(arch, node, of_op),
                     .count = pf_shape_count(&parameter->shape)};
    tensor.values = pf_weights_allocate(weights, (size_t)tensor.count * sizeof(float), err);
    if (!tensor.values) return -1;
    pf_parallel_for((tensor.count + BLOCK_VALUES - 1) / BLOCK_VALUES, 0, fill_block, &tensor);
    PfTensorView view = {PF_DTYPE_F32, parameter->shape, tensor.values};
    return pf_weights_add(weights, parameter->name, strlen(parameter->name), &view, err);
}

static int fill_all(PfWeights *weights, const PfArch *arch, uint64_t seed, PfError *err)
{
    PfParameter *parameters;
    int count, failed = 0;
    if (pf_arch_parameters(arch, arch->node_count - 1, &parameters, &count, err)) return -1;
    for (int i = 0; i < count && !failed; i++)
        failed = add_random(weights, arch, &parameters[i], seed, err);
    free(parameters);
    return failed || pf_weights_index(weights, err) ? -1 : 0;
}

int pf_weights_random(const PfArch *arch, uint64_t seed, PfWeights **out, PfError *err)
{
    char source[32], identity[96];
    snprintf(source, sizeof source, "random:%" PRIu64, seed);
    if (pf_weights_new(source, out, err)) return -1;
    (*out)->format = "random";
    snprintf(identity, sizeof identity, "%s:%s", source, arch->name);
    pf_digest_sha256_text(identity, strlen(identity), (*out)->sha256);
    if (!fill_all(*out, arch, seed, err)) return 0;
    pf_weights_close(out);
    return -1;
}

/* A suffix without libtorch, for rows of three numbers of any tap: features are
 * weight * (row - running_mean) + bias, number by number. bias does not decay, running_mean is a
 * buffer, which moves where batch norm learns. One at a time. Their names begin with "fake.", or
 * with what FAKE_SUFFIX_MODULE says. */
#ifndef FAKE_SUFFIX_H
#define FAKE_SUFFIX_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "permafrost/suffix.h"

enum { FAKE_WIDTH = 3, FAKE_TENSORS = 3 };

struct PfSuffix {
    PfSuffixConfig config;
    PfShape shape;
    float weight[FAKE_WIDTH], bias[FAKE_WIDTH], mean[FAKE_WIDTH];
    float weight_gradient[FAKE_WIDTH], bias_gradient[FAKE_WIDTH];
    PfSuffixTensor tensors[FAKE_TENSORS];
    float *rows; /* of the last forward_training */
    int64_t n;
    int commits;
};

static struct PfSuffix fake_suffix;

static void fake_name_tensor(PfSuffixTensor *tensor, const char *name, float *values,
                             float *gradient, int decays)
{
    const char *module = getenv("FAKE_SUFFIX_MODULE");
    *tensor = (PfSuffixTensor){
        .shape = {1, {FAKE_WIDTH}}, .values = values, .gradient = gradient, .decays = decays};
    snprintf(tensor->name, sizeof tensor->name, "%s.%s", module ? module : "fake", name);
}

static int fake_suffix_open(const PfSuffixConfig *config, PfSuffix **out, PfError *err)
{
    (void)err;
    fake_suffix = (struct PfSuffix){.config = *config, .shape = {1, {FAKE_WIDTH}}};
    for (int c = 0; c < FAKE_WIDTH; c++) fake_suffix.weight[c] = 1;
    fake_name_tensor(&fake_suffix.tensors[0], "weight", fake_suffix.weight,
                     fake_suffix.weight_gradient, 1);
    fake_name_tensor(&fake_suffix.tensors[1], "bias", fake_suffix.bias, fake_suffix.bias_gradient,
                     0);
    fake_name_tensor(&fake_suffix.tensors[2], "running_mean", fake_suffix.mean, NULL, 0);
    for (size_t i = 0; i < config->tensor_count; i++)
        for (int t = 0; t < FAKE_TENSORS; t++)
            if (!strcmp(config->tensors[i].name, fake_suffix.tensors[t].name))
                memcpy(fake_suffix.tensors[t].values, config->tensors[i].view.data,
                       FAKE_WIDTH * sizeof(float));
    *out = &fake_suffix;
    return 0;
}

static const PfShape *fake_suffix_shape(const PfSuffix *suffix)
{
    return &suffix->shape;
}

static const char *fake_suffix_describe(const PfSuffix *suffix)
{
    (void)suffix;
    return "fake";
}

static int fake_suffix_forward(PfSuffix *suffix, const float *rows, int64_t n, float *features,
                               PfError *err)
{
    (void)err;
    for (int64_t i = 0; i < n * FAKE_WIDTH; i++) {
        int64_t c = i % FAKE_WIDTH;
        features[i] = suffix->weight[c] * (rows[i] - suffix->mean[c]) + suffix->bias[c];
    }
    return 0;
}

static int fake_suffix_forward_training(PfSuffix *suffix, const float *rows, int64_t n,
                                        uint64_t dropout_seed, float *features, PfError *err)
{
    size_t size = (size_t)(n * FAKE_WIDTH) * sizeof *rows;
    (void)dropout_seed;
    free(suffix->rows);
    suffix->rows = malloc(size);
    if (!suffix->rows) return pf_fail(err, PF_EXIT_FAILED, "out of memory");
    memcpy(suffix->rows, rows, size);
    suffix->n = n;
    for (int c = 0; suffix->config.train_batch_norm && c < FAKE_WIDTH; c++)
        suffix->mean[c] += 0.1f * (rows[c] - suffix->mean[c]);
    return fake_suffix_forward(suffix, rows, n, features, err);
}

static int fake_suffix_backward(PfSuffix *suffix, const float *derivative, PfError *err)
{
    (void)err;
    memset(suffix->weight_gradient, 0, sizeof suffix->weight_gradient);
    memset(suffix->bias_gradient, 0, sizeof suffix->bias_gradient);
    for (int64_t i = 0; i < suffix->n * FAKE_WIDTH; i++) {
        int64_t c = i % FAKE_WIDTH;
        suffix->weight_gradient[c] += derivative[i] * (suffix->rows[i] - suffix->mean[c]);
        suffix->bias_gradient[c] += derivative[i];
    }
    return 0;
}

static const PfSuffixTensor *fake_suffix_tensors(const PfSuffix *suffix, size_t *count)
{
    *count = FAKE_TENSORS;
    return suffix->tensors;
}

static int fake_suffix_commit(PfSuffix *suffix, PfError *err)
{
    (void)err;
    suffix->commits++;
    return 0;
}

static void fake_suffix_close(PfSuffix **suffix)
{
    free((*suffix)->rows);
    (*suffix)->rows = NULL;
    *suffix = NULL;
}

static const PfSuffixPlugin fake_suffix_plugin = {
    .open = fake_suffix_open,
    .input_shape = fake_suffix_shape,
    .output_shape = fake_suffix_shape,
    .describe = fake_suffix_describe,
    .forward = fake_suffix_forward,
    .forward_training = fake_suffix_forward_training,
    .backward = fake_suffix_backward,
    .tensors = fake_suffix_tensors,
    .commit = fake_suffix_commit,
    .close = fake_suffix_close,
};

#endif

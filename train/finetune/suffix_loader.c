#include "train/finetune/suffix_loader.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/memory.h"

typedef struct SuffixLoader {
    PfSuffixLoaderConfig config;
    bool learning;
    PfRandom dropout; /* a draw for every batch of the pass */
    float *features;  /* (batch, output) */
    size_t capacity;
    float *mine, *all; /* of several ranks: (most, output) and (ranks, most, output) */
    size_t mine_capacity, all_capacity;
} SuffixLoader;

static int start(void *context, const int32_t *rows, int64_t count, const PfRandom *shuffle,
                 int64_t batch, PfError *err)
{
    SuffixLoader *loader = context;
    const PfShape *shape = loader->config.plugin->output_shape(loader->config.suffix);
    size_t room = (size_t)(batch < count ? batch : count);
    loader->learning = shuffle != NULL;
    if (shuffle) loader->dropout = *shuffle;
    if (pf_grow(&loader->features, &loader->capacity, room,
                (size_t)pf_shape_count(shape) * sizeof *loader->features, err))
        return -1;
    return loader->config.rows->start(loader->config.rows->context, rows, count, shuffle, batch,
                                      err);
}

/* Dropout of each rank is its own. */
static uint64_t dropout_seed(SuffixLoader *loader)
{
    uint64_t seed = pf_random_u64(&loader->dropout);
    int rank = pf_rank_group_rank(loader->config.group);
    if (!rank) return seed;
    PfRandom random = pf_random_seeded(seed, (uint64_t)rank);
    return pf_random_u64(&random);
}

/* n rows, to features. */
static int compute(SuffixLoader *loader, const float *x, int64_t n, float *features, PfError *err)
{
    const PfSuffixPlugin *plugin = loader->config.plugin;
    if (!loader->learning) return plugin->forward(loader->config.suffix, x, n, features, err);
    return plugin->forward_training(loader->config.suffix, x, n, dropout_seed(loader), features,
                                    err);
}

/* This rank's part of the batch, then all parts. */
static int compute_part(SuffixLoader *loader, const PfRowBatch *batch, PfError *err)
{
    const int size = pf_rank_group_size(loader->config.group);
    size_t width =
        (size_t)pf_shape_count(loader->config.plugin->output_shape(loader->config.suffix));
    size_t most = ((size_t)batch->n + (size_t)size - 1) / (size_t)size;
    if (pf_grow(&loader->mine, &loader->mine_capacity, most, width * sizeof(float), err) ||
        pf_grow(&loader->all, &loader->all_capacity, most * (size_t)size, width * sizeof(float),
                err) ||
        compute(loader, batch->x, loader->config.part->count, loader->mine, err) ||
        pf_rank_group_gather(loader->config.group, loader->mine, loader->all,
                             most * width * sizeof(float), err))
        return -1;
    for (int rank = 0; rank < size; rank++) {
        PfBatchPart part = pf_batch_part(batch->n, rank, size);
        memcpy(loader->features + (size_t)part.first * width,
               loader->all + (size_t)rank * most * width,
               (size_t)part.count * width * sizeof(float));
    }
    return 0;
}

static int run(SuffixLoader *loader, const PfRowBatch *batch, PfError *err)
{
    *loader->config.part = pf_batch_part(batch->n, pf_rank_group_rank(loader->config.group),
                                         pf_rank_group_size(loader->config.group));
    if (loader->config.group) return compute_part(loader, batch, err);
    return compute(loader, batch->x, batch->n, loader->features, err);
}

static int next(void *context, PfRowBatch *batch, PfError *err)
{
    SuffixLoader *loader = context;
    double started = pf_clock_seconds();
    if (loader->config.rows->next(loader->config.rows->context, batch, err)) return -1;
    double read = pf_clock_seconds();
    loader->config.seconds->read += read - started;
    if (!batch->n) return 0;
    int failed = run(loader, batch, err);
    *(loader->learning ? &loader->config.seconds->forward : &loader->config.seconds->evaluate) +=
        pf_clock_seconds() - read;
    batch->x = loader->features;
    return failed;
}

static void free_loader(void *context)
{
    SuffixLoader *loader = context;
    free(loader->features);
    free(loader->mine);
    free(loader->all);
    free(loader);
}

int pf_suffix_loader_new(const PfSuffixLoaderConfig *config, PfBatchLoader *out, PfError *err)
{
    SuffixLoader *loader = pf_calloc(1, sizeof *loader, err);
    PfBatchLoader *rows = config->rows;
    if (!loader) return -1;
    loader->config = *config;
    if (config->group)
        rows->share(rows->context, pf_rank_group_rank(config->group),
                    pf_rank_group_size(config->group));
    *out = (PfBatchLoader){loader, rows->row_values, start, next, free_loader, NULL};
    return 0;
}
